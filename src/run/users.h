/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users: who each process becomes when the server starts as root. A role's
 * own user (mailboat-smtpd, mailboat-queue ...) is what packaging/mailboat.sysusers
 * makes. Without it the process gets a number of its own, and users_settle()
 * returns a warning with the fix. Not root: every process stays who it is.
 *
 * The supervisor calls users_settle() once, before it touches the data
 * directory; the answers hold for all processes that it forks, whatever
 * becomes of the user database meanwhile. Subcommands ask without it.
 *
 * docs/decisions/0026-users-and-folders.md says why these numbers.
 */
#ifndef MAILBOAT_RUN_USERS_H
#define MAILBOAT_RUN_USERS_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "ipc/ipc_message.h"

enum {
    USERS_FALLBACK_UID = 90160,  /* + the role; left free by systemd, by Debian and by /etc/subuid */
    USERS_CONTAINER_UID = 61000, /* + the role: in a user namespace that has no number above 65535 */
    USERS_FORMER_UID = 61840,    /* + the role: what releases before 0.2 used; systemd gives it to others */
};

struct process_user {
    uid_t uid;
    gid_t gid;
    bool named; /* it is in the password database */
};

/* What to do about missing users, for a log line, doctor and config check. */
#define USERS_HINT \
    "create them: systemd-sysusers mailboat.conf (or lib/mailboat/make-users), then restart the server"

/* Looks up all roles at once. False (EX_CONFIG, EX_TEMPFAIL) if one cannot be
 * told, is root, or if a number that stands in for a missing user belongs to
 * somebody. `warning` gets one line without its end where users are missing or
 * are not apart from each other; it stays empty otherwise. */
bool users_settle(const char *prefix, struct buffer *warning, struct error *error);

/* The user of a role; `prefix` is config.user ("mailboat"). Without root: our own ids. */
struct process_user users_of(enum process_role role, const char *prefix);
/* True if a number is one that stands in for a role's missing user, now or in an earlier release. */
bool users_is_fallback(uid_t uid, enum process_role role);

/* Acts as that user for a while, and as root again: for a subcommand that looks
 * into a folder of that user's. Signals and debuggers of that user do not reach it. */
bool users_borrow(struct process_user user);
void users_return(void);

/* Becomes that user for good: groups, ids, capabilities; checked. */
bool users_become(struct process_user user, struct error *error);

#endif
