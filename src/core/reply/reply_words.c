/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reply/reply_words.h"

#include <assert.h>

enum { QUOTED_LOCAL_MAX = 256, BRACKETED_MAX = 320 };

/* ---- enhanced status codes ---- */

/* Reads "5.7.26" at the start; returns its octets, 0 if it is none of class 4 or 5. */
static size_t read_status(struct bytes text, struct reply_status *status)
{
    unsigned parts[3] = {0};
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        size_t digits = 0;
        for (; at < text.length && ascii_is_digit(text.at[at]) && digits < 3; at++, digits++)
            parts[part] = parts[part] * 10 + (unsigned)(text.at[at] - '0');
        if (digits == 0 || (part < 2 && (at == text.length || text.at[at++] != '.')))
            return 0;
    }
    bool ends = at == text.length || !(ascii_is_alnum(text.at[at]) || text.at[at] == '.');
    if (!ends || (parts[0] != 4 && parts[0] != 5))
        return 0;
    *status = (struct reply_status){(uint8_t)parts[0], (uint16_t)parts[1], (uint16_t)parts[2]};
    return at;
}

/* Takes "5.1.1", "#5.1.1", "(#5.1.1)" or "5.7.0:" from the start of *text; else finds the first "#5.1.1". */
static void find_status(struct bytes *text, struct reply_status *status)
{
    size_t at = 0;
    while (at < text->length && strchr(" \t#(", text->at[at]) != NULL)
        at++;
    size_t length = read_status(bytes_from(*text, at), status);
    if (length > 0) {
        for (at += length; at < text->length && (text->at[at] == ')' || text->at[at] == ':'); at++)
            continue;
        *text = bytes_from(*text, at);
        return;
    }
    for (at = 0; at < text->length; at++)
        if (text->at[at] == '#' && read_status(bytes_from(*text, at + 1), status) > 0)
            return;
}

/* ---- runs that are removed ---- */

static bool in_host(char c)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("._-", c) != NULL);
}

static bool in_address(char c)
{
    return in_host(c) || (unsigned char)c > 127 || (c != '\0' && strchr("@%+=~&!#/*", c) != NULL);
}

static size_t run_length(struct bytes text, bool (*belongs)(char c))
{
    size_t length = 0;
    while (length < text.length && belongs(text.at[length]))
        length++;
    return length;
}

/* Returns the octets of "<...>" at the start. */
static size_t bracketed_length(struct bytes text)
{
    size_t end = bytes_find(bytes_first(text, BRACKETED_MAX), '>');
    return end == SIZE_MAX ? 0 : end + 1;
}

/* Returns the octets of "\"local part\"@domain" at the start. */
static size_t quoted_address_length(struct bytes text)
{
    size_t end = bytes_find(bytes_first(bytes_from(text, 1), QUOTED_LOCAL_MAX), '"');
    if (end == SIZE_MAX || end + 2 >= text.length || text.at[end + 2] != '@')
        return 0;
    return end + 2 + run_length(bytes_from(text, end + 2), in_address);
}

static size_t address_length(struct bytes text)
{
    size_t length = run_length(text, in_address);
    return bytes_find(bytes_first(text, length), '@') == SIZE_MAX ? 0 : length;
}

/* True if `host` is the name, or below it. */
static bool host_belongs(struct bytes host, struct bytes name)
{
    size_t at = bytes_find_last(name, '@');
    if (at != SIZE_MAX)
        name = bytes_from(name, at + 1);
    if (name.length == 0 || host.length < name.length)
        return false;
    size_t before = host.length - name.length;
    return bytes_equal_nocase(bytes_from(host, before), name) && (before == 0 || host.at[before - 1] == '.');
}

/* Returns the octets of a name of the transaction at the start. */
static size_t own_length(struct bytes text, const struct reply_facts *facts)
{
    struct bytes host = bytes_first(text, run_length(text, in_host));
    while (host.length > 0 && strchr(".-", host.at[host.length - 1]) != NULL)
        host.length--;
    for (size_t i = 0; host.length > 0 && i < REPLY_OWN_MAX; i++)
        if (host_belongs(host, facts->own[i]))
            return host.length;
    return 0;
}

static size_t ipv4_length(struct bytes text)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        size_t digits = 0;
        for (; at < text.length && ascii_is_digit(text.at[at]); at++)
            digits++;
        if (digits == 0 || digits > 3 || (part < 3 && (at == text.length || text.at[at++] != '.')))
            return 0;
    }
    bool goes_on = at < text.length &&
                   (ascii_is_alnum(text.at[at]) ||
                    (text.at[at] == '.' && at + 1 < text.length && ascii_is_digit(text.at[at + 1])));
    return goes_on ? 0 : at;
}

static bool in_ipv6(char c)
{
    return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f') || c == ':';
}

static size_t ipv6_length(struct bytes text)
{
    size_t length = run_length(text, in_ipv6), colons = 0;
    bool gap = false;
    for (size_t i = 0; i < length; i++) {
        colons += text.at[i] == ':';
        gap = gap || (i > 0 && text.at[i] == ':' && text.at[i - 1] == ':');
    }
    bool goes_on = length < text.length && ascii_is_alnum(text.at[length]);
    return !goes_on && (colons == 7 || (gap && length > 2 && colons >= 2)) ? length : 0;
}

/* Returns the octets of a code at the start that a server repeats in its lines: "550-5.7.1", "550-",
 * "550", "5.7.1". */
static size_t repeated_code_length(struct bytes text, const struct reply_facts *facts)
{
    char code[4] = {(char)('0' + facts->code / 100), (char)('0' + facts->code / 10 % 10),
                    (char)('0' + facts->code % 10), '\0'};
    struct reply_status status;
    size_t at = 0;
    if (bytes_starts_nocase(text, code)) {
        at = 3;
        if (at < text.length && text.at[at] == '-')
            at++;
        else if (at < text.length && text.at[at] != ' ')
            return 0;
    }
    size_t more = read_status(bytes_from(text, at), &status);
    bool alone = at + more == text.length || text.at[at + more] == ' ';
    return alone ? at + more : at;
}

/* ---- the words ---- */

static void add(struct reply_words *words, char c)
{
    if (words->length == REPLY_WORDS_MAX)
        return;
    bool space = (unsigned char)c <= 32 || c == 127;
    char last = words->length == 0 ? ' ' : words->text[words->length - 1];
    if (space && last == ' ')
        return;
    if ((last == '(' && c == ')') || (last == '[' && c == ']')) { /* an address was in them */
        words->length--;
        return;
    }
    words->text[words->length++] = space ? ' ' : ascii_lower(c);
}

/* Returns the octets at the start that others wrote; `previous` is the octet before. *stands_for: in their
 * place, or NUL. */
static size_t foreign_length(struct bytes text, char previous, const struct reply_facts *facts,
                             char *stands_for)
{
    size_t length = 0;
    *stands_for = '\0';
    if (text.at[0] == '<')
        return bracketed_length(text);
    if (text.at[0] == '"')
        return quoted_address_length(text);
    if (!in_address(previous))
        length = address_length(text);
    if (length == 0 && !in_host(previous))
        length = own_length(text, facts);
    if (length == 0 && (previous == ' ' || previous == '\0'))
        length = repeated_code_length(text, facts);
    if (length > 0 || in_host(previous))
        return length;
    *stands_for = '#';
    length = ipv4_length(text);
    return length > 0 || previous == ':' ? length : ipv6_length(text);
}

static bool is_edge(char c)
{
    return strchr(" :.-", c) != NULL;
}

void reply_words_read(struct reply_words *words, const struct reply_facts *facts)
{
    struct bytes text = bytes_first(facts->text, REPLY_WORDS_READ_MAX);
    char previous = '\0', stands_for;
    words->length = 0;
    words->status = (struct reply_status){0};
    if (read_status(facts->enhanced, &words->status) == 0)
        find_status(&text, &words->status);
    while (text.length > 0) {
        size_t foreign = foreign_length(text, previous, facts, &stands_for);
        size_t taken = foreign > 0 ? foreign : 1;
        if (foreign == 0)
            add(words, text.at[0]);
        else if (stands_for != '\0')
            add(words, stands_for);
        previous = text.at[taken - 1];
        if ((unsigned char)previous <= 32)
            previous = ' ';
        text = bytes_from(text, taken);
    }
    while (words->length > 0 && is_edge(words->text[words->length - 1]))
        words->length--;
    size_t start = 0;
    while (start < words->length && is_edge(words->text[start]))
        start++;
    words->length -= start;
    assert(start + words->length <= REPLY_WORDS_MAX && words->status.class <= 5);
    memmove(words->text, words->text + start, words->length);
}
