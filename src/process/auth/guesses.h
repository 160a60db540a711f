/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guesses: slows down who guesses passwords. Failures are counted for each
 * pair of client address and account, and for each address alone; after some
 * free tries each failure doubles the time for which nothing is checked.
 * Memory is bounded: a table of fixed size, in which newcomers may displace
 * others; under a flood some guessers get off lightly, nobody is harmed.
 */
#ifndef MAILBOAT_AUTH_GUESSES_H
#define MAILBOAT_AUTH_GUESSES_H

#include "bytes.h"

enum guesses_limit {
    GUESSES_SLOTS = 8192,
    GUESSES_FREE = 5,          /* failures of a pair before it is locked at all */
    GUESSES_FREE_ADDRESS = 30, /* failures of an address, over all accounts */
    GUESSES_LOCK_FIRST_MS = 2000,
    GUESSES_LOCK_MAX_MS = 15 * 60 * 1000,
    GUESSES_FORGET_MS = 60 * 60 * 1000, /* without a failure */
};

struct guess {
    uint64_t key; /* 0: free */
    uint64_t locked_until_ms, last_ms;
    uint32_t failures;
};

struct guesses {
    struct guess *slots;
    uint64_t seed;
};

void guesses_start(struct guesses *guesses, uint64_t seed);
void guesses_free(struct guesses *guesses);
/* True while this pair, or this address, is locked. */
bool guesses_locked(const struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms);
void guesses_failed(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms);
void guesses_succeeded(struct guesses *guesses, struct bytes address, struct bytes account);

#endif
