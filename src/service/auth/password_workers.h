/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_workers: threads that run the slow password hash off the event loop. A
 * check is given, and later comes back with its verdict; how many may wait
 * is bounded, so that a flood of guesses is refused and not stored.
 */
#ifndef MAILBOAT_SERVICE_AUTH_PASSWORD_WORKERS_H
#define MAILBOAT_SERVICE_AUTH_PASSWORD_WORKERS_H

#include "base/arena.h"
#include "base/error.h"
#include "store/accounts.h"

enum { PASSWORD_WORKERS_MAX = 8, CHECKS_WAITING_MAX = 256 };

/* Owned by whoever gave it; the checker only reads the texts and writes what came of it. */
struct password_check {
    struct password_check *next;
    char *hash, *password; /* NUL-terminated; no hash: the password is known to be right */
    bool matches;
    bool wants_verifier; /* for SCRAM, where it matches */
    uint8_t salt[VERIFIER_SALT];
    struct verifier verifier;
    void *owner;
};

struct password_workers;

/* Starts the threads. `descriptor` becomes readable when checks are done. */
struct password_workers *password_workers_open(unsigned threads, int *descriptor, struct error *error);
/* False when too many wait already. */
bool password_workers_give(struct password_workers *workers, struct password_check *check);
/* The next finished check, or NULL. */
struct password_check *password_workers_take(struct password_workers *workers);

#endif
