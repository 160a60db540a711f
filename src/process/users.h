/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users: who each process becomes when the server starts as root. A role's
 * own user (mailboat-smtpd, mailboat-queue ...) where it exists; else a
 * number of its own in a range that Debian leaves free, so that the roles
 * are kept apart on a machine where nobody made users. Not root: everyone
 * stays who they are.
 */
#ifndef MAILBOAT_USERS_H
#define MAILBOAT_USERS_H

#include "error.h"
#include "message.h"

#include <sys/types.h>

enum { USERS_FALLBACK_UID = 61840 }; /* + the role; 60000-64999 is for such use by Debian policy 9.2.2 */

struct user {
    uid_t uid;
    gid_t gid;
    bool named; /* it is in the password database */
};

/* Looks it up; `prefix` is config.user ("mailboat"). Without root: our own ids. */
struct user user_of(enum process_role role, const char *prefix);

/* Becomes that user for good: groups, ids, capabilities; checked. */
bool user_become(struct user user, struct error *error);

#endif
