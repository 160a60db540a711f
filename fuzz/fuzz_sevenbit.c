/* SPDX-License-Identifier: Apache-2.0 */
/* Any content, cut anywhere, comes out the same; no new line looks like the
 * end of a part; what was encoded once is not encoded again; and of binary
 * content no octet leaves that no line can have. */
#include "choices.h"
#include "core/message/transfer_encoding.h"

static bool short_lines, eight_passes;

static void encode(struct buffer *out, struct bytes content, bool binary, size_t step)
{
    struct transfer_encoding sevenbit;
    transfer_encoding_start(&sevenbit, binary);
    sevenbit.short_lines = short_lines;
    sevenbit.eight_passes = eight_passes;
    while (content.length > 0) {
        struct bytes run = bytes_first(content, step);
        transfer_encoding_add(&sevenbit, out, run);
        content = bytes_from(content, run.length);
        INSIST(sevenbit.line.length < TRANSFER_ENCODING_LINE_MAX &&
               sevenbit.header.length <= TRANSFER_ENCODING_HEADER_MAX);
    }
    transfer_encoding_end(&sevenbit, out);
    transfer_encoding_free(&sevenbit);
}

static bool is_fit(struct bytes content)
{
    for (size_t i = 0; i < content.length; i++)
        if (content.at[i] == '\0' ||
            (content.at[i] == '\r' && (i + 1 == content.length || content.at[i + 1] != '\n')) ||
            (content.at[i] == '\n' && (i == 0 || content.at[i - 1] != '\r')))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = {0}, cut = {0}, again = {0};
    if (size < 2)
        return 0;
    bool binary = (data[0] & 1) != 0;
    short_lines = (data[0] & 2) != 0 && !binary;
    eight_passes = (data[0] & 4) != 0 && short_lines;
    struct bytes content = bytes_of(data + 2, size - 2);
    encode(&whole, content, binary, SIZE_MAX);
    encode(&cut, content, binary, 1 + data[1]);
    INSIST(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    if (binary) { /* where a bare newline was made whole there may be parts now: from then on it stays */
        INSIST(is_fit(buffer_bytes(&whole)));
        buffer_clear(&cut);
        buffer_add(&cut, buffer_bytes(&whole));
        buffer_clear(&whole);
        encode(&whole, buffer_bytes(&cut), binary, SIZE_MAX);
    }
    encode(&again, buffer_bytes(&whole), binary, SIZE_MAX);
    INSIST(bytes_equal(buffer_bytes(&whole), buffer_bytes(&again)));
    buffer_free(&whole);
    buffer_free(&cut);
    buffer_free(&again);
    return 0;
}
