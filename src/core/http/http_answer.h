/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer: writes a response with a body that is known whole (RFC 9112 4, RFC 9110 6.6.1). */
#ifndef MAILBOAT_CORE_HTTP_HTTP_ANSWER_H
#define MAILBOAT_CORE_HTTP_HTTP_ANSWER_H

#include "base/buffer.h"
#include "core/http/http_status.h"

/* Its texts are this server's, never a client's: they are asserted to be one line. */
struct http_answer {
    enum http_status status;
    struct bytes type;   /* "text/html; charset=utf-8" */
    struct bytes fields; /* others, each line with its CRLF */
    struct bytes body;
    unsigned allow; /* of enum http_method: what the resource knows; 0: no such field */
};

/* The end of the connection, or not, as the answer announces it. */
enum http_persistence {
    HTTP_CLOSES, /* Connection: close */
    /* kept, with a hint how long it stays when idle (Keep-Alive: timeout, as in RFC 2068 19.7.1): clients
     * that heed it never send into a connection that is just being closed */
    HTTP_KEEPS,
};

/* Seconds announced in Keep-Alive; a little less than the connection really stays. */
enum { HTTP_KEPT_S = 65 };

/* Without the body for HEAD, whose fields are those of GET (RFC 9110 9.3.2). `now_ms` since 1970. */
void http_answer_write(struct buffer *out, const struct http_answer *answer, bool is_for_head,
                       enum http_persistence persistence, uint64_t now_ms);

#endif
