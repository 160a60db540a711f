/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/transfer_encoding.h"

#include "core/message/long_field.h"
#include "core/smtp/base64.h"
#include "core/smtp/envelope.h"

enum { ENCODED_LINE = 76 }; /* octets per line at most (RFC 2045 6.7, 6.8) */

#define CRLF BYTES("\r\n")

void transfer_encoding_start(struct transfer_encoding *transfer_encoding, bool binary)
{
    *transfer_encoding = (struct transfer_encoding){.binary = binary};
}

void transfer_encoding_free(struct transfer_encoding *transfer_encoding)
{
    buffer_free(&transfer_encoding->header);
    buffer_free(&transfer_encoding->line);
}

/* Appends octets unchanged. Where content may be binary, octets that no line can have (RFC 5321 2.3.8,
 * 4.1.1.4) are replaced even between parts, in their headers and in parts that claim to be encoded: NUL
 * becomes "?", a bare CR or LF CRLF, since some servers could see the end of the message in it. */
static void pass(const struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text)
{
    static const bool unfit[256] = {['\0'] = true, ['\r'] = true, ['\n'] = true};
    for (size_t start = 0, i = 0; i <= text.length; i++) {
        if (i < text.length && !(transfer_encoding->binary && unfit[(unsigned char)text.at[i]]))
            continue;
        buffer_add(out, bytes_of(text.at + start, i - start));
        if (i < text.length)
            buffer_add(out, text.at[i] == '\0' ? BYTES("?") : CRLF);
        start = i + 1;
    }
}

/* ---- fields of a header ---- */

struct mime_entity {
    struct bytes type;                   /* "text/plain"; empty: not given */
    struct bytes encoding;               /* the value of Content-Transfer-Encoding */
    size_t encoding_start, encoding_end; /* position of its field; the header's end if absent */
    char boundary[TRANSFER_ENCODING_BOUNDARY_MAX];
    size_t boundary_length;
    bool is_mime, is_signed; /* has MIME-Version; has a DKIM-Signature */
    bool has_field;          /* false: not a header, or an empty one of a part */
};

/* Skips comments and folding, which are not part of a value (RFC 2045 5.1, RFC 5322 3.2.2). */
static void skip_blank(struct bytes *value)
{
    size_t depth = 0;
    for (; value->length > 0; *value = bytes_from(*value, 1)) {
        char c = value->at[0];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0 && value->length > 1)
            *value = bytes_from(*value, 1);
        else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return;
    }
}

static struct bytes take_token(struct bytes *value)
{
    size_t length = 0;
    skip_blank(value);
    while (length < value->length && value->at[length] > ' ' &&
           strchr("()<>@,;:\\\"/[]?=", value->at[length]) == NULL)
        length++;
    struct bytes token = bytes_first(*value, length);
    *value = bytes_from(*value, length);
    return token;
}

static bool take(struct bytes *value, char c)
{
    skip_blank(value);
    if (value->length == 0 || value->at[0] != c)
        return false;
    *value = bytes_from(*value, 1);
    return true;
}

/* Copies a token or a quoted string into `room`; returns its length, SIZE_MAX if it does not fit. */
static size_t take_value(struct bytes *value, char *room, size_t size)
{
    size_t length = 0;
    if (!take(value, '"')) {
        struct bytes token = take_token(value);
        if (token.length > size)
            return SIZE_MAX;
        memcpy(room, token.at, token.length);
        return token.length;
    }
    for (; value->length > 0 && value->at[0] != '"'; *value = bytes_from(*value, 1)) {
        if (value->at[0] == '\\' && value->length > 1)
            *value = bytes_from(*value, 1);
        if (value->at[0] == '\r' || value->at[0] == '\n')
            continue;
        if (length == size)
            return SIZE_MAX;
        room[length++] = value->at[0];
    }
    take(value, '"');
    return length;
}

static void read_type(struct mime_entity *entity, struct bytes value)
{
    skip_blank(&value);
    struct bytes start = value, type = take_token(&value);
    if (type.length == 0 || value.length == 0 || value.at[0] != '/')
        return;
    value = bytes_from(value, 1);
    struct bytes subtype = take_token(&value);
    entity->type = bytes_first(start, type.length + 1 + subtype.length);
    while (take(&value, ';')) {
        char room[TRANSFER_ENCODING_BOUNDARY_MAX];
        struct bytes name = take_token(&value);
        if (!take(&value, '='))
            continue;
        size_t length = take_value(&value, room, sizeof room);
        if (!bytes_is_nocase(name, "boundary") || entity->boundary_length > 0 || length == SIZE_MAX)
            continue;
        memcpy(entity->boundary, room, length);
        entity->boundary_length = length;
    }
}

/* Returns the field at *at, with its folded lines; moves *at past it. */
static struct bytes next_field(struct bytes header, size_t *at)
{
    size_t end = *at;
    do {
        size_t newline = bytes_search(bytes_from(header, end), CRLF);
        end = newline == SIZE_MAX ? header.length : end + newline + 2;
    } while (end < header.length && (header.at[end] == ' ' || header.at[end] == '\t'));
    struct bytes field = bytes_first(bytes_from(header, *at), end - *at);
    *at = end;
    return field;
}

static struct mime_entity read_header(struct bytes header)
{
    struct mime_entity entity = {0};
    for (size_t at = 0; at < header.length;) {
        size_t start = at;
        struct bytes field = next_field(header, &at), value = field,
                     name = bytes_trim(bytes_split(&value, ':'));
        entity.has_field = entity.has_field || bytes_find(field, ':') != SIZE_MAX;
        if (bytes_is_nocase(name, "content-type") && entity.type.length == 0) {
            read_type(&entity, value);
        } else if (bytes_is_nocase(name, "content-transfer-encoding") && entity.encoding_end == 0) {
            entity.encoding = take_token(&value);
            entity.encoding_start = start;
            entity.encoding_end = at;
        } else if (bytes_is_nocase(name, "mime-version")) {
            entity.is_mime = true;
        } else if (bytes_is_nocase(name, "dkim-signature")) {
            entity.is_signed = true;
        }
    }
    if (entity.encoding_end == 0)
        entity.encoding_start = entity.encoding_end = header.length;
    return entity;
}

/* ---- encoding of a part ---- */

static bool is_multipart(const struct mime_entity *entity)
{
    return bytes_starts_nocase(entity->type, "multipart/") && entity->boundary_length > 0;
}

static void enter(struct transfer_encoding *transfer_encoding, const struct mime_entity *entity)
{
    struct transfer_encoding_boundary *boundary = &transfer_encoding->boundaries[transfer_encoding->depth++];
    memcpy(boundary->text, entity->boundary, entity->boundary_length);
    boundary->length = (uint8_t)entity->boundary_length;
}

/* An encoded part only gets shorter lines. */
static bool keeps_encoding(struct transfer_encoding *transfer_encoding, const struct mime_entity *entity)
{
    if (bytes_is_nocase(entity->encoding, "base64"))
        transfer_encoding->state = TRANSFER_ENCODING_BASE64_LINES;
    else if (bytes_is_nocase(entity->encoding, "quoted-printable"))
        transfer_encoding->state = TRANSFER_ENCODING_QUOTED_LINES;
    else
        return false;
    return true;
}

/* Sets the state for the content after the header, and returns its encoding; NULL: as the header says. */
static const char *decide(struct transfer_encoding *transfer_encoding, const struct mime_entity *entity)
{
    bool binary = bytes_is_nocase(entity->encoding, "binary"),
         eight = binary || bytes_is_nocase(entity->encoding, "8bit");
    transfer_encoding->state = TRANSFER_ENCODING_PASS;
    bool readable_alone = entity->is_mime || transfer_encoding->short_lines;
    if (!transfer_encoding->nested && !transfer_encoding->binary && (!readable_alone || entity->is_signed)) {
        transfer_encoding->state = TRANSFER_ENCODING_SEALED;
        return NULL;
    }
    if (is_multipart(entity) && transfer_encoding->depth < TRANSFER_ENCODING_DEPTH_MAX &&
        (transfer_encoding->binary || !bytes_is_nocase(entity->type, "multipart/signed"))) {
        enter(transfer_encoding, entity);
        return eight && !transfer_encoding->eight_passes ? "7bit" : NULL;
    }
    if (bytes_is_nocase(entity->type, "message/rfc822") &&
        (eight || entity->encoding.length == 0 || bytes_is_nocase(entity->encoding, "7bit"))) {
        transfer_encoding->state = TRANSFER_ENCODING_HEADER;
        return eight && !transfer_encoding->eight_passes ? "7bit" : NULL;
    }
    if (transfer_encoding->short_lines && keeps_encoding(transfer_encoding, entity))
        return NULL;
    /* a text without any field is not a message */
    bool readable = entity->has_field || transfer_encoding->nested;
    bool unsaid = (transfer_encoding->binary || transfer_encoding->short_lines) && readable &&
                  (entity->encoding.length == 0 || bytes_is_nocase(entity->encoding, "7bit"));
    bool report = !eight && !transfer_encoding->binary && bytes_starts_nocase(entity->type, "message/");
    if (!(eight || unsaid) || report || bytes_starts_nocase(entity->type, "multipart/"))
        return NULL; /* message/delivery-status is 7bit (RFC 3464 2.1) */
    bool text = entity->type.length == 0 || bytes_starts_nocase(entity->type, "text/") ||
                bytes_starts_nocase(entity->type, "message/");
    transfer_encoding->state = text && !binary ? TRANSFER_ENCODING_TEXT : TRANSFER_ENCODING_OCTETS;
    return transfer_encoding->state == TRANSFER_ENCODING_TEXT ? "quoted-printable" : "base64";
}

static void add_fields(struct buffer *out, struct bytes fields, bool folds)
{
    if (folds)
        long_field_fold(out, fields);
    else
        buffer_add(out, fields);
}

/* Writes the complete header. */
static void end_header(struct transfer_encoding *transfer_encoding, struct buffer *out)
{
    struct bytes header = buffer_bytes(&transfer_encoding->header);
    struct mime_entity entity = read_header(header);
    const char *encoding = decide(transfer_encoding, &entity);
    bool folds = transfer_encoding->short_lines && transfer_encoding->state != TRANSFER_ENCODING_SEALED;
    if (encoding == NULL) {
        add_fields(out, header, folds);
    } else {
        add_fields(out, bytes_first(header, entity.encoding_start), folds);
        if (!transfer_encoding->nested && !entity.is_mime)
            buffer_add_text(out, "MIME-Version: 1.0\r\n");
        buffer_add_format(out, "Content-Transfer-Encoding: %s\r\n", encoding);
        add_fields(out, bytes_from(header, entity.encoding_end), folds);
    }
    buffer_add(out, CRLF);
    buffer_clear(&transfer_encoding->header);
    transfer_encoding->nested = true;
    transfer_encoding->newline = false;
}

/* ---- encodings ---- */

static void quote(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text,
                  bool ends)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool plain = (c > 32 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && i + 1 < text.length);
        if (transfer_encoding->column + (plain ? 1 : 3) >= ENCODED_LINE) {
            buffer_add_text(out, "=\r\n");
            transfer_encoding->column = 0;
            plain = plain && c != '-'; /* otherwise it could look like a boundary */
        }
        if (plain)
            buffer_add_octet(out, (char)c);
        else
            buffer_add(out, bytes_of((char[]){'=', hex[c >> 4], hex[c & 15]}, 3));
        transfer_encoding->column += plain ? 1 : 3;
    }
    if (ends) {
        buffer_add(out, CRLF);
        transfer_encoding->column = 0;
    }
}

static void add_group(struct transfer_encoding *transfer_encoding, struct buffer *out)
{
    if (transfer_encoding->column == ENCODED_LINE) {
        buffer_add(out, CRLF);
        transfer_encoding->column = 0;
    }
    base64_encode(out, bytes_of(transfer_encoding->rest, transfer_encoding->rest_count));
    transfer_encoding->column += 4;
    transfer_encoding->rest_count = 0;
}

static void pack(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes octets)
{
    for (size_t i = 0; i < octets.length; i++) {
        transfer_encoding->rest[transfer_encoding->rest_count++] = (uint8_t)octets.at[i];
        if (transfer_encoding->rest_count == sizeof transfer_encoding->rest)
            add_group(transfer_encoding, out);
    }
}

/* Base64 in new lines. Other octets mean nothing in it (RFC 2045 6.8), and could look like a boundary. */
static void wrap_base64(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (!ascii_is_alnum(c) && c != '+' && c != '/' && c != '=')
            continue;
        if (transfer_encoding->column == ENCODED_LINE) {
            buffer_add(out, CRLF);
            transfer_encoding->column = 0;
        }
        buffer_add_octet(out, c);
        transfer_encoding->column++;
    }
}

/* Splits a long line of quoted-printable by soft line breaks (RFC 2045 6.7 (5)), never within "=XX". */
static void split_quoted(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text,
                         bool begins, bool ends)
{
    if (begins)
        transfer_encoding->splitting = !ends || text.length > LINE_OCTETS_MAX;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool breaks = transfer_encoding->splitting && transfer_encoding->escape_left == 0 &&
                      transfer_encoding->column + 4 > ENCODED_LINE;
        if (breaks) {
            buffer_add_text(out, "=\r\n");
            transfer_encoding->column = 0;
        }
        bool looks = breaks && (c == '-' || c == '.'); /* like a boundary, or the end */
        if (looks)
            buffer_add_format(out, "=%02X", (unsigned)(unsigned char)c);
        else
            buffer_add_octet(out, c);
        transfer_encoding->column += looks ? 3 : 1;
        if (c == '=')
            transfer_encoding->escape_left = 2;
        else
            transfer_encoding->escape_left -= transfer_encoding->escape_left > 0;
    }
    if (!ends)
        return;
    buffer_add(out, CRLF);
    transfer_encoding->column = transfer_encoding->escape_left = 0;
}

/* Ends a part's content: flushes open groups and lines. */
static void end_part(struct transfer_encoding *transfer_encoding, struct buffer *out)
{
    if (transfer_encoding->rest_count > 0)
        add_group(transfer_encoding, out);
    if (transfer_encoding->column > 0 || transfer_encoding->newline)
        buffer_add(out, CRLF);
    transfer_encoding->column = transfer_encoding->escape_left = 0;
    transfer_encoding->newline = false;
}

/* ---- lines ---- */

static bool is_boundary(const struct transfer_encoding_boundary *boundary, struct bytes line, bool *last)
{
    if (line.length < boundary->length + 2u || memcmp(line.at, "--", 2) != 0 ||
        memcmp(line.at + 2, boundary->text, boundary->length) != 0)
        return false;
    line = bytes_from(line, boundary->length + 2u);
    *last = line.length >= 2 && memcmp(line.at, "--", 2) == 0;
    line = bytes_from(line, *last ? 2 : 0);
    for (size_t i = 0; i < line.length; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t')
            return false;
    return true;
}

/* Matches the boundary of an open multipart; ends those nested within it. */
static bool meets_boundary(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes line)
{
    bool last;
    size_t i = transfer_encoding->depth;
    do
        if (i == 0)
            return false;
    while (!is_boundary(&transfer_encoding->boundaries[--i], line, &last));
    if (transfer_encoding->state == TRANSFER_ENCODING_HEADER) /* no empty line ended it: not a header */
        buffer_add(out, buffer_bytes(&transfer_encoding->header));
    else
        end_part(transfer_encoding, out);
    buffer_clear(&transfer_encoding->header);
    transfer_encoding->depth = last ? i : i + 1;
    transfer_encoding->state = last ? TRANSFER_ENCODING_PASS : TRANSFER_ENCODING_HEADER;
    buffer_add(out, line);
    return true;
}

static void add_to_header(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text,
                          bool begins, bool ends)
{
    if (begins && ends && text.length == 0) {
        end_header(transfer_encoding, out);
        return;
    }
    pass(transfer_encoding, &transfer_encoding->header, text);
    if (ends)
        buffer_add(&transfer_encoding->header, CRLF);
    if (transfer_encoding->header.length <= TRANSFER_ENCODING_HEADER_MAX)
        return;
    buffer_add(out, buffer_bytes(&transfer_encoding->header));
    buffer_clear(&transfer_encoding->header);
    transfer_encoding->state = TRANSFER_ENCODING_PASS;
}

/* Adds a line without its CRLF, or a piece of one. */
static void add_line(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes text,
                     bool begins, bool ends, bool at_end)
{
    if (begins && (ends || at_end) && transfer_encoding->state != TRANSFER_ENCODING_SEALED &&
        meets_boundary(transfer_encoding, out, text)) {
        if (ends)
            buffer_add(out, CRLF);
        return;
    }
    switch (transfer_encoding->state) {
    case TRANSFER_ENCODING_HEADER: add_to_header(transfer_encoding, out, text, begins, ends); break;
    case TRANSFER_ENCODING_TEXT: quote(transfer_encoding, out, text, ends); break;
    case TRANSFER_ENCODING_BASE64_LINES:
        wrap_base64(transfer_encoding, out, text);
        transfer_encoding->newline = ends; /* empty content keeps the line end before its boundary */
        break;
    case TRANSFER_ENCODING_QUOTED_LINES: split_quoted(transfer_encoding, out, text, begins, ends); break;
    case TRANSFER_ENCODING_OCTETS:
        if (transfer_encoding->newline)
            pack(transfer_encoding, out, CRLF);
        pack(transfer_encoding, out, text);
        transfer_encoding->newline = ends;
        break;
    case TRANSFER_ENCODING_PASS:
    case TRANSFER_ENCODING_SEALED:
        pass(transfer_encoding, out, text);
        if (ends)
            buffer_add(out, CRLF);
        break;
    }
}

/* Flushes the first `length` octets of the gathered line; `ends`: with its CRLF. */
static void flush_line(struct transfer_encoding *transfer_encoding, struct buffer *out, size_t length,
                       bool ends, bool at_end)
{
    struct bytes text = bytes_first(buffer_bytes(&transfer_encoding->line), length - (ends ? 2 : 0));
    add_line(transfer_encoding, out, text, !transfer_encoding->inside_line, ends, at_end);
    buffer_consume(&transfer_encoding->line, length);
    transfer_encoding->inside_line = !ends;
}

void transfer_encoding_add(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes run)
{
    while (run.length > 0) {
        size_t room = TRANSFER_ENCODING_LINE_MAX - transfer_encoding->line.length,
               newline = bytes_find(bytes_first(run, room), '\n');
        size_t taken = newline != SIZE_MAX ? newline + 1 : run.length < room ? run.length : room;
        buffer_add(&transfer_encoding->line, bytes_first(run, taken));
        run = bytes_from(run, taken);
        struct bytes line = buffer_bytes(&transfer_encoding->line);
        bool after_cr = line.length >= 2 && line.at[line.length - 2] == '\r';
        if (newline != SIZE_MAX && after_cr)
            flush_line(transfer_encoding, out, line.length, true, false);
        else if (line.length == TRANSFER_ENCODING_LINE_MAX) /* keeps a final CR: it may be half of a CRLF */
            flush_line(transfer_encoding, out, line.length - (line.at[line.length - 1] == '\r' ? 1 : 0),
                       false, false);
    }
}

void transfer_encoding_end(struct transfer_encoding *transfer_encoding, struct buffer *out)
{
    if (transfer_encoding->line.length > 0)
        flush_line(transfer_encoding, out, transfer_encoding->line.length, false, true);
    if (transfer_encoding->state == TRANSFER_ENCODING_HEADER) {
        struct bytes header = buffer_bytes(&transfer_encoding->header);
        add_fields(out, header, transfer_encoding->short_lines && !read_header(header).is_signed);
    } else if (transfer_encoding->state == TRANSFER_ENCODING_OCTETS) {
        if (transfer_encoding->newline)
            pack(transfer_encoding, out, CRLF);
        transfer_encoding->newline = false;
        end_part(transfer_encoding, out);
    } else {
        end_part(transfer_encoding, out);
    }
}
