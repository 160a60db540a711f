/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper_command: a program that the supervisor runs for a process that may run
 * none, for its first line: a password or a token. As the user of the relay
 * process, by `sh -c`, with nothing on standard input; one at a time.
 *
 * helper_command_start(); then on_done() once from the loop, when it has ended or was
 * ended after HELPER_COMMAND_LIMIT_MS. helper_command_ended() for each process that ended and
 * is none of the supervisor's others.
 */
#ifndef MAILBOAT_RUN_HELPER_COMMAND_H
#define MAILBOAT_RUN_HELPER_COMMAND_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/loop.h"
#include "run/users.h"

enum { HELPER_COMMAND_LIMIT_MS = 30 * 1000, HELPER_COMMAND_LINE_MAX = 8192 };

struct helper_command {
    struct loop *loop;
    struct watch watch;
    struct timer limit;
    struct buffer line; /* what it has printed, up to the first line's end */
    pid_t pid;          /* 0: none is under way */
    int output, status;
    bool line_over, output_over, ended, late;
    void (*on_done)(void *owner, struct bytes line, const char *why); /* an empty line: it failed, and why */
    void *owner;
};

bool helper_command_start(struct helper_command *helper, struct loop *loop, const char *command,
                          struct process_user user,
                          void (*on_done)(void *owner, struct bytes line, const char *why), void *owner,
                          struct error *error);
void helper_command_ended(struct helper_command *helper, pid_t pid, int status);
void helper_command_kill(struct helper_command *helper);

#endif
