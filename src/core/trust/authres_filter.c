/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/authres_filter.h"

#include <assert.h>

static const char NAME[] = "Authentication-Results";

void authres_filter_start(struct authres_filter *filter, struct bytes id)
{
    assert(id.length > 0);
    *filter = (struct authres_filter){.id = id, .state = AUTHRES_AT_LINE, .field = AUTHRES_PASSING};
}

static void release(struct authres_filter *filter, struct buffer *out)
{
    buffer_add(out, buffer_bytes(&filter->held));
    buffer_clear(&filter->held);
}

/* Decides about the field that is held; returns what becomes of the rest of it. */
static enum authres_filter_state settle(struct authres_filter *filter, struct buffer *out)
{
    struct bytes held = buffer_bytes(&filter->held);
    if (authres_claims(bytes_from(held, bytes_find(held, ':') + 1), filter->id)) {
        filter->removed++;
        buffer_clear(&filter->held);
        return AUTHRES_DROPPING;
    }
    release(filter, out);
    return AUTHRES_PASSING;
}

/* At the start of a line: it continues the field, ends the header, or begins another field. */
static void begin_line(struct authres_filter *filter, char first, struct buffer *out)
{
    if (first == ' ' || first == '\t') {
        filter->state = filter->field;
        return;
    }
    if (filter->field == AUTHRES_HOLDING)
        settle(filter, out);
    filter->state = AUTHRES_IN_NAME;
}

/* True if what is held, up to its colon, is the name; white space may follow a name (RFC 5322 4.5). */
static bool is_the_name(struct bytes held)
{
    return bytes_is_nocase(bytes_trim(bytes_first(held, held.length - 1)), NAME);
}

/* Takes octets of a name up to its colon; without one the line is not a field: it passes. */
static size_t take_name(struct authres_filter *filter, struct bytes octets, struct buffer *out)
{
    size_t length = 0;
    while (length < octets.length && octets.at[length] != ':' && octets.at[length] != '\n')
        length++;
    bool ended = length < octets.length;
    length += ended;
    buffer_add(&filter->held, bytes_first(octets, length));
    if (ended && octets.at[length - 1] == ':' && is_the_name(buffer_bytes(&filter->held))) {
        filter->state = AUTHRES_HOLDING;
        return length;
    }
    if (!ended && filter->held.length <= AUTHRES_FILTER_FIELD_MAX)
        return length;
    struct bytes line = buffer_bytes(&filter->held);
    bool empty = ended && (bytes_is(line, "\r\n") || bytes_is(line, "\n"));
    filter->state = empty ? AUTHRES_IN_BODY : AUTHRES_PASSING;
    if (ended && !empty && octets.at[length - 1] == '\n') {
        filter->field = AUTHRES_PASSING;
        filter->state = AUTHRES_AT_LINE;
    }
    release(filter, out);
    return length;
}

/* Takes octets of a field up to the end of the line. */
static size_t take_line(struct authres_filter *filter, struct bytes octets, struct buffer *out)
{
    size_t newline = bytes_find(octets, '\n');
    struct bytes line = bytes_first(octets, newline == SIZE_MAX ? octets.length : newline + 1);
    if (filter->state == AUTHRES_PASSING)
        buffer_add(out, line);
    else if (filter->state == AUTHRES_HOLDING)
        buffer_add(&filter->held, line);
    if (filter->state == AUTHRES_HOLDING && filter->held.length > AUTHRES_FILTER_FIELD_MAX)
        filter->state = settle(filter, out);
    if (newline != SIZE_MAX) {
        filter->field = filter->state;
        filter->state = AUTHRES_AT_LINE;
    }
    return line.length;
}

void authres_filter_add(struct authres_filter *filter, struct bytes octets, struct buffer *out)
{
    while (octets.length > 0) {
        size_t taken = octets.length;
        if (filter->state == AUTHRES_AT_LINE)
            begin_line(filter, octets.at[0], out);
        if (filter->state == AUTHRES_IN_BODY)
            buffer_add(out, octets);
        else if (filter->state == AUTHRES_IN_NAME)
            taken = take_name(filter, octets, out);
        else
            taken = take_line(filter, octets, out);
        octets = bytes_from(octets, taken);
    }
}

bool authres_filter_is_past(const struct authres_filter *filter)
{
    assert(filter->id.length > 0);
    return filter->state == AUTHRES_IN_BODY;
}

void authres_filter_finish(struct authres_filter *filter, struct buffer *out)
{
    bool holding = filter->state == AUTHRES_HOLDING ||
                   (filter->state == AUTHRES_AT_LINE && filter->field == AUTHRES_HOLDING);
    if (holding)
        settle(filter, out);
    release(filter, out);
    buffer_free(&filter->held);
    filter->state = AUTHRES_IN_BODY;
}
