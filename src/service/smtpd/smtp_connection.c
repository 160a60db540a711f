/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_connection: drives one server session over one connection. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/route/proxy_header.h"
#include "core/smtp/address.h"
#include "io/clock.h"
#include "io/conn_unread.h"
#include "io/log.h"
#include "service/event_log.h"
#include "service/smtpd/proxy_intake.h"
#include "service/smtpd/smtpd.h"

static const struct conn_events smtp_connection_events;

/* ---- what holds ---- */

enum { NO, YES, MAY };

static bool is_as(int expected, bool is)
{
    return expected == MAY || (expected == YES) == is;
}

/* Asserts what each stage owns. */
static void smtp_connection_check(const struct smtp_connection *connection)
{
    // clang-format off
    static const struct {
        int session, conn, asks;
    } held[] = {
        [SMTP_SNIFFING]    = {NO,  YES, NO},
        [SMTP_HANDSHAKING] = {MAY, YES, NO},
        [SMTP_TALKING]     = {YES, YES, MAY},
        [SMTP_HELD]        = {YES, YES, NO},
        [SMTP_CLOSING]     = {YES, YES, MAY},
        [SMTP_ENDED]       = {MAY, NO,  NO},
    };
    // clang-format on
    enum smtp_stage stage = connection->stage;
    assert((size_t)stage < ARRAY_LENGTH(held));
    assert(is_as(held[stage].session, connection->session.state != NULL));
    assert(is_as(held[stage].conn, connection->conn.loop != NULL));
    assert(is_as(held[stage].asks, smtp_connection_waits(connection)));
    assert(connection->credential == NULL || connection->session.state != NULL);
    if (stage == SMTP_ENDED)
        return;
    assert(connection->network != NULL);
    assert(stage == SMTP_HANDSHAKING || !connection->conn.handshaking);
    assert(stage == SMTP_SNIFFING || !connection->conn.awaiting_first);
}

/* ---- life ---- */

static void begin_session(struct smtp_connection *connection, struct bytes account)
{
    char buffer[128];
    struct listener *listener = connection->listener;
    bool clear = listener->policy.tls == TLS_IMPLICIT && connection->conn.ssl == NULL;
    server_session_start(&connection->session,
                         clear                    ? &listener->clear_policy
                         : connection->is_trusted ? &listener->trusted_policy
                                                  : &listener->policy,
                         bytes_of_text(connection->address), listener->port,
                         conn_tls_text(&connection->conn, buffer, sizeof buffer), account);
    connection->stage = SMTP_TALKING;
    turn_check_greeting(connection);
}

static void begin_tls(struct smtp_connection *connection)
{
    conn_set_deadline(&connection->conn, HANDSHAKE_TIMEOUT_MS);
    handshake_limit_take(connection);
    struct smtpd *smtpd = connection->smtpd;
    conn_start_tls_server(&connection->conn, connection->old_tls ? &smtpd->old_tls : &smtpd->tls);
    connection->stage = SMTP_HANDSHAKING;
}

/* Records a ClientHello where STARTTLS is usual; the wait for its address is extended accordingly. */
static void record_early_tls(struct smtp_connection *connection)
{
    connection->tls_mismatch = true;
    tls_sniff_table_hello(connection);
}

/* The client has sent its first octet, or waits for the greeting. */
static void take_tls_mode(struct smtp_connection *connection, bool tls)
{
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

static bool may_use_old_tls(const struct listener *listener, const struct sockaddr_storage *from)
{
    const struct config_listener *facts = listener->facts;
    return facts != NULL && facts->old_tls_count > 0 &&
           proxy_intake_is_listed(from, facts->old_tls, facts->old_tls_count);
}

static void count_changed(struct smtpd *smtpd)
{
    memory_trim_count(&smtpd->memory_trim, smtpd->connection_count);
    accept_share_publish(smtpd);
}

void smtp_connection_start(struct listener *listener, const struct accepted_connection *accepted, bool known)
{
    struct smtpd *smtpd = listener->smtpd;
    struct smtp_connection *connection = memory_new(sizeof *connection);
    connection->smtpd = smtpd;
    connection->listener = listener;
    connection->network = accepted->network;
    connection->by_root = accepted->by_root;
    connection->is_trusted = accepted->is_trusted;
    connection->old_tls = may_use_old_tls(listener, &accepted->from);
    auth_query_start(connection);
    message_submission_start(connection);
    memcpy(connection->address, accepted->address.at,
           bytes_first(accepted->address, sizeof connection->address - 1).length);
    connection->next = smtpd->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    smtpd->connections = connection;
    smtpd->connection_count++;
    count_changed(smtpd);
    admission_control_enter(connection, known);
    conn_start(&connection->conn, smtpd->child->loop, accepted->descriptor, &smtp_connection_events,
               connection);
    log_event(LOG_EVENT_DEBUG, "connected", LOG_BYTES("client", accepted->address),
              LOG_U64("port", listener->port));
    uint32_t wait_ms = listener->either_way ? tls_sniff_table_wait_ms(listener, accepted) : 0;
    connection->since_ms = clock_now_ms();
    if (wait_ms > 0) {
        connection->stage = SMTP_SNIFFING;
        conn_set_timeout(&connection->conn, wait_ms);
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

static void smtp_connection_free(void *owner)
{
    struct smtp_connection *connection = owner;
    assert(connection->stage == SMTP_ENDED);
    server_session_free(&connection->session);
    free(connection);
}

void smtp_connection_end(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    if (connection->stage == SMTP_ENDED)
        return;
    if (connection->tls_mismatch)
        log_tls_mismatch(connection);
    auth_query_forget(connection);
    harvest_table_release(connection);
    admission_control_leave(connection);
    message_submission_free(connection);
    conn_close(&connection->conn);
    credential_leave(connection);
    connection_limit_leave(smtpd, connection->network);
    connection->network = NULL;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        smtpd->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    smtpd->connection_count--;
    accept_share_count_end(smtpd, clock_now_ms() - connection->since_ms);
    count_changed(smtpd);
    connection->stage = SMTP_ENDED;
    loop_release(smtpd->child->loop, &connection->released, smtp_connection_free, connection);
    smtp_connection_check(connection);
    smtpd_leave_if_done(smtpd);
}

/* Ends it once the last reply has left. */
static void close_after_replies(struct smtp_connection *connection)
{
    conn_flush(&connection->conn);
    conn_unread_discard(&connection->conn);
    if (conn_unsent(&connection->conn) == 0 || connection->expelled) {
        smtp_connection_end(connection);
        return;
    }
    connection->stage = SMTP_CLOSING;
    conn_pause(&connection->conn, true);
    conn_set_deadline(&connection->conn, CLOSE_TIMEOUT_MS);
}

/* ---- actions of the session ---- */

static struct mail_event refused_event(const struct smtp_connection *connection)
{
    return (struct mail_event){.kind = EVENT_REFUSED,
                               .client = connection->session.origin.client_address,
                               .helo = connection->session.origin.client_helo,
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
        event.sender = refusal.sender;
        event.recipient = refusal.recipient;
        event_log_write(&event);
    }
}

static void carry_out(struct smtp_connection *connection, const struct server_action *action)
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
    case SERVER_CONTENT_BEGIN:
        message_submission_begin(connection, action->envelope);
        if (action->awaits_turn)
            turn_check_content(connection);
        break;
    case SERVER_CONTENT_DROP: message_submission_drop(connection); break;
    case SERVER_ASK_PASSWORD: auth_query_ask(connection, IPC_PASSWORD, action); break;
    case SERVER_ASK_SALT: auth_query_ask(connection, IPC_SALT, action); break;
    case SERVER_ASK_PROOF: auth_query_ask(connection, IPC_PROOF, action); break;
    case SERVER_ASK_SENDER:
    case SERVER_ASK_RECIPIENT:
    case SERVER_ASK_LIMIT:
    case SERVER_ASK_TRUST:
    case SERVER_ASK_STORE: message_submission_ask(connection, action); break;
    case SERVER_CLOSE: close_after_replies(connection); break;
    }
}

/* Carries out all that waits. `used` octets of the input belong to it: runs
 * of content borrow from them, so they are used up behind those. */
static void pull_actions(struct smtp_connection *connection, size_t used)
{
    struct server_action action;
    while (connection->stage != SMTP_ENDED && server_session_action(&connection->session, &action)) {
        if (action.kind == SERVER_CONTENT) {
            message_submission_add(connection, action.bytes);
            continue;
        }
        conn_consume(&connection->conn, used);
        used = 0;
        carry_out(connection, &action);
    }
    conn_consume(&connection->conn, used);
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
    const struct message_submission *message = &connection->message;
    return connection->query.question.open || submission_waits(&message->submission) ||
           (message->trust != NULL && message->trust->waits);
}

static bool hears(const struct smtp_connection *connection)
{
    return connection->stage != SMTP_HELD && !smtp_connection_waits(connection);
}

static bool may_go_on(struct smtp_connection *connection)
{
    return connection->stage == SMTP_TALKING && !smtp_connection_waits(connection) &&
           !replies_wait(connection);
}

/* Feeds all that was heard and can be heard now. */
static void feed_all(struct smtp_connection *connection)
{
    size_t used = 0;
    do {
        pull_actions(connection, used);
        used = may_go_on(connection)
                   ? server_session_feed(&connection->session, conn_input(&connection->conn))
                   : 0;
    } while (used > 0);
    pull_actions(connection, 0);
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
    smtp_connection_check(connection);
    if (connection->session.state == NULL || connection->stage >= SMTP_CLOSING)
        return;
    do {
        feed_all(connection);
        smtp_connection_check(connection);
        if (connection->stage >= SMTP_CLOSING)
            return;
        conn_flush(conn);
    } while (connection->choked && conn_unsent(conn) == 0); /* else on_drained() comes */
    conn_pause(conn, !hears(connection) || connection->choked);
    admission_control_progress(connection);
    if (connection->stage != SMTP_HELD)
        renew_deadline(connection);
}

void smtp_connection_expel(struct smtp_connection *connection, enum server_expulsion why)
{
    connection->expelled = true;
    if (connection->stage == SMTP_TALKING) {
        server_session_expel(&connection->session, why);
        smtp_connection_run(connection);
    }
    smtp_connection_end(connection);
}

void smtp_connection_drain(struct smtp_connection *connection)
{
    if (connection->stage == SMTP_SNIFFING && connection->listener->policy.tls != TLS_IMPLICIT) {
        conn_end_await(&connection->conn);
        take_tls_mode(connection, false);
    }
    if (connection->session.state == NULL || connection->stage == SMTP_ENDED) {
        smtp_connection_end(connection);
        return;
    }
    server_session_drain(&connection->session);
    smtp_connection_run(connection);
}

/* ---- events of the conn ---- */

static void on_first(void *owner, bool tls)
{
    struct smtp_connection *connection = owner;
    assert(connection->stage == SMTP_SNIFFING);
    take_tls_mode(connection, tls);
    smtp_connection_check(connection);
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
    smtp_connection_end(connection);
}

/* A load balancer that this listener does not expect: whoever sends the header names any client. */
static void refuse_proxy_header(struct smtp_connection *connection)
{
    const struct listener *listener = connection->listener;
    connection->tls_mismatch = false;
    log_event(
        LOG_EVENT_WARN, "connection_rejected",
        LOG_TEXT("reason", "the client sent a PROXY header, which this listener does not expect from it"),
        LOG_TEXT("client", connection->address), LOG_U64("port", listener->port),
        LOG_TEXT("hint", "if it is your load balancer, list its address under proxy of the listener"));
    conn_write(&connection->conn, BYTES("554 5.7.0 PROXY protocol is not accepted from your address; closing "
                                        "connection\r\n"));
    close_after_replies(connection);
}

static void on_input(void *owner)
{
    struct smtp_connection *connection = owner;
    smtp_connection_check(connection);
    bool first = !connection->heard && connection->conn.ssl == NULL;
    if (first && conn_input_is_tls(&connection->conn)) {
        refuse_late_hello(connection);
        return;
    }
    if (first && connection->stage == SMTP_TALKING && proxy_header_begins(conn_input(&connection->conn))) {
        refuse_proxy_header(connection);
        return;
    }
    if (first)
        tls_sniff_table_waited(connection);
    connection->heard = true;
    smtp_connection_run(connection);
}

static void on_drained(void *owner)
{
    struct smtp_connection *connection = owner;
    smtp_connection_check(connection);
    if (connection->stage == SMTP_CLOSING)
        smtp_connection_end(connection);
    else
        smtp_connection_run(connection);
}

static void on_tls(void *owner)
{
    struct smtp_connection *connection = owner;
    char buffer[128];
    assert(connection->stage == SMTP_HANDSHAKING);
    connection->stage = SMTP_TALKING;
    if (connection->old_tls)
        log_event(LOG_EVENT_INFO, "old_tls_allowed", LOG_TEXT("client", connection->address),
                  LOG_U64("port", connection->listener->port),
                  LOG_BYTES("tls", conn_tls_text(&connection->conn, buffer, sizeof buffer)));
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
    smtp_connection_check(connection);
    if (connection->conn.hint != NULL) {
        log_event(LOG_EVENT_INFO, "tls_failed", LOG_TEXT("reason", connection->conn.why),
                  LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port),
                  LOG_TEXT("hint", connection->conn.hint));
        smtp_connection_end(connection);
        return;
    }
    log_event(end == CONN_END_TLS ? LOG_EVENT_INFO : LOG_EVENT_DEBUG,
              end == CONN_END_TLS ? "tls_failed" : "disconnected", LOG_TEXT("reason", connection->conn.why),
              LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port));
    smtp_connection_end(connection);
}

static void on_timeout(void *owner)
{
    struct smtp_connection *connection = owner;
    smtp_connection_check(connection);
    if (smtp_connection_waits(connection)) { /* it is us who are slow */
        conn_set_deadline(&connection->conn, connection->conn.timeout_ms);
        return;
    }
    switch (connection->stage) {
    case SMTP_SNIFFING:
        conn_end_await(&connection->conn);
        take_tls_mode(connection, false);
        return;
    case SMTP_HELD:
        harvest_table_release(connection);
        server_session_answer_recipient(&connection->session, RECIPIENT_UNKNOWN, NULL, 0);
        break;
    case SMTP_TALKING: server_session_timed_out(&connection->session); break;
    case SMTP_HANDSHAKING:
    case SMTP_CLOSING:
    case SMTP_ENDED: smtp_connection_end(connection); return;
    }
    smtp_connection_run(connection);
}

static const struct conn_events smtp_connection_events = {.on_input = on_input,
                                                          .on_drained = on_drained,
                                                          .on_tls = on_tls,
                                                          .on_first = on_first,
                                                          .on_end = on_end,
                                                          .on_timeout = on_timeout};
