/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper_command: the supervisor runs a command for a sandboxed process and returns the first line of its
 * output, a password or token. It runs as the user of the relay process, by `sh -c`, with empty standard
 * input; one at a time.
 *
 * helper_command_start(); then on_done() once from the loop, when the command has ended or was killed
 * after HELPER_COMMAND_LIMIT_MS. helper_command_ended() for each ended process that is not another child
 * of the supervisor.
 */
#ifndef MAILBOAT_RUN_HELPER_COMMAND_H
#define MAILBOAT_RUN_HELPER_COMMAND_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/timer.h"
#include "io/watch.h"
#include "run/users.h"

enum { HELPER_COMMAND_LIMIT_MS = 30 * 1000, HELPER_COMMAND_LINE_MAX = 8192 };

struct helper_command {
    struct loop *loop;
    struct watch watch;
    struct timer limit;
    struct buffer line; /* its output, up to the end of the first line */
    pid_t pid;          /* 0: not running */
    int output, status;
    bool line_over, output_over, ended, late;
    /* an empty line: it failed, with the reason */
    void (*on_done)(void *owner, struct bytes line, const char *why);
    void *owner;
};

bool helper_command_start(struct helper_command *helper, struct loop *loop, const char *command,
                          struct process_user user,
                          void (*on_done)(void *owner, struct bytes line, const char *why), void *owner,
                          struct error *error);
void helper_command_ended(struct helper_command *helper, pid_t pid, int status);
void helper_command_kill(struct helper_command *helper);

#endif
