/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_users: the users of this machine, whose programs send by the local
 * socket and the drop folder: what each is called, and what the configuration
 * says of it (submission.local). The kernel tells who they are, as "uid 33".
 *
 * Read once, while the process may still read the password database; a user
 * that is made later is known after the next reload.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOCAL_USERS_H
#define MAILBOAT_SERVICE_AUTH_LOCAL_USERS_H

#include "config/config.h"
#include "service/auth/rate_limit.h"
#include "store/accounts.h"

enum { LOCAL_USERS_MAX = 20000 }; /* that are looked at; of others the numbers alone are known */

struct local_user {
    uint32_t uid;
    const char *name;                     /* NULL: it has none */
    const struct config_local_user *rule; /* NULL: that for all */
};

struct local_users {
    const struct config *config;
    struct arena arena;
    struct local_user *users; /* by uid */
    size_t count, capacity;
    uint32_t own_uid; /* of the server, as it was started: it sends as root does */
};

void local_users_read(struct local_users *users, const struct config *config);
/* True for what the kernel's word on a local program is written as. */
bool local_users_is_one(struct bytes account, uint32_t *uid);
/* 0 and 0: no limits. */
struct rate_limit_max local_users_limits(const struct local_users *users, uint32_t uid);
/* May it send as this address? Empty: for nobody, which all may; so is root's at the first domain, which
 * cron writes for every user. `accounts` says who has an account. */
bool local_users_may_send(const struct local_users *users, struct accounts *accounts, uint32_t uid,
                          struct bytes address);

/* "*" is every address, "*@example.org" every one of that domain. */
bool local_users_sender_matches(struct bytes pattern, struct bytes address);

#endif
