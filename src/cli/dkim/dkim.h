/* SPDX-License-Identifier: Apache-2.0 */
/* dkim: the signing keys, for other subcommands. */
#ifndef MAILBOAT_CLI_DKIM_DKIM_H
#define MAILBOAT_CLI_DKIM_DKIM_H

#include "cli/command.h"
#include "config/config.h"

/* For a domain that was added: makes its signing keys and prints their records; prints a warning where that
 * is not possible, as the server makes them later. Root becomes the starting user. */
void dkim_make_keys(const struct command *command, const struct config *config, const char *domain);
/* For a domain that was removed: names its signing keys, which stay, and how to end them; nothing if it has
 * none, or they cannot be read. */
void dkim_tell_keys_left(const struct config *config, const char *domain);

#endif
