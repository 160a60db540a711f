/* SPDX-License-Identifier: Apache-2.0 */
/* Any content, cut anywhere, comes out the same; no new line looks like the
 * end of a part; and what was encoded once is not encoded again. */
#include "choices.h"
#include "message/sevenbit.h"

static void encode(struct buffer *out, struct bytes content, bool binary, size_t step)
{
    struct sevenbit sevenbit;
    sevenbit_start(&sevenbit, binary);
    while (content.length > 0) {
        struct bytes run = bytes_first(content, step);
        sevenbit_add(&sevenbit, out, run);
        content = bytes_from(content, run.length);
        INSIST(sevenbit.line.length < SEVENBIT_LINE_MAX && sevenbit.header.length <= SEVENBIT_HEADER_MAX);
    }
    sevenbit_end(&sevenbit, out);
    sevenbit_free(&sevenbit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = {0}, cut = {0}, again = {0};
    if (size < 2)
        return 0;
    bool binary = (data[0] & 1) != 0;
    struct bytes content = bytes_of(data + 2, size - 2);
    encode(&whole, content, binary, SIZE_MAX);
    encode(&cut, content, binary, 1 + data[1]);
    INSIST(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    encode(&again, buffer_bytes(&whole), binary, SIZE_MAX);
    INSIST(bytes_equal(buffer_bytes(&whole), buffer_bytes(&again)));
    buffer_free(&whole);
    buffer_free(&cut);
    buffer_free(&again);
    return 0;
}
