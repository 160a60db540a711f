/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/canon.h"

#include <assert.h>

/* Line ends that are written in one go. */
static const char LINE_ENDS[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A block that is being written; beyond the limit octets are counted and not kept. */
struct canon_block {
    struct canon_body *body;
    char *at;
    size_t used, room;
};

static void assert_body(const struct canon_body *body)
{
    assert(body->form == CANON_RELAXED || !body->space);
}

static size_t room_left(const struct canon_block *block)
{
    return block->room - block->used;
}

static void put(struct canon_block *block, const char *at, size_t length)
{
    struct canon_body *body = block->body;
    uint64_t left = body->length < body->limit ? body->limit - body->length : 0;
    size_t kept = left < length ? (size_t)left : length;
    assert(length <= room_left(block));
    memcpy(block->at + block->used, at, kept);
    block->used += kept;
    body->length += length;
}

/* Writes the line ends that are held back; false if the block is full first. */
static bool put_lines(struct canon_block *block)
{
    struct canon_body *body = block->body;
    while (body->lines > 0) {
        size_t count = room_left(block) / 2;
        if (count == 0)
            return false;
        count = count > body->lines ? (size_t)body->lines : count;
        count = count > sizeof(LINE_ENDS) / 2 ? sizeof(LINE_ENDS) / 2 : count;
        put(block, LINE_ENDS, 2 * count);
        body->lines -= count;
    }
    return true;
}

/* Writes all that is held back before an octet of content; false if the block is full first. */
static bool put_held(struct canon_block *block)
{
    struct canon_body *body = block->body;
    if (!put_lines(block) || room_left(block) < 2)
        return false;
    if (body->space)
        put(block, " ", 1);
    if (body->cr)
        put(block, "\r", 1);
    body->space = body->cr = false;
    return true;
}

/* A CR came last: takes the LF after it; or writes the CR, as it ended no line. False: the block is full. */
static bool settle_cr(struct canon_block *block, struct bytes *in)
{
    struct canon_body *body = block->body;
    if (in->at[0] != '\n')
        return put_held(block);
    body->lines++;
    body->space = body->cr = false;
    *in = bytes_from(*in, 1);
    return true;
}

/* Octets of `window` up to the line ends at its end, and a CR after them. */
static size_t without_line_ends(struct bytes window)
{
    size_t length = window.length;
    if (length > 0 && window.at[length - 1] == '\r')
        length--;
    while (length >= 2 && window.at[length - 2] == '\r' && window.at[length - 1] == '\n')
        length -= 2;
    return length;
}

/* Takes a part of a body in simple form; false if the block is full. */
static bool take_simple(struct canon_block *block, struct bytes *in)
{
    struct canon_body *body = block->body;
    struct bytes window = bytes_first(*in, block->room);
    size_t content = without_line_ends(window), ends = (window.length - content) / 2;
    if (content > 0) {
        if (!put_held(block) || room_left(block) == 0)
            return false;
        if (content > room_left(block)) {
            content = room_left(block);
            ends = 0;
            window.length = content; /* the next block begins after it */
        }
        put(block, in->at, content);
    }
    body->lines += ends;
    body->cr = window.length > content + 2 * ends;
    *in = bytes_from(*in, window.length);
    return true;
}

#define EACH_OCTET(value) (0x0101010101010101u * (uint64_t)(value))

/* Bit 7 of each octet that equals `c`. */
static uint64_t octets_equal(uint64_t word, unsigned char c)
{
    uint64_t rest = word ^ EACH_OCTET(c);
    return ~(((rest & EACH_OCTET(0x7f)) + EACH_OCTET(0x7f)) | rest | EACH_OCTET(0x7f));
}

/* Loads eight octets, the first in the lowest bits. */
static uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Octets at the start of `text` that relaxed form keeps as they are: up to a CR, a tab, or white space that
 * is followed by more of it or by the end. Eight at a time: this is where a body's time goes. */
static size_t plain_length(struct bytes text)
{
    size_t i = 0;
    uint64_t before = 0; /* bit 7: the octet before the word is a space */
    for (uint64_t stop = 0; i + 8 <= text.length; i += 8) {
        uint64_t word = load_word(text.at + i), spaces = octets_equal(word, ' ');
        stop = octets_equal(word, '\r') | octets_equal(word, '\t') | (spaces & (spaces << 8 | before));
        if (stop != 0) {
            i += (size_t)__builtin_ctzll(stop) / 8;
            return i > 0 && text.at[i - 1] == ' ' ? i - 1 : i;
        }
        before = spaces >> 56;
    }
    while (i < text.length && text.at[i] != '\r' && text.at[i] != '\t' &&
           !(text.at[i] == ' ' && i > 0 && text.at[i - 1] == ' '))
        i++;
    return i > 0 && text.at[i - 1] == ' ' ? i - 1 : i;
}

/* Takes a part of a body in relaxed form; false if the block is full. */
static bool take_relaxed(struct canon_block *block, struct bytes *in)
{
    struct canon_body *body = block->body;
    char first = in->at[0];
    if (first == '\r') {
        body->cr = true;
        *in = bytes_from(*in, 1);
        return true;
    }
    if (is_blank(first)) {
        body->space = true;
        *in = bytes_from(*in, 1);
        return true;
    }
    if (!put_held(block) || room_left(block) == 0)
        return false;
    size_t plain = plain_length(bytes_first(*in, room_left(block)));
    assert(plain > 0);
    put(block, in->at, plain);
    *in = bytes_from(*in, plain);
    return true;
}

void canon_body_start(struct canon_body *body, enum canon_form form, uint64_t limit)
{
    *body = (struct canon_body){.form = form, .limit = limit};
}

size_t canon_body_fill(struct canon_body *body, struct bytes *in, char *out, size_t room)
{
    struct canon_block block = {.body = body, .at = out, .room = room};
    assert(room >= CANON_ROOM_MIN && !body->ended);
    assert_body(body);
    for (bool taken = true; in->length > 0;) {
        if (body->cr)
            taken = settle_cr(&block, in);
        else if (body->form == CANON_SIMPLE)
            taken = take_simple(&block, in);
        else
            taken = take_relaxed(&block, in);
        if (!taken && block.used > 0)
            break;
    }
    assert_body(body);
    return block.used;
}

/* Writes the end of the body; false if the block is full first. */
static bool put_end(struct canon_block *block)
{
    struct canon_body *body = block->body;
    if (body->cr) { /* at the very end it is content, after all that was held back */
        if (!put_held(block))
            return false;
    }
    if (room_left(block) < 2)
        return false;
    if (body->form == CANON_SIMPLE || body->length > 0)
        put(block, "\r\n", 2);
    body->ended = true;
    return true;
}

size_t canon_body_finish(struct canon_body *body, char *out, size_t room)
{
    struct canon_block block = {.body = body, .at = out, .room = room};
    assert(room >= CANON_ROOM_MIN);
    while (!body->ended && (put_end(&block) || block.used == 0))
        assert_body(body);
    return block.used;
}

/* Writes the value with each run of white space as one space, none at its ends, and without line ends. */
static void add_relaxed_value(struct buffer *out, struct bytes value)
{
    char *at = buffer_reserve(out, value.length);
    size_t used = 0;
    bool space = false;
    for (size_t i = 0; i < value.length; i++) {
        char c = value.at[i];
        if (c == '\r' && i + 1 < value.length && value.at[i + 1] == '\n') {
            i++;
        } else if (is_blank(c)) {
            space = used > 0;
        } else {
            if (space)
                at[used++] = ' ';
            at[used++] = c;
            space = false;
        }
    }
    buffer_written(out, used);
}

static void add_relaxed(struct buffer *out, struct bytes field)
{
    size_t colon = bytes_find(field, ':');
    struct bytes name = bytes_trim(bytes_first(field, colon));
    for (size_t i = 0; i < name.length; i++)
        buffer_add_octet(out, ascii_lower(name.at[i]));
    if (colon == SIZE_MAX)
        return;
    buffer_add_octet(out, ':');
    add_relaxed_value(out, bytes_from(field, colon + 1));
}

static struct bytes without_line_end(struct bytes field)
{
    if (field.length >= 2 && field.at[field.length - 2] == '\r' && field.at[field.length - 1] == '\n')
        field.length -= 2;
    return field;
}

static void add_field(struct buffer *out, struct bytes field, enum canon_form form)
{
    if (form == CANON_SIMPLE)
        buffer_add(out, field);
    else
        add_relaxed(out, field);
}

void canon_field(struct buffer *out, struct bytes field, enum canon_form form)
{
    add_field(out, without_line_end(field), form);
    buffer_add_text(out, "\r\n");
}

void canon_signature_field(struct buffer *out, struct bytes field, struct bytes hole, enum canon_form form)
{
    struct buffer without = {0};
    if (hole.at == NULL) {
        add_field(out, without_line_end(field), form);
        return;
    }
    assert(hole.at >= field.at && hole.at + hole.length <= field.at + field.length);
    size_t start = (size_t)(hole.at - field.at);
    buffer_add(&without, bytes_first(field, start));
    buffer_add(&without, bytes_from(field, start + hole.length));
    add_field(out, without_line_end(buffer_bytes(&without)), form);
    buffer_free(&without);
}
