/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_connection: drives one server session over one connection. */
#include "service/smtpd/smtpd.h"

#include "io/clock.h"
#include "io/log.h"
#include "core/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>

static const struct conn_events dialogue_events;

/* ---- life ---- */

static void begin_session(struct dialogue *dialogue, struct bytes account)
{
    char room[128];
    struct door *door = dialogue->door;
    bool clear = door->policy.tls == TLS_IMPLICIT && dialogue->conn.ssl == NULL;
    server_session_start(&dialogue->session, clear ? &door->clear_policy : &door->policy, bytes_of_text(dialogue->address), door->port,
                         conn_tls_text(&dialogue->conn, room, sizeof room), account);
}

static void begin_tls(struct dialogue *dialogue)
{
    conn_set_deadline(&dialogue->conn, HANDSHAKE_TIMEOUT_MS);
    turns_take(dialogue);
    conn_start_tls_server(&dialogue->conn, &dialogue->smtpd->tls);
}

/* A ClientHello came where STARTTLS is the custom; its address is looked at as long from now on. */
static void learn_haste(struct dialogue *dialogue)
{
    dialogue->other_way = true;
    haste_met(dialogue->door, bytes_of_text(dialogue->address), clock_now_ms() - dialogue->since_ms);
}

/* The client has shown how it begins, or waits to be greeted. */
static void take_way(struct dialogue *dialogue, bool tls)
{
    dialogue->deciding = false;
    bool implicit = dialogue->door->policy.tls == TLS_IMPLICIT;
    dialogue->other_way = tls != implicit;
    if (tls && !implicit)
        learn_haste(dialogue);
    if (tls) {
        begin_tls(dialogue);
        return;
    }
    begin_session(dialogue, bytes_none());
    dialogue_run(dialogue);
}

/* One line a session that went against the custom, so that its owner can be told. */
static void tell_other_way(const struct dialogue *dialogue)
{
    bool tls = dialogue->door->policy.tls != TLS_IMPLICIT;
    log_event(LOG_EVENT_INFO, "tls_other_way", LOG_TEXT("client", dialogue->address), LOG_U64("port", dialogue->door->port), LOG_TEXT("began", tls ? "tls" : "clear"),
              LOG_BYTES("account", dialogue->session.state == NULL ? bytes_none() : dialogue->session.origin.account),
              LOG_TEXT("mend", tls ? "the program is set to SSL/TLS; this port is for STARTTLS" : "the program is set to STARTTLS; this port is for SSL/TLS"));
}

void dialogue_start(struct door *door, int descriptor, struct visitor *visitor, bool known, struct bytes address,
                    struct bytes account)
{
    struct smtpd *smtpd = door->smtpd;
    struct dialogue *dialogue = memory_new(sizeof *dialogue);
    dialogue->smtpd = smtpd;
    dialogue->door = door;
    dialogue->visitor = visitor;
    dialogue->intake.file = -1;
    memcpy(dialogue->address, address.at, bytes_first(address, sizeof dialogue->address - 1).length);
    dialogue->next = smtpd->dialogues;
    if (dialogue->next != NULL)
        dialogue->next->previous = dialogue;
    smtpd->dialogues = dialogue;
    smtpd->child->census->connections[smtpd->child->number] = (uint32_t)++smtpd->dialogue_count;
    crowd_enter(dialogue, known);
    conn_start(&dialogue->conn, smtpd->child->loop, descriptor, &dialogue_events, dialogue);
    log_event(LOG_EVENT_DEBUG, "connected", LOG_BYTES("client", address), LOG_U64("port", door->port));
    if (door->either_way) {
        dialogue->deciding = true;
        dialogue->since_ms = clock_now_ms();
        conn_set_timeout(&dialogue->conn, first_wait_ms(door, address, visitor_factor(visitor) == 0));
        conn_await_first(&dialogue->conn);
        return;
    }
    if (door->policy.tls == TLS_IMPLICIT) {
        begin_tls(dialogue);
        return;
    }
    begin_session(dialogue, account);
    dialogue_run(dialogue);
}

void dialogue_free(struct dialogue *dialogue)
{
    struct smtpd *smtpd = dialogue->smtpd;
    if (dialogue->other_way)
        tell_other_way(dialogue);
    question_forget(dialogue);
    harvests_release(dialogue);
    crowd_leave(dialogue);
    intake_drop(dialogue);
    limit_end(dialogue, false);
    conn_close(&dialogue->conn);
    server_session_free(&dialogue->session);
    credential_leave(dialogue);
    visitor_leaves(smtpd, dialogue->visitor);
    if (dialogue->previous != NULL)
        dialogue->previous->next = dialogue->next;
    else
        smtpd->dialogues = dialogue->next;
    if (dialogue->next != NULL)
        dialogue->next->previous = dialogue->previous;
    smtpd->child->census->connections[smtpd->child->number] = (uint32_t)--smtpd->dialogue_count;
    free(dialogue);
    smtpd_leave_if_done(smtpd);
}

/* Closes once the last reply has left. True when it is gone already. */
static bool close_after_replies(struct dialogue *dialogue)
{
    conn_flush(&dialogue->conn);
    if (conn_unsent(&dialogue->conn) == 0 || dialogue->expelled) {
        dialogue_free(dialogue);
        return true;
    }
    dialogue->closing = true;
    conn_pause(&dialogue->conn, true);
    conn_set_deadline(&dialogue->conn, CLOSE_TIMEOUT_MS);
    return false;
}

/* ---- what the machine wants done ---- */

static void log_refusals(const struct dialogue *dialogue, struct bytes replies)
{
    while (replies.length > 0) {
        struct bytes line = bytes_trim(bytes_split(&replies, '\n'));
        bool refused = line.length > 4 && (line.at[0] == '4' || line.at[0] == '5') && line.at[3] == ' ';
        if (!refused || bytes_starts_nocase(line, "535 5.7.8 User name")) /* told by auth_failed */
            continue;
        if (line.at[line.length - 1] == '\r')
            line.length--;
        log_event(LOG_EVENT_INFO, "refused", LOG_BYTES("code", bytes_first(line, 3)), LOG_BYTES("reason", bytes_from(line, 4)),
                  LOG_BYTES("client", dialogue->session.origin.client_address), LOG_U64("port", dialogue->door->port),
                  LOG_BYTES("account", dialogue->session.origin.account));
    }
}

/* A message without a name gets that of its queue id. */
static void stamp(struct dialogue *dialogue)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1], name[QUEUE_ID_TEXT_LENGTH + 1 + DOMAIN_MAX + 1];
    if (!dialogue->door->policy.judges_header)
        return;
    queue_id_text(dialogue->intake.id, id);
    snprintf(name, sizeof name, "%s@%.*s", id, BYTES_ARG(dialogue->door->policy.hostname));
    server_session_stamp(&dialogue->session, clock_epoch_ms(), bytes_of_text(name));
}

/* What auth told before needs no question. */
static void ask(struct dialogue *dialogue, enum ipc_kind kind, const struct server_action *action)
{
    if (!question_is_known(dialogue, kind, action))
        question_ask(dialogue, kind, action);
}

/* Root speaks for whom it likes. */
static bool may_speak_for_all(const struct dialogue *dialogue)
{
    return dialogue->door->policy.role == ROLE_LOCAL && bytes_is(dialogue->session.origin.account, "uid 0");
}

static void ask_about_sender(struct dialogue *dialogue, const struct server_action *action)
{
    if (may_speak_for_all(dialogue))
        server_session_answer_sender(&dialogue->session, SENDER_ALLOWED);
    else
        ask(dialogue, IPC_SENDER, action);
}

/* Where nothing fits any more, the message need not come. */
static void ask_about_limits(struct dialogue *dialogue, const struct server_action *action)
{
    dialogue->sender_version = accounts_watched_version(dialogue->smtpd->accounts_page);
    if (dialogue->door->policy.limits_sending)
        question_ask(dialogue, IPC_LIMIT, action);
    else
        ask_about_sender(dialogue, action);
}

/* The sender of MAIL, or somebody in the header of the message that is arriving. */
static void ask_sender(struct dialogue *dialogue, const struct server_action *action)
{
    bool begins = dialogue->intake.id == 0;
    if (!begins)
        ask_about_sender(dialogue, action);
    else if (credential_holds(dialogue))
        ask_about_limits(dialogue, action);
    else
        question_ask(dialogue, IPC_CREDENTIAL, action);
}

void dialogue_go_on(struct dialogue *dialogue, const struct server_action *action, enum credential_verdict verdict)
{
    if (action->kind == SERVER_ASK_STORE)
        intake_credential_answered(dialogue, action, verdict);
    else if (verdict == CREDENTIAL_HOLDS)
        ask_about_limits(dialogue, action);
    else
        server_session_answer_sender(&dialogue->session, verdict == CREDENTIAL_ENDED ? SENDER_SIGNED_OUT : SENDER_UNAVAILABLE);
}

void dialogue_limit_answered(struct dialogue *dialogue, const struct server_action *action, enum limit_verdict verdict, uint32_t number, uint64_t request)
{
    if (action->kind == SERVER_ASK_LIMIT) {
        dialogue->limit_request = verdict == LIMIT_FINE ? request : 0;
        server_session_answer_limit(&dialogue->session, verdict, number);
    } else if (verdict == LIMIT_FINE) {
        ask_about_sender(dialogue, action);
    } else if (verdict == LIMIT_REACHED) {
        server_session_answer_limited(&dialogue->session, number);
    } else {
        server_session_answer_sender(&dialogue->session, SENDER_UNAVAILABLE);
    }
}

/* False when the dialogue is gone. */
static bool carry_out(struct dialogue *dialogue, const struct server_action *action)
{
    switch (action->kind) {
    case SERVER_NOTHING:
    case SERVER_CONTENT: /* see pull_actions() */
        break;
    case SERVER_REPLY:
        if (!dialogue->expelled)
            log_refusals(dialogue, action->bytes);
        conn_write(&dialogue->conn, action->bytes);
        break;
    case SERVER_STARTTLS:
        begin_tls(dialogue);
        break;
    case SERVER_CONTENT_BEGIN:
        intake_begin(dialogue, action->envelope);
        stamp(dialogue);
        break;
    case SERVER_CONTENT_DROP:
        intake_drop(dialogue);
        break;
    case SERVER_ASK_PASSWORD:
        question_ask(dialogue, IPC_PASSWORD, action);
        break;
    case SERVER_ASK_SALT:
        question_ask(dialogue, IPC_SALT, action);
        break;
    case SERVER_ASK_PROOF:
        question_ask(dialogue, IPC_PROOF, action);
        break;
    case SERVER_ASK_SENDER:
        ask_sender(dialogue, action);
        break;
    case SERVER_ASK_RECIPIENT:
        if (harvests_shut(dialogue))
            server_session_answer_guessed(&dialogue->session);
        else
            ask(dialogue, IPC_RECIPIENT, action);
        break;
    case SERVER_ASK_LIMIT:
        question_ask(dialogue, IPC_LIMIT, action);
        break;
    case SERVER_ASK_STORE:
        intake_store(dialogue, action);
        break;
    case SERVER_CLOSE:
        return !close_after_replies(dialogue);
    }
    return true;
}

/* Carries out all that waits. `used` octets of the input belong to it: runs
 * of content borrow from them, so they are used up behind those. */
static bool pull_actions(struct dialogue *dialogue, size_t used)
{
    struct server_action action;
    while (server_session_action(&dialogue->session, &action)) {
        if (action.kind == SERVER_CONTENT) {
            intake_add(dialogue, action.bytes);
            continue;
        }
        conn_consume(&dialogue->conn, used);
        used = 0;
        if (!carry_out(dialogue, &action))
            return false;
    }
    conn_consume(&dialogue->conn, used);
    return true;
}

/* A client that says much and reads nothing must not fill the memory. */
static bool replies_wait(struct dialogue *dialogue)
{
    if (conn_unsent(&dialogue->conn) >= REPLIES_UNSENT_MAX)
        conn_flush(&dialogue->conn);
    dialogue->choked = conn_unsent(&dialogue->conn) >= REPLIES_UNSENT_MAX;
    return dialogue->choked;
}

static bool may_go_on(struct dialogue *dialogue)
{
    bool waits = dialogue->question.open || dialogue->held || dialogue->conn.handshaking;
    return dialogue->session.state != NULL && !waits && !dialogue->closing && !replies_wait(dialogue);
}

/* Feeds all that was heard and can be heard now. False when the dialogue is gone. */
static bool feed_all(struct dialogue *dialogue)
{
    size_t used = 0;
    do {
        if (!pull_actions(dialogue, used))
            return false;
        used = may_go_on(dialogue) ? server_session_feed(&dialogue->session, conn_input(&dialogue->conn)) : 0;
    } while (used > 0);
    return pull_actions(dialogue, 0);
}

/* How long the client may take now. */
static void renew_deadline(struct dialogue *dialogue)
{
    struct conn *conn = &dialogue->conn;
    uint32_t timeout_ms = server_session_timeout_ms(&dialogue->session);
    uint64_t steps = server_session_steps(&dialogue->session);
    if (!conn->handshaking && (conn->timeout_ms != timeout_ms || dialogue->steps != steps))
        conn_set_deadline(conn, timeout_ms);
    dialogue->steps = steps;
}

void dialogue_run(struct dialogue *dialogue)
{
    struct conn *conn = &dialogue->conn;
    if (dialogue->session.state == NULL || dialogue->closing)
        return;
    do {
        if (!feed_all(dialogue) || dialogue->closing)
            return;
        conn_flush(conn);
    } while (dialogue->choked && conn_unsent(conn) == 0); /* else on_drained() comes */
    conn_pause(conn, dialogue->question.open || dialogue->held || dialogue->choked);
    crowd_progress(dialogue);
    if (!dialogue->held)
        renew_deadline(dialogue);
}

void dialogue_expel(struct dialogue *dialogue, enum server_expulsion why)
{
    bool hears = dialogue->session.state != NULL && !dialogue->closing && !dialogue->conn.handshaking;
    dialogue->expelled = true;
    if (!hears) {
        dialogue_free(dialogue);
        return;
    }
    server_session_expel(&dialogue->session, why);
    dialogue_run(dialogue);
}

void dialogue_drain(struct dialogue *dialogue)
{
    if (dialogue->deciding && dialogue->door->policy.tls != TLS_IMPLICIT) {
        conn_end_await(&dialogue->conn);
        take_way(dialogue, false);
    }
    if (dialogue->session.state == NULL) {
        dialogue_free(dialogue);
        return;
    }
    server_session_drain(&dialogue->session);
    dialogue_run(dialogue);
}

/* ---- the conn's news ---- */

static void on_first(void *owner, bool tls)
{
    take_way(owner, tls);
}

/* It was greeted in clear before its ClientHello came, and cannot go on. */
static void refuse_late_hello(struct dialogue *dialogue)
{
    const struct door *door = dialogue->door;
    bool implicit = door->policy.tls == TLS_IMPLICIT;
    log_event(LOG_EVENT_INFO, "refused",
              LOG_TEXT("reason", implicit ? "the client was silent for too long before it spoke TLS" : "the client speaks TLS at once on a port that begins in clear"),
              LOG_TEXT("client", dialogue->address), LOG_U64("port", door->port));
    if (door->either_way && !implicit)
        learn_haste(dialogue); /* the next time it is waited for */
    else
        dialogue->other_way = false;
    dialogue_free(dialogue);
}

static void on_input(void *owner)
{
    struct dialogue *dialogue = owner;
    bool first = !dialogue->heard && dialogue->conn.ssl == NULL;
    if (first && conn_input_is_tls(&dialogue->conn)) {
        refuse_late_hello(dialogue);
        return;
    }
    if (first && dialogue->door->either_way && !dialogue->other_way)
        patience_met(dialogue->door, bytes_of_text(dialogue->address));
    dialogue->heard = true;
    dialogue_run(dialogue);
}

static void on_drained(void *owner)
{
    struct dialogue *dialogue = owner;
    if (dialogue->closing)
        dialogue_free(dialogue);
    else
        dialogue_run(dialogue);
}

static void on_tls(void *owner)
{
    struct dialogue *dialogue = owner;
    char room[128];
    if (dialogue->session.state == NULL)
        begin_session(dialogue, bytes_none());
    else
        server_session_tls_started(&dialogue->session, conn_tls_text(&dialogue->conn, room, sizeof room));
    dialogue_run(dialogue);
}

static void on_end(void *owner, enum conn_end end)
{
    struct dialogue *dialogue = owner;
    log_event(end == CONN_END_TLS ? LOG_EVENT_INFO : LOG_EVENT_DEBUG, end == CONN_END_TLS ? "tls_failed" : "disconnected",
              LOG_TEXT("reason", dialogue->conn.why), LOG_TEXT("client", dialogue->address), LOG_U64("port", dialogue->door->port));
    dialogue_free(dialogue);
}

static void on_timeout(void *owner)
{
    struct dialogue *dialogue = owner;
    if (dialogue->deciding) {
        conn_end_await(&dialogue->conn);
        take_way(dialogue, false);
        return;
    }
    if (dialogue->held) {
        harvests_release(dialogue);
        server_session_answer_recipient(&dialogue->session, RECIPIENT_UNKNOWN, NULL, 0);
        dialogue_run(dialogue);
        return;
    }
    if (dialogue->question.open) { /* it is us who are slow */
        conn_set_deadline(&dialogue->conn, dialogue->conn.timeout_ms);
        return;
    }
    if (dialogue->session.state == NULL || dialogue->closing || dialogue->conn.handshaking) {
        dialogue_free(dialogue);
        return;
    }
    server_session_timed_out(&dialogue->session);
    dialogue_run(dialogue);
}

static const struct conn_events dialogue_events = {
    .on_input = on_input, .on_drained = on_drained, .on_tls = on_tls, .on_first = on_first, .on_end = on_end, .on_timeout = on_timeout};
