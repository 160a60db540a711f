/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guesses: slows down who guesses passwords. Failures are counted for each
 * pair of client address and account, for each address alone (one account
 * after the other) and for each account alone (from many addresses); after
 * some free tries each failure doubles the time for which nothing is checked.
 * An IPv6 address counts as its /64: whoever has one has all of it.
 *
 * A pair that signed in before goes on signing in whatever others do: the
 * locks of the account and of the address are not for it, and its own comes
 * later. So a flood of guesses locks the guessers out, and not the owner.
 *
 * Memory is bounded: tables of fixed size. In a full row the one with the
 * fewest failures makes room. Pairs that signed in have a table of their own,
 * which no guess can crowd.
 *
 * The tables are of memory that outlives the process: who makes it end, or
 * waits for a restart, wins no new tries. It has no pointers, and each text in
 * it ends in NUL at any moment: one that was killed while it wrote leaves
 * nothing that could hurt its successor.
 */
#ifndef MAILBOAT_AUTH_GUESSES_H
#define MAILBOAT_AUTH_GUESSES_H

#include "buffer.h"

enum guesses_limit {
    GUESSES_SLOTS = 8192,
    GUESSES_ROW = 8,           /* slots where a key may stand */
    GUESSES_GOOD = 65536,      /* pairs that signed in */
    GUESSES_FREE = 5,          /* failures of a pair before it is locked at all */
    GUESSES_FREE_GOOD = 20,    /* of a pair that signed in before */
    GUESSES_FREE_ADDRESS = 30, /* failures of an address, over all accounts */
    GUESSES_FREE_ACCOUNT = 50, /* failures of an account, over all addresses */
    GUESSES_LOCK_FIRST_MS = 2000,
    GUESSES_LOCK_MAX_MS = 15 * 60 * 1000,
    GUESSES_FORGET_MS = 60 * 60 * 1000, /* without a failure */
    GUESSES_WHO = 128,                  /* octets of a name that are kept to be shown */
};
#define GUESSES_GOOD_MS (30 * 24 * 60 * 60 * 1000ull) /* since it last signed in */

struct guess {
    uint64_t key; /* 0: free */
    uint64_t locked_until_ms, last_ms;
    uint32_t failures;
    char address[48];          /* "" for the account over all addresses */
    char account[GUESSES_WHO]; /* "" for the address over all accounts; in lower case */
};

struct good {
    uint64_t key;
    uint64_t last_ms;
};

struct guesses_kept {
    uint64_t seed; /* 0: it is fresh */
    struct guess slots[GUESSES_SLOTS];
    struct good good[GUESSES_GOOD];
};

struct guesses {
    struct guess *slots;
    struct good *good;
    uint64_t seed;
};

/* Goes on with what stands in `kept`, which must outlive `guesses`; the seed is for fresh memory, all zeros. */
void guesses_start(struct guesses *guesses, struct guesses_kept *kept, uint64_t seed);
/* True while this pair is locked, or its address or account and it never signed in. */
bool guesses_locked(const struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms);
/* The longest time for which something is locked by it now; 0: nothing is. */
uint64_t guesses_failed(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms);
void guesses_succeeded(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms);

/* What is locked now, one after the other: `at` begins with 0. NULL: no more. */
const struct guess *guesses_next_locked(const struct guesses *guesses, size_t *at, uint64_t now_ms);
/* Forgets the failures of an account, or of a client's address; how many locks that undid. */
size_t guesses_unlock(struct guesses *guesses, struct bytes who, uint64_t now_ms);

#endif
