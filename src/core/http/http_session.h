/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_session: the server side of one HTTP/1.1 connection as a pure state machine (RFC 9110, RFC 9112).
 *
 * The shell calls http_session_start(), then in a loop pulls and executes every http_session_action(), and
 * passes unread octets to http_session_feed(). A request is two questions. HTTP_ASK_HEAD: its head is here;
 * answer it now, or take its body with a limit. The body then comes in pieces (HTTP_BODY), and at its end
 * HTTP_ASK_ANSWER. So a body is never read before its size, the resource and, later, who asks have been
 * judged; and a handler streams it wherever it wants. An answer before the end of the body ends the
 * connection.
 *
 * While a question is open nothing more is read: pipelined requests are answered one after the other, in
 * order. A malformed request is answered by the machine, and ends the connection: what follows is never read
 * as a request.
 */
#ifndef MAILBOAT_CORE_HTTP_HTTP_SESSION_H
#define MAILBOAT_CORE_HTTP_HTTP_SESSION_H

#include "core/http/http_answer.h"
#include "core/http/http_body.h"

enum http_session_limit {
    HTTP_HEAD_TIMEOUT_MS = 10 * 1000, /* for a whole head, from its first octet, or from the start */
    HTTP_BODY_TIMEOUT_MS = 10 * 1000, /* for each HTTP_PACE_OCTETS of a body, and for its end */
    HTTP_PACE_OCTETS = 64 * 1024,     /* of content: framing counts nothing */
    HTTP_IDLE_TIMEOUT_MS = 75 * 1000, /* between two requests */
};

enum http_session_stage {
    HTTP_READS_HEAD,
    HTTP_ASKS_HEAD,
    HTTP_READS_BODY,
    HTTP_ASKS_ANSWER,
    HTTP_CLOSED, /* input is ignored */
};

enum http_action_kind {
    HTTP_NOTHING,    /* no action pending: feed more, or answer */
    HTTP_SEND,       /* send `bytes`; valid until the next call */
    HTTP_ASK_HEAD,   /* http_session_answer() or http_session_take_body() */
    HTTP_BODY,       /* `bytes` of the body: they point into what was fed */
    HTTP_ASK_ANSWER, /* the request is complete: http_session_answer() */
    HTTP_CLOSE,      /* after the answers are sent: close */
};

struct http_action {
    enum http_action_kind kind;
    struct bytes bytes;
    const struct http_request *request; /* of both questions; valid until the answer */
    /* CLOSE: the client may still be sending, and would lose the answer if the connection were reset: stop
     * sending, read on for a while (RFC 9112 9.6) */
    bool lingers;
};

/* Members are private to this folder. */
struct http_session {
    enum http_session_stage stage;
    struct http_head head;
    struct http_body body;
    struct buffer out;
    struct bytes piece;
    size_t given; /* octets of `out` that the shell has */
    uint64_t requests, steps, paced;
    bool asked;     /* the shell has the question */
    bool has_begun; /* octets of the next head have come */
    bool drains, lingers, is_told;
};

void http_session_start(struct http_session *session);
void http_session_free(struct http_session *session);

/* Consumes at most one line of a head or one run of a body, and returns its octets; 0 if it needs more input,
 * or while an action or an answer is pending. `now_ms` since 1970, for the field Date. */
size_t http_session_feed(struct http_session *session, struct bytes unread, uint64_t now_ms);
/* Returns the next action; false and HTTP_NOTHING if there is none. */
bool http_session_action(struct http_session *session, struct http_action *action);

/* At HTTP_ASK_HEAD: reads the body, at most so many octets of content; a larger one is answered with 413, by
 * its Content-Length before it is read. Sends 100 Continue if the client waits for that. */
void http_session_take_body(struct http_session *session, uint64_t octets_max, uint64_t now_ms);
/* At either question. */
void http_session_answer(struct http_session *session, const struct http_answer *answer, uint64_t now_ms);

/* Returns the ms until which the client must make the next step; after them the shell calls
 * http_session_timed_out(). http_session_steps() changes with each step; single octets do not extend the
 * time. 0: the client is not waited for. */
uint32_t http_session_timeout_ms(const struct http_session *session);
uint64_t http_session_steps(const struct http_session *session);
/* Answers a request that has begun with 408; a connection without one just ends. */
void http_session_timed_out(struct http_session *session, uint64_t now_ms);
/* The next answer announces the end of the connection. */
void http_session_drain(struct http_session *session);

#endif
