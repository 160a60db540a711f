/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_input: reads a complete message with its header: collects recipients, removes private fields,
 * adds missing ones.
 */
#include <sysexits.h>

#include "cli/send/outgoing_message.h"
#include "core/message/address_list.h"
#include "core/message/author_list.h"
#include "core/message/date.h"
#include "core/message/header.h"
#include "core/message/mime.h"
#include "core/message/transfer_encoding.h"

enum header_about {
    RECIPIENTS = 1,
    RESENT = 2,
    ADDRESSES = 4,
    REMOVED = 8,
    FROM = 16,
    DATE = 32,
    MESSAGE_ID = 64,
    AUTHORS = 128,
    SENDER = 256
};

/* Bcc must never be sent; Return-Path is added by the last server. */
static const struct {
    const char *name;
    unsigned about;
} known[] = {
    {"to", RECIPIENTS | ADDRESSES},
    {"cc", RECIPIENTS | ADDRESSES},
    {"bcc", RECIPIENTS | REMOVED},
    {"resent-to", RECIPIENTS | RESENT | ADDRESSES},
    {"resent-cc", RECIPIENTS | RESENT | ADDRESSES},
    {"resent-bcc", RECIPIENTS | RESENT | REMOVED},
    {"from", FROM | ADDRESSES | AUTHORS},
    {"sender", SENDER | ADDRESSES | AUTHORS},
    {"reply-to", ADDRESSES},
    {"resent-from", ADDRESSES},
    {"resent-sender", ADDRESSES},
    {"date", DATE},
    {"message-id", MESSAGE_ID},
    {"return-path", REMOVED},
};

/* ---- lines ---- */

/* Adds a line without CRs at its end. A CR inside, from programs that print progress, ends a line of the
 * text; in a field it would allow header injection. */
static void add_line(struct buffer *out, struct bytes line, const char *for_cr)
{
    while (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    while (line.length > 0) {
        buffer_add(out, bytes_split(&line, '\r'));
        buffer_add_text(out, line.length > 0 ? for_cr : "");
    }
    buffer_add_text(out, "\r\n");
}

static void add_lines(struct buffer *out, struct bytes text, const char *for_cr)
{
    while (text.length > 0)
        add_line(out, bytes_split(&text, '\n'), for_cr);
}

/* ---- fields ---- */

/* Returns the field at the start of *rest, with its folded lines. */
static struct bytes next_field(struct bytes *rest)
{
    struct bytes all = *rest;
    do
        bytes_split(rest, '\n');
    while (rest->length > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'));
    return bytes_first(all, all.length - rest->length);
}

static bool header_is_over(struct bytes text)
{
    return text.length == 0 || text.at[0] == '\n' || text.at[0] == '\r';
}

/* True for "Name:" followed by anything; spaces before the colon are obsolete, and allowed. */
static bool is_field(struct bytes field)
{
    struct bytes name = bytes_trim(bytes_first(field, bytes_find(field, ':')));
    bool fine = name.length > 0 && bytes_find(field, ':') != SIZE_MAX && bytes_is_ascii(name) &&
                !bytes_has_control(name);
    return fine && bytes_find(name, ' ') == SIZE_MAX;
}

static unsigned about_of(struct bytes field)
{
    struct bytes name = bytes_trim(bytes_split(&field, ':'));
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (bytes_is_nocase(name, known[i].name))
            return known[i].about;
    return 0;
}

/* "Name : value" as "Name: value": not all readers see the obsolete form. */
static struct bytes with_plain_name(struct bytes field, struct buffer *room)
{
    struct bytes value = field, name = bytes_split(&value, ':'), plain = bytes_trim(name);
    if (plain.length == name.length)
        return field;
    buffer_add_format(room, "%.*s:", BYTES_ARG(plain));
    buffer_add(room, value);
    return buffer_bytes(room);
}

/* The recipients of a resent message are those of its Resent fields (RFC 5322 3.6.6). */
static bool is_resent(struct bytes text)
{
    while (!header_is_over(text)) {
        struct bytes field = next_field(&text);
        if (!is_field(field))
            return false;
        if ((about_of(field) & (RECIPIENTS | RESENT)) == (RECIPIENTS | RESENT))
            return true;
    }
    return false;
}

/* Appends the field, with the quotes that its names lack. */
static void add_authors(struct buffer *out, struct bytes field)
{
    struct buffer addresses = {0};
    struct bytes value = field, name = bytes_split(&value, ':');
    if (author_list_read(value, HEADER_AUTHORS_MAX, &addresses) == AUTHOR_LIST_UNQUOTED) {
        buffer_add_format(out, "%.*s: ", BYTES_ARG(name));
        author_list_quote(out, value);
    } else {
        buffer_add(out, field);
    }
    buffer_free(&addresses);
}

struct header_rewrite {
    struct outgoing_message *outgoing;
    const struct outgoing_parts *parts;
    struct buffer *out;
    bool resent, several_authors;
    unsigned seen;
};

static bool has_several(struct bytes authors)
{
    struct buffer list = {0};
    author_list_read(authors, HEADER_AUTHORS_MAX, &list);
    struct bytes rest = buffer_bytes(&list);
    bytes_split(&rest, '\n');
    bool several = rest.length > 0;
    buffer_free(&list);
    return several;
}

static bool take_field(struct header_rewrite *t, struct bytes field, struct error *error)
{
    unsigned about = about_of(field);
    struct bytes value = field;
    struct buffer plain = {0}, qualified = {0}, quoted = {0};
    bytes_split(&value, ':');
    t->seen |= about;
    if (t->parts->read_recipients && (about & RECIPIENTS) != 0 && ((about & RESENT) != 0) == t->resent &&
        !outgoing_message_add_listed(t->outgoing, value, t->parts->domain, error))
        return false;
    if ((about & REMOVED) != 0)
        return true;
    field = with_plain_name(field, &plain);
    if (t->parts->domain != NULL && (about & AUTHORS) != 0) {
        add_authors(&quoted, field);
        field = buffer_bytes(&quoted);
    }
    if (t->parts->domain != NULL && (about & ADDRESSES) != 0) {
        struct bytes rest = field, field_name = bytes_split(&rest, ':');
        buffer_add_format(&qualified, "%.*s:", BYTES_ARG(field_name));
        address_list_complete(&qualified, rest, bytes_of_text(t->parts->domain));
        field = buffer_bytes(&qualified);
    }
    add_lines(t->out, field, " ");
    bytes_split(&field, ':');
    t->several_authors = t->several_authors || ((about & FROM) != 0 && has_several(field));
    buffer_free(&plain);
    buffer_free(&qualified);
    buffer_free(&quoted);
    return true;
}

static void add_missing(struct header_rewrite *t)
{
    struct bytes from = bytes_of_text(t->parts->from);
    if ((t->seen & FROM) == 0)
        mime_add_mailboxes(t->out, "From", &from, 1);
    if (t->several_authors && (t->seen & SENDER) == 0 && from.length > 0)
        mime_add_mailboxes(t->out, "Sender", &from, 1); /* RFC 5322 3.6.2 requires one */
    if ((t->seen & DATE) == 0) {
        buffer_add_text(t->out, "Date: ");
        date_add(t->out, t->parts->now_ms);
        buffer_add_text(t->out, "\r\n");
    }
    if ((t->seen & MESSAGE_ID) == 0)
        buffer_add_format(t->out, "Message-ID: <%s>\r\n", outgoing_message_message_id(t->outgoing, t->parts));
}

static bool take_text(struct outgoing_message *outgoing, const struct outgoing_parts *parts,
                      struct bytes text, struct buffer *out, struct error *error)
{
    struct header_rewrite t = {.outgoing = outgoing, .parts = parts, .out = out};
    while (parts->domain != NULL && header_is_mbox_line(text))
        bytes_split(&text, '\n');
    t.resent = is_resent(text);
    while (!header_is_over(text)) {
        struct bytes rest = text;
        struct bytes field = next_field(&rest);
        if (!is_field(field) && parts->domain != NULL)
            break;
        if (!is_field(field))
            return error_set(error, EX_DATAERR,
                             "with -t the message must begin with its header; '%.*s' is not a header field",
                             BYTES_ARG(bytes_first(bytes_trim(field), 60)));
        if (!take_field(&t, field, error))
            return false;
        text = rest;
    }
    add_missing(&t);
    buffer_add_text(out, "\r\n");
    if (header_is_over(text))
        bytes_split(&text, '\n');
    add_lines(out, text, "\r\n");
    return true;
}

/* Servers reject NUL: parts that contain it are encoded without loss. */
static bool encode_nul(struct bytes message, struct buffer *out, struct error *error)
{
    struct transfer_encoding encoding;
    struct bytes header = bytes_first(message, bytes_search(message, BYTES("\r\n\r\n")));
    if (bytes_find(header, '\0') != SIZE_MAX)
        return error_set(error, EX_DATAERR, "the message header contains a NUL byte; remove it");
    transfer_encoding_start(&encoding, true);
    transfer_encoding_add(&encoding, out, message);
    transfer_encoding_end(&encoding, out);
    transfer_encoding_free(&encoding);
    return true;
}

bool message_input_take(struct outgoing_message *outgoing, const struct outgoing_parts *parts,
                        struct bytes text, struct buffer *out, struct error *error)
{
    struct buffer message = {0};
    if (bytes_find(text, '\0') == SIZE_MAX)
        return take_text(outgoing, parts, text, out, error);
    bool taken = take_text(outgoing, parts, text, &message, error);
    taken = taken && encode_nul(buffer_bytes(&message), out, error);
    buffer_free(&message);
    return taken;
}
