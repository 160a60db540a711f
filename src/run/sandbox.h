/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: restricts each process after it has opened its resources. sandbox_calls.c has the allowed
 * system calls (seccomp); sandbox_paths.c the accessible files (Landlock); sandbox_root.c removes the file
 * system (chroot).
 *
 * service->open lists with sandbox_allow() what must stay accessible to the process. Then, still
 * privileged, sandbox_leave_files(); then the process changes its user; then sandbox_apply().
 *
 * A system call outside the table ends the process with SIGSYS. Its number is left in `forbidden_call`,
 * for the supervisor to log.
 */
#ifndef MAILBOAT_RUN_SANDBOX_H
#define MAILBOAT_RUN_SANDBOX_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/error.h"

enum { SANDBOX_PATHS_MAX = 8, SANDBOX_CALL_NAME_MAX = 40 };

/* Permissions of a process besides the common calls: `keeps` in its row of the service table. */
enum sandbox_keeps {
    SANDBOX_ACCEPTS = 1,
    SANDBOX_READS_FILES = 2, /* files listed in `paths` (Landlock) */
    SANDBOX_WRITES_FILES = 4,
    SANDBOX_HAS_THREADS = 8,
    SANDBOX_CALLS_OUT = 16,   /* connects to any address */
    SANDBOX_CALLS_ONE = 32,   /* connects to call_family and call_port of `paths`, if configured */
    SANDBOX_FILLS_FILES = 64, /* writes to open files */
    SANDBOX_MAKES_PAIRS = 128 /* connects itself with itself, to wake its own threads (libunbound) */
};

#define SANDBOX_EMPTY_FOLDER "empty" /* in the data directory */

/* Files that a role may open; all others are inaccessible (Landlock, if the kernel has it). */
struct sandbox_paths {
    struct {
        const char *path;
        int file;      /* O_PATH; -1: cannot be opened, sandboxing fails */
        bool writable; /* files may also be created and removed below it */
    } paths[SANDBOX_PATHS_MAX];
    size_t count;
    bool keeps_root; /* keeps its current root directory */
    /* destination of local's LMTP delivery: AF_UNIX, AF_INET, AF_INET6; AF_UNSPEC: none */
    int call_family;
    uint16_t call_port; /* the only TCP port it may connect to (Landlock of Linux 6.7 and later) */
    /* in memory shared with the supervisor: the number of the forbidden call, plus one. NULL: not reported */
    _Atomic int *forbidden_call;
};

void sandbox_allow(struct sandbox_paths *paths, const char *path, bool writable);

/* ---- the root directory ---- */

/* True if this process can change it: root, except in restricted containers. */
bool sandbox_can_change_root(void);
/* Makes the folder the root directory, and the current one. */
bool sandbox_enter(const char *folder, struct error *error);
/* Removes access to all files except open ones: its root becomes an empty folder that belongs to root and
 * is not writable by others. Creates the folder if missing. An open folder leads out of it (openat() of
 * ".."), so this is for processes without one. Does nothing if `paths` keeps the root, or if the root
 * cannot be changed. */
bool sandbox_leave_files(const struct sandbox_paths *paths, const char *data_dir, struct error *error);

/* ---- the sandbox ---- */

/* Restricts the calling process and all its future threads, permanently. False if the kernel lacks
 * seccomp: then the server must not start. */
bool sandbox_apply(const char *process, unsigned keeps, const struct sandbox_paths *paths,
                   struct error *error);

/* True if Landlock is available: without it only seccomp and the root directory apply. */
bool sandbox_has_landlock(void);

/* Returns the name of a system call by its number, "number 999" if unknown. */
const char *sandbox_call_name(int number, char buffer[SANDBOX_CALL_NAME_MAX]);

/* ---- for sandbox_apply() ---- */

bool sandbox_apply_calls(const char *process, unsigned keeps, int call_family, struct error *error);
bool sandbox_apply_paths(const struct sandbox_paths *paths, bool ports_too, struct error *error);
/* True if the process may connect to any port. */
bool sandbox_calls_anywhere(unsigned keeps);

#endif
