/* SPDX-License-Identifier: Apache-2.0 */
#include "server/content.h"

#include "server/session.h"

void content_start(struct content *content, uint64_t size_max, bool binary, bool fix_bare_newlines)
{
    *content = (struct content){.size_max = size_max, .binary = binary, .fix_bare_newlines = fix_bare_newlines};
}

static void fault(struct content *content, enum content_fault what)
{
    if (content->fault == CONTENT_FINE)
        content->fault = what;
}

/* A header line is known by its first octets: enough of them are kept. */
static void judge_line_start(struct content *content)
{
    struct bytes start = bytes_of(content->line_start, content->line_start_length);
    if (bytes_starts_nocase(start, "Received:") && ++content->received_fields > RECEIVED_FIELDS_MAX)
        fault(content, CONTENT_LOOPS);
}

/* Looks at stored octets for Received fields and for the header's end. */
static void watch_header(struct content *content, struct bytes octets)
{
    while (octets.length > 0 && !content->header_done) {
        size_t newline = bytes_find(octets, '\n');
        struct bytes part = bytes_first(octets, newline);
        content->header_utf8 = content->header_utf8 || !bytes_is_ascii(part);
        size_t room = sizeof content->line_start - content->line_start_length;
        size_t kept = part.length < room ? part.length : room;
        memcpy(content->line_start + content->line_start_length, part.at, kept);
        content->line_start_length = (uint8_t)(content->line_start_length + kept);
        if (newline == SIZE_MAX)
            return;
        content->header_done = content->line_start_length == 0 ||
                               (content->line_start_length == 1 && content->line_start[0] == '\r');
        judge_line_start(content);
        content->line_start_length = 0;
        octets = bytes_from(octets, newline + 1);
    }
}

/* Counts what is stored, and stores nothing more once there is a fault. */
static void store(struct content *content, struct bytes octets, struct content_run *run)
{
    uint64_t more = octets.length + (run->newline ? 2u : 0u);
    if (content->size + more > content->size_max)
        fault(content, CONTENT_TOO_LARGE);
    content->size += more;
    watch_header(content, octets);
    if (run->newline)
        watch_header(content, BYTES("\r\n"));
    run->octets = octets;
    if (content->fault != CONTENT_FINE) {
        run->octets = bytes_none();
        run->newline = false;
    }
}

static void count_line(struct content *content, size_t octets)
{
    content->line_length += (uint32_t)(octets <= DATA_LINE_MAX ? octets : DATA_LINE_MAX + 1);
    if (content->line_length > DATA_LINE_MAX) {
        content->line_length = DATA_LINE_MAX;
        fault(content, CONTENT_LINE_TOO_LONG);
    }
}

/* What a dot at a line's start means (RFC 5321 4.5.2). */
enum dot { DOT_WAIT, DOT_STUFFED, DOT_END };

static enum dot judge_dot(struct bytes line)
{
    if (line.length >= 2 && line.at[1] != '\r')
        return DOT_STUFFED;
    if (line.length >= 3)
        return line.at[2] == '\n' ? DOT_END : DOT_STUFFED;
    return DOT_WAIT;
}

/*
 * One line, or the part of it that is there: how far it goes in `left`.
 * *whole: up to its LF. A CR at the very end waits for what follows it.
 */
static size_t line_extent(struct content *content, struct bytes left, bool *whole, bool *bare_newline)
{
    size_t newline = bytes_find(left, '\n');
    struct bytes line = bytes_first(left, newline);
    size_t cr = bytes_find(line, '\r');
    *whole = newline != SIZE_MAX;
    *bare_newline = *whole && (newline == 0 || line.at[newline - 1] != '\r');
    bool ends_in_cr = line.length > 0 && line.at[line.length - 1] == '\r';
    if (cr != SIZE_MAX && cr != line.length - 1)
        fault(content, CONTENT_BARE_NEWLINE);
    if (*bare_newline && !content->fix_bare_newlines)
        fault(content, CONTENT_BARE_NEWLINE);
    if (*whole)
        return newline + 1;
    return ends_in_cr ? line.length - 1 : line.length;
}

size_t content_feed_data(struct content *content, struct bytes input, struct content_run *run)
{
    size_t start = 0, at = 0; /* input[start..at) is the run */
    *run = (struct content_run){0};
    while (at < input.length) {
        struct bytes left = bytes_from(input, at);
        if (!content->inside_line && left.at[0] == '.') {
            enum dot dot = judge_dot(left);
            if (dot != DOT_STUFFED || at > 0) {
                /* The run so far goes first; the dot is looked at next time. */
                if (at > 0 || dot == DOT_WAIT)
                    break;
                run->ended = true;
                return 3;
            }
            start = at = 1; /* the stuffed dot is dropped */
            content->inside_line = true;
            continue;
        }
        bool whole, bare_newline;
        size_t extent = line_extent(content, left, &whole, &bare_newline);
        if (extent == 0)
            break;
        count_line(content, extent);
        at += extent;
        /* After a bare LF no line begins: it is never part of the end. */
        content->inside_line = !whole || bare_newline;
        if (whole)
            content->line_length = 0;
        if (whole && bare_newline && content->fix_bare_newlines) {
            run->newline = true;
            store(content, bytes_of(input.at + start, at - 1 - start), run);
            return at;
        }
    }
    if (at > start)
        store(content, bytes_of(input.at + start, at - start), run);
    return at;
}

/* Bare CR and bare LF in a chunk, whose CRLF may be split between two. */
static void check_newlines(struct content *content, struct bytes input, bool last)
{
    for (size_t i = 0; i < input.length; i++) {
        bool is_lf = input.at[i] == '\n';
        if (content->after_cr != is_lf)
            fault(content, CONTENT_BARE_NEWLINE);
        content->after_cr = input.at[i] == '\r';
        if (is_lf) {
            content->line_length = 0;
            continue;
        }
        if (content->after_cr)
            continue;
        /* Skip what is neither: most of the content. */
        struct bytes left = bytes_from(input, i);
        size_t lf = bytes_find(left, '\n'), cr = bytes_find(bytes_first(left, lf), '\r');
        size_t plain = cr != SIZE_MAX ? cr : lf != SIZE_MAX ? lf : left.length;
        count_line(content, plain);
        i += plain - 1;
    }
    if (last && content->after_cr)
        fault(content, CONTENT_BARE_NEWLINE);
}

void content_feed_chunk(struct content *content, struct bytes input, bool last, struct content_run *run)
{
    *run = (struct content_run){.ended = last};
    if (!content->binary)
        check_newlines(content, input, last);
    store(content, input, run);
}
