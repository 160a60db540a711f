/* SPDX-License-Identifier: Apache-2.0 */
#include "service/submission/submission.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "core/message/received.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/event_log.h"
#include "store/queue/store.h"

static void check(const struct submission *submission)
{
    const enum submission_stage stage = submission->stage;
    const enum ipc_kind kind = submission->question.kind;
    const bool open = submission->question.open;
    assert((stage == SUBMISSION_NONE) == (submission->envelope == NULL));
    assert((stage == SUBMISSION_NONE) == (submission->id == 0));
    assert((submission->file >= 0) == (stage == SUBMISSION_FILE));
    assert(submission->spool == 0 || stage == SUBMISSION_FILE || stage == SUBMISSION_GIVEN);
    assert(submission->prefix.length <= STORE_PREFIX_MAX);
    assert(submission->prefix.length + submission->content.length == 0 ||
           (stage != SUBMISSION_NONE && stage != SUBMISSION_FAILED));
    assert((stage == SUBMISSION_FAILED) == (submission->verdict != STORE_DONE));
    assert((stage == SUBMISSION_WAITING) == (open && kind == IPC_SPOOL));
    assert((stage == SUBMISSION_GIVEN) == (open && kind == IPC_SUBMIT));
}

/* ---- cached answers of auth ---- */

static bool has_cache(const struct submissions *all)
{
    return all->accounts_version != NULL && !all->cache_closed;
}

static uint64_t current_version(const struct submissions *all)
{
    return all->accounts_version == NULL ? 0 : accounts_version_read(all->accounts_version);
}

static struct bytes key_of(struct submissions *all, enum ipc_kind kind, struct bytes account,
                           struct bytes address)
{
    if (kind == IPC_SENDER)
        return recipient_cache_key(&all->key, RECIPIENT_CACHE_SENDER, account, address);
    return recipient_cache_key(
        &all->key, account.length > 0 ? RECIPIENT_CACHE_RECIPIENT_OF_USER : RECIPIENT_CACHE_RECIPIENT,
        bytes_none(), address);
}

static const struct cached_recipient *find_known(struct submissions *all, enum ipc_kind kind,
                                                 struct bytes account, struct bytes address)
{
    if (!has_cache(all))
        return NULL;
    recipient_cache_check(&all->recipient_cache, current_version(all));
    return recipient_cache_find(&all->recipient_cache, key_of(all, kind, account, address));
}

/* Caches only positive answers: strangers could fill the memory with others. */
static void keep_answer(struct submission *submission, uint32_t verdict, struct recipient *targets,
                        size_t count)
{
    struct submissions *all = submission->all;
    uint64_t version = current_version(all);
    if (all->accounts_version == NULL)
        return;
    recipient_cache_check(&all->recipient_cache, version);
    if (submission->version != version) /* the answer may precede the change */
        return;
    struct cached_recipient answer = {.verdict = verdict, .targets = targets, .target_count = count};
    recipient_cache_keep(&all->recipient_cache,
                         key_of(all, submission->question.kind, submission->account, submission->address),
                         &answer);
}

/* ---- questions to auth ---- */

static void ask(struct submission *submission, enum ipc_kind kind, struct bytes account, struct bytes address,
                struct bytes sender)
{
    submission->account = account;
    submission->address = address;
    submission->sender = sender;
    submission->version = current_version(submission->all);
    question_ask(&submission->question, kind);
}

void submission_ask_sender(struct submission *submission, struct bytes account, struct bytes address)
{
    const struct cached_recipient *known = find_known(submission->all, IPC_SENDER, account, address);
    if (known != NULL)
        submission->events->sender(submission->owner, (enum sender_verdict)known->verdict);
    else
        ask(submission, IPC_SENDER, account, address, bytes_none());
}

void submission_ask_recipient(struct submission *submission, struct bytes account, struct bytes address,
                              struct bytes sender)
{
    const struct cached_recipient *known = find_known(submission->all, IPC_RECIPIENT, account, address);
    if (known != NULL)
        submission->events->recipient(submission->owner, (enum recipient_verdict)known->verdict,
                                      known->targets, known->target_count);
    else
        ask(submission, IPC_RECIPIENT, account, address, sender);
}

void submission_ask_limit(struct submission *submission, struct bytes account, uint32_t recipients)
{
    submission->recipients = recipients;
    ask(submission, IPC_LIMIT, account, bytes_none(), bytes_none());
}

static void send_limit_end(struct submissions *all, uint64_t request, bool sent)
{
    /* without auth it counts as sent */
    questions_tell(&all->questions, IPC_LIMIT_END, &(struct ipc_limit_end){.request = request, .sent = sent});
}

void submission_settle(struct submission *submission, bool sent)
{
    if (submission->counted != 0)
        send_limit_end(submission->all, submission->counted, sent);
    submission->counted = 0;
}

static void sender_answered(struct submission *submission, uint32_t said)
{
    enum sender_verdict verdict = said <= SENDER_UNAVAILABLE ? (enum sender_verdict)said : SENDER_UNAVAILABLE;
    if (verdict == SENDER_ALLOWED)
        keep_answer(submission, verdict, NULL, 0);
    submission->events->sender(submission->owner, verdict);
}

static void limit_answered(struct submission *submission, const struct ipc_limit_answer *answer)
{
    enum limit_verdict verdict = answer->verdict <= LIMIT_UNAVAILABLE ? (enum limit_verdict)answer->verdict
                                                                      : LIMIT_UNAVAILABLE;
    if (submission->recipients > 0)
        submission->counted = verdict == LIMIT_FINE ? answer->request : 0;
    submission->events->limit(submission->owner, verdict, answer->number);
}

/* True if a copy is forwarded to another server: its sender, and so the answer, is that of this message. */
static bool depends_on_sender(const struct ipc_recipient_answer *answer)
{
    for (size_t i = 0; i < answer->target_count; i++)
        if (!answer->targets[i].local && answer->targets[i].expands == EXPANDS_NOT &&
            answer->targets[i].via.length > 0)
            return true;
    return false;
}

static void recipient_answered(struct submission *submission, const struct ipc_recipient_answer *answer)
{
    enum recipient_verdict verdict = answer->verdict <= RECIPIENT_UNAVAILABLE
                                         ? (enum recipient_verdict)answer->verdict
                                         : RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN && answer->target_count == 0)
        verdict = RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN && !depends_on_sender(answer))
        keep_answer(submission, verdict, answer->targets, answer->target_count);
    submission->events->recipient(submission->owner, verdict, answer->targets, answer->target_count);
}

/* ---- the content ---- */

void submission_begin(struct submission *submission, const struct envelope *envelope,
                      const struct origin *origin)
{
    assert(submission->stage == SUBMISSION_NONE && !submission->question.open);
    submission->envelope = envelope;
    submission->origin = origin;
    submission->id = queue_id_next(&submission->all->ids, clock_epoch_us());
    submission->size = 0;
    submission->trust = (struct trust_record){.disposition = DISPOSITION_DELIVER};
    submission->stage = SUBMISSION_INLINE;
    if (envelope->size <= INLINE_CONTENT_MAX) /* one allocation instead of several */
        buffer_reserve(&submission->content, (size_t)envelope->size);
    check(submission);
}

static void drop_spool(struct submissions *all, uint64_t spool)
{
    questions_tell(&all->questions, IPC_SPOOL_DROP, &(struct ipc_spool_drop){spool});
}

/* Releases the content, here and in queue. */
static void let_go(struct submission *submission)
{
    if (submission->spool != 0)
        drop_spool(submission->all, submission->spool);
    if (submission->file >= 0)
        close(submission->file);
    buffer_free(&submission->prefix);
    buffer_free(&submission->content);
    submission->spool = 0;
    submission->file = -1;
}

static void fail(struct submission *submission, enum store_verdict verdict)
{
    assert(verdict != STORE_DONE);
    let_go(submission);
    submission->stage = SUBMISSION_FAILED;
    submission->verdict = verdict;
}

void submission_add_prefix(struct submission *submission, struct bytes fields)
{
    struct buffer grown = {0};
    assert(submission->stage != SUBMISSION_NONE && submission->stage != SUBMISSION_GIVEN);
    submission->size += fields.length;
    if (submission->stage == SUBMISSION_FAILED)
        return;
    buffer_add(&grown, fields);
    buffer_add(&grown, buffer_bytes(&submission->prefix));
    buffer_free(&submission->prefix);
    submission->prefix = grown;
    if (grown.length > STORE_PREFIX_MAX)
        fail(submission, STORE_FAILED);
    check(submission);
}

void submission_add_received(struct submission *submission)
{
    struct buffer field = {0};
    received_add(&field, submission->origin, submission->envelope, submission->all->hostname, submission->id,
                 clock_epoch_ms());
    submission_add_prefix(submission, buffer_bytes(&field));
    buffer_free(&field);
}

void submission_set_trust(struct submission *submission, const struct trust_record *record)
{
    assert(submission->stage != SUBMISSION_NONE && submission->stage != SUBMISSION_GIVEN);
    if (submission->stage == SUBMISSION_FAILED)
        return;
    struct bytes author = bytes_first(record->author, TRUST_AUTHOR_MAX);
    buffer_clear(&submission->trust_texts);
    buffer_add(&submission->trust_texts, author);
    struct bytes story = trust_record_story(record->story);
    buffer_add(&submission->trust_texts, story);
    buffer_add(&submission->trust_texts, record->evidence);
    struct bytes texts = buffer_bytes(&submission->trust_texts);
    submission->trust = *record;
    submission->trust.author = bytes_first(texts, author.length);
    submission->trust.story = bytes_first(bytes_from(texts, author.length), story.length);
    submission->trust.evidence = bytes_from(texts, author.length + story.length);
    assert(trust_record_is_sound(&submission->trust));
}

static void write_to_file(struct submission *submission, struct bytes octets)
{
    while (octets.length > 0) {
        ssize_t written = write(submission->file, octets.at, octets.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            /* each message has its own line: queue_write_failed */
            if (log_throttle_is_due(&submission->all->spooling, clock_now_ms()))
                log_event(LOG_EVENT_ERROR, "spool_failed", LOG_ID(submission->id),
                          LOG_TEXT("error", strerror(errno)));
            fail(submission, full ? STORE_FULL : STORE_FAILED);
            return;
        }
        octets = bytes_from(octets, (size_t)written);
    }
}

static void write_gathered(struct submission *submission)
{
    struct buffer gathered = submission->content;
    submission->content = (struct buffer){0};
    write_to_file(submission, buffer_bytes(&gathered));
    buffer_free(&gathered);
}

void submission_write(struct submission *submission, struct bytes octets)
{
    const enum submission_stage stage = submission->stage;
    assert(stage != SUBMISSION_NONE && stage != SUBMISSION_GIVEN);
    submission->size += octets.length;
    if (stage == SUBMISSION_FAILED)
        return;
    if (stage == SUBMISSION_FILE && submission->content.length == 0 &&
        octets.length >= SUBMISSION_GATHERED_OCTETS) {
        write_to_file(submission, octets);
        return;
    }
    buffer_add(&submission->content, octets);
    if (stage == SUBMISSION_FILE && submission->content.length >= SUBMISSION_GATHERED_OCTETS)
        write_gathered(submission);
    else if (stage == SUBMISSION_INLINE && submission->content.length > INLINE_CONTENT_MAX) {
        submission->stage = SUBMISSION_WAITING;
        question_ask(&submission->question, IPC_SPOOL);
    }
    check(submission);
}

struct bytes submission_gathered(const struct submission *submission)
{
    return buffer_bytes(&submission->content);
}

bool submission_has_begun(const struct submission *submission)
{
    return submission->stage != SUBMISSION_NONE;
}

bool submission_waits(const struct submission *submission)
{
    return submission->question.open;
}

/* The file is available, or the request failed: its descriptor is lost if this process has none free. */
static void spooled(struct submission *submission, enum store_verdict verdict, uint64_t spool, int file)
{
    assert(submission->stage == SUBMISSION_WAITING);
    submission->spool = verdict == STORE_DONE ? spool : 0;
    if (verdict != STORE_DONE || file < 0) {
        fail(submission, verdict == STORE_DONE ? STORE_FAILED : verdict);
    } else {
        submission->file = file;
        submission->stage = SUBMISSION_FILE;
    }
    check(submission);
}

/* ---- to queue ---- */

/* Clears the state of the message. */
static void reset(struct submission *submission)
{
    let_go(submission);
    submission->stage = SUBMISSION_NONE;
    submission->envelope = NULL;
    submission->origin = NULL;
    submission->id = 0;
    submission->verdict = STORE_DONE;
    check(submission);
}

static void end(struct submission *submission, enum store_verdict verdict)
{
    uint64_t id = submission->id;
    reset(submission);
    submission->events->ended(submission->owner, id, verdict);
}

void submission_log_end(uint64_t id, enum store_verdict verdict, const struct envelope *envelope,
                        const struct origin *origin, const struct trust_record *trust)
{
    enum event_kind kind = verdict == STORE_DONE ? EVENT_RECEIVED : EVENT_NOT_STORED;
    struct mail_event event = mail_event_of_message(kind, id, envelope, origin);
    mail_event_set_trust(&event, trust);
    if (kind == EVENT_NOT_STORED)
        event.text = verdict == STORE_FULL ? BYTES("no room") : BYTES("the queue could not store it");
    event_log_write(&event);
}

void submission_submit(struct submission *submission)
{
    assert(submission->stage != SUBMISSION_NONE && !submission->question.open);
    if (submission->stage == SUBMISSION_FILE)
        write_gathered(submission);
    if (submission->stage == SUBMISSION_FAILED) {
        end(submission, submission->verdict);
        return;
    }
    if (submission->file >= 0)
        close(submission->file);
    submission->file = -1;
    submission->stage = SUBMISSION_GIVEN;
    question_ask(&submission->question, IPC_SUBMIT);
    check(submission);
}

static bool say_submit(struct submission *submission)
{
    struct ipc_submit submit = {.request = submission->question.request,
                                .id = submission->id,
                                .spool = submission->spool,
                                .envelope = *submission->envelope,
                                .origin = *submission->origin,
                                .prefix = buffer_bytes(&submission->prefix),
                                .content = buffer_bytes(&submission->content),
                                .trust = submission->trust};
    if (!question_send(&submission->question, &submit))
        return false;
    buffer_free(&submission->prefix); /* queue owns the message and the file now */
    buffer_free(&submission->content);
    submission->spool = 0;
    return true;
}

void submission_abandon(struct submission *submission)
{
    if (submission->stage == SUBMISSION_WAITING || submission->stage == SUBMISSION_GIVEN)
        question_forget(&submission->question);
    reset(submission);
}

void submission_drop(struct submission *submission)
{
    question_forget(&submission->question);
    reset(submission);
    buffer_free(&submission->trust_texts);
    submission->trust = (struct trust_record){.disposition = DISPOSITION_DELIVER};
    submission_settle(submission, false);
}

void submission_queue_lost(struct submission *submission)
{
    if (submission->spool == 0)
        return;
    submission->spool = 0; /* the queue that owned it is gone */
    if (submission->stage != SUBMISSION_GIVEN) {
        fail(submission, STORE_FAILED);
        return;
    }
    question_forget(&submission->question);
    end(submission, STORE_FAILED);
    submission->events->go_on(submission->owner);
}

/* ---- its question ---- */

static bool say(struct question *question)
{
    struct submission *submission = question->owner;
    const uint64_t request = question->request;
    const struct bytes account = submission->account, address = submission->address;
    switch (question->kind) {
    case IPC_SENDER: return question_send(question, &(struct ipc_sender){request, account, address});
    case IPC_LIMIT:
        return question_send(question, &(struct ipc_limit){request, account, submission->recipients});
    case IPC_RECIPIENT:
        return question_send(question,
                             &(struct ipc_recipient){request, account, address, submission->sender});
    case IPC_SPOOL: return question_send(question, &(struct ipc_spool){request});
    default: return say_submit(submission);
    }
}

static enum store_verdict store_verdict_of(uint32_t verdict)
{
    return verdict <= STORE_FAILED ? (enum store_verdict)verdict : STORE_FAILED;
}

static void answered(struct question *question, const union ipc_message *answer, int attached)
{
    struct submission *submission = question->owner;
    switch (question->kind) {
    case IPC_SENDER: sender_answered(submission, answer->sender_answer.verdict); break;
    case IPC_LIMIT: limit_answered(submission, &answer->limit_answer); break;
    case IPC_RECIPIENT: recipient_answered(submission, &answer->recipient_answer); break;
    case IPC_SPOOL:
        spooled(submission, store_verdict_of(answer->spool_answer.verdict), answer->spool_answer.spool,
                attached);
        break;
    default: end(submission, store_verdict_of(answer->submit_answer.verdict)); break;
    }
}

static void unavailable(struct question *question)
{
    struct submission *submission = question->owner;
    switch (question->kind) {
    case IPC_SENDER: submission->events->sender(submission->owner, SENDER_UNAVAILABLE); break;
    case IPC_LIMIT: submission->events->limit(submission->owner, LIMIT_UNAVAILABLE, 0); break;
    case IPC_RECIPIENT:
        submission->events->recipient(submission->owner, RECIPIENT_UNAVAILABLE, NULL, 0);
        break;
    case IPC_SPOOL: spooled(submission, STORE_FAILED, 0, -1); break;
    default: end(submission, STORE_FAILED); break;
    }
}

static void go_on(struct question *question)
{
    struct submission *submission = question->owner;
    submission->events->go_on(submission->owner);
}

static const struct question_rules rules = {
    .say = say, .answered = answered, .unavailable = unavailable, .go_on = go_on};

/* ---- lifecycle ---- */

void submission_start(struct submission *submission, struct submissions *all,
                      const struct submission_events *events, void *owner)
{
    *submission = (struct submission){.all = all, .events = events, .owner = owner, .file = -1};
    question_start(&submission->question, &all->questions, &rules, submission);
    check(submission);
}

void submissions_start(struct submissions *all, const struct question_peers *peers, void *context,
                       struct loop *loop, uint32_t patience_ms, uint64_t seed)
{
    *all = (struct submissions){0};
    questions_start(&all->questions, peers, context, loop, patience_ms, seed);
    recipient_cache_start(&all->recipient_cache, seed);
}

void submissions_free(struct submissions *all)
{
    questions_free(&all->questions);
    recipient_cache_free(&all->recipient_cache);
    buffer_free(&all->key);
}

void submissions_close_cache(struct submissions *all)
{
    all->cache_closed = true;
}

/* The asker has left meanwhile: releases the file, and gives back what was counted. */
static void give_back(struct submissions *all, enum ipc_kind kind, const union ipc_message *message)
{
    if (kind == IPC_SPOOL_ANSWER && message->spool_answer.verdict == STORE_DONE)
        drop_spool(all, message->spool_answer.spool);
    if (kind == IPC_LIMIT_ANSWER && message->limit_answer.verdict == LIMIT_FINE)
        send_limit_end(all, message->limit_answer.request, false);
}

void submissions_answered(struct submissions *all, enum ipc_kind kind, const union ipc_message *message,
                          int attached)
{
    if (questions_answered(&all->questions, kind, message, attached))
        return;
    if (attached >= 0)
        close(attached);
    give_back(all, kind, message);
}
