/* SPDX-License-Identifier: Apache-2.0 */
/* http_connection: drives one HTTP session over one connection, and gives its requests to the documents. */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/conn.h"
#include "io/conn_unread.h"
#include "service/handshake_budget.h"
#include "service/web/web.h"

static_assert(HTTP_LINE_MAX + 2 < CONN_INPUT_MAX && HTTP_FIELDS_MAX + 2 < CONN_INPUT_MAX,
              "a line that is not whole must fit into a conn");

enum http_connection_stage {
    HTTP_CONNECTION_HANDSHAKING,
    HTTP_CONNECTION_TALKING,
    HTTP_CONNECTION_CLOSING,   /* the last answer is on its way */
    HTTP_CONNECTION_LINGERING, /* it has left; what the client still sends is dropped */
    HTTP_CONNECTION_ENDED,     /* the loop frees it */
};

struct http_connection {
    struct web_connection connection; /* first: a connection is one of these */
    struct released released;
    struct web *web;
    enum http_connection_stage stage;
    struct conn conn;
    struct http_session session;
    struct buffer body; /* of the request */
    struct timer again; /* its next turn */
    uint64_t steps;     /* of the session, when the deadline was set */
    unsigned turn;      /* requests in this turn of the loop */
    bool choked;        /* the client does not take its answers */
    bool lingers;       /* it may still be sending */
};

static void http_connection_check(const struct http_connection *connection)
{
    bool has_conn = connection->conn.loop != NULL;
    assert(has_conn == (connection->stage != HTTP_CONNECTION_ENDED));
    assert(connection->stage == HTTP_CONNECTION_TALKING || connection->body.length == 0 ||
           connection->stage == HTTP_CONNECTION_ENDED);
    assert(connection->body.length <= PUBLISHED_REQUEST_MAX);
    assert(connection->turn <= WEB_REQUESTS_A_TURN_MAX);
}

/* ---- life ---- */

static void end(struct http_connection *connection)
{
    struct web *web = connection->web;
    assert(connection->stage != HTTP_CONNECTION_ENDED);
    connection->stage = HTTP_CONNECTION_ENDED;
    web_connections_remove(&web->connections, &connection->connection);
    timer_cancel(&connection->again);
    conn_close(&connection->conn);
    http_session_free(&connection->session);
    buffer_free(&connection->body);
    loop_release(web->child->loop, &connection->released, free, connection);
    http_connection_check(connection);
    web_leave_if_done(web);
}

/* The answers have been sent. */
static void close_in_order(struct http_connection *connection)
{
    struct conn *conn = &connection->conn;
    if (!connection->lingers) {
        conn_unread_discard(conn);
        end(connection);
        return;
    }
    connection->stage = HTTP_CONNECTION_LINGERING;
    conn_shut(conn);
    conn_consume(conn, conn_input(conn).length);
    conn_pause(conn, false);
    conn_set_deadline(conn, WEB_LINGER_MS);
}

static void close_after_answers(struct http_connection *connection)
{
    struct conn *conn = &connection->conn;
    buffer_free(&connection->body);
    timer_cancel(&connection->again);
    connection->stage = HTTP_CONNECTION_CLOSING;
    conn_flush(conn);
    if (conn_unsent(conn) == 0 || conn->ended) {
        close_in_order(connection);
        return;
    }
    conn_pause(conn, true);
    conn_set_deadline(conn, WEB_SEND_MS);
}

/* ---- requests ---- */

static void answer(struct http_connection *connection, const struct http_request *request)
{
    struct web_document document = {0};
    web_document_write(connection->web, request, buffer_bytes(&connection->body), &document);
    http_session_answer(&connection->session, &document.answer, clock_epoch_ms());
    buffer_free(&document.text);
    buffer_free(&connection->body);
    connection->turn++;
}

static void take_head(struct http_connection *connection, const struct http_request *request)
{
    uint64_t body_max = web_document_body_max(request);
    if (body_max > 0)
        http_session_take_body(&connection->session, body_max, clock_epoch_ms());
    else
        answer(connection, request);
}

/* Returns false at the end of the session. */
static bool take_action(struct http_connection *connection, const struct http_action *action)
{
    switch (action->kind) {
    case HTTP_NOTHING: break;
    case HTTP_SEND: conn_write(&connection->conn, action->bytes); break;
    case HTTP_ASK_HEAD: take_head(connection, action->request); break;
    case HTTP_BODY: buffer_add(&connection->body, action->bytes); break;
    case HTTP_ASK_ANSWER: answer(connection, action->request); break;
    case HTTP_CLOSE: connection->lingers = action->lingers; return false;
    }
    return true;
}

static bool may_go_on(const struct http_connection *connection)
{
    return conn_unsent(&connection->conn) < WEB_UNSENT_MAX && connection->turn < WEB_REQUESTS_A_TURN_MAX;
}

/* Feeds all that was heard and can be heard now. False at the end of the session. */
static bool feed_all(struct http_connection *connection)
{
    struct http_action action;
    struct conn *conn = &connection->conn;
    size_t used;
    do {
        used = may_go_on(connection)
                   ? http_session_feed(&connection->session, conn_input(conn), clock_epoch_ms())
                   : 0;
        while (http_session_action(&connection->session, &action))
            if (!take_action(connection, &action))
                return false;
        conn_consume(conn, used);
    } while (used > 0);
    return true;
}

/* Sets the deadline for the client's next step: that it sends, or that it reads. */
static void renew_deadline(struct http_connection *connection, bool was_choked)
{
    uint64_t steps = http_session_steps(&connection->session);
    if (connection->choked && !was_choked)
        conn_set_deadline(&connection->conn, WEB_SEND_MS);
    else if (!connection->choked && (was_choked || steps != connection->steps))
        conn_set_deadline(&connection->conn, http_session_timeout_ms(&connection->session));
    connection->steps = steps;
}

static void run(struct http_connection *connection)
{
    struct conn *conn = &connection->conn;
    bool was_choked = connection->choked, is_full;
    http_connection_check(connection);
    connection->turn = 0;
    do {
        if (!feed_all(connection)) {
            close_after_answers(connection);
            return;
        }
        is_full = conn_unsent(conn) >= WEB_UNSENT_MAX;
        conn_flush(conn);
        connection->choked = conn_unsent(conn) >= WEB_UNSENT_MAX;
    } while (is_full && may_go_on(connection));
    bool turn_is_over = connection->turn == WEB_REQUESTS_A_TURN_MAX;
    if (turn_is_over && !connection->choked)
        timer_set(&connection->again, 0);
    conn_pause(conn, connection->choked || turn_is_over);
    renew_deadline(connection, was_choked);
    connection->turn = 0;
    http_connection_check(connection);
}

/* ---- events ---- */

static void on_input(void *owner)
{
    struct http_connection *connection = owner;
    if (connection->stage == HTTP_CONNECTION_TALKING)
        run(connection);
    else if (connection->stage == HTTP_CONNECTION_LINGERING)
        conn_consume(&connection->conn, conn_input(&connection->conn).length);
}

static void on_drained(void *owner)
{
    struct http_connection *connection = owner;
    if (connection->stage == HTTP_CONNECTION_CLOSING)
        close_in_order(connection);
    else if (connection->stage == HTTP_CONNECTION_TALKING)
        run(connection);
}

static void on_again(void *owner)
{
    struct http_connection *connection = owner;
    if (connection->stage == HTTP_CONNECTION_TALKING)
        run(connection);
}

static void on_tls(void *owner)
{
    struct http_connection *connection = owner;
    connection->stage = HTTP_CONNECTION_TALKING;
    conn_set_deadline(&connection->conn, http_session_timeout_ms(&connection->session));
}

static void on_end(void *owner, enum conn_end how)
{
    end(owner);
}

static void on_timeout(void *owner)
{
    struct http_connection *connection = owner;
    if (connection->stage != HTTP_CONNECTION_TALKING || connection->choked) {
        end(connection);
        return;
    }
    http_session_timed_out(&connection->session, clock_epoch_ms());
    run(connection);
}

static const struct conn_events http_connection_events = {.on_input = on_input,
                                                          .on_drained = on_drained,
                                                          .on_tls = on_tls,
                                                          .on_end = on_end,
                                                          .on_timeout = on_timeout};

static void end_connection(struct web_connection *connection)
{
    end((struct http_connection *)connection);
}

static void drain_connection(struct web_connection *connection)
{
    http_session_drain(&((struct http_connection *)connection)->session);
}

static const struct web_connection_kind http_connection_kind = {.end = end_connection,
                                                                .drain = drain_connection};

void http_connection_start(struct web *web, int descriptor, const struct sockaddr_storage *from, bool in_tls)
{
    struct http_connection *connection = memory_new(sizeof *connection);
    struct handshake_network network;
    int one = 1;
    *connection = (struct http_connection){.connection = {.kind = &http_connection_kind},
                                           .web = web,
                                           .stage = in_tls ? HTTP_CONNECTION_HANDSHAKING
                                                           : HTTP_CONNECTION_TALKING};
    web_connections_add(&web->connections, &connection->connection, from);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    http_session_start(&connection->session);
    if (web->draining)
        http_session_drain(&connection->session);
    timer_start(&connection->again, web->child->loop, on_again, connection);
    conn_start(&connection->conn, web->child->loop, descriptor, &http_connection_events, connection);
    conn_set_deadline(&connection->conn,
                      in_tls ? WEB_HANDSHAKE_MS : http_session_timeout_ms(&connection->session));
    if (!in_tls)
        return;
    handshake_network_of(from, &network);
    conn_queue_handshakes(&connection->conn, &web->handshakes, &network);
    conn_start_tls_server(&connection->conn, &web->tls);
}

void http_connection_accept(struct web *web, int descriptor, const struct sockaddr_storage *from)
{
    if (web_admits(web, from))
        http_connection_start(web, descriptor, from, false);
    else
        close(descriptor);
}
