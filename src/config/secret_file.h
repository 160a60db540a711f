/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_file: the first line of a password file.
 *
 * Checking a configuration only verifies that there is one, and keeps nothing of it; the process that
 * authenticates with it reads it itself, after the fork and before the sandbox.
 */
#ifndef MAILBOAT_CONFIG_SECRET_FILE_H
#define MAILBOAT_CONFIG_SECRET_FILE_H

#include "base/buffer.h"
#include "base/error.h"

enum { SECRET_FILE_LINE_MAX = 8192 }; /* octets of the line, as for a command */

/* Appends the line, without its end, to the empty `out`: buffer_wipe() it. False with a reason that names
 * the file and contains nothing of its content. `key` is its key in the configuration. */
bool secret_file_read(const char *key, const char *file, struct buffer *out, struct error *error);

/* The same, without keeping the line. */
bool secret_file_check(const char *key, const char *file, struct error *error);

#endif
