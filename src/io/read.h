/* SPDX-License-Identifier: Apache-2.0 */
/* read: reads what a file has, bounded. */
#ifndef MAILBOAT_IO_READ_H
#define MAILBOAT_IO_READ_H

#include "base/buffer.h"

/* Appends the rest of the file, or its first `max` octets. False with errno if it cannot be read to there:
 * what was read before that is in the buffer. */
bool read_up_to(int descriptor, size_t max, struct buffer *out);

#endif
