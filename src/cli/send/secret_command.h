/* SPDX-License-Identifier: Apache-2.0 */
/* secret_command: a password or a token from a program's first line. */
#ifndef MAILBOAT_CLI_SEND_SECRET_COMMAND_H
#define MAILBOAT_CLI_SEND_SECRET_COMMAND_H

#include "base/buffer.h"
#include "base/error.h"

enum { SECRET_LINE_MAX = 8192 }; /* octets of the line; a token of OAuth 2 has some 2,000 */

/* Runs `sh -c COMMAND`, which gets nothing on standard input and keeps
 * standard error, and appends its first line to `out`; what follows is not
 * looked at. False with a reason when it failed, or said nothing. */
bool secret_of_command(const char *command, struct buffer *out, struct error *error);

#endif
