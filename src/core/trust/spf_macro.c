/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/spf_macro.h"

#include <assert.h>

#include "core/dns/host.h"

enum {
    PARTS_MAX = SPF_VALUE_MAX + 1,
    COUNT_MAX = 1000,              /* of parts; a larger number in a record means the same */
    PIECE_MAX = 3 * SPF_VALUE_MAX, /* octets of one expanded macro: all of them escaped as in a URL */
    NAME_KEPT = SPF_EXPANDED_MAX - PIECE_MAX,
};
static_assert(NAME_KEPT > (int)DOMAIN_NAME_MAX && SPF_EXPLANATION_MAX + PIECE_MAX <= SPF_EXPANDED_MAX,
              "no octet is lost");

/* One "%{...}" of a text. */
struct macro {
    char letter;   /* in lower case */
    bool url;      /* written in upper case: escaped as in a URL (RFC 7208 7.3) */
    bool reversed; /* r */
    size_t kept;   /* the number of parts on the right that are kept; 0: all */
    struct bytes delimiters;
};

static bool is_delimiter(char c)
{
    return c == '.' || c == '-' || c == '+' || c == ',' || c == '/' || c == '_' || c == '=';
}

/* Reads the inside of "%{...}": a letter, transformers, delimiters (RFC 7208 7.1). */
static bool macro_read(struct bytes inside, struct macro *macro)
{
    size_t at = 1;
    if (inside.length == 0 || memchr("slodiphcrtv", ascii_lower(inside.at[0]), 11) == NULL)
        return false;
    *macro = (struct macro){.letter = ascii_lower(inside.at[0]),
                            .url = ascii_lower(inside.at[0]) != inside.at[0]};
    while (at < inside.length && ascii_is_digit(inside.at[at])) {
        if (macro->kept < COUNT_MAX)
            macro->kept = macro->kept * 10 + (size_t)(inside.at[at] - '0');
        at++;
    }
    if (at > 1 && macro->kept == 0)
        return false;
    macro->reversed = at < inside.length && ascii_lower(inside.at[at]) == 'r';
    macro->delimiters = bytes_from(inside, at + macro->reversed);
    for (size_t i = 0; i < macro->delimiters.length; i++)
        if (!is_delimiter(macro->delimiters.at[i]))
            return false;
    return true;
}

enum piece_kind { PIECE_LITERAL, PIECE_MACRO, PIECE_ESCAPE, PIECE_WRONG };

/* Takes the next piece off *rest, which is not empty: an octet, "%%", "%_", "%-" or "%{...}". */
static enum piece_kind next_piece(struct bytes *rest, struct bytes *piece, struct macro *macro)
{
    size_t length = 1;
    enum piece_kind kind = PIECE_LITERAL;
    if (rest->at[0] == '%') {
        char second = rest->length > 1 ? rest->at[1] : '\0';
        size_t end = second == '{' ? bytes_find(*rest, '}') : SIZE_MAX;
        if (end != SIZE_MAX && macro_read(bytes_of(rest->at + 2, end - 2), macro))
            kind = PIECE_MACRO;
        else
            kind = second == '%' || second == '_' || second == '-' ? PIECE_ESCAPE : PIECE_WRONG;
        length = kind == PIECE_MACRO ? end + 1 : rest->length > 1 ? 2 : 1;
    }
    *piece = bytes_first(*rest, length);
    *rest = bytes_from(*rest, length);
    return kind;
}

/* True for a label of letters, digits and inner hyphens with something that is not a digit (RFC 7208 7.1). */
static bool is_top_label(struct bytes label)
{
    bool digits_only = true;
    if (label.length == 0 || label.at[0] == '-' || label.at[label.length - 1] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++) {
        if (!ascii_is_alnum(label.at[i]) && label.at[i] != '-')
            return false;
        digits_only = digits_only && ascii_is_digit(label.at[i]);
    }
    return !digits_only;
}

/* True if the literal octets at the end of a domain-spec are "." and a top label. */
static bool ends_in_top_label(struct bytes tail)
{
    if (tail.length > 0 && tail.at[tail.length - 1] == '.')
        tail.length--;
    size_t dot = bytes_find_last(tail, '.');
    return dot != SIZE_MAX && is_top_label(bytes_from(tail, dot + 1));
}

bool spf_macro_check(struct bytes text, enum spf_macro_place place)
{
    struct bytes rest = text, tail = text, piece;
    struct macro macro;
    while (rest.length > 0) {
        enum piece_kind kind = next_piece(&rest, &piece, &macro);
        bool for_explanation = kind == PIECE_MACRO && memchr("crt", macro.letter, 3) != NULL;
        if (kind == PIECE_WRONG || (for_explanation && place == SPF_PLACE_DOMAIN))
            return false;
        if (kind == PIECE_LITERAL && piece.at[0] == ' ' && place != SPF_PLACE_EXPLANATION)
            return false;
        if (kind == PIECE_LITERAL && (piece.at[0] < ' ' || piece.at[0] > '~'))
            return false;
        if (kind != PIECE_LITERAL)
            tail = rest;
    }
    if (place != SPF_PLACE_DOMAIN)
        return true;
    return text.length > 0 && (tail.length == 0 || ends_in_top_label(tail));
}

bool spf_macro_names_client(struct bytes text)
{
    struct bytes piece;
    struct macro macro;
    while (text.length > 0)
        if (next_piece(&text, &piece, &macro) == PIECE_MACRO && macro.letter == 'p')
            return true;
    return false;
}

static void add_octet(struct spf_expansion *out, char octet)
{
    if (out->length < SPF_EXPANDED_MAX)
        out->at[out->length++] = octet;
}

static void add(struct spf_expansion *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        add_octet(out, text.at[i]);
}

static void add_hex(struct spf_expansion *out, unsigned char octet)
{
    add_octet(out, "0123456789ABCDEF"[octet >> 4]);
    add_octet(out, "0123456789ABCDEF"[octet & 15]);
}

static void add_number(struct spf_expansion *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add(out, bytes_of(digits + at, sizeof(digits) - at));
}

/* i: an IPv4 address as usual, an IPv6 address as nibbles with dots (RFC 7208 7.3). */
static void add_client_nibbles(struct spf_expansion *out, const struct route_address *client)
{
    for (size_t i = 0; i < (client->six ? 32U : 4U); i++) {
        unsigned char octet = client->octets[client->six ? i / 2 : i];
        if (i > 0)
            add_octet(out, '.');
        if (client->six)
            add_octet(out, "0123456789abcdef"[i % 2 == 0 ? octet >> 4 : octet & 15]);
        else
            add_number(out, octet);
    }
}

static void add_client_text(struct spf_expansion *out, const struct route_address *client)
{
    struct buffer text = {0};
    route_address_text(&text, client);
    add(out, buffer_bytes(&text));
    buffer_free(&text);
}

static void add_value(struct spf_expansion *out, char letter, const struct spf_macro_values *values)
{
    switch (letter) {
    case 's': add(out, values->sender); break;
    case 'l': add(out, values->local); break;
    case 'o': add(out, values->sender_domain); break;
    case 'd': add(out, values->domain); break;
    case 'h': add(out, values->helo); break;
    case 'p': add(out, values->client_name); break;
    case 'r': add(out, values->receiver.length > 0 ? values->receiver : BYTES("unknown")); break;
    case 't': add_number(out, values->now_s); break;
    case 'v': add(out, values->client->six ? BYTES("ip6") : BYTES("in-addr")); break;
    case 'i': add_client_nibbles(out, values->client); break;
    default: add_client_text(out, values->client); break;
    }
}

/* Adds the parts that the transformers choose, joined with dots (RFC 7208 7.3). */
static void add_parts(struct spf_expansion *out, struct bytes value, const struct macro *macro)
{
    struct bytes parts[PARTS_MAX], delimiters = macro->delimiters;
    size_t count = 0, start = 0;
    if (delimiters.length == 0)
        delimiters = BYTES(".");
    for (size_t i = 0; i <= value.length && count < PARTS_MAX; i++) {
        if (i < value.length && memchr(delimiters.at, value.at[i], delimiters.length) == NULL)
            continue;
        parts[count++] = bytes_of(value.at + start, i - start);
        start = i + 1;
    }
    size_t kept = macro->kept == 0 || macro->kept > count ? count : macro->kept;
    for (size_t i = count - kept; i < count; i++) {
        if (i > count - kept)
            add_octet(out, '.');
        add(out, parts[macro->reversed ? count - 1 - i : i]);
    }
}

static void add_url_escaped(struct spf_expansion *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (ascii_is_alnum(text.at[i]) || memchr("-._~", text.at[i], 4) != NULL) {
            add_octet(out, text.at[i]);
        } else {
            add_octet(out, '%');
            add_hex(out, (unsigned char)text.at[i]);
        }
    }
}

static void expand_macro(struct spf_expansion *out, const struct macro *macro,
                         const struct spf_macro_values *values)
{
    struct spf_expansion value = {.length = 0}, chosen = {.length = 0};
    add_value(&value, macro->letter, values);
    assert(value.length <= SPF_VALUE_MAX);
    if (macro->kept > 0 || macro->reversed || macro->delimiters.length > 0)
        add_parts(&chosen, bytes_of(value.at, value.length), macro);
    else
        add(&chosen, bytes_of(value.at, value.length));
    if (macro->url)
        add_url_escaped(out, bytes_of(chosen.at, chosen.length));
    else
        add(out, bytes_of(chosen.at, chosen.length));
}

static void expand_piece(struct bytes *rest, const struct spf_macro_values *values, struct spf_expansion *out)
{
    struct bytes piece;
    struct macro macro;
    switch (next_piece(rest, &piece, &macro)) {
    case PIECE_MACRO: expand_macro(out, &macro, values); break;
    case PIECE_ESCAPE:
        add(out, piece.at[1] == '%' ? BYTES("%") : piece.at[1] == '_' ? BYTES(" ") : BYTES("%20"));
        break;
    case PIECE_LITERAL: add(out, piece); break;
    case PIECE_WRONG: break;
    }
}

/* Keeps the end of what has grown long: a name keeps only its rightmost 253 octets. */
static void drop_front(struct spf_expansion *out, size_t count)
{
    memmove(out->at, out->at + count, out->length - count);
    out->length -= count;
}

static size_t escaped_length(char octet)
{
    return (unsigned char)octet <= ' ' || octet == 127 || octet == '\\' ? 4 : 1;
}

static void escape_name(struct spf_expansion *name)
{
    struct spf_expansion plain = *name;
    name->length = 0;
    for (size_t i = 0; i < plain.length; i++) {
        unsigned char octet = (unsigned char)plain.at[i];
        if (escaped_length(plain.at[i]) == 1) {
            add_octet(name, plain.at[i]);
            continue;
        }
        add_octet(name, '\\');
        add_octet(name, (char)('0' + octet / 100));
        add_octet(name, (char)('0' + octet / 10 % 10));
        add_octet(name, (char)('0' + octet % 10));
    }
}

void spf_macro_expand_name(struct bytes text, const struct spf_macro_values *values,
                           struct spf_expansion *out)
{
    out->length = 0;
    while (text.length > 0) {
        if (out->length > NAME_KEPT)
            drop_front(out, out->length - NAME_KEPT);
        expand_piece(&text, values, out);
    }
    if (out->length > 0 && out->at[out->length - 1] == '.')
        out->length--;
    while (out->length > DOMAIN_NAME_MAX) {
        size_t dot = bytes_find(bytes_of(out->at, out->length), '.');
        drop_front(out, dot == SIZE_MAX ? out->length : dot + 1);
    }
    escape_name(out);
}

void spf_macro_expand_explanation(struct bytes text, const struct spf_macro_values *values,
                                  struct spf_expansion *out)
{
    out->length = 0;
    while (text.length > 0 && out->length < SPF_EXPLANATION_MAX)
        expand_piece(&text, values, out);
    if (out->length > SPF_EXPLANATION_MAX)
        out->length = SPF_EXPLANATION_MAX;
}
