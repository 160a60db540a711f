/* SPDX-License-Identifier: Apache-2.0 */
/* Any words as subject, names and text: what comes out is ASCII, its lines are
 * CRLF and short enough, and no word begins a header field of its own. */
#include "choices.h"
#include "core/message/mime.h"

static void check_lines(struct bytes text)
{
    INSIST(bytes_is_ascii(text));
    while (text.length > 0) {
        size_t end = bytes_search(text, BYTES("\r\n"));
        INSIST(end != SIZE_MAX && end <= MIME_LINE_MAX);
        struct bytes line = bytes_first(text, end);
        INSIST(bytes_find(line, '\r') == SIZE_MAX && bytes_find(line, '\n') == SIZE_MAX);
        text = bytes_from(text, end + 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes rest = choices_start(&choices, data, size);
    struct bytes subject = bytes_split(&rest, '\0'), name = bytes_split(&rest, '\0'),
                 file = bytes_split(&rest, '\0');
    struct buffer from = {0}, out = {0};
    buffer_add(&from, name);
    buffer_add_text(&from, " <ada@example.org>");
    struct bytes to = BYTES("bob@example.com");
    struct mime_input letter = {.from = buffer_bytes(&from),
                                .to = &to,
                                .to_count = 1,
                                .subject = subject,
                                .text = rest,
                                .message_id = BYTES("1@example.org"),
                                .attachments = (choices.octets[0] & 1) != 0};
    struct buffer plain = {0};
    if ((choices.octets[1] & 1) != 0) {
        mime_text_of_html(&plain, rest);
        letter.html = rest;
        letter.text = buffer_bytes(&plain);
    }
    if (mime_check(&letter) == NULL && mime_check_name(file) == NULL) {
        struct mime mime;
        mime_begin(&mime, &out, &letter);
        if (letter.attachments) {
            mime_attach(&mime, &out, file);
            mime_attach_some(&mime, &out, bytes_of(data, size));
            mime_attach_some(&mime, &out, file);
            mime_attach_end(&mime, &out);
        }
        mime_end(&mime, &out);
        check_lines(buffer_bytes(&out));
        struct bytes header = bytes_first(buffer_bytes(&out),
                                          bytes_search(buffer_bytes(&out), BYTES("\r\n\r\n")));
        INSIST(bytes_search(header, BYTES("\r\nBcc:")) == SIZE_MAX &&
               bytes_search(header, BYTES("\r\nX-")) == SIZE_MAX);
    }
    buffer_free(&plain);
    buffer_free(&from);
    buffer_free(&out);
    return 0;
}
