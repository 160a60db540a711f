/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/header.h"

#include "core/message/date.h"
#include "core/smtp/address.h"

void header_free(struct header *header)
{
    buffer_free(&header->text);
    buffer_free(&header->authors);
    *header = (struct header){0};
}

/* ---- gathering ---- */

/* Looks for the empty line: CRLF at the start, or after another CRLF. */
static void look_for_end(struct header *header)
{
    struct bytes text = buffer_bytes(&header->text);
    if (text.length >= 2 && text.at[0] == '\r' && text.at[1] == '\n') {
        header->whole = true;
        header->length = 2;
        return;
    }
    size_t from = header->scanned > 3 ? header->scanned - 3 : 0;
    size_t end = bytes_search(bytes_from(text, from), BYTES("\r\n\r\n"));
    header->scanned = text.length;
    if (end == SIZE_MAX)
        return;
    header->whole = true;
    header->length = from + end + 4;
}

void header_add(struct header *header, struct bytes octets)
{
    if (header->over)
        return;
    buffer_add(&header->text, octets);
    look_for_end(header);
    if (header->whole ? header->length <= HEADER_OCTETS_MAX : header->text.length <= HEADER_OCTETS_MAX)
        return;
    header->over = header->whole = true; /* stops gathering */
    buffer_free(&header->text);
    header->length = 0;
}

bool header_is_whole(const struct header *header)
{
    return header->whole;
}

void header_finish(struct header *header)
{
    if (header->whole)
        return;
    header->whole = true;
    header->length = header->text.length;
}

/* ---- addresses ---- */

static bool is_space(char octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static struct bytes skip_spaces(struct bytes text)
{
    while (text.length > 0 && is_space(text.at[0]))
        text = bytes_from(text, 1);
    return text;
}

static struct bytes trim(struct bytes text)
{
    text = skip_spaces(text);
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

/* Returns the octets of the quoted string or comment at the start of `text`, with its delimiters; 0 if
 * unterminated. Comments may not nest: parsers differ there. */
static size_t enclosed(struct bytes text, char end)
{
    for (size_t i = 1; i < text.length; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == end)
            return i + 1;
        else if (end == ')' && text.at[i] == '(')
            return 0;
    }
    return 0;
}

/* Returns the length of the words before one of `ends` outside of quotes; SIZE_MAX if quotes are
 * unterminated. */
static size_t words_until(struct bytes text, const char *ends)
{
    size_t at = 0;
    while (at < text.length && bytes_find(bytes_of_text(ends), text.at[at]) == SIZE_MAX) {
        size_t more = text.at[at] == '"' ? enclosed(bytes_from(text, at), '"') : 1;
        if (more == 0)
            return SIZE_MAX;
        at += more;
    }
    return at;
}

static bool keep_author(struct header *header, struct bytes address, bool utf8_allowed)
{
    struct address parsed;
    if (!address_parse(address, true, &parsed) || bytes_search(address, BYTES("=?")) != SIZE_MAX)
        return false;
    if (parsed.smtputf8 && !utf8_allowed && header->fault == HEADER_FINE)
        header->fault = HEADER_NEEDS_UTF8;
    buffer_add(&header->authors, address);
    buffer_add_octet(&header->authors, '\n'); /* is in no address */
    return true;
}

/*
 * Reads one mailbox: "ada@example.org", "ada@example.org (Ada)", "Ada <ada@example.org>", "\"Ada, B.\"
 * <ada@example.org> (at home)". Rejects groups, routes, comments within, and an address in place of a
 * name: parsers disagree about those.
 */
static bool read_mailbox(struct header *header, struct bytes *list, bool utf8_allowed)
{
    size_t end = words_until(*list, "<,(:;@");
    if (end != SIZE_MAX && end < list->length && list->at[end] == '@')
        end = words_until(*list, ",(<:;");
    if (end == SIZE_MAX)
        return false;
    struct bytes address = trim(bytes_first(*list, end));
    if (end < list->length && list->at[end] == '<') {
        if (bytes_find(address, '@') != SIZE_MAX && words_until(address, "@") < address.length)
            return false;
        struct bytes inside = bytes_from(*list, end + 1);
        size_t close = words_until(inside, ">");
        if (close >= inside.length)
            return false;
        address = bytes_first(inside, close);
        end += 1 + close + 1;
    }
    *list = skip_spaces(bytes_from(*list, end));
    if (list->length > 0 && list->at[0] == '(') {
        size_t comment = enclosed(*list, ')');
        if (comment == 0)
            return false;
        *list = skip_spaces(bytes_from(*list, comment));
    }
    if (list->length > 0 && list->at[0] != ',')
        return false;
    bool more = list->length > 0;
    *list = skip_spaces(bytes_from(*list, more ? 1 : 0));
    return (!more || list->length > 0) && keep_author(header, address, utf8_allowed);
}

static bool read_list(struct header *header, struct bytes value, size_t most, bool utf8_allowed,
                      size_t *count)
{
    value = skip_spaces(value);
    *count = 0;
    for (; value.length > 0; (*count)++)
        if (*count == most || !read_mailbox(header, &value, utf8_allowed))
            return false;
    return *count > 0;
}

/* ---- checking ---- */

struct bytes header_next_field(struct bytes *rest, size_t *lines)
{
    struct bytes all = *rest;
    *lines = 0;
    do {
        size_t newline = bytes_find(*rest, '\n');
        *rest = bytes_from(*rest, newline == SIZE_MAX ? rest->length : newline + 1);
        ++*lines;
    } while (rest->length > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'));
    return bytes_first(all, all.length - rest->length);
}

struct bytes header_field_name(struct bytes field)
{
    size_t colon = bytes_find(field, ':');
    if (colon == SIZE_MAX)
        return bytes_none();
    for (size_t i = 0; i < colon; i++)
        if (field.at[i] <= ' ' || field.at[i] > '~')
            return bytes_none();
    return bytes_first(field, colon);
}

/* Only CRLF ends a line: content sent with BINARYMIME may have others. */
static bool has_clean_lines(struct bytes field)
{
    for (size_t i = 0; i < field.length; i++) {
        bool cr = field.at[i] == '\r', lf = field.at[i] == '\n';
        if ((cr && (i + 1 == field.length || field.at[i + 1] != '\n')) ||
            (lf && (i == 0 || field.at[i - 1] != '\r')))
            return false;
    }
    return true;
}

static bool is_blind(struct bytes name)
{
    return bytes_is_nocase(name, "Bcc") || bytes_is_nocase(name, "Resent-Bcc");
}

static void fault(struct header *header, enum header_fault what)
{
    if (header->fault == HEADER_FINE)
        header->fault = what;
}

/* From and Sender are parsed only after all lines are known to be fields. */
struct header_findings {
    struct bytes from, sender;
};

static void take_field(struct header *header, struct bytes name, struct bytes value,
                       struct header_findings *found)
{
    if (bytes_is_nocase(name, "From")) {
        if (header->has_from)
            fault(header, HEADER_FROM_TWICE);
        header->has_from = true;
        found->from = value;
    } else if (bytes_is_nocase(name, "Sender")) {
        if (header->has_sender)
            fault(header, HEADER_SENDER_TWICE);
        header->has_sender = true;
        found->sender = value;
    } else if (is_blind(name)) {
        header->has_blind = true;
    }
    header->has_date = header->has_date || bytes_is_nocase(name, "Date");
    header->has_message_id = header->has_message_id || bytes_is_nocase(name, "Message-ID");
}

static void check_authors(struct header *header, const struct header_rules *rules,
                          const struct header_findings *found)
{
    size_t authors = 0, senders = 0;
    if (header->has_from &&
        !read_list(header, found->from, HEADER_AUTHORS_MAX, rules->utf8_allowed, &authors))
        fault(header, HEADER_BAD_FROM);
    else if (header->has_sender && !read_list(header, found->sender, 1, rules->utf8_allowed, &senders))
        fault(header, HEADER_BAD_SENDER);
    else if (authors > 1 && !header->has_sender)
        fault(header, HEADER_NEEDS_SENDER);
}

enum header_fault header_check(struct header *header, const struct header_rules *rules)
{
    struct bytes rest = bytes_first(buffer_bytes(&header->text), header->length);
    struct header_findings found = {0};
    size_t fields = 0, lines, line = 1;
    if (header->over)
        fault(header, HEADER_TOO_LARGE);
    if (bytes_find(rest, '\0') != SIZE_MAX)
        fault(header, HEADER_NUL);
    while (rest.length > 0 && header->fault == HEADER_FINE && rest.at[0] != '\r') {
        struct bytes field = header_next_field(&rest, &lines), name = header_field_name(field);
        if (name.length == 0 || !has_clean_lines(field)) {
            header->line = line;
            fault(header, HEADER_BROKEN);
        } else if (++fields > HEADER_FIELDS_MAX) {
            fault(header, HEADER_TOO_MANY_FIELDS);
        } else {
            take_field(header, name, bytes_from(field, name.length + 1), &found);
        }
        line += lines;
    }
    if (header->fault == HEADER_FINE)
        check_authors(header, rules, &found);
    return header->fault;
}

const char *header_fault_sentence(enum header_fault fault)
{
    static const char *const sentences[HEADER_FAULTS] = {
        [HEADER_FINE] = "The message header is valid",
        [HEADER_TOO_LARGE] = "Message header exceeds 256 KiB",
        [HEADER_TOO_MANY_FIELDS] = "Message header has more than 2,000 fields",
        [HEADER_BROKEN] = "Malformed message header (expected Name: value)",
        [HEADER_NUL] = "Message header contains a NUL byte",
        [HEADER_FROM_TWICE] = "Message has more than one From field",
        [HEADER_BAD_FROM] = "Malformed From field; expected Name <you@example.org>",
        [HEADER_SENDER_TWICE] = "Message has more than one Sender field",
        [HEADER_BAD_SENDER] = "Malformed Sender field; expected one address",
        [HEADER_NEEDS_SENDER] = "A message from several authors requires a Sender field",
        [HEADER_NEEDS_UTF8] = "Internationalized address in From requires SMTPUTF8",
    };
    return sentences[fault];
}

struct bytes header_author(const struct header *header, size_t *at)
{
    if (*at >= header->authors.length)
        return bytes_none();
    struct bytes rest = bytes_from(buffer_bytes(&header->authors), *at);
    struct bytes author = bytes_split(&rest, '\n');
    *at += author.length + 1;
    return author;
}

/* ---- fixing ---- */

static void add_field(struct buffer *out, const char *name, const char *open, struct bytes value,
                      const char *close)
{
    buffer_add_format(out, "%s: %s%.*s%s\r\n", name, open, BYTES_ARG(value), close);
}

void header_fix(const struct header *header, const struct header_stamp *stamp, struct buffer *out)
{
    struct bytes all = buffer_bytes(&header->text), rest = bytes_first(all, header->length);
    size_t lines;
    if (!header->has_from && stamp->from.length > 0)
        add_field(out, "From", "<", stamp->from, ">");
    if (!header->has_date && stamp->now_ms > 0) {
        buffer_add_text(out, "Date: ");
        date_add(out, stamp->now_ms);
        buffer_add_text(out, "\r\n");
    }
    if (!header->has_message_id && stamp->message_id.length > 0)
        add_field(out, "Message-ID", "<", stamp->message_id, ">");
    while (header->has_blind && rest.length > 0 && rest.at[0] != '\r') {
        struct bytes field = header_next_field(&rest, &lines);
        if (!is_blind(header_field_name(field)))
            buffer_add(out, field);
    }
    buffer_add(out, rest);
    buffer_add(out, bytes_from(all, header->length));
}
