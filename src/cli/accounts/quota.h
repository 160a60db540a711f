/* SPDX-License-Identifier: Apache-2.0 */
/* quota: the quota and usage of a user's mailbox; and the warning when it fills up. */
#ifndef MAILBOAT_CLI_ACCOUNTS_QUOTA_H
#define MAILBOAT_CLI_ACCOUNTS_QUOTA_H

#include "cli/command.h"

/* `size` is "1GiB", "off", "none" or "default"; NULL: shows it. Returns the exit code. */
int quota_command(const struct command *command, const char *config_file, const char *address,
                  const char *size, bool json);

/* Dovecot reports a crossed threshold: delivers the warning, as the owner of the mailboxes. Does nothing
 * if the mailbox is below it. */
int quota_warn(const struct command *command, const char *config_file, const char *percent,
               const char *address);

#endif
