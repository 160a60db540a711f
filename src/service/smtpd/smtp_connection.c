/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_connection: drives one server session over one connection. */
#include <stdio.h>
#include <stdlib.h>

#include "core/smtp/address.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/event_log.h"
#include "service/smtpd/smtpd.h"

static const struct conn_events smtp_connection_events;

/* ---- lifecycle ---- */

static void begin_session(struct smtp_connection *connection, struct bytes account)
{
    char buffer[128];
    struct listener *listener = connection->listener;
    bool clear = listener->policy.tls == TLS_IMPLICIT && connection->conn.ssl == NULL;
    server_session_start(&connection->session, clear ? &listener->clear_policy : &listener->policy,
                         bytes_of_text(connection->address), listener->port,
                         conn_tls_text(&connection->conn, buffer, sizeof buffer), account);
}

static void begin_tls(struct smtp_connection *connection)
{
    conn_set_deadline(&connection->conn, HANDSHAKE_TIMEOUT_MS);
    handshake_limit_take(connection);
    conn_start_tls_server(&connection->conn, &connection->smtpd->tls);
}

/* Records a ClientHello where STARTTLS is usual; the wait for its address is extended accordingly. */
static void record_early_tls(struct smtp_connection *connection)
{
    connection->tls_mismatch = true;
    tls_sniff_record_early(connection->listener, bytes_of_text(connection->address),
                           clock_now_ms() - connection->since_ms);
}

/* The client has sent its first octet, or waits for the greeting. */
static void take_tls_mode(struct smtp_connection *connection, bool tls)
{
    connection->deciding = false;
    bool implicit = connection->listener->policy.tls == TLS_IMPLICIT;
    connection->tls_mismatch = tls != implicit;
    if (tls && !implicit)
        record_early_tls(connection);
    if (tls) {
        begin_tls(connection);
        return;
    }
    begin_session(connection, bytes_none());
    smtp_connection_run(connection);
}

/* Logs one line for a session in the other TLS mode, so that its user can be informed. */
static void log_tls_mismatch(const struct smtp_connection *connection)
{
    bool tls = connection->listener->policy.tls != TLS_IMPLICIT;
    log_event(LOG_EVENT_INFO, "tls_mode_mismatch", LOG_TEXT("client", connection->address),
              LOG_U64("port", connection->listener->port),
              LOG_TEXT("client_tls", tls ? "implicit" : "starttls"),
              LOG_BYTES("account", connection->session.state == NULL ? bytes_none()
                                                                     : connection->session.origin.account),
              LOG_TEXT("hint", tls ? "the program is set to SSL/TLS; this port is for STARTTLS"
                                   : "the program is set to STARTTLS; this port is for SSL/TLS"));
}

void smtp_connection_start(struct listener *listener, const struct accepted_connection *accepted, bool known)
{
    struct smtpd *smtpd = listener->smtpd;
    struct smtp_connection *connection = memory_new(sizeof *connection);
    connection->smtpd = smtpd;
    connection->listener = listener;
    connection->network = accepted->network;
    connection->by_root = accepted->by_root;
    auth_query_start(connection);
    message_submission_start(connection);
    memcpy(connection->address, accepted->address.at,
           bytes_first(accepted->address, sizeof connection->address - 1).length);
    connection->next = smtpd->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    smtpd->connections = connection;
    smtpd->metrics->connections[smtpd->child->number] = (uint32_t)++smtpd->connection_count;
    admission_control_enter(connection, known);
    conn_start(&connection->conn, smtpd->child->loop, accepted->descriptor, &smtp_connection_events,
               connection);
    log_event(LOG_EVENT_DEBUG, "connected", LOG_BYTES("client", accepted->address),
              LOG_U64("port", listener->port));
    if (listener->either_way) {
        connection->deciding = true;
        connection->since_ms = clock_now_ms();
        conn_set_timeout(
            &connection->conn,
            tls_sniff_wait_ms(listener, accepted->address, connection_limit_factor(accepted->network) == 0));
        conn_await_first(&connection->conn);
        return;
    }
    if (listener->policy.tls == TLS_IMPLICIT) {
        begin_tls(connection);
        return;
    }
    begin_session(connection, bytes_of_text(accepted->account));
    smtp_connection_run(connection);
}

void smtp_connection_free(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    if (connection->tls_mismatch)
        log_tls_mismatch(connection);
    auth_query_forget(connection);
    harvest_table_release(connection);
    admission_control_leave(connection);
    message_submission_free(connection);
    conn_close(&connection->conn);
    server_session_free(&connection->session);
    credential_leave(connection);
    connection_limit_leave(smtpd, connection->network);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        smtpd->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    smtpd->metrics->connections[smtpd->child->number] = (uint32_t)--smtpd->connection_count;
    free(connection);
    smtpd_leave_if_done(smtpd);
}

/* Closes after the last reply is sent. True if it is already gone. */
static bool close_after_replies(struct smtp_connection *connection)
{
    conn_flush(&connection->conn);
    if (conn_unsent(&connection->conn) == 0 || connection->expelled) {
        smtp_connection_free(connection);
        return true;
    }
    connection->closing = true;
    conn_pause(&connection->conn, true);
    conn_set_deadline(&connection->conn, CLOSE_TIMEOUT_MS);
    return false;
}

/* ---- actions of the session ---- */

static struct mail_event refused_event(const struct smtp_connection *connection)
{
    return (struct mail_event){.kind = EVENT_REFUSED,
                               .client = connection->session.origin.client_address,
                               .port = connection->listener->port,
                               .account = connection->session.origin.account};
}

static void log_refusals(const struct smtp_connection *connection, const struct server_action *action)
{
    for (size_t i = 0; i < action->refusal_count; i++) {
        struct server_refusal refusal = server_session_refusal(&connection->session, i);
        struct mail_event event = refused_event(connection);
        if (refusal.meaning == MEANING_WRONG_PASSWORD) /* auth_failed has its own line */
            continue;
        event.code = refusal.code;
        event.enhanced = refusal.enhanced;
        event.text = refusal.text;
        event_log_write(&event);
    }
}

/* False if the connection is gone. */
static bool carry_out(struct smtp_connection *connection, const struct server_action *action)
{
    switch (action->kind) {
    case SERVER_NOTHING:
    case SERVER_CONTENT: /* see pull_actions() */ break;
    case SERVER_REPLY:
        if (!connection->expelled)
            log_refusals(connection, action);
        conn_write(&connection->conn, action->bytes);
        break;
    case SERVER_STARTTLS: begin_tls(connection); break;
    case SERVER_CONTENT_BEGIN: message_submission_begin(connection, action->envelope); break;
    case SERVER_CONTENT_DROP: message_submission_drop(connection); break;
    case SERVER_ASK_PASSWORD: auth_query_ask(connection, IPC_PASSWORD, action); break;
    case SERVER_ASK_SALT: auth_query_ask(connection, IPC_SALT, action); break;
    case SERVER_ASK_PROOF: auth_query_ask(connection, IPC_PROOF, action); break;
    case SERVER_ASK_SENDER:
    case SERVER_ASK_RECIPIENT:
    case SERVER_ASK_LIMIT:
    case SERVER_ASK_STORE: message_submission_ask(connection, action); break;
    case SERVER_CLOSE: return !close_after_replies(connection);
    }
    return true;
}

/* Executes all pending actions. `used` octets of the input belong to them: runs of content borrow from the
 * input, so it is consumed afterwards. */
static bool pull_actions(struct smtp_connection *connection, size_t used)
{
    struct server_action action;
    while (server_session_action(&connection->session, &action)) {
        if (action.kind == SERVER_CONTENT) {
            message_submission_add(connection, action.bytes);
            continue;
        }
        conn_consume(&connection->conn, used);
        used = 0;
        if (!carry_out(connection, &action))
            return false;
    }
    conn_consume(&connection->conn, used);
    return true;
}

/* Pauses a client that does not read its replies, to bound the memory. */
static bool replies_wait(struct smtp_connection *connection)
{
    if (conn_unsent(&connection->conn) >= REPLIES_UNSENT_MAX)
        conn_flush(&connection->conn);
    connection->choked = conn_unsent(&connection->conn) >= REPLIES_UNSENT_MAX;
    return connection->choked;
}

bool smtp_connection_waits(const struct smtp_connection *connection)
{
    return connection->query.question.open || submission_waits(&connection->message.submission);
}

static bool may_go_on(struct smtp_connection *connection)
{
    bool waits = smtp_connection_waits(connection) || connection->held || connection->conn.handshaking;
    return connection->session.state != NULL && !waits && !connection->closing && !replies_wait(connection);
}

/* Feeds all available input that can be processed now. False if the connection is gone. */
static bool feed_all(struct smtp_connection *connection)
{
    size_t used = 0;
    do {
        if (!pull_actions(connection, used))
            return false;
        used = may_go_on(connection)
                   ? server_session_feed(&connection->session, conn_input(&connection->conn))
                   : 0;
    } while (used > 0);
    return pull_actions(connection, 0);
}

/* Sets the deadline for the client's next step. */
static void renew_deadline(struct smtp_connection *connection)
{
    struct conn *conn = &connection->conn;
    uint32_t timeout_ms = server_session_timeout_ms(&connection->session);
    uint64_t steps = server_session_steps(&connection->session);
    if (!conn->handshaking && (conn->timeout_ms != timeout_ms || connection->steps != steps))
        conn_set_deadline(conn, timeout_ms);
    connection->steps = steps;
}

void smtp_connection_run(struct smtp_connection *connection)
{
    struct conn *conn = &connection->conn;
    if (connection->session.state == NULL || connection->closing)
        return;
    do {
        if (!feed_all(connection) || connection->closing)
            return;
        conn_flush(conn);
    } while (connection->choked && conn_unsent(conn) == 0); /* otherwise on_drained() follows */
    conn_pause(conn, smtp_connection_waits(connection) || connection->held || connection->choked);
    admission_control_progress(connection);
    if (!connection->held)
        renew_deadline(connection);
}

void smtp_connection_expel(struct smtp_connection *connection, enum server_expulsion why)
{
    bool hears = connection->session.state != NULL && !connection->closing && !connection->conn.handshaking;
    connection->expelled = true;
    if (!hears) {
        smtp_connection_free(connection);
        return;
    }
    server_session_expel(&connection->session, why);
    smtp_connection_run(connection);
}

void smtp_connection_drain(struct smtp_connection *connection)
{
    if (connection->deciding && connection->listener->policy.tls != TLS_IMPLICIT) {
        conn_end_await(&connection->conn);
        take_tls_mode(connection, false);
    }
    if (connection->session.state == NULL) {
        smtp_connection_free(connection);
        return;
    }
    server_session_drain(&connection->session);
    smtp_connection_run(connection);
}

/* ---- events of the conn ---- */

static void on_first(void *owner, bool tls)
{
    take_tls_mode(owner, tls);
}

/* The ClientHello came after the greeting: the connection cannot continue. */
static void refuse_late_hello(struct smtp_connection *connection)
{
    const struct listener *listener = connection->listener;
    bool implicit = listener->policy.tls == TLS_IMPLICIT;
    log_event(LOG_EVENT_INFO, "connection_rejected",
              LOG_TEXT("reason", implicit ? "the client was silent for too long before it started TLS"
                                          : "the client started TLS immediately on a STARTTLS port"),
              LOG_BYTES("client", connection->session.origin.client_address),
              LOG_U64("port", listener->port));
    if (listener->either_way && !implicit)
        record_early_tls(connection); /* the next wait is longer */
    else
        connection->tls_mismatch = false;
    smtp_connection_free(connection);
}

static void on_input(void *owner)
{
    struct smtp_connection *connection = owner;
    bool first = !connection->heard && connection->conn.ssl == NULL;
    if (first && conn_input_is_tls(&connection->conn)) {
        refuse_late_hello(connection);
        return;
    }
    if (first && connection->listener->either_way && !connection->tls_mismatch)
        tls_sniff_record_wait(connection->listener, bytes_of_text(connection->address));
    connection->heard = true;
    smtp_connection_run(connection);
}

static void on_drained(void *owner)
{
    struct smtp_connection *connection = owner;
    if (connection->closing)
        smtp_connection_free(connection);
    else
        smtp_connection_run(connection);
}

static void on_tls(void *owner)
{
    struct smtp_connection *connection = owner;
    char buffer[128];
    if (connection->session.state == NULL)
        begin_session(connection, bytes_none());
    else
        server_session_tls_started(&connection->session,
                                   conn_tls_text(&connection->conn, buffer, sizeof buffer));
    smtp_connection_run(connection);
}

static void on_end(void *owner, enum conn_end end)
{
    struct smtp_connection *connection = owner;
    log_event(end == CONN_END_TLS ? LOG_EVENT_INFO : LOG_EVENT_DEBUG,
              end == CONN_END_TLS ? "tls_failed" : "disconnected", LOG_TEXT("reason", connection->conn.why),
              LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port));
    smtp_connection_free(connection);
}

static void on_timeout(void *owner)
{
    struct smtp_connection *connection = owner;
    if (connection->deciding) {
        conn_end_await(&connection->conn);
        take_tls_mode(connection, false);
        return;
    }
    if (connection->held) {
        harvest_table_release(connection);
        server_session_answer_recipient(&connection->session, RECIPIENT_UNKNOWN, NULL, 0);
        smtp_connection_run(connection);
        return;
    }
    if (smtp_connection_waits(connection)) { /* the delay is this server's */
        conn_set_deadline(&connection->conn, connection->conn.timeout_ms);
        return;
    }
    if (connection->session.state == NULL || connection->closing || connection->conn.handshaking) {
        smtp_connection_free(connection);
        return;
    }
    server_session_timed_out(&connection->session);
    smtp_connection_run(connection);
}

static const struct conn_events smtp_connection_events = {.on_input = on_input,
                                                          .on_drained = on_drained,
                                                          .on_tls = on_tls,
                                                          .on_first = on_first,
                                                          .on_end = on_end,
                                                          .on_timeout = on_timeout};
