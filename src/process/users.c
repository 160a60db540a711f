/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "users.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

struct user user_of(enum process_role role, const char *prefix)
{
    char name[64];
    if (geteuid() != 0)
        return (struct user){geteuid(), getegid(), true};
    snprintf(name, sizeof name, "%s-%s", prefix, process_role_name(role));
    struct passwd *entry = getpwnam(name);
    if (entry != NULL)
        return (struct user){entry->pw_uid, entry->pw_gid, true};
    uid_t number = USERS_FALLBACK_UID + (uid_t)role;
    return (struct user){number, number, false};
}

/* All capabilities away, also those a later change of ids could bring back. */
static void drop_bounding_set(void)
{
    for (int capability = 0; capability < 64; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* fails past the last one, which is fine */
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &header, none) == 0;
}

bool user_become(struct user user, struct error *error)
{
    if (geteuid() != 0)
        return true;
    if (user.uid == 0)
        return error_set(error, EX_CONFIG, "refusing to go on as root");
    drop_bounding_set();
    if (setgroups(0, NULL) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 || setresuid(user.uid, user.uid, user.uid) != 0 ||
        !drop_capabilities())
        return error_set_errno(error, EX_OSERR, "cannot become user %u", (unsigned)user.uid);
    if (setuid(0) == 0 || getuid() != user.uid || geteuid() != user.uid || getegid() != user.gid)
        return error_set(error, EX_OSERR, "dropping to user %u did not hold", (unsigned)user.uid);
    return true;
}
