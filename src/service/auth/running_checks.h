/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running_checks: the passwords that threads are checking now, so that an equal login waits for the result
 * instead of computing the same slow hash beside it. The waiting one learns the result from the login cache
 * (login_cache.h), which knows only right passwords, by user, password and stored hash; if the password was
 * wrong, it is checked like any other. So nothing is shared between different passwords, and each wrong one
 * costs its own hash, and time.
 *
 * Bounds: RUNNING_CHECKS_MAX; the caller starts no more. Texts are the caller's, and live until
 * running_checks_remove().
 */
#ifndef MAILBOAT_SERVICE_AUTH_RUNNING_CHECKS_H
#define MAILBOAT_SERVICE_AUTH_RUNNING_CHECKS_H

#include "base/bytes.h"
#include "service/worker_threads.h"

enum { RUNNING_CHECKS_MAX = WORKER_THREADS_MAX };

struct running_checks {
    struct running_check {
        uint64_t number; /* 0: free */
        struct bytes user, password;
    } checks[RUNNING_CHECKS_MAX];
    uint64_t last_number;
};

/* Returns its number, which no other check ever has. */
uint64_t running_checks_add(struct running_checks *running, struct bytes user, struct bytes password);
void running_checks_remove(struct running_checks *running, uint64_t number);
bool running_checks_has(const struct running_checks *running, uint64_t number);
/* Returns the number of an equal check; 0: none. The time does not depend on where passwords differ. */
uint64_t running_checks_equal(const struct running_checks *running, struct bytes user, struct bytes password);

#endif
