/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/message/received.h"
#include "core/server/content.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/write.h"
#include "service/pickup/pickup.h"

enum { RECEIVED_SIZE = 2048, RUN_MAX = 64 * 1024 };

static void give_some(struct pickup *p);
static void report(struct pickup *p);

void drop_submission_end(struct pickup *p, enum drop_submission_end how, const char *why)
{
    struct drop_submission *submission = &p->submission;
    struct channel *queue = child_peer(p->child, PROCESS_QUEUE);
    if (submission->spool != 0 && queue != NULL)
        child_send(p->child, queue, IPC_SPOOL_DROP, &(struct ipc_spool_drop){submission->spool}, -1);
    permission_end(p, how == DROP_SUBMISSION_STORED);
    submission->step = DROP_SUBMISSION_NONE;
    submission->spool = 0;
    buffer_free(&submission->content);
    map_free(&submission->seen);
    pickup_submission_ended(p, how, why);
}

static enum process_role answerer(enum drop_submission_step step)
{
    return step == DROP_SUBMISSION_SENDER || step == DROP_SUBMISSION_LIMIT ||
                   step == DROP_SUBMISSION_RECIPIENT
               ? PROCESS_AUTH
               : PROCESS_QUEUE;
}

/* When nobody is there the file waits. */
void drop_submission_ask(struct pickup *p, enum drop_submission_step step, enum ipc_kind kind,
                         const void *message)
{
    struct channel *peer = child_peer(p->child, answerer(step));
    p->submission.step = step;
    if (peer == NULL || !child_send(p->child, peer, kind, message, -1))
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
}

uint64_t drop_submission_request(struct pickup *p)
{
    return p->submission.request = ++p->last_request;
}

/* ---- where recipients go ---- */

static void ask_about(struct pickup *p, struct bytes address)
{
    struct ipc_recipient asked = {
        .request = drop_submission_request(p), .account = p->submission.origin.account, .address = address};
    drop_submission_ask(p, DROP_SUBMISSION_RECIPIENT, IPC_RECIPIENT, &asked);
}

static void ask_next(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    if (submission->asked < submission->drop_file.envelope.recipient_count)
        ask_about(p, submission->drop_file.envelope.recipients[submission->asked].address);
    else
        give_some(p);
}

static bool was_seen(struct drop_submission *submission, const struct recipient *target)
{
    struct buffer key = {0};
    buffer_add_octet(&key, (char)('a' + target->expands * 2 + target->local));
    buffer_add(&key, target->address);
    bool seen = map_get(&submission->seen, buffer_bytes(&key)) != NULL;
    if (!seen)
        map_put(&submission->seen, buffer_bytes(&key), submission);
    buffer_free(&key);
    return seen;
}

static void add_target(struct drop_submission *submission, const struct recipient *target,
                       const struct recipient *asked)
{
    struct arena *arena = &submission->drop_file.arena;
    if (was_seen(submission, target))
        return;
    if (submission->target_count == submission->target_capacity) {
        size_t room = submission->target_capacity == 0 ? 4 : submission->target_capacity * 4;
        struct recipient *larger = ARENA_ARRAY(arena, struct recipient, room);
        if (submission->target_count > 0)
            memcpy(larger, submission->targets, submission->target_count * sizeof *larger);
        submission->targets = larger;
        submission->target_capacity = room;
    }
    submission->targets[submission->target_count++] = (struct recipient){
        .address = arena_copy(arena, target->address),
        .original = bytes_equal(target->address, asked->address) ? bytes_none() : asked->address,
        .orcpt = asked->orcpt,
        .notify = asked->notify,
        .local = target->local,
        .away = target->away,
        .expands = target->expands,
        .via = arena_copy(arena, target->via)};
}

static void add_unknown(struct drop_submission *submission, const struct recipient *asked)
{
    if (submission->unknown == NULL)
        submission->unknown = ARENA_ARRAY(&submission->drop_file.arena, struct dsn_recipient,
                                          submission->drop_file.envelope.recipient_count);
    submission->unknown[submission->unknown_count++] = (struct dsn_recipient){
        .recipient = asked,
        .action = DSN_FAILED,
        .enhanced = BYTES("5.1.1"),
        .code = 550,
        .text = BYTES("There is no such mailbox here")};
}

/* Of the report: whoever sent the message. */
static const struct recipient *asked_recipient(struct drop_submission *submission, struct recipient *sender)
{
    *sender = (struct recipient){.address = submission->drop_file.envelope.sender, .notify = NOTIFY_NEVER};
    return submission->reporting ? sender : &submission->drop_file.envelope.recipients[submission->asked++];
}

static void recipient_answered(struct pickup *p, const struct ipc_recipient_answer *answer)
{
    struct drop_submission *submission = &p->submission;
    struct recipient sender;
    bool known = answer->verdict == RECIPIENT_KNOWN && answer->target_count > 0;
    if (!known && answer->verdict != RECIPIENT_UNKNOWN) {
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
        return;
    }
    const struct recipient *asked = asked_recipient(submission, &sender);
    for (size_t i = 0; known && i < answer->target_count; i++)
        add_target(submission, &answer->targets[i], asked);
    if (!known && submission->reporting) {
        log_event(LOG_EVENT_WARN, "dropped", LOG_BYTES("to", asked->address),
                  LOG_TEXT("reason", "no such mailbox: nobody is left to tell"));
        drop_submission_end(p, DROP_SUBMISSION_STORED, NULL);
        return;
    }
    if (!known)
        add_unknown(submission, asked);
    if (submission->reporting)
        give_some(p);
    else
        ask_next(p);
}

/* ---- the content ---- */

static const char *fault_text(enum content_fault fault)
{
    switch (fault) {
    case CONTENT_FINE: return NULL;
    case CONTENT_BARE_NEWLINE: return "its message has lines that do not end in CRLF";
    case CONTENT_NUL: return "its message has a NUL octet";
    case CONTENT_TOO_LARGE: return "it is larger than limits.message_size";
    case CONTENT_LINE_TOO_LONG: return "its message has a line that is too long";
    case CONTENT_HEADER: /* those three are for what is submitted by SMTP */
    case CONTENT_FORGED:
    case CONTENT_SIGNED_OUT:
    case CONTENT_LOOPS: return "its message has passed too many servers: it runs in a circle";
    }
    return NULL;
}

static bool put(struct drop_submission *submission, int file, struct bytes octets)
{
    if (file >= 0)
        return write_all(file, octets);
    buffer_add(&submission->content, octets);
    return true;
}

/* Copies the message behind the Received field that stands in `content`, into
 * it or (where there is one) into the file. False with *wrong where it is bad,
 * without where it cannot be done now. */
static bool copy_message(struct drop_submission *submission, int file, const char **wrong)
{
    struct content content;
    struct content_run run;
    char room[RUN_MAX];
    const uint64_t size = submission->drop_file.envelope.size;
    content_start(&content, size, false, false);
    submission->size = submission->content.length + size;
    if (file >= 0 && !write_all(file, buffer_bytes(&submission->content)))
        return false;
    for (uint64_t at = 0; at < size;) {
        ssize_t count = drop_file_read(&submission->drop_file, at, room, sizeof room);
        if (count <= 0) {
            *wrong = count < 0 ? "it is not whole: it ended early" : NULL;
            return false;
        }
        at += (uint64_t)count;
        struct bytes octets = bytes_of(room, (size_t)count);
        content_feed_chunk(&content, octets, at == size, &run);
        if (content.fault != CONTENT_FINE) {
            *wrong = fault_text(content.fault);
            return false;
        }
        if (!put(submission, file, octets))
            return false;
    }
    if (file >= 0)
        buffer_free(&submission->content);
    return true;
}

/* ---- to queue ---- */

static void submit(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    struct ipc_submit submitted = {.request = drop_submission_request(p),
                                   .id = submission->id,
                                   .spool = submission->spool,
                                   .envelope = submission->drop_file.envelope,
                                   .origin = submission->origin,
                                   .content = buffer_bytes(&submission->content)};
    submitted.envelope.recipients = submission->targets + submission->given;
    submitted.envelope.recipient_count = submission->giving;
    submitted.envelope.size = submission->size;
    if (submission->reporting) {
        submitted.envelope = (struct envelope){.body = bytes_is_ascii(submitted.content) ? BODY_7BIT
                                                                                         : BODY_8BITMIME,
                                               .smtputf8 = submission->drop_file.envelope.smtputf8,
                                               .size = submission->size,
                                               .recipients = submitted.envelope.recipients,
                                               .recipient_count = submission->giving};
        submitted.origin = (struct origin){.client_address = BYTES("local"), .protocol = BYTES("report")};
    }
    submission->spool = 0; /* it is queue's now */
    drop_submission_ask(p, DROP_SUBMISSION_SUBMIT, IPC_SUBMIT, &submitted);
}

/* As many targets as one message to queue may have. */
static size_t next_targets(const struct drop_submission *submission)
{
    size_t octets = 0, count = 0;
    for (size_t i = submission->given;
         i < submission->target_count && octets < SUBMIT_TARGETS_MAX && count < SUBMIT_COUNT_MAX;
         i++, count++)
        octets += submission->targets[i].address.length + submission->targets[i].original.length +
                  submission->targets[i].orcpt.length + submission->targets[i].via.length + 32;
    return count;
}

static void fail_copy(struct pickup *p, const char *wrong)
{
    drop_submission_end(p, wrong != NULL ? DROP_SUBMISSION_BAD : DROP_SUBMISSION_LATER, wrong);
}

/* The rest of the targets, or what comes after them. */
static void give_some(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const char *wrong = NULL;
    if (submission->given == submission->target_count) {
        report(p);
        return;
    }
    submission->giving = next_targets(submission);
    if (submission->reporting) { /* it is written already */
        submit(p);
        return;
    }
    struct envelope said = submission->drop_file.envelope;
    said.recipients = submission->targets + submission->given;
    said.recipient_count = submission->giving;
    submission->id = queue_id_next(&p->ids, clock_epoch_us());
    buffer_clear(&submission->content);
    received_add(&submission->content, &submission->origin, &said, bytes_of_text(p->child->config->hostname),
                 submission->id, clock_epoch_ms());
    if (submission->content.length + said.size > INLINE_CONTENT_MAX)
        drop_submission_ask(p, DROP_SUBMISSION_SPOOL, IPC_SPOOL,
                            &(struct ipc_spool){drop_submission_request(p)});
    else if (copy_message(submission, -1, &wrong))
        submit(p);
    else
        fail_copy(p, wrong);
}

static void spool_answered(struct pickup *p, const struct ipc_spool_answer *answer, int file)
{
    const char *wrong = NULL;
    if (answer->verdict != STORE_DONE || file < 0) {
        p->submission.spool = answer->verdict == STORE_DONE ? answer->spool : 0;
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
        return;
    }
    p->submission.spool = answer->spool;
    if (copy_message(&p->submission, file, &wrong))
        submit(p);
    else
        fail_copy(p, wrong);
}

static void log_accepted(const struct drop_submission *submission)
{
    bool one = submission->giving == 1;
    struct bytes sender = submission->reporting ? BYTES("<>") : submission->drop_file.envelope.sender;
    log_event(LOG_EVENT_INFO, "accepted", LOG_ID(submission->id), LOG_BYTES("from", sender),
              LOG_BYTES("to", one ? submission->targets[submission->given].address : bytes_none()),
              LOG_U64("recipients", submission->giving), LOG_U64("size", submission->size),
              LOG_TEXT("client", "local"), LOG_TEXT("protocol", submission->reporting ? "report" : "local"),
              LOG_BYTES("account", submission->origin.account));
}

static void submit_answered(struct pickup *p, const struct ipc_submit_answer *answer)
{
    struct drop_submission *submission = &p->submission;
    if (answer->verdict != STORE_DONE) {
        log_event(
            LOG_EVENT_WARN, "not_stored", LOG_ID(submission->id),
            LOG_BYTES("account", submission->origin.account),
            LOG_TEXT("reason", answer->verdict == STORE_FULL ? "no room" : "the queue could not store it"));
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
        return;
    }
    log_accepted(submission);
    submission->given += submission->giving;
    give_some(p);
}

/* ---- who is not there ---- */

static bool write_report(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const struct drop_file *drop_file = &submission->drop_file;
    char *room = arena_take(&submission->drop_file.arena, DSN_RETURNED_MAX);
    ssize_t count = drop_file_read(drop_file, 0, room, DSN_RETURNED_MAX);
    uint64_t now_ms = clock_epoch_ms();
    submission->id = queue_id_next(&p->ids, now_ms * 1000);
    struct dsn dsn = {.hostname = bytes_of_text(p->child->config->hostname),
                      .id = submission->id,
                      .now_ms = now_ms,
                      .arrived_ms = now_ms,
                      .envelope = &drop_file->envelope,
                      .recipients = submission->unknown,
                      .recipient_count = submission->unknown_count,
                      .content = bytes_of(room, count > 0 ? (size_t)count : 0),
                      .content_is_whole = drop_file->envelope.size <= DSN_RETURNED_MAX};
    buffer_clear(&submission->content);
    bool written = dsn_add(&submission->content, &dsn);
    submission->size = submission->content.length;
    return written;
}

static void log_unknown(const struct drop_submission *submission)
{
    for (size_t i = 0; i < submission->unknown_count; i++)
        log_event(LOG_EVENT_WARN, "bounced", LOG_BYTES("from", submission->drop_file.envelope.sender),
                  LOG_BYTES("to", submission->unknown[i].recipient->address),
                  LOG_U64("code", submission->unknown[i].code),
                  LOG_BYTES("status", submission->unknown[i].enhanced),
                  LOG_BYTES("reason", submission->unknown[i].text),
                  LOG_BYTES("account", submission->origin.account));
}

/* All that could be given was given. The sender is told of the rest, and that is the end. */
static void report(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    if (submission->unknown_count == 0 || submission->reporting) {
        drop_submission_end(p, DROP_SUBMISSION_STORED, NULL);
        return;
    }
    log_unknown(submission);
    if (!write_report(p)) {
        drop_submission_end(p, DROP_SUBMISSION_STORED, NULL);
        return;
    }
    submission->reporting = true;
    submission->target_count = submission->given = 0;
    map_free(&submission->seen);
    map_start(&submission->seen, p->last_request);
    ask_about(p, submission->drop_file.envelope.sender);
}

/* ---- its life ---- */

void drop_submission_begin(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    struct drop_file drop_file = submission->drop_file;
    *submission = (struct drop_submission){.drop_file = drop_file};
    snprintf(submission->account, sizeof submission->account, "uid %u", (unsigned)drop_file.uid);
    submission->origin = (struct origin){.account = bytes_of_text(submission->account),
                                         .client_address = BYTES("local"),
                                         .client_helo = bytes_of_text(p->child->config->hostname),
                                         .protocol = BYTES("local")};
    map_start(&submission->seen, p->last_request);
    permission_ask(p);
}

void drop_submission_go_on(struct pickup *p)
{
    ask_next(p);
}

void drop_submission_answered(struct pickup *p, enum ipc_kind kind, union ipc_message *message, int attached)
{
    struct drop_submission *submission = &p->submission;
    if (kind == IPC_SENDER_ANSWER && submission->step == DROP_SUBMISSION_SENDER &&
        message->sender_answer.request == submission->request)
        permission_sender_answered(p, &message->sender_answer);
    else if (kind == IPC_LIMIT_ANSWER && submission->step == DROP_SUBMISSION_LIMIT &&
             message->limit_answer.request == submission->request)
        permission_limit_answered(p, &message->limit_answer);
    else if (kind == IPC_RECIPIENT_ANSWER && submission->step == DROP_SUBMISSION_RECIPIENT &&
             message->recipient_answer.request == submission->request)
        recipient_answered(p, &message->recipient_answer);
    else if (kind == IPC_SPOOL_ANSWER && submission->step == DROP_SUBMISSION_SPOOL &&
             message->spool_answer.request == submission->request)
        spool_answered(p, &message->spool_answer, attached);
    else if (kind == IPC_SUBMIT_ANSWER && submission->step == DROP_SUBMISSION_SUBMIT &&
             message->submit_answer.request == submission->request)
        submit_answered(p, &message->submit_answer);
    if (attached >= 0)
        close(attached);
}

void drop_submission_lost(struct pickup *p, enum process_role peer)
{
    struct drop_submission *submission = &p->submission;
    if (submission->step == DROP_SUBMISSION_NONE)
        return;
    if (peer == PROCESS_QUEUE)
        submission->spool = 0; /* it went with it */
    if (peer == answerer(submission->step))
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
}
