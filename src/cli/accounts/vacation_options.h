/* SPDX-License-Identifier: Apache-2.0 */
/* vacation_options: where a user's mail goes on to, and what is answered meanwhile. */
#ifndef MAILBOAT_CLI_ACCOUNTS_VACATION_OPTIONS_H
#define MAILBOAT_CLI_ACCOUNTS_VACATION_OPTIONS_H

#include "cli/command.h"

struct absence_wish {
    const char *config, *message, *subject, *since, *until, *days; /* NULL: not said */
    bool no_keep;
};

/* `target` is an address or "off". Both return the exit code. */
int absence_forward(const struct command *command, const struct absence_wish *wish, const char *address, const char *target);
/* `off`: no answer any more; without a message: shows what there is. */
int absence_vacation(const struct command *command, const struct absence_wish *wish, const char *address, bool off);

#endif
