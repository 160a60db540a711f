/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/content.h"

#include <assert.h>

#include "core/server/server_session.h"

void content_start(struct content *content, uint64_t size_max, bool binary, bool fix_bare_newlines)
{
    *content = (struct content){
        .size_max = size_max, .binary = binary, .fix_bare_newlines = fix_bare_newlines};
}

static void fault(struct content *content, enum content_fault what)
{
    bool ambiguous = what == CONTENT_BARE_NEWLINE; /* a lax parser may see the end of the message there */
    if (content->fault == CONTENT_FINE || ambiguous)
        content->fault = what;
}

/* Header lines are recognized by their first octets, which are stored here. */
static void check_line_start(struct content *content)
{
    struct bytes start = bytes_of(content->line_start, content->line_start_length);
    if (bytes_starts_nocase(start, "Received:") && ++content->received_fields > RECEIVED_FIELDS_MAX)
        fault(content, CONTENT_LOOPS);
}

/* Scans stored octets for Received fields and for the header's end. A header is text: its lines end in
 * CRLF even in a binary message, otherwise the next server, or its encoder, would find another end. */
static void watch_header(struct content *content, struct bytes octets)
{
    while (octets.length > 0 && !content->header_done) {
        size_t newline = bytes_find(octets, '\n');
        struct bytes part = bytes_first(octets, newline);
        content->header_utf8 = content->header_utf8 || !bytes_is_ascii(part);
        if (bytes_find(part, '\0') != SIZE_MAX)
            fault(content, CONTENT_NUL);
        size_t room = sizeof content->line_start - content->line_start_length;
        size_t kept = part.length < room ? part.length : room;
        memcpy(content->line_start + content->line_start_length, part.at, kept);
        content->line_start_length = (uint8_t)(content->line_start_length + kept);
        if (part.length > 0)
            content->header_cr = part.at[part.length - 1] == '\r';
        if (newline == SIZE_MAX)
            return;
        if (content->binary && !content->header_cr)
            fault(content, CONTENT_BARE_NEWLINE);
        content->header_cr = false;
        content->header_done = content->line_start_length == 0 ||
                               (content->line_start_length == 1 && content->line_start[0] == '\r');
        check_line_start(content);
        content->line_start_length = 0;
        octets = bytes_from(octets, newline + 1);
    }
}

/* Counts the octets to store, and stops storing after a fault. */
static void store(struct content *content, struct bytes octets, struct content_run *run)
{
    if (content->size + octets.length > content->size_max)
        fault(content, CONTENT_TOO_LARGE);
    content->size += octets.length;
    watch_header(content, octets);
    run->octets = content->fault == CONTENT_FINE ? octets : bytes_none();
}

static void count_line(struct content *content, size_t octets)
{
    content->line_length += (uint32_t)(octets <= DATA_LINE_MAX ? octets : DATA_LINE_MAX + 1);
    if (content->line_length > DATA_LINE_MAX) {
        content->line_length = DATA_LINE_MAX;
        fault(content, CONTENT_LINE_TOO_LONG);
    }
    /* DATA counts the CRLF too */
    content->long_lines = content->long_lines || content->line_length > LINE_OCTETS_MAX + 2;
}

/* Returns the octets before the next CR, LF or NUL. Octet by octet: short lines cost about as much as long
 * ones. */
static size_t plain_length(const char *at, size_t length)
{
    static const bool special[256] = {['\0'] = true, ['\r'] = true, ['\n'] = true};
    size_t i = 0;
    while (i < length && !special[(unsigned char)at[i]])
        i++;
    return i;
}

/* Meaning of a dot at a line's start (RFC 5321 4.5.2). */
enum dot { DOT_WAIT, DOT_STUFFED, DOT_END };

static enum dot check_dot(const char *line, size_t length)
{
    if (length >= 2 && line[1] != '\r')
        return DOT_STUFFED;
    if (length >= 3)
        return line[2] == '\n' ? DOT_END : DOT_STUFFED;
    return DOT_WAIT;
}

/* Reader position: [start..at) is read and not yet in `changed`. */
struct content_reader {
    struct bytes input;
    size_t start, at;
    struct buffer *changed;
    char *room; /* of `changed`, for twice the input; NULL: nothing has changed */
    size_t room_used;
};

enum { SHORT_COPY = 16 }; /* octets: short runs are copied faster without a call */

/* Copies the octets read so far, skips `skipped` octets of the input, and writes `instead`, at most two
 * octets for one, in their place. */
static void change(struct content_reader *reading, size_t skipped, struct bytes instead)
{
    size_t count = reading->at - reading->start;
    if (reading->room == NULL)
        reading->room = buffer_reserve(reading->changed, 2 * reading->input.length);
    char *to = reading->room + reading->room_used;
    const char *from = reading->input.at + reading->start;
    if (count > SHORT_COPY)
        memcpy(to, from, count);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
    for (size_t i = 0; i < instead.length; i++)
        to[count + i] = instead.at[i];
    reading->room_used += count + instead.length;
    reading->at += skipped;
    reading->start = reading->at;
}

static struct bytes what_was_read(struct content_reader *reading)
{
    if (reading->room == NULL)
        return bytes_first(reading->input, reading->at);
    change(reading, 0, BYTES(""));
    assert(reading->room_used <= 2 * reading->input.length);
    buffer_written(reading->changed, reading->room_used);
    return buffer_bytes(reading->changed);
}

static void end_line(struct content *content, size_t octets, bool whole)
{
    count_line(content, octets);
    content->line_length = 0;
    content->inside_line = !whole; /* a bare LF ends no line: it is never part of the end */
}

/* Handles a CR, LF or NUL. False if a CR must wait for the next octet. */
static bool read_special(struct content *content, struct content_reader *reading)
{
    const char *left = reading->input.at + reading->at;
    size_t length = reading->input.length - reading->at;
    if (left[0] == '\r' && length == 1)
        return false;
    if (left[0] == '\r' && left[1] == '\n') {
        end_line(content, 2, true);
        reading->at += 2;
        return true;
    }
    if (left[0] == '\n') {
        end_line(content, 1, false);
        if (content->fix_bare_newlines) {
            change(reading, 1, BYTES("\r\n"));
            return true;
        }
    } else {
        count_line(content, 1);
        content->inside_line = true;
    }
    fault(content, left[0] == '\0' ? CONTENT_NUL : CONTENT_BARE_NEWLINE);
    reading->at++;
    return true;
}

size_t content_feed_data(struct content *content, struct bytes input, struct buffer *changed,
                         struct content_run *run)
{
    struct content_reader reading = {.input = input, .changed = changed};
    *run = (struct content_run){0};
    buffer_clear(changed);
    while (reading.at < input.length) {
        const char *left = input.at + reading.at;
        size_t length = input.length - reading.at;
        if (!content->inside_line && left[0] == '.') {
            enum dot dot = check_dot(left, length);
            run->ended = dot == DOT_END && reading.at == 0; /* otherwise the run so far is returned first */
            if (dot != DOT_STUFFED)
                break;
            content->inside_line = true;
            change(&reading, 1, BYTES(""));
            continue;
        }
        size_t plain = plain_length(left, length);
        if (plain > 0) {
            count_line(content, plain);
            content->inside_line = true;
            reading.at += plain;
        } else if (!read_special(content, &reading)) {
            break;
        }
    }
    if (reading.at > 0)
        store(content, what_was_read(&reading), run);
    return run->ended ? 3 : reading.at;
}

/* Checks a chunk for bare CR and bare LF, where a CRLF may be split between two chunks, and for NUL. */
static void check_chunk(struct content *content, struct bytes input, bool last)
{
    for (size_t i = 0; i < input.length;) {
        size_t plain = content->after_cr ? 0 : plain_length(input.at + i, input.length - i);
        count_line(content, plain);
        content->long_lines = content->long_lines || content->line_length > LINE_OCTETS_MAX;
        i += plain;
        if (i == input.length)
            break;
        char c = input.at[i++];
        if (c == '\0')
            fault(content, CONTENT_NUL);
        if (content->after_cr != (c == '\n'))
            fault(content, CONTENT_BARE_NEWLINE);
        content->after_cr = c == '\r';
        if (c == '\n')
            content->line_length = 0;
    }
    if (last && content->after_cr)
        fault(content, CONTENT_BARE_NEWLINE);
}

void content_feed_chunk(struct content *content, struct bytes input, bool last, struct content_run *run)
{
    *run = (struct content_run){.ended = last};
    if (!content->binary)
        check_chunk(content, input, last);
    store(content, input, run);
}
