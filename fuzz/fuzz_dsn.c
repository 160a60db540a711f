/* SPDX-License-Identifier: Apache-2.0 */
/* A report about anything peers said and senders wrote: lines are CRLF and
 * short enough, nobody's words end a part or begin a field. */
#include "choices.h"
#include "core/message/dsn.h"

enum { LINE_MAX = 998 };

static size_t count(struct bytes text, struct bytes what)
{
    size_t found = 0;
    for (size_t at; (at = bytes_search(text, what)) != SIZE_MAX; text = bytes_from(text, at + what.length))
        found++;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes rest = choices_start(&choices, data, size);
    struct bytes said = bytes_split(&rest, '\0'), peer = bytes_split(&rest, '\0'),
                 orcpt = bytes_split(&rest, '\0'), envid = bytes_split(&rest, '\0');
    struct recipient recipient = {.address = BYTES("bob@example.com"),
                                  .orcpt = bytes_first(orcpt, 500),
                                  .notify = choices.octets[0] & 15};
    struct dsn_recipient about = {.recipient = &recipient,
                                  .action = choices.octets[1] % 4,
                                  .enhanced = BYTES("5.1.1"),
                                  .code = choices.octets[2] % 2 ? 550 : 0,
                                  .text = bytes_first(said, 1024),
                                  .peer = bytes_first(peer, 300)};
    struct envelope envelope = {.sender = BYTES("ada@example.org"),
                                .envid = bytes_first(envid, 100),
                                .smtputf8 = (choices.octets[3] & 1) != 0};
    /* The header that is given back is what was accepted: whole lines, not too long. */
    struct dsn dsn = {.hostname = BYTES("mx.example.org"),
                      .id = 1,
                      .now_ms = 2,
                      .envelope = &envelope,
                      .about_id = 3,
                      .recipients = &about,
                      .recipient_count = 1,
                      .content = BYTES("Subject: hi\r\n\r\ntext\r\n"),
                      .content_is_whole = true};
    struct buffer out = {0};
    if (dsn_add(&out, &dsn)) {
        struct bytes text = buffer_bytes(&out);
        INSIST(count(text, BYTES("\r\n--report-")) == 4); /* three parts and the end */
        INSIST(count(text, BYTES("\r\nAction: ")) == 1 && count(text, BYTES("\r\nTo: ")) == 1);
        while (text.length > 0) {
            size_t end = bytes_search(text, BYTES("\r\n"));
            /* 100: the names of fields before what was said */
            INSIST(end != SIZE_MAX && end <= LINE_MAX + 100);
            INSIST(bytes_find(bytes_first(text, end), '\n') == SIZE_MAX &&
                   bytes_find(bytes_first(text, end), '\r') == SIZE_MAX);
            text = bytes_from(text, end + 2);
        }
    } else {
        INSIST(out.length == 0);
    }
    buffer_free(&out);
    return 0;
}
