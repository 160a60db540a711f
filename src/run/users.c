/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/users.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

enum { FIRST_ROLE = PROCESS_SUPERVISOR + 1, NAME_SIZE = 64, PREFIX_MAX = 40 };

/* Result of users_settle(); empty without root, and in subcommands. */
static struct {
    bool known;
    char prefix[NAME_SIZE];
    struct process_user users[PROCESS_CLI];
} settled;

/* ---- lookup ---- */

/* True if this user namespace maps the number. */
static bool is_mapped(uid_t uid)
{
    unsigned long first, outside, count;
    bool mapped = false;
    FILE *map = fopen("/proc/self/uid_map", "re");
    if (map == NULL)
        return true;
    while (!mapped && fscanf(map, "%lu %lu %lu", &first, &outside, &count) == 3)
        mapped = uid >= first && uid - first < count;
    fclose(map);
    return mapped;
}

static struct process_user stand_in(enum process_role role)
{
    uid_t uid = (is_mapped(USERS_FALLBACK_UID + PROCESS_CLI) ? USERS_FALLBACK_UID : USERS_CONTAINER_UID) +
                (uid_t)role;
    return (struct process_user){uid, uid, false};
}

static void name_of(enum process_role role, const char *prefix, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s-%s", prefix, ipc_role_name(role));
}

/* False if the user database failed, which differs from "no such user". */
static bool look_up(enum process_role role, const char *prefix, struct process_user *user)
{
    char name[NAME_SIZE];
    name_of(role, prefix, name);
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        *user = stand_in(role);
        return errno == 0 || errno == ENOENT || errno == ESRCH || errno == EBADF || errno == EPERM;
    }
    *user = (struct process_user){entry->pw_uid, entry->pw_gid, true};
    return true;
}

struct process_user users_of(enum process_role role, const char *prefix)
{
    struct process_user user;
    if (geteuid() != 0)
        return (struct process_user){geteuid(), getegid(), true};
    if (settled.known && strcmp(settled.prefix, prefix) == 0 && role < PROCESS_CLI)
        return settled.users[role];
    look_up(role, prefix, &user);
    return user;
}

bool users_is_fallback(uid_t uid, enum process_role role)
{
    return uid == USERS_FALLBACK_UID + (uid_t)role || uid == USERS_CONTAINER_UID + (uid_t)role ||
           uid == USERS_FORMER_UID + (uid_t)role;
}

/* ---- check ---- */

static bool check_user(enum process_role role, const char *name, const struct process_user *user,
                       struct error *error)
{
    if (user->named && (user->uid == 0 || user->gid == 0))
        return error_set(error, EX_CONFIG,
                         "the user %s is root, or in root's group: give it its own number and group", name);
    if (user->named || (getpwuid(user->uid) == NULL && getgrgid(user->gid) == NULL))
        return true;
    return error_set(error, EX_CONFIG,
                     "user %s does not exist, and its fallback number %u is in use; create the user: "
                     " systemd-sysusers, or useradd --system --user-group %s",
                     name, (unsigned)user->uid, name);
}

static void add_name(struct buffer *list, const char *prefix, enum process_role role)
{
    const struct process_user *user = &settled.users[role];
    buffer_add_format(list, "%s%s-%s", list->length == 0 ? "" : ", ", prefix, ipc_role_name(role));
    if (!user->named)
        buffer_add_format(list, " (number %u is used)", (unsigned)user->uid);
}

/* True unless another role has the same number or group, and could access its files. */
static bool is_apart(const struct process_user *users, size_t role)
{
    for (size_t other = FIRST_ROLE; other < PROCESS_CLI; other++)
        if (other != role && (users[other].uid == users[role].uid || users[other].gid == users[role].gid))
            return false;
    return true;
}

static void warn(const char *prefix, struct buffer *warning)
{
    struct buffer missing = {0}, mixed = {0};
    for (size_t role = FIRST_ROLE; role < PROCESS_CLI; role++) {
        if (!settled.users[role].named)
            add_name(&missing, prefix, (enum process_role)role);
        if (!is_apart(settled.users, role))
            add_name(&mixed, prefix, (enum process_role)role);
    }
    if (missing.length > 0)
        buffer_add_format(warning, "these users do not exist: %s", buffer_text(&missing));
    if (mixed.length > 0)
        buffer_add_format(warning,
                          "%sthese users share a number or a group, so that they are not kept apart: %s",
                          warning->length > 0 ? "; " : "", buffer_text(&mixed));
    buffer_free(&missing);
    buffer_free(&mixed);
}

bool users_settle(const char *prefix, struct buffer *warning, struct error *error)
{
    settled.known = false;
    if (geteuid() != 0)
        return true;
    if (strlen(prefix) > PREFIX_MAX)
        return error_set(error, EX_CONFIG, "user: '%.40s...' is too long for the beginning of user names",
                         prefix);
    for (size_t i = FIRST_ROLE; i < PROCESS_CLI; i++) {
        enum process_role role = (enum process_role)i;
        char name[NAME_SIZE];
        name_of(role, prefix, name);
        if (!look_up(role, prefix, &settled.users[role]))
            return error_set_errno(error, EX_TEMPFAIL, "cannot look up the user %s", name);
        if (!check_user(role, name, &settled.users[role], error))
            return false;
    }
    settled.users[PROCESS_SUPERVISOR] = (struct process_user){0, 0, true};
    snprintf(settled.prefix, sizeof settled.prefix, "%s", prefix);
    settled.known = true;
    warn(prefix, warning);
    return true;
}

/* ---- change of user ---- */

/* Drops all capabilities, including those that a later change of ids could restore. */
static void drop_bounding_set(void)
{
    for (int capability = 0; capability < 64; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* fails after the last one, as expected */
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &header, none) == 0;
}

static bool borrowed;

bool users_borrow(struct process_user user)
{
    if (geteuid() != 0 || user.uid == 0)
        return true;
    borrowed = setgroups(0, NULL) == 0 && setegid(user.gid) == 0 && seteuid(user.uid) == 0;
    return borrowed;
}

void users_return(void)
{
    if (borrowed && (seteuid(0) != 0 || setegid(0) != 0))
        abort();
    borrowed = false;
}

bool users_become(struct process_user user, struct error *error)
{
    if (geteuid() != 0)
        return true;
    if (user.uid == 0)
        return error_set(error, EX_CONFIG, "refusing to go on as root");
    drop_bounding_set();
    if (setgroups(0, NULL) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
        setresuid(user.uid, user.uid, user.uid) != 0 || !drop_capabilities())
        return error_set_errno(error, EX_OSERR, "cannot become user %u", (unsigned)user.uid);
    if (setuid(0) == 0 || getuid() != user.uid || geteuid() != user.uid || getegid() != user.gid)
        return error_set(error, EX_OSERR, "dropping to user %u did not hold", (unsigned)user.uid);
    return true;
}
