/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_body: the body of a request off the wire, by its length or in chunks (RFC 9112 6, 7.1), in pieces as
 * they come. Chunks are read strictly: a size is hexadecimal digits, ended by CRLF, or by extensions, which
 * are ignored; their data end in CRLF; trailer fields are checked for their form and dropped. Any cut of the
 * octets gives the same content.
 */
#ifndef MAILBOAT_CORE_HTTP_HTTP_BODY_H
#define MAILBOAT_CORE_HTTP_HTTP_BODY_H

#include "core/http/http_head.h"

enum http_body_limit {
    HTTP_CHUNK_DIGITS_MAX = 15, /* of the size of a chunk: no overflow; 413 */
    HTTP_CHUNK_LINE_MAX = 256,  /* octets of a chunk's size and extensions, without CRLF; 400 */
    HTTP_TRAILERS_MAX = 4096,   /* octets of all trailer fields, without their LF; 431 */
};

enum http_body_stage {
    HTTP_BODY_DONE,
    HTTP_BODY_DATA, /* by length */
    HTTP_BODY_SIZE, /* of a chunk; the rest are of chunks, too */
    HTTP_BODY_EXTENSION,
    HTTP_BODY_SIZE_LF,
    HTTP_BODY_CHUNK,
    HTTP_BODY_CHUNK_CR,
    HTTP_BODY_CHUNK_LF,
    HTTP_BODY_TRAILER, /* the first octet of a line behind the last chunk */
    HTTP_BODY_TRAILER_NAME,
    HTTP_BODY_TRAILER_VALUE,
    HTTP_BODY_TRAILER_LF,
    HTTP_BODY_END_LF,
};

/* All zero: a body without octets. */
struct http_body {
    enum http_body_stage stage;
    struct http_refusal refusal; /* the body ended here */
    uint64_t left;               /* octets of the body, or of the chunk */
    uint64_t capacity;           /* octets that may still come */
    uint64_t octets;             /* that have come */
    unsigned digits;             /* of the chunk's size */
    size_t line, trailers;       /* octets of the chunk's line; of all trailers */
};

/* `octets_max`: the content, 413 beyond it. With a length it is known before the first octet. */
void http_body_start(struct http_body *body, const struct http_request *request, uint64_t octets_max);
/* Consumes framing, or a piece of content up to the end of what is unread, of a chunk or of the body: *piece
 * points into `unread`, empty if there is none. 0: it needs more input, or is done, or refused. */
size_t http_body_feed(struct http_body *body, struct bytes unread, struct bytes *piece);

#endif
