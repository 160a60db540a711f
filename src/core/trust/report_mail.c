/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_mail.h"

#include "base/buffer.h"
#include "base/white_space.h"
#include "core/message/header.h"
#include "core/trust/dkim_key.h"
#include "core/trust/tags.h"

enum report_form report_mail_form(struct bytes content)
{
    if (content.length > 2 && memcmp(content.at, "\x1f\x8b", 2) == 0)
        return REPORT_FORM_GZIP;
    if (content.length > 4 && memcmp(content.at, "PK\x03\x04", 4) == 0)
        return REPORT_FORM_ZIP;
    if (content.length > 3 && memcmp(content.at, "\xef\xbb\xbf", 3) == 0)
        content = bytes_from(content, 3);
    content = white_space_trim(content);
    if (bytes_starts_nocase(content, "<?xml") || bytes_starts_nocase(content, "<feedback"))
        return REPORT_FORM_XML;
    return content.length > 0 && content.at[0] == '{' ? REPORT_FORM_JSON : REPORT_FORM_NONE;
}

/* ---- one part ---- */

struct mail_search {
    struct arena *arena;
    size_t parts;
    const char *type; /* of the part that is wanted; NULL: one with a report */
    struct bytes *content;
};

/* Splits a part at its empty line. */
static void split_part(struct bytes part, struct bytes *header, struct bytes *body)
{
    struct bytes rest = part;
    while (rest.length > 0) {
        struct bytes line = bytes_split(&rest, '\n');
        if (white_space_trim(line).length == 0)
            break;
    }
    *header = bytes_first(part, part.length - rest.length);
    *body = rest;
}

/* Returns the value of a field, without its name; empty if it is missing. */
static struct bytes field_of(struct bytes header, const char *name)
{
    while (header.length > 0) {
        size_t lines;
        struct bytes field = header_next_field(&header, &lines);
        if (bytes_is_nocase(header_field_name(field), name))
            return white_space_trim(bytes_from(field, bytes_find(field, ':') + 1));
    }
    return bytes_none();
}

/* Returns a parameter's value, without quotation marks. */
static struct bytes parameter_of(struct bytes field, const char *name)
{
    struct bytes item;
    while (tags_next_item(&field, ';', &item)) {
        size_t equals = bytes_find(item, '=');
        if (equals == SIZE_MAX || !bytes_is_nocase(white_space_trim(bytes_first(item, equals)), name))
            continue;
        struct bytes value = white_space_trim(bytes_from(item, equals + 1));
        if (value.length > 1 && value.at[0] == '"' && value.at[value.length - 1] == '"')
            value = bytes_of(value.at + 1, value.length - 2);
        return value;
    }
    return bytes_none();
}

/* True for "text/xml; charset=utf-8" and "text/xml". */
static bool is_type(struct bytes field, const char *type)
{
    return bytes_is_nocase(white_space_trim(bytes_split(&field, ';')), type);
}

/* Decodes base64; other encodings are taken as they are: reports in them are ASCII. */
static bool take_leaf(struct mail_search *search, struct bytes header, struct bytes body)
{
    struct bytes content = body;
    if (search->type != NULL && !is_type(field_of(header, "Content-Type"), search->type))
        return false;
    if (bytes_is_nocase(field_of(header, "Content-Transfer-Encoding"), "base64") &&
        !dkim_base64(body, search->arena, &content))
        return false;
    if (search->type == NULL && report_mail_form(content) == REPORT_FORM_NONE)
        return false;
    *search->content = content;
    return true;
}

/* True if the line is "--boundary" or "--boundary--". */
static bool is_boundary(struct bytes line, struct bytes boundary)
{
    if (line.length < boundary.length + 2 || line.at[0] != '-' || line.at[1] != '-')
        return false;
    return bytes_equal(bytes_first(bytes_from(line, 2), boundary.length), boundary);
}

static bool search_part(struct mail_search *search, struct bytes part, unsigned depth);

static bool search_multipart(struct mail_search *search, struct bytes body, struct bytes boundary,
                             unsigned depth)
{
    struct bytes rest = body, part = bytes_none();
    bool inside = false;
    while (rest.length > 0) {
        struct bytes before = rest, line = bytes_split(&rest, '\n');
        if (!is_boundary(line, boundary))
            continue;
        if (inside && search_part(search, bytes_first(part, part.length - before.length), depth))
            return true;
        part = rest;
        inside = true;
    }
    return inside && search_part(search, part, depth); /* without its end: cut on the way */
}

/* Multiparts inside of each other are looked into as deep as the limit allows. */
static bool search_part(struct mail_search *search, struct bytes part, unsigned depth)
{
    struct bytes header, body;
    if (search->parts == REPORT_MAIL_PARTS_MAX || depth > REPORT_MAIL_DEPTH_MAX)
        return false;
    search->parts++;
    split_part(part, &header, &body);
    struct bytes type = field_of(header, "Content-Type"), boundary = parameter_of(type, "boundary");
    if (bytes_starts_nocase(type, "multipart/") && boundary.length > 0)
        return search_multipart(search, body, boundary, depth + 1);
    return take_leaf(search, header, body);
}

bool report_mail_find(struct bytes message, struct arena *arena, struct bytes *content)
{
    struct mail_search search = {.arena = arena, .content = content};
    return search_part(&search, message, 0);
}

bool report_mail_part(struct bytes message, const char *type, struct arena *arena, struct bytes *content)
{
    struct mail_search search = {.arena = arena, .type = type, .content = content};
    return search_part(&search, message, 0);
}

struct bytes report_mail_field(struct bytes message, const char *name)
{
    struct bytes header, body;
    split_part(message, &header, &body);
    return field_of(header, name);
}
