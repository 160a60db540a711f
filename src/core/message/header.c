/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/header.h"

#include "base/white_space.h"
#include "core/message/address_list.h"
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

static bool is_one_of(struct bytes word, const char *names)
{
    for (struct bytes rest = bytes_of_text(names); rest.length > 0;)
        if (bytes_equal_nocase(word, bytes_split(&rest, ' ')))
            return true;
    return false;
}

static bool is_digits(struct bytes word)
{
    for (size_t i = 0; i < word.length; i++)
        if (!ascii_is_digit(word.at[i]))
            return false;
    return word.length > 0;
}

/* "12:05" or "12:05:17" */
static bool is_time(struct bytes word)
{
    size_t parts = 0;
    while (word.length > 0) {
        struct bytes part = bytes_split(&word, ':');
        if (!is_digits(part) || part.length > 2)
            return false;
        parts++;
    }
    return parts == 2 || parts == 3;
}

/* True for words with a date: "ada@example.org Mon Nov 23 12:05:17 2026", with a zone, or with "remote from
 * host" after it. */
static bool has_date(struct bytes words)
{
    bool day = false, month = false, time = false, year = false;
    while (words.length > 0) {
        struct bytes word = bytes_split(&words, ' ');
        word.length -= word.length > 0 && word.at[word.length - 1] == ',';
        day = day || is_one_of(word, "Mon Tue Wed Thu Fri Sat Sun");
        month = month || is_one_of(word, "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec");
        time = time || is_time(word);
        year = year || (word.length == 4 && is_digits(word));
    }
    return day && month && time && year;
}

/* True for names with which headers begin. Text may have a colon too: "From ada with love", "PS: see you". */
static bool is_usual_first(struct bytes name)
{
    return is_one_of(bytes_trim(name),
                     "Received Return-Path Delivered-To X-Original-To From Sender Reply-To To Cc "
                     "Bcc Subject Date Message-ID MIME-Version Content-Type DKIM-Signature "
                     "X-Mailer User-Agent Status X-Status");
}

/* Judges a line that begins with "From ": LINE_OPEN as long as what is after it is not known. */
static enum line_kind mbox_kind(struct bytes text, bool at_end)
{
    size_t newline = bytes_find(text, '\n');
    if (newline == SIZE_MAX && !at_end)
        return text.length <= HEADER_NAME_MAX ? LINE_OPEN : LINE_TEXT;
    struct bytes next = bytes_none(),
                 line = white_space_trim(bytes_from(bytes_first(text, newline), strlen("From ")));
    if (newline != SIZE_MAX)
        next = bytes_from(text, newline + 1);
    bool is_address = bytes_find(line, ' ') == SIZE_MAX && bytes_find(line, '@') != SIZE_MAX;
    if (is_address || has_date(line))
        return LINE_MBOX;
    if (next.length == 0)
        return at_end ? LINE_TEXT : LINE_OPEN;
    size_t end = bytes_find(next, '\n');
    enum line_kind kind = named_kind(bytes_first(next, end), end != SIZE_MAX || at_end);
    bool known = kind == LINE_FIELD && is_usual_first(bytes_first(next, bytes_find(next, ':')));
    return known ? LINE_MBOX : kind == LINE_OPEN ? LINE_OPEN : LINE_TEXT;
}

static bool starts_as_mbox(struct bytes text)
{
    return bytes_starts_nocase(text, "From ") || bytes_starts_nocase(text, ">From ");
}

bool header_is_mbox_line(struct bytes text)
{
    return starts_as_mbox(text) && mbox_kind(text, true) == LINE_MBOX;
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
    enum line_kind kind = named_kind(line, complete); /* "From : ada@example.org" is a field */
    return kind == LINE_TEXT && first && starts_as_mbox(line) ? mbox_kind(text, at_end) : kind;
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

/* Appends the value with the domain after names without one. False if it needs none, or is malformed all the
 * same: "Lovelace, Ada <ada@example.org>" has a name that lacks quotes, not a domain. */
static bool complete_names(struct bytes value, struct bytes domain, struct buffer *out)
{
    struct buffer addresses = {0};
    bool completed = false;
    if (domain.length > 0 && author_list_read(value, SIZE_MAX, &addresses) == AUTHOR_LIST_MALFORMED) {
        address_list_complete(out, value, domain);
        completed = author_list_read(buffer_bytes(out), SIZE_MAX, &addresses) != AUTHOR_LIST_MALFORMED;
    }
    buffer_free(&addresses);
    return completed;
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

static enum author_list_kind read_authors(struct header *header, struct bytes value, size_t most)
{
    struct buffer completed = {0};
    if (complete_names(value, header->domain, &completed))
        value = buffer_bytes(&completed);
    enum author_list_kind kind = author_list_read(value, most, &header->authors);
    buffer_free(&completed);
    return kind;
}

static void check_authors(struct header *header, const struct header_rules *rules,
                          const struct header_findings *found)
{
    enum author_list_kind from = AUTHOR_LIST_PLAIN, sender = AUTHOR_LIST_PLAIN;
    size_t at = 0, authors = 0;
    header->domain = rules->domain;
    if (header->has_from)
        from = read_authors(header, found->from, HEADER_AUTHORS_MAX);
    while (header_author(header, &at).length > 0)
        authors++;
    if (header->has_sender)
        sender = read_authors(header, found->sender, 1);
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

/* Completes the names of a field; false if it needs nothing. In a list of recipients a comma always
 * separates, as for sendmail; the names of authors may lack quotes instead. */
static bool complete_field(struct bytes name, struct bytes value, struct bytes domain, struct buffer *out)
{
    if (is_one_of(name, "From Sender Reply-To Resent-From Resent-Sender"))
        return complete_names(value, domain, out);
    if (domain.length == 0 || !is_one_of(name, "To Cc Resent-To Resent-Cc"))
        return false;
    address_list_complete(out, value, domain);
    return true;
}

/* Appends the field as it leaves. */
static void add_fixed(const struct header *header, struct bytes field, struct buffer *out)
{
    struct bytes name = field_name(field, true);
    bool unquoted = (header->from_unquoted && bytes_is_nocase(name, "From")) ||
                    (header->sender_unquoted && bytes_is_nocase(name, "Sender"));
    if (is_blind(name))
        return;
    struct buffer completed = {0};
    struct bytes value = field_value(field);
    if (complete_field(name, value, header->domain, &completed))
        value = buffer_bytes(&completed);
    buffer_add_format(out, "%.*s:", BYTES_ARG(name));
    if (unquoted) {
        buffer_add_octet(out, ' ');
        author_list_quote(out, value);
    } else {
        buffer_add(out, value);
    }
    buffer_free(&completed);
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
                   header->has_obsolete_name || header->domain.length > 0;
    while (changes && rest.length > 0 && rest.at[0] != '\r')
        add_fixed(header, header_next_field(&rest, &lines), out);
    buffer_add(out, rest);
    buffer_add_text(out, header->ends_in_text ? "\r\n" : "");
    buffer_add(out, bytes_from(all, header->length));
}
