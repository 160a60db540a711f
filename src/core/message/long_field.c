/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/long_field.h"

#include "core/smtp/envelope.h"

enum { SPACES_MAX = 500 }; /* octets: longer runs at a line's start are shortened */

static bool is_space(char octet)
{
    return octet == ' ' || octet == '\t';
}

/* Returns the last position in text[from..room], whose octet (with `after` the one before it) is one of
 * `octets`; `from` if there is none. */
static size_t last_of(struct bytes text, size_t from, size_t room, const char *octets, bool after)
{
    size_t at = room;
    while (at > from && bytes_find(bytes_of_text(octets), text.at[at - (after ? 1 : 0)]) == SIZE_MAX)
        at--;
    return at;
}

/* Returns the octets of the first of several lines, of at most `room`; `from` of them are spaces. */
static size_t piece_length(struct bytes text, size_t from, size_t room)
{
    size_t at = last_of(text, from, room, " \t", false);
    while (at > from && is_space(text.at[at - 1])) /* the next line keeps them all */
        at--;
    if (at == from)
        at = last_of(text, from, room, ",;>", true);
    if (at == from)
        at = room;
    while (at > from + 1 && ((unsigned char)text.at[at] & 0xc0) == 0x80) /* whole characters of UTF-8 */
        at--;
    return at;
}

static void fold_line(struct buffer *out, struct bytes line)
{
    for (size_t added = 0; line.length + added > LINE_OCTETS_MAX;) {
        size_t room = LINE_OCTETS_MAX - added, from = 0;
        while (from < line.length && is_space(line.at[from]))
            from++;
        if (from > SPACES_MAX) { /* no line may be empty but for spaces */
            line = bytes_from(line, from - 1);
            continue;
        }
        size_t length = piece_length(line, from, room);
        buffer_add(out, bytes_first(line, length));
        line = bytes_from(line, length);
        added = is_space(line.at[0]) ? 0 : 1;
        buffer_add_text(out, added > 0 ? "\r\n " : "\r\n");
    }
    buffer_add(out, line);
    buffer_add_text(out, "\r\n");
}

void long_field_fold(struct buffer *out, struct bytes fields)
{
    while (fields.length > 0) {
        size_t end = bytes_search(fields, BYTES("\r\n"));
        struct bytes line = bytes_first(fields, end == SIZE_MAX ? fields.length : end);
        fold_line(out, line);
        fields = bytes_from(fields, end == SIZE_MAX ? fields.length : end + 2);
    }
}
