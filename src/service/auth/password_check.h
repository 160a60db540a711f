/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_check: the slow password hash, on a thread (worker_threads.h). The queue of checks is bounded,
 * so that a flood of guesses is rejected, not stored.
 */
#ifndef MAILBOAT_SERVICE_AUTH_PASSWORD_CHECK_H
#define MAILBOAT_SERVICE_AUTH_PASSWORD_CHECK_H

#include "base/arena.h"
#include "service/worker_threads.h"
#include "store/accounts.h"

enum { CHECKS_WAITING_MAX = 256 };

/* Owned by the caller; the thread only reads the texts and writes the result. */
struct password_check {
    struct work work;
    char *hash, *password; /* NUL-terminated; no hash: the password is already verified */
    bool matches;
    bool wants_verifier; /* for SCRAM, if it matches */
    uint8_t salt[VERIFIER_SALT];
    struct verifier verifier;
    void *owner;
};

/* Gives the check to a thread; false if too many wait. */
bool password_check_give(struct password_check *check, struct worker_threads *workers);

#endif
