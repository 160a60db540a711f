/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/mime.h"

#include "core/message/date.h"
#include "core/smtp/base64.h"

enum {
    /* octets in one encoded word: 52 of base64, so that the first
     * line with its field's name stays within RFC 2047's 76 */
    ENCODED_WORD_MAX = 39,
    BASE64_LINE = 76,
    QUOTED_LINE = 75,
};

static const struct {
    const char *suffix, *type;
} types[] = {
    {".txt", "text/plain"},
    {".html", "text/html"},
    {".htm", "text/html"},
    {".csv", "text/csv"},
    {".ics", "text/calendar"},
    {".pdf", "application/pdf"},
    {".json", "application/json"},
    {".xml", "application/xml"},
    {".zip", "application/zip"},
    {".gz", "application/gzip"},
    {".doc", "application/msword"},
    {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {".xls", "application/vnd.ms-excel"},
    {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {".odt", "application/vnd.oasis.opendocument.text"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".svg", "image/svg+xml"},
    {".webp", "image/webp"},
    {".mp3", "audio/mpeg"},
    {".mp4", "video/mp4"},
    {".eml", "message/rfc822"},
};

const char *mime_type_of(struct bytes name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        /* base64 is not allowed for message/rfc822 */
        if (bytes_ends_nocase(name, types[i].suffix) && !bytes_ends_nocase(name, ".eml"))
            return types[i].type;
    return "application/octet-stream";
}

/* ---- validation ---- */

static bool is_clean(struct bytes text)
{
    return bytes_is_utf8(text) && !bytes_has_control(text);
}

const char *mime_check(const struct mime_input *input)
{
    bool clean = is_clean(input->from), fits = input->from.length <= MIME_MAILBOX_MAX;
    for (size_t i = 0; i < input->to_count; i++) {
        clean = clean && is_clean(input->to[i]);
        fits = fits && input->to[i].length <= MIME_MAILBOX_MAX;
    }
    for (size_t i = 0; i < input->cc_count; i++) {
        clean = clean && is_clean(input->cc[i]);
        fits = fits && input->cc[i].length <= MIME_MAILBOX_MAX;
    }
    if (!fits)
        return "a name with its address is longer than 450 bytes";
    if (!clean)
        return "an address has a line break, or is not UTF-8";
    if (!is_clean(input->subject))
        return "the subject has a line break, or is not UTF-8";
    if (!bytes_is_utf8(input->html))
        return "the HTML is not UTF-8; convert it first";
    if (!bytes_is_utf8(input->text))
        return "the text is not UTF-8; send it as an attachment, or convert it first";
    return NULL;
}

const char *mime_check_name(struct bytes name)
{
    return is_clean(name) ? NULL : "the name of the attachment has a control character, or is not UTF-8";
}

/* ---- header fields ---- */

/* Returns the octets of `text` that fit into one encoded word, whole characters only. */
static size_t word_length(struct bytes text)
{
    size_t length = bytes_first(text, ENCODED_WORD_MAX).length;
    while (length < text.length && length > 0 && ((unsigned char)text.at[length] & 0xc0) == 0x80)
        length--;
    return length;
}

static void add_encoded(struct buffer *out, struct bytes text)
{
    for (bool first = true; text.length > 0; first = false) {
        size_t length = word_length(text);
        buffer_add_text(out, first ? "=?utf-8?B?" : "\r\n =?utf-8?B?");
        base64_encode(out, bytes_first(text, length));
        buffer_add_text(out, "?=");
        text = bytes_from(text, length);
    }
}

/* Appends ASCII words, folded before the line grows too long. */
static void add_folded(struct buffer *out, struct bytes text, size_t column)
{
    while (text.length > 0) {
        struct bytes word = bytes_split(&text, ' ');
        if (column > 1 && column + word.length > BASE64_LINE && word.length > 0) {
            buffer_add_text(out, "\r\n ");
            column = 1;
        }
        buffer_add(out, word);
        column += word.length + 1;
        if (text.length > 0)
            buffer_add_octet(out, ' ');
    }
}

static bool needs_encoding(struct bytes text)
{
    size_t longest = 0;
    for (struct bytes rest = text; rest.length > 0;) {
        size_t length = bytes_split(&rest, ' ').length;
        longest = length > longest ? length : longest;
    }
    /* Text that looks like an encoded word must not be decoded as one. */
    return !bytes_is_ascii(text) || longest > 900 || bytes_search(text, BYTES("=?")) != SIZE_MAX;
}

static void add_unstructured(struct buffer *out, const char *name, struct bytes text, bool is_encoded)
{
    buffer_add_format(out, "%s: ", name);
    if (!is_encoded && needs_encoding(text))
        add_encoded(out, text);
    else
        add_folded(out, text, strlen(name) + 2);
    buffer_add_text(out, "\r\n");
}

/* Appends "Name <address>": the name encoded as needed, the address unchanged. */
static void add_mailbox(struct buffer *out, struct bytes mailbox)
{
    size_t bracket = bytes_find_last(mailbox, '<');
    if (bracket == SIZE_MAX) {
        buffer_add(out, mailbox);
        return;
    }
    struct bytes name = bytes_trim(bytes_first(mailbox, bracket));
    if (name.length >= 2 && name.at[0] == '"' && name.at[name.length - 1] == '"')
        name = bytes_of(name.at + 1, name.length - 2);
    if (needs_encoding(name)) {
        add_encoded(out, name);
    } else if (name.length > 0) {
        buffer_add_octet(out, '"');
        for (size_t i = 0; i < name.length; i++)
            if (name.at[i] != '"' && name.at[i] != '\\')
                buffer_add_octet(out, name.at[i]);
        buffer_add_octet(out, '"');
    }
    buffer_add_text(out, name.length > 0 ? " " : "");
    buffer_add(out, bytes_from(mailbox, bracket));
}

void mime_add_mailboxes(struct buffer *out, const char *name, const struct bytes *mailboxes, size_t count)
{
    if (count == 0)
        return;
    buffer_add_format(out, "%s: ", name);
    for (size_t i = 0; i < count; i++) {
        buffer_add_text(out, i > 0 ? ",\r\n " : "");
        add_mailbox(out, mailboxes[i]);
    }
    buffer_add_text(out, "\r\n");
}

/* ---- text ---- */

static bool is_plain(struct bytes text)
{
    while (text.length > 0)
        if (bytes_split(&text, '\n').length > MIME_LINE_MAX)
            return false;
    return true;
}

static bool goes_as_it_is(struct bytes text)
{
    if (!bytes_is_ascii(text) || !is_plain(text))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] < 32 && bytes_find(BYTES("\t\r\n"), text.at[i]) == SIZE_MAX)
            return false;
    return true;
}

/* Returns the next line without its end; a lone CR ends one too. */
static struct bytes next_line(struct bytes *text)
{
    size_t end = 0;
    while (end < text->length && text->at[end] != '\n' && text->at[end] != '\r')
        end++;
    struct bytes line = bytes_first(*text, end);
    bool both = end + 1 < text->length && text->at[end] == '\r' && text->at[end + 1] == '\n';
    *text = bytes_from(*text, end + (end < text->length ? 1 : 0) + (both ? 1 : 0));
    return line;
}

static void add_quoted_line(struct buffer *out, struct bytes line)
{
    size_t column = 0;
    for (size_t i = 0; i < line.length; i++) {
        unsigned char c = (unsigned char)line.at[i];
        bool last = i + 1 == line.length;
        bool plain = (c > 32 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !last);
        if (column + (plain ? 1 : 3) > QUOTED_LINE) {
            buffer_add_text(out, "=\r\n");
            column = 0;
        }
        if (plain)
            buffer_add_octet(out, (char)c);
        else
            buffer_add_format(out, "=%02X", (unsigned)c);
        column += plain ? 1 : 3;
    }
}

static void add_text(struct buffer *out, const char *kind, struct bytes text)
{
    bool as_it_is = goes_as_it_is(text);
    buffer_add_format(out, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", kind,
                      bytes_is_ascii(text) ? "us-ascii" : "utf-8", as_it_is ? "7bit" : "quoted-printable");
    while (text.length > 0) {
        struct bytes line = next_line(&text);
        if (as_it_is)
            buffer_add(out, line);
        else
            add_quoted_line(out, line);
        buffer_add_text(out, "\r\n");
    }
}

/* ---- the message ---- */

static void choose_boundary(struct mime *mime, struct bytes seed)
{
    size_t length = 0;
    memcpy(mime->boundary, "=_", 2); /* cannot stand in quoted-printable or base64 */
    for (size_t i = 0; i < seed.length && length < 60; i++)
        if (ascii_is_alnum(seed.at[i]))
            mime->boundary[2 + length++] = seed.at[i];
    mime->boundary[2 + length] = '\0';
}

/* The preferred alternative comes last (RFC 2046 5.1.4). */
static void add_alternatives(const struct mime *mime, struct buffer *out, const struct mime_input *input)
{
    const char *tail = mime->boundary + 2; /* "=_a..." cannot begin as "=_..." does */
    buffer_add_format(out, "Content-Type: multipart/alternative; boundary=\"=_a%s\"\r\n\r\n--=_a%s\r\n", tail,
                      tail);
    add_text(out, "plain", input->text);
    buffer_add_format(out, "\r\n--=_a%s\r\n", tail);
    add_text(out, "html", input->html);
    buffer_add_format(out, "\r\n--=_a%s--\r\n", tail);
}

/* ---- text of HTML ---- */

static const struct {
    const char *name, *text;
} entities[] = {{"amp;", "&"},  {"lt;", "<"},  {"gt;", ">"},  {"quot;", "\""},
                {"apos;", "'"}, {"#39;", "'"}, {"nbsp;", " "}};
/* Tags that end a line. */
static const char *const line_ends[] = {"br",  "/p",  "/div", "/h1", "/h2",
                                        "/h3", "/h4", "/li",  "/tr", "/title"};

static bool is_tag(struct bytes tag, const char *name)
{
    size_t length = strlen(name);
    return bytes_starts_nocase(tag, name) && (tag.length == length || !ascii_is_alnum(tag.at[length]));
}

/* Consumes the tag at the start of *rest: appends nothing or a line end. The content of a style or script
 * is skipped. */
static void pass_tag(struct buffer *out, struct bytes *rest)
{
    size_t end = bytes_find(*rest, '>');
    struct bytes tag = bytes_first(bytes_from(*rest, 1), end == SIZE_MAX ? SIZE_MAX : end - 1);
    *rest = bytes_from(*rest, end == SIZE_MAX ? rest->length : end + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(line_ends); i++)
        if (is_tag(tag, line_ends[i]))
            buffer_add_text(out, "\n");
    if (!is_tag(tag, "style") && !is_tag(tag, "script"))
        return;
    while (rest->length > 0 && !bytes_starts_nocase(*rest, is_tag(tag, "style") ? "</style" : "</script"))
        *rest = bytes_from(*rest, 1);
}

static void pass_entity(struct buffer *out, struct bytes *rest)
{
    for (size_t i = 0; i < ARRAY_LENGTH(entities); i++)
        if (bytes_starts_nocase(bytes_from(*rest, 1), entities[i].name)) {
            buffer_add_text(out, entities[i].text);
            *rest = bytes_from(*rest, 1 + strlen(entities[i].name));
            return;
        }
    buffer_add_octet(out, '&');
    *rest = bytes_from(*rest, 1);
}

void mime_text_of_html(struct buffer *out, struct bytes rest)
{
    while (rest.length > 0) {
        char octet = rest.at[0];
        bool space = octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
        if (octet == '<') {
            pass_tag(out, &rest);
        } else if (octet == '&') {
            pass_entity(out, &rest);
        } else {
            /* Collapses runs of spaces, and drops them at the start of a line. */
            if (!space)
                buffer_add_octet(out, octet);
            else if (out->length > 0 && out->at[out->length - 1] != ' ' && out->at[out->length - 1] != '\n')
                buffer_add_octet(out, ' ');
            rest = bytes_from(rest, 1);
        }
    }
}

void mime_begin(struct mime *mime, struct buffer *out, const struct mime_input *input)
{
    *mime = (struct mime){.attachments = input->attachments};
    choose_boundary(mime, input->message_id);
    buffer_add_text(out, "Date: ");
    date_add(out, input->date_ms);
    buffer_add_text(out, "\r\n");
    mime_add_mailboxes(out, "From", &input->from, 1);
    mime_add_mailboxes(out, "To", input->to, input->to_count);
    mime_add_mailboxes(out, "Cc", input->cc, input->cc_count);
    add_unstructured(out, "Subject", input->subject, input->subject_is_encoded);
    buffer_add_format(out, "Message-ID: <%.*s>\r\nMIME-Version: 1.0\r\n", BYTES_ARG(input->message_id));
    if (input->attachments)
        buffer_add_format(out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n",
                          mime->boundary, mime->boundary);
    if (input->html.length > 0)
        add_alternatives(mime, out, input);
    else
        add_text(out, "plain", input->text);
}

/* Others are encoded: readers drop spaces at the ends, and decode what looks like an encoded word. */
static bool is_plain_name(struct bytes name)
{
    return bytes_is_ascii(name) && bytes_find(name, '"') == SIZE_MAX && bytes_find(name, '\\') == SIZE_MAX &&
           name.length < 60 && bytes_trim(name).length == name.length &&
           bytes_search(name, BYTES("=?")) == SIZE_MAX;
}

/* Mail programs that do not know RFC 2231 read the name from here, in the form that they write. */
static void add_type_name(struct buffer *out, struct bytes name)
{
    if (is_plain_name(name))
        return;
    buffer_add_text(out, ";\r\n\tname=\"");
    add_encoded(out, name);
    buffer_add_text(out, "\"");
}

static void add_filename(struct buffer *out, struct bytes name)
{
    if (is_plain_name(name)) {
        buffer_add_format(out, "\r\n\tfilename=\"%.*s\"\r\n", BYTES_ARG(name));
        return;
    }
    buffer_add_text(out, "\r\n\tfilename*=utf-8''");
    for (size_t i = 0; i < name.length; i++) {
        if (ascii_is_alnum(name.at[i]) || name.at[i] == '.' || name.at[i] == '-' || name.at[i] == '_')
            buffer_add_octet(out, name.at[i]);
        else
            buffer_add_format(out, "%%%02X", (unsigned)(unsigned char)name.at[i]);
    }
    buffer_add_text(out, "\r\n");
}

void mime_attach(struct mime *mime, struct buffer *out, struct bytes name)
{
    struct bytes shown = bytes_first(name, 255);
    buffer_add_format(out, "\r\n--%s\r\nContent-Type: %s", mime->boundary, mime_type_of(name));
    add_type_name(out, shown);
    buffer_add_text(out, "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;");
    add_filename(out, shown);
    buffer_add_text(out, "\r\n");
    mime->column = mime->rest_count = 0;
}

static void add_group(struct mime *mime, struct buffer *out, struct bytes group)
{
    base64_encode(out, group);
    mime->column += 4;
    if (mime->column < BASE64_LINE)
        return;
    buffer_add_text(out, "\r\n");
    mime->column = 0;
}

void mime_attach_some(struct mime *mime, struct buffer *out, struct bytes octets)
{
    for (size_t i = 0; i < octets.length; i++) {
        mime->rest[mime->rest_count++] = (uint8_t)octets.at[i];
        if (mime->rest_count < sizeof mime->rest)
            continue;
        add_group(mime, out, bytes_of(mime->rest, sizeof mime->rest));
        mime->rest_count = 0;
    }
}

void mime_attach_end(struct mime *mime, struct buffer *out)
{
    if (mime->rest_count > 0)
        add_group(mime, out, bytes_of(mime->rest, mime->rest_count));
    if (mime->column > 0)
        buffer_add_text(out, "\r\n");
}

void mime_end(struct mime *mime, struct buffer *out)
{
    if (mime->attachments)
        buffer_add_format(out, "\r\n--%s--\r\n", mime->boundary);
}
