/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_target.h"

#include <assert.h>

#include "core/http/http_text.h"

/* Decodes one octet at the start of a checked text; returns how many it took. */
static size_t decode_octet(struct bytes text, char *octet)
{
    assert(text.length > 0);
    *octet = text.at[0];
    if (text.at[0] != '%')
        return 1;
    assert(text.length >= 3);
    *octet = (char)(http_text_hex(text.at[1]) << 4 | http_text_hex(text.at[2]));
    return 3;
}

/* True if all octets are visible ASCII but "#", each "%" begins two hexadecimal digits, and none stands for a
 * control character. */
static bool is_encoded_text(struct bytes text)
{
    for (size_t i = 0; i < text.length;) {
        unsigned char o = (unsigned char)text.at[i];
        char octet;
        if (o <= ' ' || o >= 0x7f || o == '#')
            return false;
        if (o == '%' &&
            (text.length - i < 3 || http_text_hex(text.at[i + 1]) < 0 || http_text_hex(text.at[i + 2]) < 0))
            return false;
        i += decode_octet(bytes_from(text, i), &octet);
        if ((unsigned char)octet < ' ' || (unsigned char)octet == 0x7f)
            return false;
    }
    return true;
}

static bool has_dot_segment(struct bytes path)
{
    while (path.length > 0) {
        struct bytes segment = bytes_split(&path, '/');
        if (bytes_is(segment, ".") || bytes_is(segment, ".."))
            return true;
    }
    return false;
}

static struct http_refusal decode_path(struct bytes raw, struct arena *arena, struct bytes *path)
{
    char *decoded = arena_take(arena, raw.length + 1);
    size_t length = 0;
    for (size_t i = 0, used; i < raw.length; i += used) {
        used = decode_octet(bytes_from(raw, i), &decoded[length]);
        if (decoded[length] == '\\' || (decoded[length] == '/' && used > 1))
            return http_bad("The path contains an encoded slash or a backslash.\n");
        length++;
    }
    assert(length <= raw.length);
    *path = bytes_of(decoded, length);
    return has_dot_segment(*path) ? http_bad("The path contains dot segments.\n") : HTTP_FINE;
}

static struct http_refusal take_path_and_query(struct bytes raw, struct arena *arena,
                                               struct http_target *target)
{
    if (!is_encoded_text(raw))
        return http_bad("The request target contains characters that must be encoded.\n");
    target->query = raw;
    struct bytes path = bytes_split(&target->query, '?');
    target->query = arena_copy(arena, target->query);
    return decode_path(path.length == 0 ? BYTES("/") : path, arena, &target->path);
}

static size_t scheme_length(struct bytes raw)
{
    if (bytes_starts_nocase(raw, "http://"))
        return strlen("http://");
    return bytes_starts_nocase(raw, "https://") ? strlen("https://") : 0;
}

static struct http_refusal take_absolute(struct bytes raw, struct arena *arena, struct http_target *target)
{
    size_t end = scheme_length(raw);
    struct bytes host = bytes_from(raw, end);
    size_t length = 0;
    while (length < host.length && host.at[length] != '/' && host.at[length] != '?')
        length++;
    raw = bytes_from(host, length);
    host = bytes_first(host, length);
    if (length == 0 || host.at[0] == ':' || !http_text_is_host(host))
        return http_bad("The request target names no host.\n");
    target->host = arena_copy(arena, host);
    return take_path_and_query(raw, arena, target);
}

struct http_refusal http_target_parse(struct bytes raw, enum http_method method, struct arena *arena,
                                      struct http_target *target)
{
    *target = (struct http_target){0};
    if (method == HTTP_METHOD_CONNECT) {
        size_t colon = bytes_find_last(raw, ':');
        bool is_authority = colon != SIZE_MAX && colon > 0 && colon + 1 < raw.length &&
                            http_text_is_host(raw);
        return is_authority ? HTTP_FINE : http_bad("CONNECT needs a host and a port.\n");
    }
    if (bytes_is(raw, "*") && method == HTTP_METHOD_OPTIONS) {
        target->path = BYTES("*");
        return HTTP_FINE;
    }
    if (raw.length > 0 && raw.at[0] == '/')
        return take_path_and_query(raw, arena, target);
    if (scheme_length(raw) > 0)
        return take_absolute(raw, arena, target);
    return http_bad("The request target is neither a path nor an http URL.\n");
}

static void decode_form_value(struct bytes text, struct buffer *value)
{
    char octet;
    for (size_t i = 0; i < text.length;) {
        size_t used = decode_octet(bytes_from(text, i), &octet);
        buffer_add_octet(value, used == 1 && octet == '+' ? ' ' : octet);
        i += used;
    }
}

bool http_target_query_value(struct bytes query, const char *name, struct buffer *value)
{
    while (query.length > 0) {
        struct bytes text = bytes_split(&query, '&');
        size_t equals = bytes_find(text, '=');
        if (equals == SIZE_MAX || !bytes_is_nocase(bytes_first(text, equals), name))
            continue;
        decode_form_value(bytes_from(text, equals + 1), value);
        return true;
    }
    return false;
}
