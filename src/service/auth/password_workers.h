/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_workers: threads that run the slow password hash outside the event loop. A check is queued, and
 * later returned with its verdict; the queue is bounded, so that a flood of guesses is rejected, not
 * stored.
 */
#ifndef MAILBOAT_SERVICE_AUTH_PASSWORD_WORKERS_H
#define MAILBOAT_SERVICE_AUTH_PASSWORD_WORKERS_H

#include "base/arena.h"
#include "base/error.h"
#include "store/accounts.h"

enum { PASSWORD_WORKERS_MAX = 8, CHECKS_WAITING_MAX = 256 };

/* Owned by the caller; the worker only reads the texts and writes the result. */
struct password_check {
    struct password_check *next;
    char *hash, *password; /* NUL-terminated; no hash: the password is already verified */
    bool matches;
    bool wants_verifier; /* for SCRAM, if it matches */
    uint8_t salt[VERIFIER_SALT];
    struct verifier verifier;
    void *owner;
};

struct password_workers;

/* Starts the threads. `descriptor` becomes readable when checks are done. */
struct password_workers *password_workers_open(unsigned threads, int *descriptor, struct error *error);
/* False if the queue is full. */
bool password_workers_give(struct password_workers *workers, struct password_check *check);
/* Returns the next finished check, or NULL. */
struct password_check *password_workers_take(struct password_workers *workers);

#endif
