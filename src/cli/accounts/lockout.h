/* SPDX-License-Identifier: Apache-2.0 */
/* lockout: lists and clears lockouts after wrong passwords. */
#ifndef MAILBOAT_CLI_ACCOUNTS_LOCKOUT_H
#define MAILBOAT_CLI_ACCOUNTS_LOCKOUT_H

#include <stdbool.h>

#include "cli/command.h"

/* Both print, report errors, and return the exit code. */
int lockout_list(const struct command *command, const char *config_file, bool json);
/* `who` is a user's address or a client address. */
int lockout_clear(const struct command *command, const char *config_file, const char *who);

#endif
