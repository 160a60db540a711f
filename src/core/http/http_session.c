/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_session.h"

#include <assert.h>

static void http_session_check(const struct http_session *session)
{
    bool in_request = session->stage != HTTP_READS_HEAD && session->stage != HTTP_CLOSED;
    assert(!in_request || session->head.is_complete);
    assert(session->stage == HTTP_READS_BODY || session->piece.length == 0);
    assert(session->stage != HTTP_ASKS_ANSWER || session->body.stage == HTTP_BODY_DONE);
    assert(session->given <= session->out.length);
    assert(!session->is_told || session->stage == HTTP_CLOSED);
}

void http_session_start(struct http_session *session)
{
    *session = (struct http_session){.stage = HTTP_READS_HEAD};
}

void http_session_free(struct http_session *session)
{
    http_head_clear(&session->head);
    buffer_free(&session->out);
    *session = (struct http_session){.stage = HTTP_CLOSED, .is_told = true};
}

/* ---- answers ---- */

/* Forgets what the shell has sent. */
static void forget_given(struct http_session *session)
{
    if (session->given > 0 && session->given == session->out.length)
        buffer_free(&session->out);
    else if (session->given > 0)
        buffer_consume(&session->out, session->given);
    session->given = 0;
}

static void close_session(struct http_session *session, bool lingers)
{
    session->stage = HTTP_CLOSED;
    session->piece = bytes_none();
    session->lingers = lingers;
}

static void refuse(struct http_session *session, struct http_refusal refusal, uint64_t now_ms)
{
    struct http_answer answer = {.status = refusal.status,
                                 .type = BYTES("text/plain; charset=utf-8"),
                                 .body = bytes_of_text(refusal.text)};
    assert(refusal.status >= HTTP_BAD_REQUEST);
    http_answer_write(&session->out, &answer, session->head.request.method == HTTP_METHOD_HEAD, HTTP_CLOSES,
                      now_ms);
    close_session(session, true);
}

static void await_next(struct http_session *session)
{
    http_head_clear(&session->head);
    session->body = (struct http_body){0};
    session->stage = HTTP_READS_HEAD;
    session->has_begun = false;
    session->requests++;
    session->steps++;
}

void http_session_answer(struct http_session *session, const struct http_answer *answer, uint64_t now_ms)
{
    const struct http_request *request = &session->head.request;
    http_session_check(session);
    assert(session->asked && (session->stage == HTTP_ASKS_HEAD || session->stage == HTTP_ASKS_ANSWER));
    forget_given(session);
    bool has_body_left = session->stage == HTTP_ASKS_HEAD && request->framing != HTTP_NO_BODY;
    bool keeps = request->persists && !has_body_left && !session->drains;
    http_answer_write(&session->out, answer, request->method == HTTP_METHOD_HEAD,
                      keeps ? HTTP_KEEPS : HTTP_CLOSES, now_ms);
    session->asked = false;
    if (keeps)
        await_next(session);
    else
        close_session(session, has_body_left || request->persists);
    http_session_check(session);
}

void http_session_take_body(struct http_session *session, uint64_t octets_max, uint64_t now_ms)
{
    const struct http_request *request = &session->head.request;
    http_session_check(session);
    assert(session->asked && session->stage == HTTP_ASKS_HEAD);
    forget_given(session);
    session->asked = false;
    session->steps++;
    session->paced = 0;
    http_body_start(&session->body, request, octets_max);
    session->stage = session->body.stage == HTTP_BODY_DONE ? HTTP_ASKS_ANSWER : HTTP_READS_BODY;
    if (session->body.refusal.status != 0)
        refuse(session, session->body.refusal, now_ms);
    else if (request->expects_continue && session->stage == HTTP_READS_BODY)
        buffer_add(&session->out, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
    http_session_check(session);
}

/* ---- reading ---- */

static size_t feed_head(struct http_session *session, struct bytes unread, uint64_t now_ms)
{
    if (!session->has_begun && unread.length > 0 && unread.at[0] != '\r') {
        session->has_begun = true;
        session->steps += session->requests > 0; /* the first one has its time from the start */
    }
    size_t used = http_head_feed(&session->head, unread);
    if (session->head.refusal.status != 0) {
        refuse(session, session->head.refusal, now_ms);
    } else if (session->head.is_complete) {
        session->stage = HTTP_ASKS_HEAD;
        session->steps++;
    }
    return used;
}

static size_t feed_body(struct http_session *session, struct bytes unread, uint64_t now_ms)
{
    size_t used = http_body_feed(&session->body, unread, &session->piece);
    if (session->body.octets - session->paced >= HTTP_PACE_OCTETS) {
        session->paced = session->body.octets;
        session->steps++;
    }
    if (session->body.refusal.status != 0)
        refuse(session, session->body.refusal, now_ms);
    else if (session->body.stage == HTTP_BODY_DONE && session->piece.length == 0)
        session->stage = HTTP_ASKS_ANSWER;
    return used;
}

static bool has_action(const struct http_session *session)
{
    bool asks = session->stage == HTTP_ASKS_HEAD || session->stage == HTTP_ASKS_ANSWER;
    return asks || session->out.length > session->given || session->piece.length > 0;
}

size_t http_session_feed(struct http_session *session, struct bytes unread, uint64_t now_ms)
{
    size_t used = 0;
    http_session_check(session);
    if (has_action(session))
        return 0;
    forget_given(session);
    if (session->stage == HTTP_READS_HEAD)
        used = feed_head(session, unread, now_ms);
    else if (session->stage == HTTP_READS_BODY)
        used = feed_body(session, unread, now_ms);
    http_session_check(session);
    return used;
}

bool http_session_action(struct http_session *session, struct http_action *action)
{
    *action = (struct http_action){.kind = HTTP_NOTHING};
    http_session_check(session);
    forget_given(session);
    if (session->out.length > 0) {
        action->kind = HTTP_SEND;
        action->bytes = buffer_bytes(&session->out);
        session->given = session->out.length;
    } else if (session->piece.length > 0) {
        action->kind = HTTP_BODY;
        action->bytes = session->piece;
        session->piece = bytes_none();
        if (session->body.stage == HTTP_BODY_DONE)
            session->stage = HTTP_ASKS_ANSWER;
    } else if (session->stage == HTTP_CLOSED && !session->is_told) {
        action->kind = HTTP_CLOSE;
        action->lingers = session->lingers;
        session->is_told = true;
    } else if (!session->asked && (session->stage == HTTP_ASKS_HEAD || session->stage == HTTP_ASKS_ANSWER)) {
        action->kind = session->stage == HTTP_ASKS_HEAD ? HTTP_ASK_HEAD : HTTP_ASK_ANSWER;
        action->request = &session->head.request;
        session->asked = true;
    }
    http_session_check(session);
    return action->kind != HTTP_NOTHING;
}

/* ---- time ---- */

uint32_t http_session_timeout_ms(const struct http_session *session)
{
    switch (session->stage) {
    case HTTP_READS_HEAD:
        return session->requests > 0 && !session->has_begun ? HTTP_IDLE_TIMEOUT_MS : HTTP_HEAD_TIMEOUT_MS;
    case HTTP_READS_BODY: return HTTP_BODY_TIMEOUT_MS;
    case HTTP_ASKS_HEAD:
    case HTTP_ASKS_ANSWER:
    case HTTP_CLOSED: return 0;
    }
    return 0;
}

uint64_t http_session_steps(const struct http_session *session)
{
    return session->steps;
}

void http_session_timed_out(struct http_session *session, uint64_t now_ms)
{
    http_session_check(session);
    if (session->stage == HTTP_READS_BODY || (session->stage == HTTP_READS_HEAD && session->has_begun))
        refuse(session, HTTP_REFUSAL(HTTP_REQUEST_TIMEOUT, "The request did not arrive in time.\n"), now_ms);
    else if (session->stage == HTTP_READS_HEAD)
        close_session(session, false);
    http_session_check(session);
}

void http_session_drain(struct http_session *session)
{
    session->drains = true;
}
