/* SPDX-License-Identifier: Apache-2.0 */
/* pack: packs with gzip (RFC 1952), with zlib. unpack.h is the other way. */
#ifndef MAILBOAT_IO_PACK_H
#define MAILBOAT_IO_PACK_H

#include "base/buffer.h"

/* Appends the packed content. False without memory for it, or if it has 4 GiB or more. */
bool pack_gzip(struct bytes content, struct buffer *out);

#endif
