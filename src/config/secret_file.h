/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_file: the first line of a file that holds nothing but a password.
 *
 * Checking a configuration looks whether there is one, and keeps nothing of
 * it; the process that signs in with it reads it for itself, once it was
 * forked and before it is sealed.
 */
#ifndef MAILBOAT_CONFIG_SECRET_FILE_H
#define MAILBOAT_CONFIG_SECRET_FILE_H

#include "base/buffer.h"
#include "base/error.h"

enum { SECRET_FILE_LINE_MAX = 8192 }; /* octets of the line, as of a command's */

/* Appends the line, without its end, to the empty `out`: buffer_wipe() it. False with
 * a reason that names the file and holds nothing of its content. `key` is what names
 * the file in the configuration. */
bool secret_file_read(const char *key, const char *file, struct buffer *out, struct error *error);

/* The same, and nothing is kept. */
bool secret_file_check(const char *key, const char *file, struct error *error);

#endif
