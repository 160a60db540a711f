/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/tags.h"

#include <assert.h>

#include "base/white_space.h"

void tags_add_compact(struct buffer *out, struct bytes value)
{
    size_t start = 0;
    for (size_t i = 0; i <= value.length; i++) {
        if (i < value.length && !white_space_has(value.at[i]))
            continue;
        if (i > start)
            buffer_add(out, bytes_of(value.at + start, i - start));
        start = i + 1;
    }
}

bool tags_next_item(struct bytes *rest, char separator, struct bytes *item)
{
    if (rest->at == NULL)
        return false;
    size_t end = bytes_find(*rest, separator);
    *item = white_space_trim(bytes_first(*rest, end));
    *rest = end == SIZE_MAX ? bytes_none() : bytes_from(*rest, end + 1);
    return true;
}

static bool is_name(struct bytes name)
{
    if (name.length == 0 || !ascii_is_alpha(name.at[0]))
        return false;
    for (size_t i = 1; i < name.length; i++)
        if (!ascii_is_alnum(name.at[i]) && name.at[i] != '_')
            return false;
    return true;
}

/* Octets above 127 are allowed as UTF-8 (RFC 8616 4). */
static bool is_value(struct bytes value)
{
    bool ascii = true;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < 33 && !white_space_has(value.at[i])) || c == 127)
            return false;
        ascii = ascii && c < 128;
    }
    return ascii || bytes_is_utf8(value);
}

static bool tag_parse(struct tag *tag, struct bytes piece)
{
    size_t equals = bytes_find(piece, '=');
    if (equals == SIZE_MAX)
        return false;
    tag->name = white_space_trim(bytes_first(piece, equals));
    tag->raw = bytes_from(piece, equals + 1);
    tag->value = white_space_trim(tag->raw);
    return is_name(tag->name) && is_value(tag->value);
}

static bool same_name(enum tags_reading reading, struct bytes a, struct bytes b)
{
    return reading == TAGS_STRICT ? bytes_equal(a, b) : bytes_equal_nocase(a, b);
}

static enum tags_fault add_tag(struct tags *tags, const struct tag *tag)
{
    for (size_t i = 0; i < tags->count; i++)
        if (same_name(tags->reading, tags->list[i].name, tag->name))
            return TAGS_DUPLICATE;
    if (tags->count == TAGS_MAX)
        return TAGS_TOO_MANY;
    tags->list[tags->count++] = *tag;
    return TAGS_FINE;
}

static enum tags_fault add_piece(struct tags *tags, struct bytes piece, bool last)
{
    struct tag tag;
    if (tag_parse(&tag, piece))
        return add_tag(tags, &tag);
    bool empty = white_space_trim(piece).length == 0;
    if (tags->reading == TAGS_SKIP_MALFORMED) {
        tags->skipped += !empty;
        return TAGS_FINE;
    }
    return empty && last && tags->count > 0 ? TAGS_FINE : TAGS_MALFORMED;
}

enum tags_fault tags_parse(struct tags *tags, struct bytes text, enum tags_reading reading)
{
    tags->count = 0;
    tags->skipped = 0;
    tags->reading = reading;
    if (text.length > TAGS_OCTETS_MAX)
        return TAGS_TOO_LONG;
    for (bool last = false; !last;) {
        size_t end = bytes_find(text, ';');
        last = end == SIZE_MAX;
        enum tags_fault fault = add_piece(tags, bytes_first(text, end), last);
        if (fault != TAGS_FINE) {
            tags->count = 0;
            return fault;
        }
        text = last ? text : bytes_from(text, end + 1);
    }
    assert(tags->count <= TAGS_MAX);
    return TAGS_FINE;
}

const char *tags_fault_reason(enum tags_fault fault)
{
    static const char *const reasons[TAGS_FAULTS] = {
        [TAGS_FINE] = "valid",
        [TAGS_TOO_LONG] = "tag list too long",
        [TAGS_TOO_MANY] = "too many tags",
        [TAGS_MALFORMED] = "malformed tag list",
        [TAGS_DUPLICATE] = "duplicate tag",
    };
    assert(fault < TAGS_FAULTS);
    return reasons[fault];
}

const struct tag *tags_find(const struct tags *tags, const char *name)
{
    for (size_t i = 0; i < tags->count; i++)
        if (same_name(tags->reading, tags->list[i].name, bytes_of_text(name)))
            return &tags->list[i];
    return NULL;
}

struct bytes tags_value(const struct tags *tags, const char *name)
{
    const struct tag *tag = tags_find(tags, name);
    return tag == NULL ? bytes_none() : tag->value;
}
