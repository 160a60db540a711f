/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_text.h"

#include <assert.h>

bool http_text_is_token_octet(char octet)
{
    return ascii_is_alnum(octet) || (octet != '\0' && strchr("!#$%&'*+-.^_`|~", octet) != NULL);
}

bool http_text_is_token(struct bytes b)
{
    for (size_t i = 0; i < b.length; i++)
        if (!http_text_is_token_octet(b.at[i]))
            return false;
    return b.length > 0;
}

bool http_text_is_value_octet(char octet)
{
    unsigned char o = (unsigned char)octet;
    return o == '\t' || (o >= ' ' && o != 0x7f);
}

bool http_text_is_value(struct bytes b)
{
    for (size_t i = 0; i < b.length; i++)
        if (!http_text_is_value_octet(b.at[i]))
            return false;
    return true;
}

int http_text_hex(char octet)
{
    char lower = ascii_lower(octet);
    if (ascii_is_digit(octet))
        return octet - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_port(struct bytes b)
{
    uint64_t port;
    return b.length <= HTTP_PORT_DIGITS_MAX && (b.length == 0 || bytes_to_u64(b, UINT16_MAX, &port));
}

/* Returns the octets of "[2001:db8::1]" at the start, 0 if there is no such address. */
static size_t literal_length(struct bytes b)
{
    size_t end = bytes_find(b, ']');
    if (end == SIZE_MAX || end < 3)
        return 0;
    for (size_t i = 1; i < end; i++)
        if (http_text_hex(b.at[i]) < 0 && b.at[i] != ':' && b.at[i] != '.')
            return 0;
    return end + 1;
}

bool http_text_is_host(struct bytes b)
{
    size_t length = 0;
    if (b.length > HTTP_HOST_MAX)
        return false;
    if (b.length > 0 && b.at[0] == '[') {
        length = literal_length(b);
        if (length == 0)
            return false;
    } else {
        while (length < b.length && (ascii_is_alnum(b.at[length]) || strchr("-._", b.at[length]) != NULL) &&
               b.at[length] != '\0')
            length++;
    }
    assert(length <= b.length);
    struct bytes rest = bytes_from(b, length);
    return rest.length == 0 || (rest.at[0] == ':' && is_port(bytes_from(rest, 1)));
}

bool http_text_lists(struct bytes list, const char *token)
{
    while (list.length > 0)
        if (bytes_is_nocase(bytes_trim(bytes_split(&list, ',')), token))
            return true;
    return false;
}
