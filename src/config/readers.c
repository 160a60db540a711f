/* SPDX-License-Identifier: Apache-2.0 */
#include "config/readers.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts the path to its folder; false at its top. */
static bool to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || (slash == path && path[1] == '\0'))
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

static bool name_owners(const struct stat *facts, const char *verb, const char *path, char *buffer,
                        size_t size)
{
    const struct passwd *owner = facts->st_uid == 0 ? NULL : getpwuid(facts->st_uid);
    const struct group *group = (facts->st_mode & S_IRGRP) == 0 || facts->st_gid == 0
                                    ? NULL
                                    : getgrgid(facts->st_gid);
    char number[24] = "", members[64] = "";
    if (facts->st_uid != 0 && owner == NULL)
        snprintf(number, sizeof number, "user number %u", (unsigned)facts->st_uid);
    if (group != NULL)
        snprintf(members, sizeof members, "%s the group %s", facts->st_uid == 0 ? " and" : ", and",
                 group->gr_name);
    const char *name = owner != NULL ? owner->pw_name : number;
    const char *and = name[0] == '\0' ? "" : members[0] == '\0' ? " and " : ", ";
    return snprintf(buffer, size, "only root%s%s%s may %s %s", and, name, members, verb, path) < (int)size;
}

bool readers_explain(const char *path, char *buffer, size_t size)
{
    char at[PATH_MAX];
    struct stat facts;
    bool is_file = true;
    if (geteuid() == 0 || snprintf(at, sizeof at, "%s", path) >= (int)sizeof at)
        return false;
    while (stat(at, &facts) != 0) {
        if (errno != EACCES || !to_folder(at))
            return false;
        is_file = false; /* this folder cannot be entered */
    }
    if ((facts.st_mode & (is_file ? S_IROTH : S_IXOTH)) != 0)
        return false;
    return name_owners(&facts, is_file ? "read" : "enter", at, buffer, size);
}
