/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pack.h"

#include <zlib.h>

enum { PACK_STEP = 16 * 1024, WINDOW_GZIP = 15 + 16, MEMORY_LEVEL = 8 };

bool pack_gzip(struct bytes content, struct buffer *out)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)content.at, .avail_in = (uInt)content.length};
    int state = Z_OK;
    if (content.length > UINT32_MAX || deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP,
                                                    MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    while (state == Z_OK) {
        stream.next_out = (Bytef *)buffer_reserve(out, PACK_STEP);
        stream.avail_out = PACK_STEP;
        state = deflate(&stream, Z_FINISH);
        buffer_written(out, PACK_STEP - stream.avail_out);
    }
    deflateEnd(&stream);
    return state == Z_STREAM_END;
}
