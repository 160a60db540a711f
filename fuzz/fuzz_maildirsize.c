/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other programs write into maildirsize: whatever it is, a sum is that
 * of whole lines, never negative, and of the limit that was asked for; a line
 * that is cut at its end changes nothing.
 */
#include "base/buffer.h"
#include "choices.h"
#include "service/local/maildirsize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maildirsize found, again;
    struct buffer text = {0};
    size_t lines, lines_again;
    if (maildirsize_parse(bytes_of(data, size), 1000, &found, &lines)) {
        INSIST(lines > 0 && lines <= size && found.octets <= INT64_MAX && found.messages <= INT64_MAX &&
               !found.sure);
        INSIST(!maildirsize_parse(bytes_of(data, size), 1001, &again, &lines_again));
        buffer_add(&text, bytes_of(data, size));
        buffer_add_text(&text, "17"); /* as when another program is writing */
        INSIST(maildirsize_parse(buffer_bytes(&text), 1000, &again, &lines_again));
        INSIST(again.octets == found.octets && again.messages == found.messages && lines == lines_again);
    }
    buffer_free(&text);
    return 0;
}
