/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/authres.h"

#include <assert.h>

#include "base/white_space.h"
#include "core/dns/dns_name.h"

enum { VERSION_MAX = 1000 };

/* ---- words, white space and comments (RFC 5322 3.2) ---- */

struct authres_reader {
    struct bytes rest;
    struct arena *arena;
};

static bool at_end(const struct authres_reader *reader)
{
    return reader->rest.length == 0;
}

static char next(const struct authres_reader *reader)
{
    return at_end(reader) ? '\0' : reader->rest.at[0];
}

static void skip(struct authres_reader *reader, size_t count)
{
    reader->rest = bytes_from(reader->rest, count);
}

/* Takes what opens with '(' or '"' up to where it closes; false if it does not close. */
static bool skip_enclosed(struct authres_reader *reader, bool comment)
{
    size_t depth = 0;
    while (!at_end(reader)) {
        char c = next(reader);
        skip(reader, c == '\\' && reader->rest.length > 1 ? 2 : 1);
        if (comment && c == '(')
            depth++;
        else if (comment && c == ')' && --depth == 0)
            return true;
        else if (!comment && c == '"' && ++depth == 2)
            return true;
    }
    return false;
}

/* Skips white space and comments; false if a comment does not close. */
static bool skip_space(struct authres_reader *reader)
{
    while (!at_end(reader)) {
        if (next(reader) == '(') {
            if (!skip_enclosed(reader, true))
                return false;
        } else if (white_space_has(next(reader))) {
            skip(reader, 1);
        } else {
            break;
        }
    }
    return true;
}

/* Takes the octet if it is next, with white space and comments around it. */
static bool take(struct authres_reader *reader, char c)
{
    struct authres_reader before = *reader;
    if (skip_space(reader) && next(reader) == c && !at_end(reader)) {
        skip(reader, 1);
        return skip_space(reader);
    }
    *reader = before;
    return false;
}

/* RFC 2045 5.1, and octets above 127 (RFC 8601 2.2 with RFC 6532). */
static bool is_token(char c)
{
    return (unsigned char)c > ' ' && c != 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static bool is_keyword(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* The octets of pvalues in the wild: no comment, no quotes, no white space, no end. */
static bool is_plain(char c)
{
    return (unsigned char)c > ' ' && c != 127 && c != '(' && c != ')' && c != '"' && c != ';';
}

static struct bytes take_run(struct authres_reader *reader, bool (*belongs)(char))
{
    size_t length = 0;
    while (length < reader->rest.length && belongs(reader->rest.at[length]))
        length++;
    struct bytes run = bytes_first(reader->rest, length);
    skip(reader, length);
    return run;
}

static struct bytes unquoted(struct bytes quoted, struct arena *arena)
{
    char *text = arena_text(arena, quoted);
    size_t length = 0;
    for (size_t i = 1; i + 1 < quoted.length; i++) {
        if (quoted.at[i] == '\\' && i + 2 < quoted.length)
            i++;
        if (quoted.at[i] != '\r' && quoted.at[i] != '\n')
            text[length++] = quoted.at[i];
    }
    return bytes_of(text, length);
}

/* Takes a quoted string and what is glued to it: "a b"@example.org keeps its quotes. */
static bool take_quoted(struct authres_reader *reader, struct bytes *value, bool may_be_address)
{
    struct bytes all = reader->rest;
    if (!skip_enclosed(reader, false))
        return false;
    *value = unquoted(bytes_first(all, all.length - reader->rest.length), reader->arena);
    if (may_be_address && next(reader) == '@') {
        take_run(reader, is_plain);
        *value = bytes_first(all, all.length - reader->rest.length);
    }
    return true;
}

/* Takes "value" of the grammar: a token or a quoted string. */
static bool take_value(struct authres_reader *reader, struct bytes *value)
{
    if (next(reader) == '"')
        return take_quoted(reader, value, false);
    *value = take_run(reader, is_token);
    return value->length > 0;
}

static bool take_property_value(struct authres_reader *reader, struct bytes *value)
{
    if (next(reader) == '"')
        return take_quoted(reader, value, true);
    *value = take_run(reader, is_plain);
    return true; /* also empty: smtp.mailfrom= of the null sender */
}

static bool take_version(struct authres_reader *reader, unsigned *version)
{
    uint64_t number;
    if (!bytes_to_u64(take_run(reader, is_token), VERSION_MAX, &number))
        return false;
    *version = (unsigned)number;
    return true;
}

/* ---- the field ---- */

static bool take_property(struct authres *authres, struct authres_reader *reader, struct bytes type)
{
    struct authres_property property = {.type = type};
    property.name = take_run(reader, is_keyword);
    if (type.length == 0 || property.name.length == 0 || !take(reader, '=') ||
        !take_property_value(reader, &property.value) || authres->property_count == AUTHRES_PROPERTIES_MAX)
        return false;
    property.value = arena_copy(reader->arena, property.value);
    authres->properties[authres->property_count++] = property;
    return true;
}

/* Takes what follows a result: a reason, and properties. */
static bool take_details(struct authres *authres, struct authres_reader *reader,
                         struct authres_result *result)
{
    for (;;) {
        if (!skip_space(reader))
            return false;
        if (at_end(reader) || next(reader) == ';')
            break;
        struct bytes word = take_run(reader, is_keyword);
        if (take(reader, '.')) {
            if (!take_property(authres, reader, word))
                return false;
        } else if (bytes_is_nocase(word, "reason") && result->reason.at == NULL && take(reader, '=')) {
            if (!take_value(reader, &result->reason))
                return false;
        } else {
            return false;
        }
    }
    result->count = authres->property_count - result->first;
    return true;
}

static bool take_result(struct authres *authres, struct authres_reader *reader)
{
    struct authres_result result = {.first = authres->property_count};
    result.method = take_run(reader, is_keyword);
    if (result.method.length == 0 || authres->result_count == AUTHRES_RESULTS_MAX)
        return false;
    if (take(reader, '/') && !take_version(reader, &result.version))
        return false;
    if (!take(reader, '='))
        return false;
    result.result = take_run(reader, is_keyword);
    if (result.result.length == 0 || !take_details(authres, reader, &result))
        return false;
    authres->results[authres->result_count++] = result;
    return true;
}

static bool take_results(struct authres *authres, struct authres_reader *reader)
{
    struct authres_reader before = *reader;
    if (bytes_is_nocase(take_run(reader, is_keyword), "none") && skip_space(reader) && at_end(reader))
        return true;
    *reader = before;
    do {
        if (at_end(reader)) /* a semicolon at the end */
            return authres->result_count > 0;
        if (!take_result(authres, reader))
            return false;
    } while (take(reader, ';'));
    return skip_space(reader) && at_end(reader);
}

bool authres_parse(struct authres *authres, struct bytes value, struct arena *arena)
{
    authres->version = 0;
    authres->result_count = authres->property_count = 0;
    if (value.length > AUTHRES_OCTETS_MAX)
        return false;
    struct authres_reader reader = {.rest = arena_copy(arena, value), .arena = arena};
    if (!skip_space(&reader) || !take_value(&reader, &authres->id) || !skip_space(&reader))
        return false;
    if (ascii_is_digit(next(&reader)) && !take_version(&reader, &authres->version))
        return false;
    return take(&reader, ';') && take_results(authres, &reader);
}

/* ---- whose word it is ---- */

static bool same_id(struct bytes a, struct bytes b)
{
    return dns_name_equal(dns_name_without_dot(a), dns_name_without_dot(b));
}

/* Appends what is before the first semicolon in lower case, without white space, comments and quotes, as a
 * careless reader could see it. False if a comment does not close. */
static bool add_careless(struct buffer *out, struct bytes value)
{
    size_t depth = 0;
    for (size_t i = 0; i < value.length; i++) {
        char c = value.at[i];
        depth += c == '(';
        if (c == ';' && depth == 0)
            return true;
        if (depth == 0 && !white_space_has(c) && c != '"' && c != '\\')
            buffer_add_octet(out, ascii_lower(c));
        if (c == ')' && depth > 0)
            depth--;
    }
    return depth == 0;
}

/* True if the id is anywhere in the text: a comment that does not close hides nothing. */
static bool names(struct bytes text, struct bytes id)
{
    for (; text.length >= id.length; text = bytes_from(text, 1))
        if (bytes_equal_nocase(bytes_first(text, id.length), id))
            return true;
    return false;
}

static bool claims_carelessly(struct bytes value, struct bytes id, bool valid)
{
    struct buffer text = {0};
    value = bytes_first(value, AUTHRES_OCTETS_MAX);
    bool closed = add_careless(&text, value);
    struct bytes seen = buffer_bytes(&text);
    bool claims = same_id(seen, id) || (!valid && bytes_equal_nocase(bytes_first(seen, id.length), id)) ||
                  (!closed && names(value, id));
    buffer_free(&text);
    return claims;
}

bool authres_claims(struct bytes value, struct bytes id)
{
    struct arena arena = {0};
    struct authres authres;
    struct bytes first = bytes_none();
    struct authres_reader reader = {.rest = bytes_first(value, AUTHRES_OCTETS_MAX), .arena = &arena};
    assert(id.length > 0);
    bool has_first = skip_space(&reader) && take_value(&reader, &first);
    bool claims = has_first && same_id(first, id);
    if (!claims)
        claims = claims_carelessly(value, id, authres_parse(&authres, value, &arena));
    arena_clear(&arena);
    return claims;
}
