/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/header.h"

#include "core/message/author_list.h"
#include "core/message/date.h"

void header_free(struct header *header)
{
    buffer_free(&header->text);
    buffer_free(&header->authors);
    *header = (struct header){0};
}

/* ---- gathering ---- */

static bool is_space(char octet)
{
    return octet == ' ' || octet == '\t';
}

/* True for "From ada Mon Nov 23 12:05:17 2026", which belongs to mbox files: not for text that begins with
 * the same word. */
static bool is_mbox_line(struct bytes line)
{
    line.length -= line.length > 0 && line.at[line.length - 1] == '\r';
    line = bytes_trim(line);
    if (!bytes_starts_nocase(line, "From ") && !bytes_starts_nocase(line, ">From "))
        return false;
    size_t colon = bytes_find_last(line, ':');
    bool year = colon != SIZE_MAX && line.length >= 8 && bytes_find(line, ':') < colon;
    for (size_t i = 1; i <= 4 && year; i++)
        year = ascii_is_digit(line.at[line.length - i]);
    return year;
}

enum line_kind { LINE_OPEN, LINE_FIELD, LINE_MBOX, LINE_EMPTY, LINE_TEXT };

/* Judges a line without a space before it by its name. Spaces before the colon are no text either: they are
 * left to header_check(). */
static enum line_kind named_kind(struct bytes line, bool complete)
{
    size_t name = 0, at;
    while (name < line.length && line.at[name] > ' ' && line.at[name] <= '~' && line.at[name] != ':')
        name++;
    for (at = name; at < line.length && is_space(line.at[at]); at++)
        ;
    if (at > HEADER_NAME_MAX)
        return LINE_TEXT;
    if (at == line.length)
        return complete ? LINE_TEXT : LINE_OPEN;
    return name > 0 && line.at[at] == ':' ? LINE_FIELD : LINE_TEXT;
}

/* Judges the line at the start of `text`: LINE_OPEN if more of it is needed. */
static enum line_kind line_kind(struct bytes text, bool first, bool at_end)
{
    size_t newline = bytes_find(text, '\n');
    bool complete = newline != SIZE_MAX || at_end;
    struct bytes line = bytes_first(text, newline == SIZE_MAX ? text.length : newline);
    if (line.length == 0)
        return newline == SIZE_MAX ? LINE_OPEN : LINE_FIELD; /* a bare LF: header_check() rejects it */
    if (line.at[0] == '\r' && !complete)
        return LINE_OPEN;
    if (line.at[0] == '\r')
        return line.length == 1 && newline != SIZE_MAX ? LINE_EMPTY : LINE_FIELD;
    if (is_space(line.at[0]))
        return first ? LINE_TEXT : LINE_FIELD;
    bool from = first && (bytes_starts_nocase(line, "From ") || bytes_starts_nocase(line, ">From "));
    if (from && !complete && line.length <= HEADER_NAME_MAX)
        return LINE_OPEN;
    return from && is_mbox_line(line) ? LINE_MBOX : named_kind(line, complete);
}

static void end_header(struct header *header, size_t length, bool by_text)
{
    header->whole = true;
    header->length = length;
    header->ends_in_text = by_text;
}

/* Steps past the line of a field; false if its end has not come. */
static bool pass_field(struct header *header, struct bytes rest, bool at_end)
{
    size_t newline = bytes_find(bytes_from(rest, header->field_searched), '\n');
    if (newline == SIZE_MAX && !at_end) {
        header->field_searched = rest.length;
        return false;
    }
    header->scanned += newline == SIZE_MAX ? rest.length : header->field_searched + newline + 1;
    header->field_searched = 0;
    return true;
}

/* Looks for the header's end: the empty line, or one that is no field. */
static void look_for_end(struct header *header, bool at_end)
{
    struct bytes text = buffer_bytes(&header->text);
    while (!header->whole && header->scanned < text.length) {
        struct bytes rest = bytes_from(text, header->scanned);
        bool first = header->scanned == header->mbox_length;
        switch (header->field_searched > 0 ? LINE_FIELD : line_kind(rest, first, at_end)) {
        case LINE_OPEN: return;
        case LINE_EMPTY: end_header(header, header->scanned + 2, false); break;
        case LINE_TEXT: end_header(header, header->scanned, true); break;
        case LINE_MBOX:
            pass_field(header, rest, at_end);
            header->mbox_length = header->scanned;
            break;
        case LINE_FIELD:
            if (!pass_field(header, rest, at_end))
                return;
            break;
        }
    }
}

void header_add(struct header *header, struct bytes octets)
{
    if (header->over)
        return;
    buffer_add(&header->text, octets);
    look_for_end(header, false);
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
    look_for_end(header, true);
    if (!header->whole)
        end_header(header, header->text.length, false);
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

/* Returns the name of "Name:", or with `obsolete` of "Name :" (RFC 5322 4.5) too; empty if it is neither. */
static struct bytes field_name(struct bytes field, bool obsolete)
{
    size_t length = bytes_find(field, ':');
    if (length == SIZE_MAX)
        return bytes_none();
    while (obsolete && length > 0 && is_space(field.at[length - 1]))
        length--;
    for (size_t i = 0; i < length; i++)
        if (field.at[i] <= ' ' || field.at[i] > '~')
            return bytes_none();
    return bytes_first(field, length);
}

struct bytes header_field_name(struct bytes field)
{
    return field_name(field, false);
}

static struct bytes field_value(struct bytes field)
{
    return bytes_from(field, bytes_find(field, ':') + 1);
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
    enum author_list_kind from = AUTHOR_LIST_PLAIN, sender = AUTHOR_LIST_PLAIN;
    size_t at = 0, authors = 0;
    if (header->has_from)
        from = author_list_read(found->from, HEADER_AUTHORS_MAX, &header->authors);
    while (header_author(header, &at).length > 0)
        authors++;
    if (header->has_sender)
        sender = author_list_read(found->sender, 1, &header->authors);
    header->needs_sender = authors > 1 && !header->has_sender;
    header->from_unquoted = from == AUTHOR_LIST_UNQUOTED;
    header->sender_unquoted = sender == AUTHOR_LIST_UNQUOTED;
    if (from == AUTHOR_LIST_MALFORMED || (header->from_unquoted && !rules->repairs))
        fault(header, HEADER_BAD_FROM);
    else if (sender == AUTHOR_LIST_MALFORMED || (header->sender_unquoted && !rules->repairs))
        fault(header, HEADER_BAD_SENDER);
    else if (rules->author_required && !header->has_from)
        fault(header, HEADER_NEEDS_FROM);
    else if (header->needs_sender && !rules->adds_sender)
        fault(header, HEADER_NEEDS_SENDER);
    else if (!rules->utf8_allowed && !bytes_is_ascii(buffer_bytes(&header->authors)))
        fault(header, HEADER_NEEDS_UTF8);
}

enum header_fault header_check(struct header *header, const struct header_rules *rules)
{
    struct bytes rest = bytes_from(bytes_first(buffer_bytes(&header->text), header->length),
                                   header->mbox_length);
    struct header_findings found = {0};
    size_t fields = 0, lines, line = 1;
    if (header->over)
        fault(header, HEADER_TOO_LARGE);
    if (bytes_find(rest, '\0') != SIZE_MAX)
        fault(header, HEADER_NUL);
    while (rest.length > 0 && header->fault == HEADER_FINE && rest.at[0] != '\r') {
        struct bytes field = header_next_field(&rest, &lines), name = field_name(field, rules->repairs);
        if (name.length == 0 || !has_clean_lines(field)) {
            header->line = line;
            fault(header, HEADER_BROKEN);
        } else if (++fields > HEADER_FIELDS_MAX) {
            fault(header, HEADER_TOO_MANY_FIELDS);
        } else {
            header->has_obsolete_name = header->has_obsolete_name || field.at[name.length] != ':';
            take_field(header, name, field_value(field), &found);
        }
        line += lines;
    }
    if (!rules->repairs && (header->ends_in_text || header->mbox_length > 0) &&
        header->fault == HEADER_FINE) {
        header->line = header->mbox_length > 0 ? 1 : line;
        fault(header, HEADER_BROKEN);
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
        [HEADER_NEEDS_FROM] = "A message with the null sender requires a From field with your own address",
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

/* Appends the field as it leaves. */
static void add_fixed(const struct header *header, struct bytes field, struct buffer *out)
{
    struct bytes name = field_name(field, true);
    bool unquoted = (header->from_unquoted && bytes_is_nocase(name, "From")) ||
                    (header->sender_unquoted && bytes_is_nocase(name, "Sender"));
    if (is_blind(name))
        return;
    buffer_add_format(out, "%.*s:", BYTES_ARG(name));
    if (unquoted) {
        buffer_add_octet(out, ' ');
        author_list_quote(out, field_value(field));
    } else {
        buffer_add(out, field_value(field));
    }
}

void header_fix(const struct header *header, const struct header_stamp *stamp, struct buffer *out)
{
    struct bytes all = buffer_bytes(&header->text),
                 rest = bytes_from(bytes_first(all, header->length), header->mbox_length);
    size_t lines;
    if (!header->has_from && stamp->from.length > 0)
        add_field(out, "From", "<", stamp->from, ">");
    if (header->needs_sender && stamp->from.length > 0)
        add_field(out, "Sender", "<", stamp->from, ">");
    if (!header->has_date && stamp->now_ms > 0) {
        buffer_add_text(out, "Date: ");
        date_add(out, stamp->now_ms);
        buffer_add_text(out, "\r\n");
    }
    if (!header->has_message_id && stamp->message_id.length > 0)
        add_field(out, "Message-ID", "<", stamp->message_id, ">");
    bool changes = header->has_blind || header->from_unquoted || header->sender_unquoted ||
                   header->has_obsolete_name;
    while (changes && rest.length > 0 && rest.at[0] != '\r')
        add_fixed(header, header_next_field(&rest, &lines), out);
    buffer_add(out, rest);
    buffer_add_text(out, header->ends_in_text ? "\r\n" : "");
    buffer_add(out, bytes_from(all, header->length));
}
