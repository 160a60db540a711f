/* SPDX-License-Identifier: Apache-2.0 */
#include "service/pickup/pickup.h"

#include "io/clock.h"
#include "io/log.h"
#include "core/message/received.h"
#include "core/server/content.h"
#include "io/write.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { RECEIVED_ROOM = 2048, RUN_MAX = 64 * 1024 };

static void give_some(struct pickup *p);
static void report(struct pickup *p);

void passage_end(struct pickup *p, enum passage_end how, const char *why)
{
    struct passage *passage = &p->passage;
    struct channel *queue = child_peer(p->child, PROCESS_QUEUE);
    if (passage->spool != 0 && queue != NULL)
        child_send(p->child, queue, IPC_SPOOL_DROP, &(struct ipc_spool_drop){passage->spool}, -1);
    permission_end(p, how == PASSAGE_STORED);
    passage->step = PASSAGE_NONE;
    passage->spool = 0;
    buffer_free(&passage->content);
    map_free(&passage->seen);
    passage_ended(p, how, why);
}

static enum process_role answerer(enum passage_step step)
{
    return step == PASSAGE_SENDER || step == PASSAGE_LIMIT || step == PASSAGE_RECIPIENT ? PROCESS_AUTH : PROCESS_QUEUE;
}

/* When nobody is there the file waits. */
void passage_ask(struct pickup *p, enum passage_step step, enum ipc_kind kind, const void *message)
{
    struct channel *peer = child_peer(p->child, answerer(step));
    p->passage.step = step;
    if (peer == NULL || !child_send(p->child, peer, kind, message, -1))
        passage_end(p, PASSAGE_LATER, NULL);
}

uint64_t passage_request(struct pickup *p)
{
    return p->passage.request = ++p->last_request;
}

/* ---- where recipients go ---- */

static void ask_about(struct pickup *p, struct bytes address)
{
    struct ipc_recipient asked = {.request = passage_request(p), .account = p->passage.origin.account, .address = address};
    passage_ask(p, PASSAGE_RECIPIENT, IPC_RECIPIENT, &asked);
}

static void ask_next(struct pickup *p)
{
    struct passage *passage = &p->passage;
    if (passage->asked < passage->dropped.envelope.recipient_count)
        ask_about(p, passage->dropped.envelope.recipients[passage->asked].address);
    else
        give_some(p);
}

static bool was_seen(struct passage *passage, const struct recipient *target)
{
    struct buffer key = {0};
    buffer_add_octet(&key, (char)('a' + target->expands * 2 + target->local));
    buffer_add(&key, target->address);
    bool seen = map_get(&passage->seen, buffer_bytes(&key)) != NULL;
    if (!seen)
        map_put(&passage->seen, buffer_bytes(&key), passage);
    buffer_free(&key);
    return seen;
}

static void add_target(struct passage *passage, const struct recipient *target, const struct recipient *asked)
{
    struct arena *arena = &passage->dropped.arena;
    if (was_seen(passage, target))
        return;
    if (passage->target_count == passage->target_room) {
        size_t room = passage->target_room == 0 ? 4 : passage->target_room * 4;
        struct recipient *larger = ARENA_ARRAY(arena, struct recipient, room);
        if (passage->target_count > 0)
            memcpy(larger, passage->targets, passage->target_count * sizeof *larger);
        passage->targets = larger;
        passage->target_room = room;
    }
    passage->targets[passage->target_count++] = (struct recipient){
        .address = arena_copy(arena, target->address), .original = bytes_equal(target->address, asked->address) ? bytes_none() : asked->address,
        .orcpt = asked->orcpt, .notify = asked->notify, .local = target->local, .away = target->away,
        .expands = target->expands, .via = arena_copy(arena, target->via)};
}

static void add_unknown(struct passage *passage, const struct recipient *asked)
{
    if (passage->unknown == NULL)
        passage->unknown = ARENA_ARRAY(&passage->dropped.arena, struct dsn_recipient, passage->dropped.envelope.recipient_count);
    passage->unknown[passage->unknown_count++] = (struct dsn_recipient){
        .recipient = asked, .action = DSN_FAILED, .enhanced = BYTES("5.1.1"), .code = 550, .text = BYTES("There is no such mailbox here")};
}

/* Of the report: whoever sent the message. */
static const struct recipient *asked_recipient(struct passage *passage, struct recipient *sender)
{
    *sender = (struct recipient){.address = passage->dropped.envelope.sender, .notify = NOTIFY_NEVER};
    return passage->reporting ? sender : &passage->dropped.envelope.recipients[passage->asked++];
}

static void recipient_answered(struct pickup *p, const struct ipc_recipient_answer *answer)
{
    struct passage *passage = &p->passage;
    struct recipient sender;
    bool known = answer->verdict == RECIPIENT_KNOWN && answer->target_count > 0;
    if (!known && answer->verdict != RECIPIENT_UNKNOWN) {
        passage_end(p, PASSAGE_LATER, NULL);
        return;
    }
    const struct recipient *asked = asked_recipient(passage, &sender);
    for (size_t i = 0; known && i < answer->target_count; i++)
        add_target(passage, &answer->targets[i], asked);
    if (!known && passage->reporting) {
        log_event(LOG_EVENT_WARN, "dropped", LOG_BYTES("to", asked->address), LOG_TEXT("reason", "no such mailbox: nobody is left to tell"));
        passage_end(p, PASSAGE_STORED, NULL);
        return;
    }
    if (!known)
        add_unknown(passage, asked);
    if (passage->reporting)
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

static bool put(struct passage *passage, int file, struct bytes octets)
{
    if (file >= 0)
        return write_all(file, octets);
    buffer_add(&passage->content, octets);
    return true;
}

/* Copies the message behind the Received field that stands in `content`, into
 * it or (where there is one) into the file. False with *wrong where it is bad,
 * without where it cannot be done now. */
static bool copy_message(struct passage *passage, int file, const char **wrong)
{
    struct content content;
    struct content_run run;
    char room[RUN_MAX];
    const uint64_t size = passage->dropped.envelope.size;
    content_start(&content, size, false, false);
    passage->size = passage->content.length + size;
    if (file >= 0 && !write_all(file, buffer_bytes(&passage->content)))
        return false;
    for (uint64_t at = 0; at < size;) {
        ssize_t count = dropped_read(&passage->dropped, at, room, sizeof room);
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
        if (!put(passage, file, octets))
            return false;
    }
    if (file >= 0)
        buffer_free(&passage->content);
    return true;
}

/* ---- to queue ---- */

static void submit(struct pickup *p)
{
    struct passage *passage = &p->passage;
    struct ipc_submit submitted = {.request = passage_request(p), .id = passage->id, .spool = passage->spool, .envelope = passage->dropped.envelope,
                                   .origin = passage->origin, .content = buffer_bytes(&passage->content)};
    submitted.envelope.recipients = passage->targets + passage->given;
    submitted.envelope.recipient_count = passage->giving;
    submitted.envelope.size = passage->size;
    if (passage->reporting) {
        submitted.envelope = (struct envelope){.body = bytes_is_ascii(submitted.content) ? BODY_7BIT : BODY_8BITMIME, .smtputf8 = passage->dropped.envelope.smtputf8,
                                               .size = passage->size, .recipients = submitted.envelope.recipients, .recipient_count = passage->giving};
        submitted.origin = (struct origin){.client_address = BYTES("local"), .protocol = BYTES("report")};
    }
    passage->spool = 0; /* it is queue's now */
    passage_ask(p, PASSAGE_SUBMIT, IPC_SUBMIT, &submitted);
}

/* As many targets as one message to queue may have. */
static size_t next_targets(const struct passage *passage)
{
    size_t octets = 0, count = 0;
    for (size_t i = passage->given; i < passage->target_count && octets < SUBMIT_TARGETS_MAX && count < SUBMIT_COUNT_MAX; i++, count++)
        octets += passage->targets[i].address.length + passage->targets[i].original.length + passage->targets[i].orcpt.length + passage->targets[i].via.length + 32;
    return count;
}

static void fail_copy(struct pickup *p, const char *wrong)
{
    passage_end(p, wrong != NULL ? PASSAGE_BAD : PASSAGE_LATER, wrong);
}

/* The rest of the targets, or what comes after them. */
static void give_some(struct pickup *p)
{
    struct passage *passage = &p->passage;
    const char *wrong = NULL;
    if (passage->given == passage->target_count) {
        report(p);
        return;
    }
    passage->giving = next_targets(passage);
    if (passage->reporting) { /* it is written already */
        submit(p);
        return;
    }
    struct envelope said = passage->dropped.envelope;
    said.recipients = passage->targets + passage->given;
    said.recipient_count = passage->giving;
    passage->id = queue_id_next(&p->ids, clock_epoch_us());
    buffer_clear(&passage->content);
    received_add(&passage->content, &passage->origin, &said, bytes_of_text(p->child->config->hostname), passage->id, clock_epoch_ms());
    if (passage->content.length + said.size > INLINE_CONTENT_MAX)
        passage_ask(p, PASSAGE_SPOOL, IPC_SPOOL, &(struct ipc_spool){passage_request(p)});
    else if (copy_message(passage, -1, &wrong))
        submit(p);
    else
        fail_copy(p, wrong);
}

static void spool_answered(struct pickup *p, const struct ipc_spool_answer *answer, int file)
{
    const char *wrong = NULL;
    if (answer->verdict != STORE_DONE || file < 0) {
        p->passage.spool = answer->verdict == STORE_DONE ? answer->spool : 0;
        passage_end(p, PASSAGE_LATER, NULL);
        return;
    }
    p->passage.spool = answer->spool;
    if (copy_message(&p->passage, file, &wrong))
        submit(p);
    else
        fail_copy(p, wrong);
}

static void log_accepted(const struct passage *passage)
{
    bool one = passage->giving == 1;
    struct bytes sender = passage->reporting ? BYTES("<>") : passage->dropped.envelope.sender;
    log_event(LOG_EVENT_INFO, "accepted", LOG_ID(passage->id), LOG_BYTES("from", sender),
              LOG_BYTES("to", one ? passage->targets[passage->given].address : bytes_none()), LOG_U64("recipients", passage->giving),
              LOG_U64("size", passage->size), LOG_TEXT("client", "local"), LOG_TEXT("protocol", passage->reporting ? "report" : "local"),
              LOG_BYTES("account", passage->origin.account));
}

static void submit_answered(struct pickup *p, const struct ipc_submit_answer *answer)
{
    struct passage *passage = &p->passage;
    if (answer->verdict != STORE_DONE) {
        log_event(LOG_EVENT_WARN, "not_stored", LOG_ID(passage->id), LOG_BYTES("account", passage->origin.account),
                  LOG_TEXT("reason", answer->verdict == STORE_FULL ? "no room" : "the queue could not store it"));
        passage_end(p, PASSAGE_LATER, NULL);
        return;
    }
    log_accepted(passage);
    passage->given += passage->giving;
    give_some(p);
}

/* ---- who is not there ---- */

static bool write_report(struct pickup *p)
{
    struct passage *passage = &p->passage;
    const struct dropped *dropped = &passage->dropped;
    char *room = arena_take(&passage->dropped.arena, DSN_RETURNED_MAX);
    ssize_t count = dropped_read(dropped, 0, room, DSN_RETURNED_MAX);
    uint64_t now_ms = clock_epoch_ms();
    passage->id = queue_id_next(&p->ids, now_ms * 1000);
    struct dsn dsn = {.hostname = bytes_of_text(p->child->config->hostname), .id = passage->id, .now_ms = now_ms, .arrived_ms = now_ms, .envelope = &dropped->envelope,
                      .recipients = passage->unknown, .recipient_count = passage->unknown_count, .content = bytes_of(room, count > 0 ? (size_t)count : 0),
                      .content_is_whole = dropped->envelope.size <= DSN_RETURNED_MAX};
    buffer_clear(&passage->content);
    bool written = dsn_add(&passage->content, &dsn);
    passage->size = passage->content.length;
    return written;
}

static void log_unknown(const struct passage *passage)
{
    for (size_t i = 0; i < passage->unknown_count; i++)
        log_event(LOG_EVENT_WARN, "bounced", LOG_BYTES("from", passage->dropped.envelope.sender), LOG_BYTES("to", passage->unknown[i].recipient->address),
                  LOG_U64("code", passage->unknown[i].code), LOG_BYTES("status", passage->unknown[i].enhanced), LOG_BYTES("reason", passage->unknown[i].text),
                  LOG_BYTES("account", passage->origin.account));
}

/* All that could be given was given. The sender is told of the rest, and that is the end. */
static void report(struct pickup *p)
{
    struct passage *passage = &p->passage;
    if (passage->unknown_count == 0 || passage->reporting) {
        passage_end(p, PASSAGE_STORED, NULL);
        return;
    }
    log_unknown(passage);
    if (!write_report(p)) {
        passage_end(p, PASSAGE_STORED, NULL);
        return;
    }
    passage->reporting = true;
    passage->target_count = passage->given = 0;
    map_free(&passage->seen);
    map_start(&passage->seen, p->last_request);
    ask_about(p, passage->dropped.envelope.sender);
}

/* ---- its life ---- */

void passage_begin(struct pickup *p)
{
    struct passage *passage = &p->passage;
    struct dropped dropped = passage->dropped;
    *passage = (struct passage){.dropped = dropped};
    snprintf(passage->account, sizeof passage->account, "uid %u", (unsigned)dropped.uid);
    passage->origin = (struct origin){.account = bytes_of_text(passage->account), .client_address = BYTES("local"),
                                      .client_helo = bytes_of_text(p->child->config->hostname), .protocol = BYTES("local")};
    map_start(&passage->seen, p->last_request);
    permission_ask(p);
}

void passage_go_on(struct pickup *p)
{
    ask_next(p);
}

void passage_answered(struct pickup *p, enum ipc_kind kind, union ipc_message *message, int attached)
{
    struct passage *passage = &p->passage;
    if (kind == IPC_SENDER_ANSWER && passage->step == PASSAGE_SENDER && message->sender_answer.request == passage->request)
        permission_sender_answered(p, &message->sender_answer);
    else if (kind == IPC_LIMIT_ANSWER && passage->step == PASSAGE_LIMIT && message->limit_answer.request == passage->request)
        permission_limit_answered(p, &message->limit_answer);
    else if (kind == IPC_RECIPIENT_ANSWER && passage->step == PASSAGE_RECIPIENT && message->recipient_answer.request == passage->request)
        recipient_answered(p, &message->recipient_answer);
    else if (kind == IPC_SPOOL_ANSWER && passage->step == PASSAGE_SPOOL && message->spool_answer.request == passage->request)
        spool_answered(p, &message->spool_answer, attached);
    else if (kind == IPC_SUBMIT_ANSWER && passage->step == PASSAGE_SUBMIT && message->submit_answer.request == passage->request)
        submit_answered(p, &message->submit_answer);
    if (attached >= 0)
        close(attached);
}

void passage_lost(struct pickup *p, enum process_role peer)
{
    struct passage *passage = &p->passage;
    if (passage->step == PASSAGE_NONE)
        return;
    if (peer == PROCESS_QUEUE)
        passage->spool = 0; /* it went with it */
    if (peer == answerer(passage->step))
        passage_end(p, PASSAGE_LATER, NULL);
}
