/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/loop_detection.h"

#include "base/white_space.h"
#include "core/message/header.h"

static bool is_plain(char c)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.@", c) != NULL);
}

struct bytes loop_detection_name(struct arena *arena, struct bytes address)
{
    struct buffer name = {0};
    if (address.length > 0 && address.at[0] == '@')
        buffer_add_octet(&name, '*');
    for (size_t i = 0; i < address.length; i++)
        if (is_plain(address.at[i]))
            buffer_add_octet(&name, address.at[i]);
        else
            buffer_add_format(&name, "=%02X", (unsigned)(unsigned char)address.at[i]);
    struct bytes kept = arena_copy(arena, buffer_bytes(&name));
    buffer_free(&name);
    return kept;
}

struct bytes loop_detection_join(struct arena *arena, struct bytes via, struct bytes address)
{
    if (via.length == 0)
        return arena_copy(arena, bytes_first(address, VIA_MAX));
    if (address.length == 0 || via.length + 1 + address.length > VIA_MAX)
        return via;
    return bytes_of_text(arena_format(arena, "%.*s %.*s", BYTES_ARG(via), BYTES_ARG(address)));
}

/* Returns the address in a field's body, folded or not, with or without angle brackets. */
static struct bytes address_in(struct bytes body)
{
    while (body.length > 0 && (white_space_has(body.at[0]) || body.at[0] == '<'))
        body = bytes_from(body, 1);
    while (body.length > 0 && (white_space_has(body.at[body.length - 1]) || body.at[body.length - 1] == '>'))
        body.length--;
    return body;
}

static bool is_among(struct bytes via, struct bytes address, struct bytes *who)
{
    while (via.length > 0) {
        *who = bytes_split(&via, ' ');
        if (bytes_equal_nocase(*who, address))
            return true;
    }
    return false;
}

bool loop_detection_returns(struct bytes content, struct bytes via, struct bytes *who)
{
    struct bytes rest = bytes_first(content, LOOP_DETECTION_LOOK_MAX);
    size_t lines;
    while (via.length > 0 && rest.length > 0 && rest.at[0] != '\r' && rest.at[0] != '\n') {
        struct bytes field = header_next_field(&rest, &lines), name = header_field_name(field);
        if (bytes_is_nocase(name, "Delivered-To") &&
            is_among(via, address_in(bytes_from(field, bytes_find(field, ':') + 1)), who))
            return true;
    }
    *who = bytes_none();
    return false;
}

void loop_detection_add(struct buffer *out, struct bytes via)
{
    while (via.length > 0) {
        size_t space = bytes_find_last(via, ' ');
        struct bytes last = space == SIZE_MAX ? via : bytes_from(via, space + 1);
        buffer_add_text(out, "Delivered-To: ");
        buffer_add_clean(out, last, true);
        buffer_add_text(out, "\r\n");
        via = bytes_first(via, space == SIZE_MAX ? 0 : space);
    }
}
