/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/address.h"

/* atext of RFC 5322 3.2.3, and UTF-8 by RFC 6531 3.3. */
static bool is_atext(char c, bool utf8_allowed)
{
    if (ascii_is_alnum(c))
        return true;
    if ((unsigned char)c > 127)
        return utf8_allowed;
    return c != '\0' && memchr("!#$%&'*+-/=?^_`{|}~", c, 19) != NULL;
}

/* Returns the octets of the unquoted local part at the start of `text`, 0 if there is none: a dot-string,
 * and the same with dots where RFC 5321 4.1.2 has none, as some providers gave out ("a..b", "a."). */
static size_t unquoted_length(struct bytes text, bool utf8_allowed)
{
    size_t i = 0;
    while (i < text.length && (text.at[i] == '.' || is_atext(text.at[i], utf8_allowed)))
        i++;
    return i;
}

/* True if all of `text` is a dot-string (RFC 5321 4.1.2). */
static bool is_dot_string(struct bytes text)
{
    return text.length > 0 && text.at[0] != '.' && text.at[text.length - 1] != '.' &&
           bytes_search(text, BYTES("..")) == SIZE_MAX && unquoted_length(text, true) == text.length;
}

/* Returns the octets of the quoted string at the start of `text` with its quotes, 0 if there is none (RFC
 * 5321 4.1.2 Quoted-string). */
static size_t quoted_string_length(struct bytes text, bool utf8_allowed)
{
    if (text.length < 2 || text.at[0] != '"')
        return 0;
    for (size_t i = 1; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"')
            return i + 1;
        if (c == '\\' && (++i == text.length || text.at[i] < 32 || text.at[i] > 126))
            return 0;
        if (c < 32 || c == 127 || (c > 127 && !utf8_allowed))
            return 0;
    }
    return 0;
}

bool address_literal_parse(struct bytes text, struct bytes *inside)
{
    if (text.length < 3 || text.at[0] != '[' || text.at[text.length - 1] != ']')
        return false;
    struct bytes bare = bytes_of(text.at + 1, text.length - 2);
    bool six = bytes_starts_nocase(bare, "IPv6:");
    if (six)
        bare = bytes_from(bare, 5);
    if (inside != NULL)
        *inside = bare;
    return six ? host_is_ipv6(bare) : host_is_ipv4(bare);
}

bool address_parse(struct bytes text, bool utf8_allowed, struct address *address)
{
    *address = (struct address){.quoted = text.length > 0 && text.at[0] == '"'};
    size_t length = address->quoted ? quoted_string_length(text, utf8_allowed)
                                    : unquoted_length(text, utf8_allowed);
    if (length == 0 || length > LOCAL_PART_MAX || length + 1 >= text.length || text.at[length] != '@' ||
        text.length > ADDRESS_MAX)
        return false;
    address->local = bytes_first(text, length);
    address->domain = bytes_from(text, length + 1);
    address->literal = address->domain.at[0] == '[';
    address->smtputf8 = !bytes_is_ascii(text);
    if (address->domain.length > DOMAIN_MAX || !bytes_is_utf8(text) || bytes_has_control_character(text))
        return false;
    return address->literal ? address_literal_parse(address->domain, NULL)
                            : host_is_name(address->domain, utf8_allowed);
}

/* True for "root", which has no domain. */
static bool is_local_part(struct bytes text, bool utf8_allowed)
{
    bool quoted = text.length > 0 && text.at[0] == '"';
    bool whole = quoted ? quoted_string_length(text, utf8_allowed) == text.length : is_dot_string(text);
    return whole && text.length > 0 && text.length <= LOCAL_PART_MAX && bytes_is_utf8(text) &&
           (utf8_allowed || bytes_is_ascii(text)) && !bytes_has_control_character(text);
}

/* Returns the octets of "@a,@b:" at the start of `text`; 0 if there is none, SIZE_MAX if malformed. */
static size_t source_route_length(struct bytes text, bool utf8_allowed)
{
    if (text.length == 0 || text.at[0] != '@')
        return 0;
    size_t colon = bytes_find(text, ':');
    if (colon == SIZE_MAX)
        return SIZE_MAX;
    struct bytes route = bytes_first(text, colon);
    while (route.length > 0) {
        struct bytes hop = bytes_split(&route, ',');
        if (hop.length < 2 || hop.at[0] != '@' || !host_is_name(bytes_from(hop, 1), utf8_allowed))
            return SIZE_MAX;
    }
    return colon + 1;
}

/* Returns the position of the octet that ends a path, ignoring quoted ones. */
static size_t find_unquoted(struct bytes text, char wanted)
{
    bool quoted = false;
    for (size_t i = 0; i < text.length; i++) {
        if (quoted && text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"')
            quoted = !quoted;
        else if (text.at[i] == wanted && !quoted)
            return i;
    }
    return SIZE_MAX;
}

struct bytes address_without_root_dot(struct bytes address)
{
    size_t length = address.length;
    bool has_dot = length >= 2 && address.at[length - 1] == '.' && address.at[length - 2] != '.';
    return bytes_first(address, has_dot ? length - 1 : length);
}

enum path_kind address_parse_path(struct bytes text, bool utf8_allowed, struct bytes *address, size_t *used)
{
    *used = 0;
    if (text.length > 1 && text.at[0] == '<' && text.at[1] == '<') { /* <<a@b>> */
        enum path_kind kind = text.length > 2 && text.at[2] == '<'
                                  ? PATH_MALFORMED
                                  : address_parse_path(bytes_from(text, 1), utf8_allowed, address, used);
        bool closes = (kind == PATH_ADDRESS || kind == PATH_LOCAL) && *used + 1 < text.length &&
                      text.at[*used + 1] == '>';
        *used += 2;
        return closes ? kind : PATH_MALFORMED;
    }
    bool bracketed = text.length > 0 && text.at[0] == '<';
    size_t end = find_unquoted(text, bracketed ? '>' : ' ');
    if (bracketed && end == SIZE_MAX)
        return PATH_MALFORMED;
    struct bytes inside = bracketed ? bytes_trim(bytes_of(text.at + 1, end - 1)) : bytes_first(text, end);
    *used = bracketed ? end + 1 : inside.length;
    *address = inside;
    if (inside.length == 0)
        return bracketed ? PATH_NULL : PATH_MALFORMED;
    if (bytes_is_nocase(inside, "postmaster"))
        return PATH_POSTMASTER;
    size_t route = source_route_length(inside, utf8_allowed);
    if (route == SIZE_MAX)
        return PATH_MALFORMED;
    *address = address_without_root_dot(bytes_from(inside, route));
    struct address parsed;
    if (address_parse(*address, utf8_allowed, &parsed))
        return PATH_ADDRESS;
    *address = inside;
    bool parameter = !bracketed && bytes_find(inside, '=') != SIZE_MAX;
    return !parameter && is_local_part(inside, utf8_allowed) ? PATH_LOCAL : PATH_MALFORMED;
}

bool address_split(struct bytes address, struct bytes *local, struct bytes *domain)
{
    size_t at = bytes_find_last(address, '@');
    if (at == SIZE_MAX)
        return false;
    *local = bytes_first(address, at);
    *domain = bytes_from(address, at + 1);
    return true;
}

void address_unquoted_local(struct buffer *out, const struct address *address)
{
    if (!address->quoted) {
        buffer_add(out, address->local);
        return;
    }
    for (size_t i = 1; i + 1 < address->local.length; i++) {
        if (address->local.at[i] == '\\')
            i++;
        buffer_add_octet(out, address->local.at[i]);
    }
}

void address_canonical_local(struct buffer *out, const struct address *address)
{
    struct buffer bare = {0};
    address_unquoted_local(&bare, address);
    struct bytes local = buffer_bytes(&bare);
    bool needs_quotes = !is_dot_string(local);
    buffer_add_text(out, needs_quotes ? "\"" : "");
    for (size_t i = 0; i < local.length; i++) {
        if (needs_quotes && (local.at[i] == '"' || local.at[i] == '\\'))
            buffer_add_octet(out, '\\');
        buffer_add_octet(out, local.at[i]);
    }
    buffer_add_text(out, needs_quotes ? "\"" : "");
    buffer_free(&bare);
}

void address_canonical(struct buffer *out, const struct address *address)
{
    address_canonical_local(out, address);
    buffer_add_octet(out, '@');
    for (size_t i = 0; i < address->domain.length; i++)
        buffer_add_octet(out, address->literal ? address->domain.at[i] : ascii_lower(address->domain.at[i]));
}
