/* SPDX-License-Identifier: Apache-2.0 */
/* vacation_options: a user's forwarding and vacation reply. */
#ifndef MAILBOAT_CLI_ACCOUNTS_VACATION_OPTIONS_H
#define MAILBOAT_CLI_ACCOUNTS_VACATION_OPTIONS_H

#include "cli/command.h"

struct vacation_options {
    const char *config, *message, *subject, *since, *until, *days; /* NULL: not given */
    bool no_keep;
};

/* `target` is an address or "off". Both return the exit code. */
int vacation_forward(const struct command *command, const struct vacation_options *wish, const char *address,
                     const char *target);
/* `off`: removes the reply; without a message: shows it. */
int vacation_reply(const struct command *command, const struct vacation_options *wish, const char *address,
                   bool off);

#endif
