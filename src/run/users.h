/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users: the user of each process when the server starts as root. A role's own user (mailboat-smtpd,
 * mailboat-queue ...) is created by packaging/mailboat.sysusers. Without it the process gets a numeric
 * fallback id, and users_settle() returns a warning with the fix. Without root, the user of a process does
 * not change.
 *
 * The supervisor calls users_settle() once, before it uses the data directory; the result applies to all
 * processes that it forks, even if the user database changes meanwhile. Subcommands do not call it.
 *
 * docs/decisions/0026-users-and-folders.md explains the numbers.
 */
#ifndef MAILBOAT_RUN_USERS_H
#define MAILBOAT_RUN_USERS_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "ipc/ipc_message.h"

enum {
    USERS_FALLBACK_UID = 90160,  /* + the role; not used by systemd, Debian or /etc/subuid */
    USERS_CONTAINER_UID = 61000, /* + the role: in a user namespace without numbers above 65535 */
    USERS_FORMER_UID = 61840,    /* + the role: used by releases before 0.2; systemd allocates it to others */
};

struct process_user {
    uid_t uid;
    gid_t gid;
    bool named; /* listed in the password database */
};

/* The hint for missing users, for a log line, doctor and config check. */
#define USERS_HINT \
    "create them: systemd-sysusers mailboat.conf (or lib/mailboat/make-users), then restart the server"

/* Looks up all roles. False (EX_CONFIG, EX_TEMPFAIL) if a lookup fails, a role's user is root, or a
 * fallback id is in use by another user. `warning` gets one line without its end if users are missing or
 * not distinct; otherwise empty. */
bool users_settle(const char *prefix, struct buffer *warning, struct error *error);

/* Returns the user of a role; `prefix` is config.user ("mailboat"). Without root: the current ids. */
struct process_user users_of(enum process_role role, const char *prefix);
/* True if a number is a role's fallback id, now or in an earlier release. */
bool users_is_fallback(uid_t uid, enum process_role role);

/* Temporarily acts as that user, then again as root: for a subcommand that reads that user's folder. That
 * user's signals and debuggers cannot reach it. */
bool users_borrow(struct process_user user);
void users_return(void);

/* Changes to that user permanently: groups, ids, capabilities; verified. */
bool users_become(struct process_user user, struct error *error);

#endif
