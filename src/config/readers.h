/* SPDX-License-Identifier: Apache-2.0 */
/* readers: who may read a file, for the error of a user who may not. */
#ifndef MAILBOAT_CONFIG_READERS_H
#define MAILBOAT_CONFIG_READERS_H

#include <stdbool.h>
#include <stddef.h>

enum { READERS_MAX = 400 };

/* After a call failed with EACCES for the path: appends "only root and ada may read /etc/x", or "may enter
 * /etc/private" of a folder above it, to `buffer`. False where that is not the reason: for root, or for a
 * file that all may read. */
bool readers_explain(const char *path, char *buffer, size_t size);

#endif
