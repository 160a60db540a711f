/* SPDX-License-Identifier: Apache-2.0 */
/* message_spool: the content of the message that is arriving, on its way to queue. */
#include <errno.h>
#include <unistd.h>

#include "core/message/loop_detection.h"
#include "core/message/received.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/smtpd/smtpd.h"

enum {
    RECEIVED_SIZE = 1024,        /* octets, about, of our Received field */
    GATHERED_OCTETS = 16 * 1024, /* of a large content that arrives in small pieces: written together */
};

void message_spool_begin(struct smtp_connection *connection, const struct envelope *envelope)
{
    struct message_spool *message_spool = &connection->message_spool;
    struct smtpd *smtpd = connection->smtpd;
    *message_spool = (struct message_spool){
        .id = queue_id_next(&smtpd->ids, clock_epoch_us()), .file = -1, .envelope = envelope};
    if (envelope->size <= INLINE_CONTENT_MAX) /* one allocation instead of several */
        buffer_reserve(&message_spool->content, (size_t)envelope->size + RECEIVED_SIZE);
    received_add(&message_spool->content, &connection->session.origin, envelope,
                 connection->listener->policy.hostname, message_spool->id, clock_epoch_ms());
}

/* What is kept outside of us is given back. */
static void let_go(struct smtp_connection *connection)
{
    struct message_spool *message_spool = &connection->message_spool;
    struct smtpd *smtpd = connection->smtpd;
    struct channel *queue = child_peer(smtpd->child, PROCESS_QUEUE);
    if (message_spool->spool != 0 && queue != NULL)
        child_send(smtpd->child, queue, IPC_SPOOL_DROP, &(struct ipc_spool_drop){message_spool->spool}, -1);
    if (message_spool->file >= 0)
        close(message_spool->file);
    buffer_free(&message_spool->content);
    message_spool->spool = 0;
    message_spool->file = -1;
}

static void fail(struct smtp_connection *connection, enum store_verdict verdict)
{
    let_go(connection);
    connection->message_spool.failed = true;
    connection->message_spool.verdict = verdict;
}

void message_spool_lost(struct smtp_connection *connection)
{
    if (connection->message_spool.spool == 0)
        return;
    connection->message_spool.spool = 0; /* there is nobody to give it back to */
    fail(connection, STORE_FAILED);
}

static void write_to_file(struct smtp_connection *connection, struct bytes octets)
{
    while (octets.length > 0) {
        ssize_t written = write(connection->message_spool.file, octets.at, octets.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            /* each message's own line follows: not_stored */
            if (log_throttle_is_due(&connection->smtpd->spooling, clock_now_ms()))
                log_event(LOG_EVENT_ERROR, "spool_failed", LOG_ID(connection->message_spool.id),
                          LOG_TEXT("reason", strerror(errno)));
            fail(connection, full ? STORE_FULL : STORE_FAILED);
            return;
        }
        octets = bytes_from(octets, (size_t)written);
    }
}

static void write_gathered(struct smtp_connection *connection)
{
    struct buffer gathered = connection->message_spool.content;
    connection->message_spool.content = (struct buffer){0};
    write_to_file(connection, buffer_bytes(&gathered));
    buffer_free(&gathered);
}

void message_spool_add(struct smtp_connection *connection, struct bytes octets)
{
    struct message_spool *message_spool = &connection->message_spool;
    if (message_spool->failed)
        return;
    if (message_spool->file >= 0 && message_spool->content.length == 0 && octets.length >= GATHERED_OCTETS) {
        write_to_file(connection, octets);
        return;
    }
    if (message_spool->file >= 0) {
        buffer_add(&message_spool->content, octets);
        if (message_spool->content.length >= GATHERED_OCTETS)
            write_gathered(connection);
        return;
    }
    buffer_add(&message_spool->content, octets);
    if (message_spool->content.length > INLINE_CONTENT_MAX && !message_spool->spooling) {
        message_spool->spooling = true;
        auth_query_ask(connection, IPC_SPOOL, NULL);
    }
}

void message_spool_drop(struct smtp_connection *connection)
{
    if (connection->query.open && connection->query.kind == IPC_SPOOL)
        auth_query_forget(connection);
    let_go(connection);
    connection->message_spool = (struct message_spool){.file = -1};
    limit_end(connection, false);
}

static void answer(struct smtp_connection *connection, enum store_verdict verdict)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(connection->message_spool.id, id);
    connection->message_spool = (struct message_spool){.file = -1};
    limit_end(connection, verdict == STORE_DONE);
    server_session_answer_store(&connection->session, verdict, bytes_of_text(id));
}

/* In what of the content is in memory: refused here, nobody who may be forged
 * is told. What comes back to some alone the queue finds, and tells the sender. */
static bool has_come_back(const struct smtp_connection *connection)
{
    const struct message_spool *message_spool = &connection->message_spool;
    struct bytes who = bytes_none();
    size_t back = 0;
    for (size_t i = 0; i < message_spool->envelope->recipient_count; i++) {
        struct bytes via = message_spool->envelope->recipients[i].via;
        if (via.length == 0 || !loop_detection_returns(buffer_bytes(&message_spool->content), via, &who))
            return false;
        back++;
    }
    if (back > 0)
        log_event(
            LOG_EVENT_WARN, "looped", LOG_ID(message_spool->id),
            LOG_BYTES("from", message_spool->envelope->sender), LOG_BYTES("to", who),
            LOG_BYTES("client", connection->session.origin.client_address), LOG_TEXT("status", "5.4.6"),
            LOG_TEXT("reason",
                     "the message came back to an address that had sent it on already: it runs in a circle"));
    return back > 0;
}

void message_spool_store(struct smtp_connection *connection, const struct server_action *action)
{
    struct message_spool *message_spool = &connection->message_spool;
    if (!message_spool->failed && message_spool->file >= 0)
        write_gathered(connection);
    if (message_spool->failed) {
        answer(connection, message_spool->verdict);
        return;
    }
    if (connection->query.open) { /* for the file: see message_spool_spooled() */
        message_spool->store_asked = true;
        connection->query.action = *action;
        return;
    }
    if (credential_holds(connection))
        message_spool_credential_answered(connection, action, CREDENTIAL_HOLDS);
    else
        auth_query_ask(connection, IPC_CREDENTIAL, action);
}

/* It is not stored after all. */
static void refuse(struct smtp_connection *connection, enum store_verdict verdict)
{
    let_go(connection);
    answer(connection, verdict);
}

static void give(struct smtp_connection *connection, const struct server_action *action)
{
    struct message_spool *message_spool = &connection->message_spool;
    if (message_spool->failed) { /* while we asked */
        answer(connection, message_spool->verdict);
        return;
    }
    if (message_spool->looped || (message_spool->file < 0 && has_come_back(connection))) {
        refuse(connection, STORE_LOOPED);
        return;
    }
    if (message_spool->file >= 0)
        close(message_spool->file);
    message_spool->file = -1;
    auth_query_ask(connection, IPC_SUBMIT, action);
}

void message_spool_credential_answered(struct smtp_connection *connection, const struct server_action *action,
                                       enum credential_verdict verdict)
{
    bool changed = connection->credential != NULL &&
                   connection->sender_version != accounts_read_version(connection->smtpd->accounts_page);
    if (verdict != CREDENTIAL_HOLDS) {
        refuse(connection, verdict == CREDENTIAL_ENDED ? STORE_SIGNED_OUT : STORE_FAILED);
        return;
    }
    if (!changed) {
        give(connection, action);
        return;
    }
    struct server_action sender = *action;
    sender.account = connection->session.origin.account;
    sender.address = action->envelope->sender;
    auth_query_ask(connection, IPC_SENDER, &sender);
}

void message_spool_sender_answered(struct smtp_connection *connection, const struct server_action *action,
                                   enum sender_verdict verdict)
{
    if (verdict == SENDER_ALLOWED)
        give(connection, action);
    else
        refuse(connection, verdict == SENDER_FORBIDDEN ? STORE_FORBIDDEN : STORE_FAILED);
}

void message_spool_spooled(struct smtp_connection *connection, enum store_verdict verdict, uint64_t spool,
                           int file)
{
    struct message_spool *message_spool = &connection->message_spool;
    struct server_action store = connection->query.action; /* where store_asked */
    if (verdict != STORE_DONE || file < 0) { /* its descriptor gets lost where we have none free */
        message_spool->spool = verdict == STORE_DONE ? spool : 0;
        fail(connection, verdict == STORE_DONE ? STORE_FAILED : verdict);
    } else {
        message_spool->spool = spool;
        message_spool->file = file;
        message_spool->looped = has_come_back(connection);
        write_gathered(connection);
    }
    if (message_spool->store_asked)
        message_spool_store(connection, &store);
}

static void log_accepted(const struct smtp_connection *connection, const struct envelope *envelope)
{
    const struct origin *origin = &connection->session.origin;
    bool one = envelope->recipient_count == 1;
    log_event(LOG_EVENT_INFO, "accepted", LOG_ID(connection->message_spool.id),
              LOG_BYTES("from", envelope->sender),
              LOG_BYTES("to", one ? envelope->recipients[0].address : bytes_none()),
              LOG_U64("recipients", envelope->recipient_count), LOG_U64("size", envelope->size),
              LOG_BYTES("client", origin->client_address), LOG_U64("port", origin->port),
              LOG_BYTES("protocol", origin->protocol), LOG_BYTES("tls", origin->tls),
              LOG_BYTES("account", origin->account));
}

void message_spool_stored(struct smtp_connection *connection, enum store_verdict verdict)
{
    const struct envelope *envelope = connection->query.action.envelope;
    if (verdict == STORE_DONE) {
        harvest_table_accepted(connection, envelope);
        log_accepted(connection, envelope);
    } else {
        log_event(LOG_EVENT_WARN, "not_stored", LOG_ID(connection->message_spool.id),
                  LOG_BYTES("from", envelope->sender),
                  LOG_TEXT("reason", verdict == STORE_FULL ? "no room" : "the queue could not store it"));
    }
    buffer_free(&connection->message_spool.content);
    answer(connection, verdict);
}
