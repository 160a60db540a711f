/* SPDX-License-Identifier: Apache-2.0 */
/* message_spool: the content of the message that is arriving, on its way to queue. */
#include "service/smtpd/smtpd.h"

#include "io/clock.h"
#include "io/log.h"
#include "core/message/received.h"
#include "core/message/loop_detection.h"

#include <errno.h>
#include <unistd.h>

enum {
    RECEIVED_ROOM = 1024,       /* octets, about, of our Received field */
    GATHERED_OCTETS = 16 * 1024, /* of a large content that arrives in small pieces: written together */
};

void intake_begin(struct dialogue *dialogue, const struct envelope *envelope)
{
    struct intake *intake = &dialogue->intake;
    struct smtpd *smtpd = dialogue->smtpd;
    *intake = (struct intake){
        .id = queue_id_next(&smtpd->ids, clock_epoch_us()), .file = -1, .envelope = envelope};
    if (envelope->size <= INLINE_CONTENT_MAX) /* one allocation instead of several */
        buffer_reserve(&intake->content, (size_t)envelope->size + RECEIVED_ROOM);
    received_add(&intake->content, &dialogue->session.origin, envelope, dialogue->door->policy.hostname, intake->id, clock_epoch_ms());
}

/* What is kept outside of us is given back. */
static void let_go(struct dialogue *dialogue)
{
    struct intake *intake = &dialogue->intake;
    struct smtpd *smtpd = dialogue->smtpd;
    struct channel *queue = child_peer(smtpd->child, PROCESS_QUEUE);
    if (intake->spool != 0 && queue != NULL)
        child_send(smtpd->child, queue, IPC_SPOOL_DROP, &(struct ipc_spool_drop){intake->spool}, -1);
    if (intake->file >= 0)
        close(intake->file);
    buffer_free(&intake->content);
    intake->spool = 0;
    intake->file = -1;
}

static void fail(struct dialogue *dialogue, enum store_verdict verdict)
{
    let_go(dialogue);
    dialogue->intake.failed = true;
    dialogue->intake.verdict = verdict;
}

void intake_lost(struct dialogue *dialogue)
{
    if (dialogue->intake.spool == 0)
        return;
    dialogue->intake.spool = 0; /* there is nobody to give it back to */
    fail(dialogue, STORE_FAILED);
}

static void write_to_file(struct dialogue *dialogue, struct bytes octets)
{
    while (octets.length > 0) {
        ssize_t written = write(dialogue->intake.file, octets.at, octets.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            if (trouble_met(&dialogue->smtpd->spooling, clock_now_ms())) /* each message's own line follows: not_stored */
                log_event(LOG_EVENT_ERROR, "spool_failed", LOG_ID(dialogue->intake.id), LOG_TEXT("reason", strerror(errno)));
            fail(dialogue, full ? STORE_FULL : STORE_FAILED);
            return;
        }
        octets = bytes_from(octets, (size_t)written);
    }
}

static void write_gathered(struct dialogue *dialogue)
{
    struct buffer gathered = dialogue->intake.content;
    dialogue->intake.content = (struct buffer){0};
    write_to_file(dialogue, buffer_bytes(&gathered));
    buffer_free(&gathered);
}

void intake_add(struct dialogue *dialogue, struct bytes octets)
{
    struct intake *intake = &dialogue->intake;
    if (intake->failed)
        return;
    if (intake->file >= 0 && intake->content.length == 0 && octets.length >= GATHERED_OCTETS) {
        write_to_file(dialogue, octets);
        return;
    }
    if (intake->file >= 0) {
        buffer_add(&intake->content, octets);
        if (intake->content.length >= GATHERED_OCTETS)
            write_gathered(dialogue);
        return;
    }
    buffer_add(&intake->content, octets);
    if (intake->content.length > INLINE_CONTENT_MAX && !intake->spooling) {
        intake->spooling = true;
        question_ask(dialogue, IPC_SPOOL, NULL);
    }
}

void intake_drop(struct dialogue *dialogue)
{
    if (dialogue->question.open && dialogue->question.kind == IPC_SPOOL)
        question_forget(dialogue);
    let_go(dialogue);
    dialogue->intake = (struct intake){.file = -1};
    limit_end(dialogue, false);
}

static void answer(struct dialogue *dialogue, enum store_verdict verdict)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(dialogue->intake.id, id);
    dialogue->intake = (struct intake){.file = -1};
    limit_end(dialogue, verdict == STORE_DONE);
    server_session_answer_store(&dialogue->session, verdict, bytes_of_text(id));
}

/* In what of the content is in memory: refused here, nobody who may be forged
 * is told. What comes back to some alone the queue finds, and tells the sender. */
static bool has_come_back(const struct dialogue *dialogue)
{
    const struct intake *intake = &dialogue->intake;
    struct bytes who = bytes_none();
    size_t back = 0;
    for (size_t i = 0; i < intake->envelope->recipient_count; i++) {
        struct bytes via = intake->envelope->recipients[i].via;
        if (via.length == 0 || !trace_returns(buffer_bytes(&intake->content), via, &who))
            return false;
        back++;
    }
    if (back > 0)
        log_event(
            LOG_EVENT_WARN, "looped", LOG_ID(intake->id), LOG_BYTES("from", intake->envelope->sender),
            LOG_BYTES("to", who), LOG_BYTES("client", dialogue->session.origin.client_address),
            LOG_TEXT("status", "5.4.6"),
            LOG_TEXT("reason",
                     "the message came back to an address that had sent it on already: it runs in a circle"));
    return back > 0;
}

void intake_store(struct dialogue *dialogue, const struct server_action *action)
{
    struct intake *intake = &dialogue->intake;
    if (!intake->failed && intake->file >= 0)
        write_gathered(dialogue);
    if (intake->failed) {
        answer(dialogue, intake->verdict);
        return;
    }
    if (dialogue->question.open) { /* for the file: see intake_spooled() */
        intake->store_asked = true;
        dialogue->question.action = *action;
        return;
    }
    if (credential_holds(dialogue))
        intake_credential_answered(dialogue, action, CREDENTIAL_HOLDS);
    else
        question_ask(dialogue, IPC_CREDENTIAL, action);
}

/* It is not stored after all. */
static void refuse(struct dialogue *dialogue, enum store_verdict verdict)
{
    let_go(dialogue);
    answer(dialogue, verdict);
}

static void give(struct dialogue *dialogue, const struct server_action *action)
{
    struct intake *intake = &dialogue->intake;
    if (intake->failed) { /* while we asked */
        answer(dialogue, intake->verdict);
        return;
    }
    if (intake->looped || (intake->file < 0 && has_come_back(dialogue))) {
        refuse(dialogue, STORE_LOOPED);
        return;
    }
    if (intake->file >= 0)
        close(intake->file);
    intake->file = -1;
    question_ask(dialogue, IPC_SUBMIT, action);
}

void intake_credential_answered(struct dialogue *dialogue, const struct server_action *action, enum credential_verdict verdict)
{
    bool changed = dialogue->credential != NULL && dialogue->sender_version != accounts_watched_version(dialogue->smtpd->accounts_page);
    if (verdict != CREDENTIAL_HOLDS) {
        refuse(dialogue, verdict == CREDENTIAL_ENDED ? STORE_SIGNED_OUT : STORE_FAILED);
        return;
    }
    if (!changed) {
        give(dialogue, action);
        return;
    }
    struct server_action sender = *action;
    sender.account = dialogue->session.origin.account;
    sender.address = action->envelope->sender;
    question_ask(dialogue, IPC_SENDER, &sender);
}

void intake_sender_answered(struct dialogue *dialogue, const struct server_action *action, enum sender_verdict verdict)
{
    if (verdict == SENDER_ALLOWED)
        give(dialogue, action);
    else
        refuse(dialogue, verdict == SENDER_FORBIDDEN ? STORE_FORBIDDEN : STORE_FAILED);
}

void intake_spooled(struct dialogue *dialogue, enum store_verdict verdict, uint64_t spool, int file)
{
    struct intake *intake = &dialogue->intake;
    struct server_action store = dialogue->question.action; /* where store_asked */
    if (verdict != STORE_DONE || file < 0) { /* its descriptor gets lost where we have none free */
        intake->spool = verdict == STORE_DONE ? spool : 0;
        fail(dialogue, verdict == STORE_DONE ? STORE_FAILED : verdict);
    } else {
        intake->spool = spool;
        intake->file = file;
        intake->looped = has_come_back(dialogue);
        write_gathered(dialogue);
    }
    if (intake->store_asked)
        intake_store(dialogue, &store);
}

static void log_accepted(const struct dialogue *dialogue, const struct envelope *envelope)
{
    const struct origin *origin = &dialogue->session.origin;
    bool one = envelope->recipient_count == 1;
    log_event(LOG_EVENT_INFO, "accepted", LOG_ID(dialogue->intake.id), LOG_BYTES("from", envelope->sender),
              LOG_BYTES("to", one ? envelope->recipients[0].address : bytes_none()), LOG_U64("recipients", envelope->recipient_count),
              LOG_U64("size", envelope->size), LOG_BYTES("client", origin->client_address), LOG_U64("port", origin->port),
              LOG_BYTES("protocol", origin->protocol), LOG_BYTES("tls", origin->tls), LOG_BYTES("account", origin->account));
}

void intake_stored(struct dialogue *dialogue, enum store_verdict verdict)
{
    const struct envelope *envelope = dialogue->question.action.envelope;
    if (verdict == STORE_DONE) {
        harvests_accepted(dialogue, envelope);
        log_accepted(dialogue, envelope);
    } else {
        log_event(LOG_EVENT_WARN, "not_stored", LOG_ID(dialogue->intake.id), LOG_BYTES("from", envelope->sender),
                  LOG_TEXT("reason", verdict == STORE_FULL ? "no room" : "the queue could not store it"));
    }
    buffer_free(&dialogue->intake.content);
    answer(dialogue, verdict);
}
