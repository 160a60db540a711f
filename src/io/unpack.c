/* SPDX-License-Identifier: Apache-2.0 */
#include "io/unpack.h"

#include <sysexits.h>
#include <zlib.h>

enum {
    UNPACK_STEP = 64 * 1024,
    WINDOW_GZIP = 15 + 16, /* zlib's windowBits: gzip, or a stream without a header */
    WINDOW_RAW = -15,
    ZIP_HEADER = 30, /* octets of a local file header (APPNOTE 4.3.7) */
    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
};

static bool is_gzip(struct bytes content)
{
    return content.length > 2 && memcmp(content.at, "\x1f\x8b", 2) == 0;
}

static bool is_zip(struct bytes content)
{
    return content.length > 4 && memcmp(content.at, "PK\x03\x04", 4) == 0;
}

static bool fits(size_t unpacked, size_t packed, struct error *error)
{
    if (unpacked > UNPACK_MAX)
        return error_set(error, EX_DATAERR, "it is larger than %d MiB when unpacked", UNPACK_MAX / 1048576);
    if (unpacked > UNPACK_RATIO_FREE && unpacked / UNPACK_RATIO_MAX > packed)
        return error_set(error, EX_DATAERR, "it unpacks to more than %d times its size", UNPACK_RATIO_MAX);
    return true;
}

static bool inflate_all(struct bytes packed, int window, struct buffer *out, struct error *error)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.length};
    size_t start = out->length;
    int state = inflateInit2(&stream, window);
    if (state != Z_OK)
        return error_set(error, EX_OSERR, "cannot unpack: out of memory");
    bool fine = true;
    while (fine && state == Z_OK) {
        stream.next_out = (Bytef *)buffer_reserve(out, UNPACK_STEP);
        stream.avail_out = UNPACK_STEP;
        state = inflate(&stream, Z_NO_FLUSH);
        buffer_written(out, UNPACK_STEP - stream.avail_out);
        fine = fits(out->length - start, packed.length, error);
    }
    inflateEnd(&stream);
    return fine &&
           (state == Z_STREAM_END || error_set(error, EX_DATAERR, "it is packed, and damaged or cut"));
}

static unsigned short_at(struct bytes content, size_t at)
{
    return (unsigned)(uint8_t)content.at[at] | (unsigned)(uint8_t)content.at[at + 1] << 8;
}

static size_t long_at(struct bytes content, size_t at)
{
    return (size_t)short_at(content, at) | (size_t)short_at(content, at + 2) << 16;
}

/* The sizes in the header may be missing (they follow the data then): deflate knows its own end. */
static bool unzip(struct bytes content, struct buffer *out, struct error *error)
{
    if (content.length < ZIP_HEADER)
        return error_set(error, EX_DATAERR, "it is packed, and damaged or cut");
    unsigned flags = short_at(content, 6), method = short_at(content, 8);
    size_t size = long_at(content, 18), start = ZIP_HEADER + short_at(content, 26) + short_at(content, 28);
    if ((flags & 1) != 0 || (method != ZIP_STORED && method != ZIP_DEFLATED))
        return error_set(error, EX_DATAERR, "the zip archive is encrypted, or packed in an unusual way");
    if (start > content.length || (method == ZIP_STORED && size > content.length - start))
        return error_set(error, EX_DATAERR, "it is packed, and damaged or cut");
    if (method == ZIP_DEFLATED)
        return inflate_all(bytes_from(content, start), WINDOW_RAW, out, error);
    buffer_add(out, bytes_first(bytes_from(content, start), size));
    return true;
}

bool unpack_content(struct bytes content, struct buffer *out, struct error *error)
{
    size_t start = out->length;
    if (content.length > UNPACK_PACKED_MAX)
        return error_set(error, EX_DATAERR, "it is larger than %d MiB", UNPACK_PACKED_MAX / 1048576);
    if (!is_gzip(content) && !is_zip(content)) {
        buffer_add(out, content);
        return true;
    }
    if (!(is_gzip(content) ? inflate_all(content, WINDOW_GZIP, out, error) : unzip(content, out, error)))
        return false;
    struct bytes unpacked = bytes_from(buffer_bytes(out), start);
    return (!is_gzip(unpacked) && !is_zip(unpacked)) ||
           error_set(error, EX_DATAERR, "it is packed more than once");
}
