/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: the seal of each process: what is left to it once it has opened
 * what it needs. One table says which system calls and which paths a role
 * keeps; the rest answers "not permitted".
 */
#ifndef MAILBOAT_SANDBOX_H
#define MAILBOAT_SANDBOX_H

#include "error.h"
#include "message.h"

enum { SANDBOX_PATHS_MAX = 8 };

/* What a role may still open; everything else is out of reach (Landlock,
 * where the kernel has it). */
struct sandbox_paths {
    struct {
        const char *path;
        bool writable; /* and files may be made and removed below it */
    } paths[SANDBOX_PATHS_MAX];
    size_t count;
    int call_family;    /* what local may call when it delivers by LMTP: AF_UNIX, AF_INET, AF_INET6; AF_UNSPEC: nobody */
    uint16_t call_port; /* and the only TCP port it may connect to (Landlock of Linux 6.7 and later) */
};

void sandbox_allow(struct sandbox_paths *paths, const char *path, bool writable);

/* Seals the calling process and all threads it will ever have; there is no
 * way back. False when the kernel lacks seccomp: then nothing must start. */
bool sandbox_seal(enum process_role role, const struct sandbox_paths *paths, struct error *error);

/* True when Landlock is there: without it seccomp alone holds. */
bool sandbox_has_landlock(void);

#endif
