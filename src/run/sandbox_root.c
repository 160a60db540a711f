/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_root: restricts the files that a process can name. */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/folder.h"
#include "run/capability.h"
#include "run/sandbox.h"

bool sandbox_can_change_root(void)
{
#ifdef LEAKS_ARE_SOUGHT /* leak sanitizers read /proc */
    return false;
#endif
    return geteuid() == 0 && capability_is_held(CAP_SYS_CHROOT);
}

/* By descriptor: the folder that was checked is the one entered. */
static bool enter(const struct folder *folder, struct error *error)
{
    return (fchdir(folder->descriptor) == 0 && chroot(".") == 0 && chdir("/") == 0) ||
           error_set_errno(error, EX_OSERR, "cannot make %s the root directory", folder->path);
}

/* Root's, and not writable by others (folder.h). */
static bool open_and_enter(const char *path, mode_t mode, struct error *error)
{
    struct folder folder;
    if (!folder_open(&folder, path, mode, FOLDER_TRUSTED, error))
        return false;
    bool entered = enter(&folder, error);
    folder_close(&folder);
    return entered;
}

bool sandbox_enter(const char *folder, struct error *error)
{
    return open_and_enter(folder, 0, error);
}

bool sandbox_leave_files(const struct sandbox_paths *paths, const char *data_dir, struct error *error)
{
    char path[FOLDER_PATH_MAX];
    if (paths->keeps_root || !sandbox_can_change_root())
        return true;
    if (snprintf(path, sizeof path, "%s/" SANDBOX_EMPTY_FOLDER, data_dir) >= (int)sizeof path)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    return open_and_enter(path, 0555, error);
}
