/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_attempts: what a process in its sandbox tries, and which roles can do it. The targets are made
 * before the sandbox.
 */
#ifndef MAILBOAT_TEST_SANDBOX_ATTEMPTS_H
#define MAILBOAT_TEST_SANDBOX_ATTEMPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "service/services.h"

/* Targets of the child's attempts, created before the sandbox. */
struct prey {
    pid_t victim;    /* another process of the same user */
    char secret[16]; /* in the victim's memory, at the same address */
    int listener_port, other_port, socket, other_socket, file, terminal; /* file: open to write to */
    char folder[64], inside[96];
};
extern struct prey prey;

/* Roles that are allowed to, besides an unsandboxed process. */
enum may {
    SMTPD = 1 << PROCESS_SMTPD,
    AUTH = 1 << PROCESS_AUTH,
    QUEUE = 1 << PROCESS_QUEUE,
    RELAY = 1 << PROCESS_RELAY,
    LOCAL = 1 << PROCESS_LOCAL,
    PICKUP = 1 << PROCESS_PICKUP,
    WEB = 1 << PROCESS_WEB,
    TRUST = 1 << PROCESS_TRUST,
    SIGN = 1 << PROCESS_SIGN,
    REPORT = 1 << PROCESS_REPORT,
    /* local, where it hands mail to an LMTP server: on a Unix socket, or at the listener's port */
    LOCAL_CALLS = 1 << 16,
    LOCAL_CALLS_TCP = 1 << 17,
    LOCALS = LOCAL | LOCAL_CALLS | LOCAL_CALLS_TCP,
    CALLERS = RELAY | TRUST, /* who asks DNS */
    /* who has calls for files: Landlock says for which */
    FILES = AUTH | QUEUE | LOCALS | PICKUP | REPORT,
    ALL = SMTPD | AUTH | QUEUE | RELAY | LOCALS | PICKUP | WEB | TRUST | SIGN | REPORT
};
enum needs {
    LANDLOCK = 1, /* without it only those who open nothing are kept from it */
    UNSURE = 2,   /* machines exist where nobody may do it */
    NO_ASAN = 4,  /* the sanitizers keep it for themselves */
    NET = 8,      /* without Landlock of Linux 6.7 whoever may call at all may call everywhere */
};

/* `refused`: roles that get an errno; other forbidden roles are killed. */
struct attempt {
    const char *what;
    bool (*try)(void);
    unsigned may, refused, needs;
    int call; /* that it dies of; 0: it may be one of several, or none is told */
};
extern const struct attempt sandbox_attempts[];
extern const size_t sandbox_attempt_count;

#endif
