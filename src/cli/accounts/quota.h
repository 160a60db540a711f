/* SPDX-License-Identifier: Apache-2.0 */
/* quota: how much a user's mailbox may hold, and holds; and the warning when it fills. */
#ifndef MAILBOAT_CLI_ACCOUNTS_QUOTA_H
#define MAILBOAT_CLI_ACCOUNTS_QUOTA_H

#include "cli/command.h"

/* `size` is "1GiB", "off", "none" or "default"; NULL: shows it. Returns the exit code. */
int quota_command(const struct command *command, const char *config_file, const char *address,
                  const char *size, bool json);

/* Dovecot says that a mailbox went past a mark: puts the warning into it, as the
 * user whose the mailboxes are. Nothing where it is not that full. */
int quota_warn(const struct command *command, const char *config_file, const char *percent,
               const char *address);

#endif
