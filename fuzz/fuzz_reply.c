/* SPDX-License-Identifier: Apache-2.0 */
/* A server's reply: parsed the same for all splits; and clean when printed. */
#include "choices.h"
#include "core/smtp/reply.h"

static void check_whole(struct bytes input, const struct smtp_reply *reply, size_t used)
{
    struct smtp_reply part;
    struct buffer text = {0};
    struct bytes enhanced = reply_enhanced(reply);
    size_t part_used, cut = used / 2;
    INSIST(used > 0 && used <= input.length && reply->code >= 200 && reply->code <= 599);
    INSIST(reply->raw.length == used && reply->raw.at[used - 1] == '\n');
    /* A part of it waits for the rest. */
    INSIST(reply_parse(bytes_first(input, cut), &part, &part_used) == REPLY_INCOMPLETE);
    INSIST(reply_parse(bytes_first(input, used - 1), &part, &part_used) == REPLY_INCOMPLETE);
    INSIST(reply_parse(bytes_first(input, used), &part, &part_used) == REPLY_COMPLETE && part_used == used);
    reply_text(&text, reply);
    INSIST(!bytes_has_control(buffer_bytes(&text)) && bytes_is_utf8(buffer_bytes(&text)));
    INSIST(text.length <= REPLY_TEXT_KEPT_MAX + REPLY_LINES_MAX);
    INSIST(enhanced.length == 0 || (enhanced.length >= 5 && strchr("245", enhanced.at[0]) != NULL));
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_reply reply;
    size_t used = 0;
    enum reply_verdict verdict = reply_parse(bytes_of(data, size), &reply, &used);
    if (verdict == REPLY_COMPLETE)
        check_whole(bytes_of(data, size), &reply, used);
    /* A reader that waits for more does not wait forever. */
    INSIST(verdict != REPLY_INCOMPLETE || size <= (size_t)(REPLY_LINE_MAX + 2) * REPLY_LINES_MAX);
    return 0;
}
