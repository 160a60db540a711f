/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns/host.h"

#include <sysexits.h>

static bool is_host_octet(char c, bool utf8_allowed)
{
    return ascii_is_alnum(c) || c == '-' || c == '_' || (utf8_allowed && (unsigned char)c > 127);
}

static const char *label_fault(struct bytes label, bool utf8_allowed)
{
    if (label.length == 0)
        return "it has an empty label: two dots in a row, or one at an end";
    if (label.length > LABEL_MAX)
        return "a label between its dots is longer than 63 bytes";
    for (size_t i = 0; i < label.length; i++)
        if (!is_host_octet(label.at[i], utf8_allowed))
            return "a host name has letters, digits, hyphens, underscores and dots only";
    if (!bytes_is_utf8(label) || bytes_has_control_character(label))
        return "it is not UTF-8, or has a control character";
    if (label.at[0] == '-' || label.at[label.length - 1] == '-')
        return "a label between its dots begins or ends with a hyphen";
    return NULL;
}

const char *host_fault(struct bytes text, bool utf8_allowed)
{
    if (text.length == 0)
        return "it is empty";
    if (text.length > DOMAIN_NAME_MAX)
        return "the name is longer than 253 bytes";
    bool ends_in_dot = text.at[text.length - 1] == '.';
    const char *fault = ends_in_dot ? label_fault(bytes_none(), utf8_allowed) : NULL;
    while (text.length > 0 && fault == NULL)
        fault = label_fault(bytes_split(&text, '.'), utf8_allowed);
    return fault;
}

bool host_is_name(struct bytes text, bool utf8_allowed)
{
    return host_fault(text, utf8_allowed) == NULL;
}

bool host_is_ipv4(struct bytes text)
{
    for (int part = 0; part < 4; part++) {
        bool more = bytes_find(text, '.') != SIZE_MAX;
        struct bytes number = bytes_split(&text, '.');
        uint64_t value;
        if (more != (part < 3) || number.length > 3 || !bytes_to_u64(number, 255, &value) ||
            (number.length > 1 && number.at[0] == '0'))
            return false;
    }
    return text.length == 0;
}

static bool is_hex_group(struct bytes group)
{
    if (group.length == 0 || group.length > 4)
        return false;
    for (size_t i = 0; i < group.length; i++)
        if (!ascii_is_digit(group.at[i]) &&
            !(ascii_lower(group.at[i]) >= 'a' && ascii_lower(group.at[i]) <= 'f'))
            return false;
    return true;
}

/* Returns the 16-bit groups of a run without "::"; the last may be an IPv4 address (two groups). -1 if
 * malformed. */
static int count_groups(struct bytes run, bool last_run)
{
    int groups = 0;
    if (run.length == 0)
        return 0;
    for (;;) {
        bool more = bytes_find(run, ':') != SIZE_MAX;
        struct bytes group = bytes_split(&run, ':');
        if (is_hex_group(group))
            groups++;
        else if (!more && last_run && host_is_ipv4(group))
            groups += 2;
        else
            return -1;
        if (!more)
            return groups;
    }
}

bool host_is_ipv6(struct bytes text)
{
    size_t gap = bytes_search(text, BYTES("::"));
    if (text.length < 2)
        return false;
    if (gap == SIZE_MAX)
        return count_groups(text, true) == 8;
    struct bytes after = bytes_from(text, gap + 2);
    if (bytes_search(after, BYTES("::")) != SIZE_MAX || (after.length > 0 && after.at[0] == ':'))
        return false;
    int before_count = count_groups(bytes_first(text, gap), false), after_count = count_groups(after, true);
    return before_count >= 0 && after_count >= 0 && before_count + after_count <= 7;
}

/* True for digits and dots only: meant as an address. */
static bool looks_like_ipv4(struct bytes text)
{
    size_t dots = 0, digits = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (!ascii_is_digit(text.at[i]) && text.at[i] != '.')
            return false;
        *(text.at[i] == '.' ? &dots : &digits) += 1;
    }
    return dots > 0 && digits > 0;
}

enum host_kind host_parse(struct bytes text, bool utf8_allowed)
{
    if (host_is_ipv4(text))
        return HOST_IPV4;
    if (host_is_ipv6(text))
        return HOST_IPV6;
    if (looks_like_ipv4(text) || (bytes_find(text, ':') != SIZE_MAX))
        return HOST_IMPOSSIBLE_ADDRESS;
    return host_is_name(text, utf8_allowed) ? HOST_NAME : HOST_INVALID;
}

bool host_is_loopback(struct bytes text)
{
    return bytes_is_nocase(text, "localhost") || bytes_is(text, "::1") ||
           (host_is_ipv4(text) && bytes_starts_nocase(text, "127."));
}

/* ---- what a person typed ---- */

static bool explain_ipv4(struct bytes host, struct error *error)
{
    uint64_t value;
    int parts = 0;
    for (struct bytes rest = host; rest.length > 0; parts++) {
        struct bytes part = bytes_split(&rest, '.');
        if (!bytes_to_u64(part, 255, &value) && part.length > 0)
            return error_set(error, EX_DATAERR, "%.*s is not an IPv4 address: %.*s is greater than 255",
                             BYTES_ARG(host), BYTES_ARG(part));
    }
    if (parts == 4)
        return error_set(error, EX_DATAERR,
                         "%.*s is not an IPv4 address: one of its numbers is missing, or begins with 0",
                         BYTES_ARG(host));
    return error_set(error, EX_DATAERR, "%.*s is not an IPv4 address: it has %d numbers instead of 4",
                     BYTES_ARG(host), parts);
}

bool host_check(struct bytes host, struct error *error)
{
    uint64_t number; /* one alone is a valid label, but nobody's server */
    if (host_is_ipv4(host) || host_is_ipv6(host))
        return true;
    if (looks_like_ipv4(host) || bytes_to_u64(host, UINT64_MAX, &number))
        return explain_ipv4(host, error);
    if (bytes_find(host, ':') != SIZE_MAX)
        return error_set(error, EX_DATAERR, "%.*s is not an IPv6 address", BYTES_ARG(host));
    const char *fault = host_fault(host, true);
    return fault == NULL ||
           error_set(error, EX_DATAERR, "%.*s is not a host name: %s", BYTES_ARG(host), fault);
}
