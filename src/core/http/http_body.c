/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_body.h"

#include <assert.h>

#include "core/http/http_text.h"

static void http_body_check(const struct http_body *body)
{
    bool is_content = body->stage == HTTP_BODY_DATA || body->stage == HTTP_BODY_CHUNK;
    assert(!is_content || body->refusal.status != 0 || (body->left > 0 && body->left <= body->capacity));
    assert(body->digits <= HTTP_CHUNK_DIGITS_MAX);
    assert(body->line <= HTTP_CHUNK_LINE_MAX + 1 && body->trailers <= HTTP_TRAILERS_MAX);
}

static void refuse(struct http_body *body, enum http_status status, const char *text)
{
    body->refusal = HTTP_REFUSAL(status, text);
}

static void check_capacity(struct http_body *body)
{
    if (body->left > body->capacity)
        refuse(body, HTTP_CONTENT_TOO_LARGE, "The body is too large.\n");
}

void http_body_start(struct http_body *body, const struct http_request *request, uint64_t octets_max)
{
    *body = (struct http_body){.capacity = octets_max};
    switch (request->framing) {
    case HTTP_NO_BODY: return;
    case HTTP_BODY_BY_LENGTH:
        body->stage = HTTP_BODY_DATA;
        body->left = request->length;
        check_capacity(body);
        return;
    case HTTP_BODY_IN_CHUNKS: body->stage = HTTP_BODY_SIZE; return;
    }
}

/* ---- content ---- */

static struct bytes take_piece(struct http_body *body, struct bytes unread)
{
    assert(body->left > 0 && body->left <= body->capacity);
    struct bytes piece = bytes_first(unread, body->left < SIZE_MAX ? (size_t)body->left : SIZE_MAX);
    body->left -= piece.length;
    body->capacity -= piece.length;
    body->octets += piece.length;
    if (body->left == 0)
        body->stage = body->stage == HTTP_BODY_DATA ? HTTP_BODY_DONE : HTTP_BODY_CHUNK_CR;
    return piece;
}

/* ---- framing of chunks: one octet after the other ---- */

static void begin_size(struct http_body *body)
{
    body->stage = HTTP_BODY_SIZE;
    body->left = 0;
    body->digits = 0;
    body->line = 0;
}

static void end_size(struct http_body *body)
{
    body->stage = body->left == 0 ? HTTP_BODY_TRAILER : HTTP_BODY_CHUNK;
    check_capacity(body);
}

static void take_size(struct http_body *body, char octet)
{
    int digit = http_text_hex(octet);
    if (digit >= 0 && body->digits == HTTP_CHUNK_DIGITS_MAX) {
        refuse(body, HTTP_CONTENT_TOO_LARGE, "The body is too large.\n");
    } else if (digit >= 0) {
        body->digits++;
        body->left = body->left << 4 | (uint64_t)digit;
    } else if (body->digits > 0 && octet == '\r') {
        body->stage = HTTP_BODY_SIZE_LF;
    } else if (body->digits > 0 && octet == ';') {
        body->stage = HTTP_BODY_EXTENSION;
    } else {
        refuse(body, HTTP_BAD_REQUEST, "The size of a chunk is malformed.\n");
    }
}

static void take_extension(struct http_body *body, char octet)
{
    if (octet == '\r')
        body->stage = HTTP_BODY_SIZE_LF;
    else if (!http_text_is_value_octet(octet))
        refuse(body, HTTP_BAD_REQUEST, "An extension of a chunk contains control characters.\n");
}

static void take_size_octet(struct http_body *body, char octet)
{
    if (octet != '\r' && body->line++ == HTTP_CHUNK_LINE_MAX)
        refuse(body, HTTP_BAD_REQUEST, "The size of a chunk is too long.\n");
    else if (body->stage == HTTP_BODY_SIZE)
        take_size(body, octet);
    else
        take_extension(body, octet);
}

static void take_trailer(struct http_body *body, char octet)
{
    bool begins = body->stage == HTTP_BODY_TRAILER;
    if (begins && octet == '\r')
        body->stage = HTTP_BODY_END_LF;
    else if (body->trailers == HTTP_TRAILERS_MAX)
        refuse(body, HTTP_FIELDS_TOO_LARGE, "The trailer is too large.\n");
    else if (body->stage == HTTP_BODY_TRAILER_VALUE && octet == '\r')
        body->stage = HTTP_BODY_TRAILER_LF;
    else if (body->stage == HTTP_BODY_TRAILER_NAME && octet == ':')
        body->stage = HTTP_BODY_TRAILER_VALUE;
    else if (body->stage != HTTP_BODY_TRAILER_VALUE && http_text_is_token_octet(octet))
        body->stage = HTTP_BODY_TRAILER_NAME;
    else if (body->stage != HTTP_BODY_TRAILER_VALUE || !http_text_is_value_octet(octet))
        refuse(body, HTTP_BAD_REQUEST, "A trailer field is malformed.\n");
    if (body->stage != HTTP_BODY_END_LF && body->refusal.status == 0)
        body->trailers++;
}

static void take_exact(struct http_body *body, char octet, char wanted, enum http_body_stage next)
{
    if (octet == wanted)
        body->stage = next;
    else
        refuse(body, HTTP_BAD_REQUEST, "A chunk does not end in CRLF.\n");
}

static void take_octet(struct http_body *body, char octet)
{
    switch (body->stage) {
    case HTTP_BODY_DONE:
    case HTTP_BODY_DATA:
    case HTTP_BODY_CHUNK: assert(false); return; /* not framing */
    case HTTP_BODY_SIZE:
    case HTTP_BODY_EXTENSION: take_size_octet(body, octet); return;
    case HTTP_BODY_SIZE_LF:
        take_exact(body, octet, '\n', HTTP_BODY_SIZE_LF);
        if (body->refusal.status == 0)
            end_size(body);
        return;
    case HTTP_BODY_CHUNK_CR: take_exact(body, octet, '\r', HTTP_BODY_CHUNK_LF); return;
    case HTTP_BODY_CHUNK_LF:
        take_exact(body, octet, '\n', HTTP_BODY_CHUNK_LF);
        if (body->refusal.status == 0)
            begin_size(body);
        return;
    case HTTP_BODY_TRAILER:
    case HTTP_BODY_TRAILER_NAME:
    case HTTP_BODY_TRAILER_VALUE: take_trailer(body, octet); return;
    case HTTP_BODY_TRAILER_LF: take_exact(body, octet, '\n', HTTP_BODY_TRAILER); return;
    case HTTP_BODY_END_LF: take_exact(body, octet, '\n', HTTP_BODY_DONE); return;
    }
}

static bool is_content(const struct http_body *body)
{
    return body->stage == HTTP_BODY_DATA || body->stage == HTTP_BODY_CHUNK;
}

size_t http_body_feed(struct http_body *body, struct bytes unread, struct bytes *piece)
{
    size_t used = 0;
    *piece = bytes_none();
    while (used < unread.length && body->stage != HTTP_BODY_DONE && body->refusal.status == 0) {
        if (is_content(body)) {
            *piece = take_piece(body, bytes_from(unread, used));
            used += piece->length;
            break;
        }
        take_octet(body, unread.at[used]);
        used++;
    }
    http_body_check(body);
    return used;
}
