/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_submission: a session's questions to auth about a message, and the message's submission to
 * queue. It drives a submission (service/submission/), and adds checks for the session: whether its
 * credential is valid, whether mailboxes are full, directory harvesting, mail loops.
 */
#include <stdio.h>

#include "core/message/loop_detection.h"
#include "io/clock.h"
#include "service/event_log.h"
#include "service/smtpd/smtpd.h"

static struct submission *submission_of(struct smtp_connection *connection)
{
    return &connection->message.submission;
}

/* ---- senders and limits ---- */

/* Root may use any sender. */
static bool may_speak_for_all(const struct smtp_connection *connection)
{
    return connection->listener->policy.role == ROLE_LOCAL && connection->by_root;
}

static void ask_about_sender(struct smtp_connection *connection)
{
    const struct server_action *action = &connection->message.action;
    if (may_speak_for_all(connection))
        server_session_answer_sender(&connection->session, SENDER_ALLOWED);
    else
        submission_ask_sender(submission_of(connection), action->account, action->address);
}

/* If the limit is already reached, the message is rejected early. */
static void ask_about_limits(struct smtp_connection *connection)
{
    connection->sender_version = accounts_version_read(connection->smtpd->accounts_version);
    if (connection->session.policy->limits_sending)
        submission_ask_limit(submission_of(connection), connection->message.action.account, 0);
    else
        ask_about_sender(connection);
}

/* Asks about the sender of MAIL, or an author in the header of the current message. */
static void ask_sender(struct smtp_connection *connection, const struct server_action *action)
{
    if (submission_has_begun(submission_of(connection)))
        ask_about_sender(connection);
    else if (credential_holds(connection))
        ask_about_limits(connection);
    else
        auth_query_ask(connection, IPC_CREDENTIAL, action);
}

static void limit_answered(void *owner, enum limit_verdict verdict, uint32_t number)
{
    struct smtp_connection *connection = owner;
    if (connection->message.action.kind == SERVER_ASK_LIMIT)
        server_session_answer_limit(&connection->session, verdict, number);
    else if (verdict == LIMIT_FINE)
        ask_about_sender(connection);
    else if (verdict == LIMIT_REACHED)
        server_session_answer_limited(&connection->session, number);
    else
        server_session_answer_sender(&connection->session, SENDER_UNAVAILABLE);
}

/* ---- recipients ---- */

/* True for the postmaster, who must accept mail (RFC 5321 4.5.1). */
static bool is_postmaster(struct bytes address)
{
    return bytes_is_nocase(bytes_split(&address, '@'), "postmaster");
}

/* True if all targets are full: mail to an alias is accepted if one member has space. */
static bool are_full(const struct smtpd *smtpd, const struct recipient *targets, size_t count)
{
    uint64_t version = accounts_version_read(smtpd->accounts_version), now_ms = clock_now_ms();
    for (size_t i = 0; i < count; i++)
        if (!targets[i].local ||
            !over_quota_table_has(smtpd->over_quota, targets[i].address, version, now_ms))
            return false;
    return count > 0;
}

/* Auth knows where it goes, not whether that is full: checked each time, and never cached. */
static void recipient_answered(void *owner, enum recipient_verdict verdict, const struct recipient *targets,
                               size_t count)
{
    struct smtp_connection *connection = owner;
    const struct bytes address = connection->message.action.address;
    if (verdict == RECIPIENT_KNOWN && !is_postmaster(address) && are_full(connection->smtpd, targets, count))
        verdict = RECIPIENT_FULL;
    if ((verdict == RECIPIENT_UNKNOWN || verdict == RECIPIENT_FORGED) &&
        harvest_table_refused(connection, address))
        return;
    server_session_answer_recipient(&connection->session, verdict, targets, count);
}

static void ask_recipient(struct smtp_connection *connection, const struct server_action *action)
{
    if (harvest_table_is_blocked(connection))
        server_session_answer_guessed(&connection->session);
    else
        submission_ask_recipient(submission_of(connection), action->account, action->address, action->sender);
}

/* ---- the content ---- */

/* Sets a Message-ID derived from the queue id for a message without one. */
static void stamp(struct smtp_connection *connection)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1], name[QUEUE_ID_TEXT_LENGTH + 1 + DOMAIN_MAX + 1];
    if (!connection->session.policy->checks_header)
        return;
    queue_id_text(connection->message.submission.id, id);
    snprintf(name, sizeof name, "%s@%.*s", id, BYTES_ARG(connection->listener->policy.hostname));
    server_session_stamp(&connection->session, clock_epoch_ms(), bytes_of_text(name));
}

void message_submission_begin(struct smtp_connection *connection, const struct envelope *envelope)
{
    struct submission *submission = submission_of(connection);
    connection->message.looked = connection->message.looped = false;
    submission_begin(submission, envelope, &connection->session.origin);
    submission_add_received(submission);
    stamp(connection);
    trust_check_begin(connection);
}

void message_submission_add(struct smtp_connection *connection, struct bytes octets)
{
    struct trust_check *trust = connection->message.trust;
    struct buffer stays = {0};
    if (trust == NULL || authres_filter_is_past(&trust->filter)) {
        submission_write(submission_of(connection), octets);
        return;
    }
    trust_check_pass(trust, octets, &stays);
    submission_write(submission_of(connection), buffer_bytes(&stays));
    buffer_free(&stays);
}

static void ask_trust(struct smtp_connection *connection)
{
    struct trust_check *trust = connection->message.trust;
    struct buffer stays = {0};
    trust_check_finish(trust, &stays);
    submission_write(submission_of(connection), buffer_bytes(&stays));
    buffer_free(&stays);
    trust_check_ask(trust);
}

void message_submission_drop(struct smtp_connection *connection)
{
    trust_check_end(connection);
    submission_abandon(submission_of(connection));
    submission_settle(submission_of(connection), false);
}

static void log_looped(const struct smtp_connection *connection, struct bytes who)
{
    const struct submission *submission = &connection->message.submission;
    event_log_write(&(struct mail_event){
        .kind = EVENT_LOOPED,
        .message = submission->id,
        .sender = submission->envelope->sender,
        .recipient = who,
        .client = connection->session.origin.client_address,
        .account = connection->session.origin.account,
        .code = 554,
        .enhanced = BYTES("5.4.6"),
        .text = BYTES(
            "the message returned to an address that had already forwarded it: mail loop detected")});
}

/* In what of the content is in memory: refused here, nobody who may be forged
 * is told. What comes back to some alone the queue finds, and tells the sender. */
static bool has_come_back(const struct smtp_connection *connection)
{
    const struct submission *submission = &connection->message.submission;
    const struct envelope *envelope = submission->envelope;
    struct bytes who = bytes_none();
    size_t back = 0;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        struct bytes via = envelope->recipients[i].via;
        if (via.length == 0 || !loop_detection_returns(submission_gathered(submission), via, &who))
            return false;
        back++;
    }
    if (back > 0)
        log_looped(connection, who);
    return back > 0;
}

/* ---- to queue ---- */

static void answer(struct smtp_connection *connection, uint64_t id, enum store_verdict verdict)
{
    char text[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(id, text);
    submission_settle(submission_of(connection), verdict == STORE_DONE);
    trust_check_end(connection);
    server_session_answer_store(&connection->session, verdict, bytes_of_text(text));
}

/* Rejects the message instead of storing it. */
static void refuse(struct smtp_connection *connection, enum store_verdict verdict)
{
    uint64_t id = connection->message.submission.id;
    submission_abandon(submission_of(connection));
    answer(connection, id, verdict);
}

static void submit(struct smtp_connection *connection)
{
    struct message_submission *message = &connection->message;
    if (message->looped || (!message->looked && has_come_back(connection)))
        refuse(connection, STORE_LOOPED);
    else
        submission_submit(&message->submission);
}

static void check_sender(struct smtp_connection *connection)
{
    bool changed = connection->credential != NULL &&
                   connection->sender_version != accounts_version_read(connection->smtpd->accounts_version);
    if (changed)
        submission_ask_sender(submission_of(connection), connection->session.origin.account,
                              connection->message.action.envelope->sender);
    else
        submit(connection);
}

static void sender_answered(void *owner, enum sender_verdict verdict)
{
    struct smtp_connection *connection = owner;
    if (connection->message.action.kind != SERVER_ASK_STORE)
        server_session_answer_sender(&connection->session, verdict);
    else if (verdict == SENDER_ALLOWED)
        submit(connection);
    else
        refuse(connection, verdict == SENDER_FORBIDDEN ? STORE_FORBIDDEN : STORE_FAILED);
}

/* Checks credential and sender once more; waits for a requested file first. */
static void store(struct smtp_connection *connection)
{
    connection->message.store_waits = submission_waits(submission_of(connection));
    if (connection->message.store_waits)
        return;
    if (credential_holds(connection))
        check_sender(connection);
    else
        auth_query_ask(connection, IPC_CREDENTIAL, &connection->message.action);
}

static void ended(void *owner, uint64_t id, enum store_verdict verdict)
{
    struct smtp_connection *connection = owner;
    const struct envelope *envelope = connection->message.action.envelope;
    if (verdict == STORE_DONE)
        harvest_table_accepted(connection, envelope);
    submission_log_end(id, verdict, envelope, &connection->session.origin, &submission_of(connection)->trust);
    answer(connection, id, verdict);
}

/* ---- questions and answers ---- */

void message_submission_ask(struct smtp_connection *connection, const struct server_action *action)
{
    connection->message.action = *action;
    switch (action->kind) {
    case SERVER_ASK_SENDER: ask_sender(connection, action); break;
    case SERVER_ASK_RECIPIENT: ask_recipient(connection, action); break;
    case SERVER_ASK_LIMIT:
        submission_ask_limit(submission_of(connection), action->account,
                             (uint32_t)action->envelope->recipient_count);
        break;
    case SERVER_ASK_TRUST: ask_trust(connection); break;
    default: store(connection); break;
    }
}

void message_submission_credential_answered(struct smtp_connection *connection,
                                            const struct server_action *action,
                                            enum credential_verdict verdict)
{
    if (action->kind == SERVER_ASK_STORE && verdict == CREDENTIAL_HOLDS)
        check_sender(connection);
    else if (action->kind == SERVER_ASK_STORE)
        refuse(connection, verdict == CREDENTIAL_ENDED ? STORE_SIGNED_OUT : STORE_FAILED);
    else if (verdict == CREDENTIAL_HOLDS)
        ask_about_limits(connection);
    else
        server_session_answer_sender(&connection->session,
                                     verdict == CREDENTIAL_ENDED ? SENDER_SIGNED_OUT : SENDER_UNAVAILABLE);
}

static void go_on(void *owner)
{
    struct smtp_connection *connection = owner;
    struct message_submission *message = &connection->message;
    if (message->submission.stage == SUBMISSION_FILE && !message->looked) {
        message->looked = true;
        message->looped = has_come_back(connection);
    }
    if (message->store_waits)
        store(connection);
    smtp_connection_run(connection);
}

static const struct submission_events message_submission_events = {.sender = sender_answered,
                                                                   .limit = limit_answered,
                                                                   .recipient = recipient_answered,
                                                                   .ended = ended,
                                                                   .go_on = go_on};

void message_submission_start(struct smtp_connection *connection)
{
    submission_start(submission_of(connection), &connection->smtpd->submissions, &message_submission_events,
                     connection);
}

void message_submission_free(struct smtp_connection *connection)
{
    trust_check_end(connection);
    submission_drop(submission_of(connection));
}
