/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/wrap.h"

#include <assert.h>

/* ---- characters ---- */

/* Returns the octets of the colour sequence at the front, 0 if there is none. */
static size_t colour_length(struct bytes text)
{
    size_t at = 2;
    if (text.length < 3 || text.at[0] != '\033' || text.at[1] != '[')
        return 0;
    while (at < text.length && ((text.at[at] >= '0' && text.at[at] <= '9') || text.at[at] == ';'))
        at++;
    return at < text.length && text.at[at] == 'm' ? at + 1 : 0;
}

static bool is_continuation(char octet)
{
    return ((unsigned char)octet & 0xc0) == 0x80;
}

/* Returns the octets of the character at the front, at least 1, and its code point. */
static size_t character_length(struct bytes text, uint32_t *code)
{
    unsigned char first = (unsigned char)text.at[0];
    size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    *code = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (i == text.length || !is_continuation(text.at[i]))
            return 1;
        *code = *code << 6 | ((unsigned char)text.at[i] & 0x3f);
    }
    return length;
}

static bool is_wide(uint32_t code)
{
    return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
           (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
           (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x3fffd);
}

/* Returns the octets of one step through a text, and its columns. */
static size_t step(struct bytes text, size_t *columns)
{
    uint32_t code;
    size_t length = colour_length(text);
    *columns = 0;
    if (length > 0)
        return length;
    length = character_length(text, &code);
    *columns = is_wide(code) ? 2 : 1;
    return length;
}

size_t wrap_columns(struct bytes text)
{
    size_t all = 0, columns;
    while (text.length > 0) {
        text = bytes_from(text, step(text, &columns));
        all += columns;
    }
    return all;
}

/* ---- lines ---- */

struct wrapping {
    struct buffer *out;
    size_t indent, width, column;
    size_t start; /* the column at which the line began */
};

static void break_line(struct wrapping *w)
{
    buffer_add_octet(w->out, '\n');
    for (size_t i = 0; i < w->indent; i++)
        buffer_add_octet(w->out, ' ');
    w->column = w->start = w->indent;
}

/* Adds a word, cut where it reaches the width. */
static void add_word(struct wrapping *w, struct bytes word)
{
    while (word.length > 0) {
        size_t columns, length = step(word, &columns);
        if (w->column + columns > w->width && w->column > w->start)
            break_line(w);
        buffer_add(w->out, bytes_first(word, length));
        w->column += columns;
        word = bytes_from(word, length);
    }
}

static size_t run_of(struct bytes text, bool spaces)
{
    size_t length = 0;
    while (length < text.length && (text.at[length] == ' ') == spaces)
        length++;
    return length;
}

void wrap_add(struct buffer *out, struct bytes text, size_t indent, size_t width)
{
    struct wrapping w = {.out = out, .indent = 2 * indent > width ? 0 : indent, .width = width};
    assert(bytes_find(text, '\n') == SIZE_MAX);
    if (width == 0)
        buffer_add(out, text);
    while (width != 0 && text.length > 0) {
        size_t spaces = run_of(text, true);
        struct bytes word = bytes_from(text, spaces);
        word = bytes_first(word, run_of(word, false));
        if (w.column + spaces + wrap_columns(word) <= width || w.column == w.start) {
            buffer_add(out, bytes_first(text, spaces < width ? spaces : 0));
            w.column += spaces < width ? spaces : 0;
        } else if (word.length > 0) {
            break_line(&w);
        }
        add_word(&w, word);
        text = bytes_from(text, spaces + word.length);
    }
    buffer_add_octet(out, '\n');
}
