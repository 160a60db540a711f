/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack: unpacks what others have packed, gzip (RFC 1952) or the first file of a zip archive (APPNOTE 4),
 * with zlib, and with limits against bombs: what is packed inside of it is not unpacked again.
 */
#ifndef MAILBOAT_IO_UNPACK_H
#define MAILBOAT_IO_UNPACK_H

#include "base/buffer.h"
#include "base/error.h"

enum unpack_limit {
    UNPACK_PACKED_MAX = 10 * 1024 * 1024, /* octets */
    UNPACK_MAX = 64 * 1024 * 1024,
    UNPACK_RATIO_MAX = 100,        /* unpacked octets for each packed one, beyond the first */
    UNPACK_RATIO_FREE = 64 * 1024, /* octets, for which the ratio does not count */
};

/* Appends the unpacked content; content that is not packed is appended as it is. False with the reason (65)
 * past a limit, or if it is damaged. */
bool unpack_content(struct bytes content, struct buffer *out, struct error *error);

#endif
