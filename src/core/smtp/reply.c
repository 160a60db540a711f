/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/reply.h"

/* Takes the line at the start of `input` without its end; false if it is incomplete. */
static bool take_line(struct bytes input, struct bytes *line, size_t *used)
{
    size_t newline = bytes_find(input, '\n');
    if (newline == SIZE_MAX)
        return false;
    *used = newline + 1;
    bool crlf = newline > 0 && input.at[newline - 1] == '\r';
    *line = bytes_first(input, crlf ? newline - 1 : newline);
    return true;
}

/* Returns the code of a line, 0 if it is not an SMTP reply line. */
static unsigned line_code(struct bytes line)
{
    if (line.length < 3 || line.at[0] < '2' || line.at[0] > '5' || !ascii_is_digit(line.at[1]) ||
        !ascii_is_digit(line.at[2]))
        return 0;
    if (line.length > 3 && line.at[3] != ' ' && line.at[3] != '-')
        return 0;
    return (unsigned)(line.at[0] - '0') * 100 + (unsigned)(line.at[1] - '0') * 10 +
           (unsigned)(line.at[2] - '0');
}

enum reply_verdict reply_parse(struct bytes input, struct smtp_reply *reply, size_t *used)
{
    size_t at = 0;
    *reply = (struct smtp_reply){0};
    for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
        struct bytes left = bytes_from(input, at), line;
        size_t length;
        if (!take_line(left, &line, &length)) {
            /* True if the input can no longer become a reply. */
            bool hopeless = input.length > REPLY_OCTETS_MAX || left.length > REPLY_LINE_MAX + 1 ||
                            (left.length >= 4 && left.at[3] != '\r' && line_code(left) == 0);
            return hopeless ? REPLY_MALFORMED : REPLY_INCOMPLETE;
        }
        unsigned code = line_code(line);
        if (code == 0 || line.length > REPLY_LINE_MAX || (lines > 0 && code != reply->code))
            return REPLY_MALFORMED;
        reply->code = code;
        at += length;
        if (at > REPLY_OCTETS_MAX)
            return REPLY_MALFORMED;
        if (line.length == 3 || line.at[3] == ' ') {
            reply->raw = bytes_first(input, at);
            *used = at;
            return REPLY_COMPLETE;
        }
    }
    return REPLY_MALFORMED;
}

bool reply_next_line(struct bytes *raw, struct bytes *text)
{
    struct bytes line;
    size_t used;
    if (!take_line(*raw, &line, &used))
        return false;
    *raw = bytes_from(*raw, used);
    *text = bytes_from(line, line.length < 4 ? line.length : 4);
    return true;
}

/* Returns the octets of "5.1.1" at the start of the text, 0 if there is none. Its class (2, 4 or 5) may
 * contradict the basic code: it is kept as the server sent it. */
static size_t enhanced_length(struct bytes text)
{
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        size_t digits = 0;
        while (at < text.length && ascii_is_digit(text.at[at])) {
            at++;
            digits++;
        }
        if (digits == 0 || digits > 3 || (part == 0 && (digits > 1 || strchr("245", text.at[0]) == NULL)))
            return 0;
        if (part < 2 && (at == text.length || text.at[at++] != '.'))
            return 0;
    }
    return at == text.length || text.at[at] == ' ' ? at : 0;
}

struct bytes reply_enhanced(const struct smtp_reply *reply)
{
    struct bytes raw = reply->raw, text = bytes_none();
    reply_next_line(&raw, &text);
    return bytes_first(text, enhanced_length(text));
}

static void add_clean(struct buffer *out, struct bytes text)
{
    buffer_add_clean(out, text, true);
    if (out->length > REPLY_TEXT_KEPT_MAX)
        out->length = REPLY_TEXT_KEPT_MAX;
    while (!bytes_is_utf8(buffer_bytes(out))) /* the cut may have split a character */
        out->length--;
}

void reply_text(struct buffer *out, const struct smtp_reply *reply)
{
    struct bytes raw = reply->raw, text, said = reply_enhanced(reply);
    struct buffer clean = {0};
    while (reply_next_line(&raw, &text)) {
        /* RFC 2034 4: the code is repeated on each line. */
        bool repeats = bytes_equal(bytes_first(text, enhanced_length(text)), said);
        size_t enhanced = repeats ? said.length : 0;
        if (clean.length > 0)
            buffer_add_octet(&clean, ' ');
        add_clean(&clean, bytes_trim(bytes_from(text, enhanced)));
    }
    buffer_add(out, buffer_bytes(&clean));
    buffer_free(&clean);
}
