/* SPDX-License-Identifier: Apache-2.0 */
/* Any message, and any memory of answers: what is answered has a sender that
 * is a person's; the answer is one message of ASCII to nobody else. */
#include <string.h>

#include "choices.h"
#include "core/message/vacation.h"

static void answer(const struct vacation_about *about, struct bytes text)
{
    struct buffer out = {0};
    struct vacation_answer answer = {.from = BYTES("ada@example.org"),
                                     .to = BYTES("bob@example.net"),
                                     .text = text,
                                     .message_id = BYTES("1@mx.example.org"),
                                     .about = *about};
    vacation_compose(&out, &answer);
    struct bytes whole = buffer_bytes(&out),
                 header = bytes_first(whole, bytes_search(whole, BYTES("\r\n\r\n")) + 2);
    struct bytes ours = header;
    size_t fields = 0;
    while (ours.length > 0) {
        struct bytes line = bytes_split(&ours, '\n');
        INSIST(line.length > 0 && line.length <= 998 && line.at[line.length - 1] == '\r' &&
               bytes_find(line, '\r') == line.length - 1);
        fields += line.at[0] != ' ';
    }
    /* Auto-Submitted, Date, From, To, Subject, Message-ID, MIME-Version,
     * Content-Type, -Transfer-Encoding; In-Reply-To and References */
    INSIST(fields == (about->message_id.length > 0 ? 11 : 9));
    INSIST(bytes_is_ascii(header) && !bytes_has_control_character(about->subject));
    buffer_free(&out);
}

static void remember(struct bytes memory)
{
    struct buffer out = {0}, again = {0};
    if (vacation_remember(&out, memory, BYTES("bob@example.net"), 5000, 1000)) {
        INSIST(vacation_remembers(buffer_bytes(&out), BYTES("BOB@example.net"), 5000));
        INSIST(vacation_remember(&again, buffer_bytes(&out), BYTES("bob@example.net"), 5000, 1000) &&
               bytes_equal(buffer_bytes(&out), buffer_bytes(&again)));
    }
    buffer_free(&out);
    buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct vacation_about about;
    struct bytes content = bytes_of(data, size);
    struct vacation_input letter = {
        .content = content, .sender = BYTES("bob@example.net"), .user = BYTES("ada@example.org")};
    if (vacation_check_header(&letter, &arena, &about) == VACATION_DUE)
        answer(&about, vacation_check(bytes_none(), content) == NULL ? content : BYTES("away"));
    /* now the first line is who sent it, and the rest the letter */
    letter.sender = bytes_split(&content, '\n');
    letter.content = content;
    letter.original = BYTES("info@example.org");
    enum vacation_verdict verdict = vacation_check_header(&letter, &arena, &about);
    INSIST(vacation_verdict_name(verdict)[0] != '\0');
    if (verdict == VACATION_DUE)
        INSIST(bytes_find(letter.sender, '@') != SIZE_MAX &&
               !bytes_is_nocase(letter.sender, "ada@example.org"));
    remember(content);
    arena_clear(&arena);
    return 0;
}
