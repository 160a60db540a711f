/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head: the head of a request (RFC 9112 2 to 6), one line per feed: what is asked, of which host, and
 * where its body ends. It is strict, as two readers that disagree about the end of a request make a second
 * request out of somebody's body (request smuggling). Refused with 400, although a lenient reader could go
 * on: lines that end in a bare LF or contain a bare CR, folded fields, a space before a colon, NUL and other
 * control characters, a length that is given twice (even the same), a length beside a transfer-coding, a
 * transfer-coding in HTTP/1.0, and HTTP/1.1 without exactly one Host. docs/decisions/0050-http.md gives the
 * reasons.
 *
 * Only the fields that frame or route a request are read; the others are checked for their form and dropped.
 */
#ifndef MAILBOAT_CORE_HTTP_HTTP_HEAD_H
#define MAILBOAT_CORE_HTTP_HTTP_HEAD_H

#include "core/http/http_target.h"

enum http_head_limit {
    HTTP_LINE_MAX = 8 * 1024, /* octets of the request line, without CRLF (RFC 9112 3: at least 8000); 414 */
    HTTP_METHOD_MAX = 32,     /* octets; a longer one is not implemented: 501 */
    HTTP_FIELDS_MAX = 16 * 1024, /* octets of all fields of a head, with their CRLF; 431 */
    HTTP_FIELD_COUNT_MAX = 100,  /* fields of a head; 431 */
    HTTP_LENGTH_DIGITS_MAX = 18, /* of a Content-Length; 413 */
};

/* The end of the body (RFC 9112 6.3). */
enum http_framing { HTTP_NO_BODY, HTTP_BODY_BY_LENGTH, HTTP_BODY_IN_CHUNKS };

struct http_request {
    enum http_method method;
    struct bytes path, query; /* as in struct http_target */
    /* With its port; empty if the client sent an empty one, or in HTTP/1.0 none. Of an absolute target it is
     * the target's (RFC 9112 3.2.2: Host does not count then). */
    struct bytes host;
    unsigned minor; /* of HTTP/1.: 0, or 1 also for later ones */
    enum http_framing framing;
    uint64_t length; /* of HTTP_BODY_BY_LENGTH, more than 0 */
    bool persists;   /* the client keeps the connection for another request (RFC 9112 9.3) */
    bool expects_continue;
};

/* `request` is complete once the head is; its texts live until http_head_clear(). All zero: ready. */
struct http_head {
    struct http_request request;
    struct arena arena;
    struct http_refusal refusal; /* the head ended here */
    size_t octets;               /* of its fields so far */
    unsigned fields, hosts, lengths, codings;
    bool has_empty_line; /* before the request line: one is ignored (RFC 9112 2.2) */
    bool has_line, is_complete;
    bool is_chunked; /* Transfer-Encoding is "chunked" alone */
    bool closes, keeps_alive, host_is_of_target;
};

/* Consumes at most one line; 0: it needs more input, or head->refusal says why it reads no more, or the head
 * is complete. Unread octets stay bounded by the limits above. */
size_t http_head_feed(struct http_head *head, struct bytes unread);
/* Frees its texts and makes it ready for the next request. */
void http_head_clear(struct http_head *head);

#endif
