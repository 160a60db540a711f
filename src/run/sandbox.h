/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: the seal of each process: what is left to it once it has opened
 * what it needs. sandbox_calls.c has the system calls that it
 * keeps; sandbox_paths.c says what it can still open (Landlock);
 * sandbox_root.c takes the file system away from it (chroot).
 *
 * service->open names with sandbox_allow() what must stay open to the process.
 * Then, still privileged, sandbox_leave_files(); then it changes its user;
 * then sandbox_apply().
 *
 * A system call outside the table ends the process with SIGSYS. Which one it
 * was is left in `forbidden_call`, for the supervisor to log.
 */
#ifndef MAILBOAT_RUN_SANDBOX_H
#define MAILBOAT_RUN_SANDBOX_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/error.h"

enum { SANDBOX_PATHS_MAX = 8, SANDBOX_CALL_NAME_MAX = 40 };

/* What a process keeps besides the calls that all need: `keeps` in its row of the service table. */
enum sandbox_keeps {
    SANDBOX_ACCEPTS = 1,
    SANDBOX_READS_FILES = 2, /* those that `paths` names (Landlock) */
    SANDBOX_WRITES_FILES = 4,
    SANDBOX_HAS_THREADS = 8,
    SANDBOX_CALLS_OUT = 16,  /* connects to any address */
    SANDBOX_CALLS_ONE = 32,  /* connects to call_family and call_port of `paths`, if the configuration names
                                one */
    SANDBOX_FILLS_FILES = 64 /* writes to those that are open */
};

#define SANDBOX_EMPTY_FOLDER "empty" /* in the data directory */

/* What a role may still open; everything else is out of reach (Landlock,
 * where the kernel has it). */
struct sandbox_paths {
    struct {
        const char *path;
        int file;      /* O_PATH; -1: it cannot be opened, and sealing fails */
        bool writable; /* and files may be made and removed below it */
    } paths[SANDBOX_PATHS_MAX];
    size_t count;
    bool keeps_root; /* it has the root directory that it is to have */
    /* what local may call when it delivers by LMTP: AF_UNIX, AF_INET, AF_INET6; AF_UNSPEC: nobody */
    int call_family;
    uint16_t call_port; /* and the only TCP port it may connect to (Landlock of Linux 6.7 and later) */
    /* in memory shared with the supervisor: the number of the call, plus one. NULL: nobody asks */
    _Atomic int *forbidden_call;
};

void sandbox_allow(struct sandbox_paths *paths, const char *path, bool writable);

/* ---- the root directory ---- */

/* True if this process can change it: root outside of the narrowest containers. */
bool sandbox_can_change_root(void);
/* Makes the folder the root directory, and the current one. */
bool sandbox_enter(const char *folder, struct error *error);
/* Leaves it no file at all but those that are open: its root is an empty folder that
 * belongs to root and that nobody writes to. Made where it is missing. A folder that is
 * open leads out of it (openat() of ".."), so this is for those who have none.
 * Does nothing where `paths` says that it keeps its root, or where it cannot be changed. */
bool sandbox_leave_files(const struct sandbox_paths *paths, const char *data_dir, struct error *error);

/* ---- the seal ---- */

/* Seals the calling process and all threads it will ever have; there is no
 * way back. False when the kernel lacks seccomp: then nothing must start. */
bool sandbox_apply(const char *process, unsigned keeps, const struct sandbox_paths *paths,
                   struct error *error);

/* True when Landlock is there: without it seccomp and the root directory alone hold. */
bool sandbox_has_landlock(void);

/* The name of a system call by its number, "number 999" where it has none. */
const char *sandbox_call_name(int number, char buffer[SANDBOX_CALL_NAME_MAX]);

/* ---- its parts, for sandbox_apply() ---- */

bool sandbox_apply_calls(const char *process, unsigned keeps, int call_family, struct error *error);
bool sandbox_apply_paths(const struct sandbox_paths *paths, bool ports_too, struct error *error);
/* True if the process may connect to any port. */
bool sandbox_calls_anywhere(unsigned keeps);

#endif
