/* SPDX-License-Identifier: Apache-2.0 */
/* secret_command: reads a password or a token from a command's first line of output. */
#ifndef MAILBOAT_CLI_SEND_SECRET_COMMAND_H
#define MAILBOAT_CLI_SEND_SECRET_COMMAND_H

#include "base/buffer.h"
#include "base/error.h"

enum { SECRET_LINE_MAX = 8192 }; /* octets of the line; an OAuth 2 token has some 2,000 */

/* Runs `sh -c COMMAND`, with empty standard input and inherited standard error, and appends its first line
 * to `out`; ignores further output. False with a reason if it failed, or printed nothing. */
bool secret_of_command(const char *command, struct buffer *out, struct error *error);

#endif
