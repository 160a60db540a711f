/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_users: the users of this machine whose programs send through the local socket and the drop
 * directory: their names and their configuration (submission.local). The kernel identifies them, as "uid
 * 33".
 *
 * Read once, while the process can still read the password database; a user created later is known after
 * the next reload.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOCAL_USERS_H
#define MAILBOAT_SERVICE_AUTH_LOCAL_USERS_H

#include "config/config.h"
#include "service/auth/rate_limit.h"
#include "store/accounts.h"

enum { LOCAL_USERS_MAX = 20000 }; /* looked up; others are known only by number */

struct local_user {
    uint32_t uid;
    const char *name;                     /* NULL: no name */
    const struct config_local_user *rule; /* NULL: the general rule */
};

struct local_users {
    const struct config *config;
    struct arena arena;
    struct local_user *users; /* by uid */
    size_t count, capacity;
    uint32_t own_uid; /* the user who started the server: has root's rights to send */
};

void local_users_read(struct local_users *users, const struct config *config);
/* True for an account of the form that the kernel's credentials produce; and for a host of
 * submission.trusted, whose programs have this number in place of a user. */
#define LOCAL_USERS_NO_UID UINT32_MAX
bool local_users_is_one(struct bytes account, uint32_t *uid);
/* 0 and 0: no limits. */
struct rate_limit_max local_users_limits(const struct local_users *users, uint32_t uid);
/* True if the user may send as this address. All users may send as the null sender, and as root at the
 * first domain, which cron uses for every user. `accounts` lists the accounts. */
bool local_users_may_send(const struct local_users *users, struct accounts *accounts, uint32_t uid,
                          struct bytes address);

/* "*" matches every address, "*@example.org" every address of that domain. */
bool local_users_sender_matches(struct bytes pattern, struct bytes address);

#endif
