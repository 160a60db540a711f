/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_uri.h"

#include <assert.h>

#include "core/smtp/address.h"
#include "core/trust/tags.h"

static int hex_value(char c)
{
    char lower = ascii_lower(c);
    if (ascii_is_digit(c))
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_escape(struct bytes at)
{
    return at.length >= 3 && at.at[0] == '%' && hex_value(at.at[1]) >= 0 && hex_value(at.at[2]) >= 0;
}

/* Returns the octets of the scheme with its colon (RFC 3986 3.1); 0 if there is none. */
static size_t scheme_length(struct bytes uri)
{
    size_t at = 0;
    while (at < uri.length && (ascii_is_alpha(uri.at[at]) ||
                               (at > 0 && (ascii_is_digit(uri.at[at]) || memchr("+-.", uri.at[at], 3)))))
        at++;
    return at > 0 && at < uri.length && uri.at[at] == ':' ? at + 1 : 0;
}

bool report_uri_is_valid(struct bytes uri)
{
    static const char OTHERS[] = "-._~:/?#[]@$&'()*+="; /* RFC 3986 2.2, 2.3, without "," ";" and "!" */
    size_t at = scheme_length(uri);
    if (at == 0 || at == uri.length)
        return false;
    for (; at < uri.length; at++)
        if (!ascii_is_alnum(uri.at[at]) && memchr(OTHERS, uri.at[at], sizeof(OTHERS) - 1) == NULL &&
            !is_escape(bytes_from(uri, at)))
            return false;
    return true;
}

/* Drops "!" with digits and a unit at the end. */
static struct bytes without_size(struct bytes item)
{
    size_t mark = bytes_find_last(item, '!');
    if (mark == SIZE_MAX)
        return item;
    struct bytes size = bytes_from(item, mark + 1);
    if (size.length > 1 && memchr("kmgt", ascii_lower(size.at[size.length - 1]), 4) != NULL)
        size.length--;
    for (size_t i = 0; i < size.length; i++)
        if (!ascii_is_digit(size.at[i]))
            return item;
    return size.length > 0 ? bytes_first(item, mark) : item;
}

void report_uri_read_list(struct bytes value, bool sized, struct report_uris *uris)
{
    struct bytes item;
    *uris = (struct report_uris){.count = 0};
    while (tags_next_item(&value, ',', &item)) {
        struct bytes uri = sized ? without_size(item) : item;
        if (!report_uri_is_valid(uri))
            uris->invalid += item.length > 0;
        else if (uris->count < REPORT_URIS_MAX)
            uris->uris[uris->count++] = uri;
    }
    assert(uris->count <= REPORT_URIS_MAX);
}

bool report_uri_address(struct bytes uri, struct buffer *address)
{
    struct buffer text = {0};
    struct address parsed;
    if (!bytes_starts_nocase(uri, "mailto:"))
        return false;
    struct bytes rest = bytes_from(uri, 7);
    rest = bytes_first(rest, bytes_find(rest, '?'));
    for (size_t i = 0; i < rest.length; i++) {
        bool escape = is_escape(bytes_from(rest, i));
        int octet = escape ? hex_value(rest.at[i + 1]) * 16 + hex_value(rest.at[i + 2]) : rest.at[i];
        buffer_add_octet(&text, (char)octet);
        i += escape ? 2 : 0;
    }
    bool valid = address_parse(buffer_bytes(&text), true, &parsed);
    if (valid)
        buffer_add(address, buffer_bytes(&text));
    buffer_free(&text);
    return valid;
}
