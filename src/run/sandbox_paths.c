/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_paths: the files and folders that stay accessible to a process, and the allowed port (Landlock). */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/bytes.h"
#include "run/sandbox.h"

void sandbox_allow(struct sandbox_paths *paths, const char *path, bool writable)
{
    assert(paths->count < SANDBOX_PATHS_MAX);
    paths->paths[paths->count].path = path;
    /* opened now: the root may change before the sandbox applies */
    paths->paths[paths->count].file = open(path, O_PATH | O_CLOEXEC);
    paths->paths[paths->count++].writable = writable;
}

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool sandbox_has_landlock(void)
{
    return landlock_version() > 0;
}

/* Rights of the first version; later ones are added if the kernel supports them. */
static const uint64_t read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t all_rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

static bool allow_path(int ruleset, int file, const char *path, bool writable, uint64_t handled,
                       struct error *error)
{
    struct landlock_path_beneath_attr rule = {
        .parent_fd = file,
        .allowed_access = writable ? handled & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE : read_rights};
    bool added = file >= 0 &&
                 syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    if (!added && errno == EINVAL) { /* a file supports fewer rights than a folder */
        rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
        added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    }
    return added || error_set_errno(error, EX_OSERR, "cannot enter the sandbox: %s", path);
}

/* Landlock's version 4, missing in the headers of Debian 12. */
struct ruleset_facts {
    uint64_t handled_access_fs, handled_access_net;
};
struct net_port_rule {
    uint64_t allowed_access, port;
};
enum { RULE_NET_PORT = 2, CONNECT_TCP = 1 << 1 };

static bool allow_port(int ruleset, uint16_t port, struct error *error)
{
    struct net_port_rule rule = {.allowed_access = CONNECT_TCP, .port = port};
    return port == 0 || syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0 ||
           error_set_errno(error, EX_OSERR, "cannot enter the sandbox: port %u", (unsigned)port);
}

static void close_paths(const struct sandbox_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        if (paths->paths[i].file >= 0)
            close(paths->paths[i].file);
}

static bool restrict_paths(const struct sandbox_paths *paths, bool ports_too, struct error *error)
{
    enum { REFER = 1 << 13, TRUNCATE = 1 << 14 }; /* of versions 2 and 3 */
    long version = landlock_version();
    if (version <= 0)
        return true;
    bool ports = ports_too && version >= 4;
    struct ruleset_facts handled = {.handled_access_fs = all_rights | (version >= 2 ? REFER : 0) |
                                                         (version >= 3 ? TRUNCATE : 0),
                                    .handled_access_net = ports ? CONNECT_TCP : 0};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled,
                               ports ? sizeof handled : sizeof handled.handled_access_fs, 0);
    if (ruleset < 0)
        return error_set_errno(error, EX_OSERR, "cannot restrict the process with Landlock");
    bool restricted = !ports || allow_port(ruleset, paths->call_port, error);
    for (size_t i = 0; restricted && i < paths->count; i++)
        restricted = allow_path(ruleset, paths->paths[i].file, paths->paths[i].path, paths->paths[i].writable,
                                handled.handled_access_fs, error);
    if (restricted && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        restricted = error_set_errno(error, EX_OSERR, "cannot restrict the process with Landlock");
    close(ruleset);
    return restricted;
}

bool sandbox_apply_paths(const struct sandbox_paths *paths, bool ports_too, struct error *error)
{
    bool restricted = restrict_paths(paths, ports_too, error);
    close_paths(paths);
    return restricted;
}
