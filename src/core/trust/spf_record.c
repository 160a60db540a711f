/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/spf_record.h"

#include "core/dns/host.h"
#include "core/trust/spf_macro.h"

enum argument { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_NEEDED };

/* The mechanisms and known modifiers (RFC 7208 5, 6). */
static const struct spf_row {
    const char *name;
    enum spf_kind kind;
    enum argument domain;
    bool cidr; /* takes a dual-cidr-length */
    bool asks; /* DNS */
} ROWS[] = {
    {"all", SPF_ALL, ARGUMENT_NONE, false, false},
    {"include", SPF_INCLUDE, ARGUMENT_NEEDED, false, true},
    {"a", SPF_A, ARGUMENT_OPTIONAL, true, true},
    {"mx", SPF_MX, ARGUMENT_OPTIONAL, true, true},
    {"ptr", SPF_PTR, ARGUMENT_OPTIONAL, false, true},
    {"ip4", SPF_IP4, ARGUMENT_NEEDED, false, false},
    {"ip6", SPF_IP6, ARGUMENT_NEEDED, false, false},
    {"exists", SPF_EXISTS, ARGUMENT_NEEDED, false, true},
    {"redirect", SPF_REDIRECT, ARGUMENT_NEEDED, false, true},
    {"exp", SPF_EXP, ARGUMENT_NEEDED, false, false},
};

static const struct spf_row *row_find(struct bytes name, bool modifier)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ROWS); i++)
        if (bytes_is_nocase(name, ROWS[i].name) && (ROWS[i].kind >= SPF_REDIRECT) == modifier)
            return &ROWS[i];
    return NULL;
}

bool spf_record_term_asks(enum spf_kind kind)
{
    return kind != SPF_UNKNOWN_MODIFIER && ROWS[kind].asks;
}

bool spf_record_term_has(const struct spf_term *term, const uint8_t *address,
                         const struct route_address *client)
{
    if ((term->kind == SPF_IP4 && client->six) || (term->kind == SPF_IP6 && !client->six))
        return false;
    unsigned bits = client->six ? term->prefix6 : term->prefix4;
    if (memcmp(address, client->octets, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (address[bits / 8] ^ client->octets[bits / 8]) >> (8 - bits % 8) == 0;
}

bool spf_record_is(struct bytes text)
{
    return bytes_starts_nocase(text, SPF_PREFIX) && (text.length == 6 || text.at[6] == ' ');
}

/* Takes "/24" off the end of *text: digits without leading zeroes, at most `max`. True if there was one. */
static bool take_prefix(struct bytes *text, unsigned max, unsigned *prefix)
{
    size_t slash = bytes_find_last(*text, '/');
    struct bytes digits = slash == SIZE_MAX ? bytes_none() : bytes_from(*text, slash + 1);
    uint64_t value = 0;
    if (digits.length == 0 || digits.length > 3 || (digits.length > 1 && digits.at[0] == '0') ||
        !bytes_to_u64(digits, max, &value))
        return false;
    *prefix = (unsigned)value;
    *text = bytes_first(*text, slash);
    return true;
}

/* Takes [ "/" ip4-cidr ] [ "//" ip6-cidr ] off the end (RFC 7208 5.6). */
static void take_dual_prefix(struct bytes *text, struct spf_term *term)
{
    struct bytes before = *text;
    if (take_prefix(&before, 128, &term->prefix6) && before.length > 0 && before.at[before.length - 1] == '/')
        *text = bytes_first(before, before.length - 1);
    else
        term->prefix6 = 128;
    take_prefix(text, 32, &term->prefix4);
}

static bool read_network(struct bytes text, struct spf_term *term)
{
    bool six = term->kind == SPF_IP6;
    take_prefix(&text, six ? 128 : 32, six ? &term->prefix6 : &term->prefix4);
    if (six ? !host_is_ipv6(text) : !host_is_ipv4(text))
        return false;
    term->network = route_literal(text);
    return true;
}

/* Reads what follows a mechanism's name: nothing, ":" and a domain or network, "/" and prefixes. */
static bool read_argument(const struct spf_row *row, struct bytes text, struct spf_term *term)
{
    if (row->kind == SPF_IP4 || row->kind == SPF_IP6)
        return text.length > 0 && text.at[0] == ':' && read_network(bytes_from(text, 1), term);
    if (row->cidr)
        take_dual_prefix(&text, term);
    if (text.length == 0)
        return row->domain != ARGUMENT_NEEDED;
    term->domain = bytes_from(text, 1);
    return text.at[0] == ':' && row->domain != ARGUMENT_NONE &&
           spf_macro_check(term->domain, SPF_PLACE_DOMAIN);
}

/* Returns the length of the name of a modifier with its "="; 0 if the term is none (RFC 7208 12). */
static size_t modifier_name(struct bytes text)
{
    size_t at = 0;
    while (at < text.length &&
           (ascii_is_alnum(text.at[at]) || (at > 0 && memchr("-_.", text.at[at], 3) != NULL)))
        at++;
    return at > 0 && at < text.length && text.at[at] == '=' && ascii_is_alpha(text.at[0]) ? at + 1 : 0;
}

static bool read_modifier(struct spf_term *term, size_t name_length)
{
    const struct spf_row *row = row_find(bytes_first(term->text, name_length - 1), true);
    term->domain = bytes_from(term->text, name_length);
    term->kind = row == NULL ? SPF_UNKNOWN_MODIFIER : row->kind;
    return spf_macro_check(term->domain, row == NULL ? SPF_PLACE_MODIFIER : SPF_PLACE_DOMAIN);
}

static bool read_mechanism(struct spf_term *term)
{
    struct bytes text = term->text;
    size_t length = 0;
    if (memchr("+-~?", text.at[0], 4) != NULL) {
        term->qualifier = text.at[0];
        text = bytes_from(text, 1);
    }
    while (length < text.length && ascii_is_alnum(text.at[length]))
        length++;
    const struct spf_row *row = row_find(bytes_first(text, length), false);
    if (row == NULL)
        return false;
    term->kind = row->kind;
    return read_argument(row, bytes_from(text, length), term);
}

/* Takes the next term; *valid: its syntax is right. False at the end. */
static bool take_term(struct bytes *rest, struct spf_term *term, bool *valid)
{
    while (rest->length > 0 && rest->at[0] == ' ')
        *rest = bytes_from(*rest, 1);
    if (rest->length == 0)
        return false;
    *term = (struct spf_term){.qualifier = '+', .prefix4 = 32, .prefix6 = 128};
    term->text = bytes_split(rest, ' ');
    size_t name_length = modifier_name(term->text);
    *valid = name_length > 0 ? read_modifier(term, name_length) : read_mechanism(term);
    return true;
}

static void skip_version(struct bytes *record)
{
    if (spf_record_is(*record))
        *record = bytes_from(*record, 6);
}

struct bytes spf_record_fault(struct bytes record)
{
    unsigned redirects = 0, explanations = 0;
    struct spf_term term;
    bool valid = true;
    struct bytes rest = record;
    if (record.length > SPF_RECORD_MAX)
        return record;
    skip_version(&rest);
    while (take_term(&rest, &term, &valid)) {
        redirects += term.kind == SPF_REDIRECT;
        explanations += term.kind == SPF_EXP;
        if (!valid || redirects > 1 || explanations > 1)
            return term.text;
    }
    return bytes_none();
}

bool spf_record_next(struct bytes *rest, struct spf_term *term)
{
    bool valid;
    skip_version(rest);
    return take_term(rest, term, &valid);
}
