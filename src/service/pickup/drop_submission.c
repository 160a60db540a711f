/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>

#include "io/clock.h"
#include "io/random.h"
#include "service/event_log.h"
#include "service/pickup/pickup.h"

enum { RUN_MAX = 64 * 1024 };

static void give_some(struct pickup *p);
static void report(struct pickup *p);

void drop_submission_end(struct pickup *p, enum drop_submission_end how, const char *why)
{
    struct drop_submission *submission = &p->submission;
    submission_settle(&submission->submission, how == DROP_SUBMISSION_STORED);
    submission_drop(&submission->submission);
    submission->busy = submission->asking = submission->copying = false;
    gate_free(&submission->gate);
    map_free(&submission->seen);
    buffer_free(&submission->report);
    pickup_submission_ended(p, how, why);
}

/* ---- resolving recipients ---- */

static void ask_about(struct pickup *p, struct bytes address)
{
    const struct drop_submission *submission = &p->submission;
    submission_ask_recipient(&p->submission.submission, submission->origin.account, address,
                             submission->reporting ? bytes_none() : submission->drop_file.envelope.sender);
}

/* One after the other, until an answer has to be waited for: those that the cache
 * knows come before ask_about() returns. Then the message itself. */
static void ask_recipients(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const struct envelope *envelope = &submission->drop_file.envelope;
    while (submission->asking && !submission_waits(&submission->submission)) {
        if (submission->reporting ? submission->sender_asked
                                  : submission->asked == envelope->recipient_count) {
            submission->asking = false;
            give_some(p);
        } else if (submission->reporting) {
            submission->sender_asked = true;
            ask_about(p, envelope->sender);
        } else {
            ask_about(p, envelope->recipients[submission->asked].address);
        }
    }
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
        .reports = target->reports,
        .expands = target->expands,
        .via = arena_copy(arena, target->via),
        .sent_as = arena_copy(arena, target->sent_as)};
}

static void add_unknown(struct drop_submission *submission, const struct recipient *asked)
{
    if (submission->unknown == NULL)
        submission->unknown = ARENA_ARRAY(&submission->drop_file.arena, struct dsn_recipient,
                                          submission->drop_file.envelope.recipient_count);
    submission->unknown[submission->unknown_count++] = (struct dsn_recipient){.recipient = asked,
                                                                              .action = DSN_FAILED,
                                                                              .enhanced = BYTES("5.1.1"),
                                                                              .code = 550,
                                                                              .text = BYTES("User unknown")};
}

/* The recipient to resolve; of the report: the sender of the message. */
static const struct recipient *asked_recipient(struct drop_submission *submission, struct recipient *sender)
{
    *sender = (struct recipient){.address = submission->drop_file.envelope.sender, .notify = NOTIFY_NEVER};
    return submission->reporting ? sender : &submission->drop_file.envelope.recipients[submission->asked++];
}

/* True if it will not be accepted later either. */
static bool is_refused(enum recipient_verdict verdict)
{
    return verdict == RECIPIENT_UNKNOWN || verdict == RECIPIENT_FORGED || verdict == RECIPIENT_EXPIRED ||
           verdict == RECIPIENT_BOUNCES_ONLY;
}

static void recipient_answered(void *owner, enum recipient_verdict verdict, const struct recipient *targets,
                               size_t count)
{
    struct pickup *p = owner;
    struct drop_submission *submission = &p->submission;
    struct recipient sender;
    bool known = verdict == RECIPIENT_KNOWN;
    if (!known && !is_refused(verdict)) {
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
        return;
    }
    const struct recipient *asked = asked_recipient(submission, &sender);
    for (size_t i = 0; known && i < count; i++)
        add_target(submission, &targets[i], asked);
    if (!known && submission->reporting) {
        event_log_write(&(struct mail_event){.kind = EVENT_DISCARDED,
                                             .recipient = asked->address,
                                             .enhanced = BYTES("5.1.1"),
                                             .text = BYTES("no such mailbox: report discarded")});
        drop_submission_end(p, DROP_SUBMISSION_STORED, NULL);
        return;
    }
    if (!known)
        add_unknown(submission, asked);
}

/* ---- the content ---- */

static const char *fault_text(enum content_fault fault)
{
    switch (fault) {
    case CONTENT_FINE: return NULL;
    case CONTENT_BARE_NEWLINE: return "the message has lines that do not end in CRLF";
    case CONTENT_NUL: return "the message contains a NUL byte";
    case CONTENT_TOO_LARGE: return "it is larger than limits.message_size";
    case CONTENT_LINE_TOO_LONG: return "the message has a line that is too long";
    case CONTENT_LOOPS: return "the message has too many hops: mail loop detected";
    }
    return NULL;
}

/* Copies one run of the file. False with *wrong if it is invalid, without if it is a temporary failure. */
static bool copy_run(struct drop_submission *submission, const char **wrong)
{
    struct content_run run;
    char room[RUN_MAX];
    const uint64_t size = submission->drop_file.envelope.size;
    ssize_t count = drop_file_read(&submission->drop_file, submission->copied, room, sizeof room);
    *wrong = count < 0 ? "it is not whole: it ended early" : NULL;
    if (count <= 0)
        return false;
    submission->copied += (uint64_t)count;
    struct bytes octets = bytes_of(room, (size_t)count);
    content_feed_chunk(&submission->content, octets, submission->copied == size, &run);
    *wrong = fault_text(submission->content.fault);
    if (submission->content.fault != CONTENT_FINE)
        return false;
    submission_write(&submission->submission, octets);
    return true;
}

/* ---- to queue ---- */

static void submit(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    submission->copying = false;
    submission->given_envelope.size = submission->submission.size;
    submission->given_envelope.long_lines = submission->content.long_lines;
    submission_submit(&submission->submission);
}

/* Copies while there is space; the rest follows later. */
static void copy(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const char *wrong = NULL;
    while (!submission->reporting && submission->copied < submission->drop_file.envelope.size) {
        if (submission_waits(&submission->submission))
            return;
        if (!copy_run(submission, &wrong)) {
            drop_submission_end(p, wrong != NULL ? DROP_SUBMISSION_BAD : DROP_SUBMISSION_LATER, wrong);
            return;
        }
    }
    if (!submission_waits(&submission->submission))
        submit(p);
}

/* Returns the targets that fit into one message to queue. */
static size_t next_targets(const struct drop_submission *submission)
{
    size_t octets = 0, count = 0;
    for (size_t i = submission->given;
         i < submission->target_count && octets < SUBMIT_TARGETS_MAX && count < SUBMIT_COUNT_MAX;
         i++, count++)
        octets += submission->targets[i].address.length + submission->targets[i].original.length +
                  submission->targets[i].orcpt.length + submission->targets[i].via.length +
                  submission->targets[i].sent_as.length + 36;
    return count;
}

static const struct origin *origin_of(const struct drop_submission *submission)
{
    static const struct origin report = {
        .kind = ORIGIN_REPORT, .client_address = BYTES("local"), .protocol = BYTES("report")};
    return submission->reporting ? &report : &submission->origin;
}

/* Submits the remaining targets, or continues with the report. */
static void give_some(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    if (submission->given == submission->target_count) {
        report(p);
        return;
    }
    struct envelope *envelope = &submission->given_envelope;
    if (!submission->reporting)
        *envelope = submission->drop_file.envelope;
    envelope->recipients = submission->targets + submission->given;
    envelope->recipient_count = next_targets(submission);
    if (!submission_has_begun(&submission->submission)) /* the report has begun, see write_report() */
        submission_begin(&submission->submission, envelope, origin_of(submission));
    submission->copied = 0;
    submission->copying = true;
    content_start(&submission->content, submission->drop_file.envelope.size, false, false);
    if (submission->reporting)
        submission_write(&submission->submission, buffer_bytes(&submission->report));
    else
        submission_add_received(&submission->submission);
    copy(p);
}

static void go_on(void *owner)
{
    struct pickup *p = owner;
    ask_recipients(p);
    if (p->submission.copying && !submission_waits(&p->submission.submission))
        copy(p);
}

static void ended(void *owner, uint64_t id, enum store_verdict verdict)
{
    struct pickup *p = owner;
    struct drop_submission *submission = &p->submission;
    submission_log_end(id, verdict, &submission->given_envelope, origin_of(submission),
                       &submission->submission.trust);
    if (verdict != STORE_DONE) {
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
        return;
    }
    submission->given += submission->given_envelope.recipient_count;
    give_some(p);
}

/* ---- unknown recipients ---- */

/* Writes the report as a submission that has its id and no recipients yet. */
static bool write_report(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const struct drop_file *drop_file = &submission->drop_file;
    char *room = arena_take(&submission->drop_file.arena, DSN_RETURNED_MAX);
    ssize_t count = drop_file_read(drop_file, 0, room, DSN_RETURNED_MAX);
    uint64_t now_ms = clock_epoch_ms();
    submission->reporting = true;
    submission->given_envelope = (struct envelope){.smtputf8 = drop_file->envelope.smtputf8};
    submission_begin(&submission->submission, &submission->given_envelope, origin_of(submission));
    struct dsn dsn = {.hostname = bytes_of_text(p->child->config->hostname),
                      .id = submission->submission.id,
                      .now_ms = now_ms,
                      .arrived_ms = now_ms,
                      .envelope = &drop_file->envelope,
                      .recipients = submission->unknown,
                      .recipient_count = submission->unknown_count,
                      .content = bytes_of(room, count > 0 ? (size_t)count : 0),
                      .content_is_whole = drop_file->envelope.size <= DSN_RETURNED_MAX};
    bool written = dsn_add(&submission->report, &dsn);
    submission->given_envelope.body = bytes_is_ascii(buffer_bytes(&submission->report)) ? BODY_7BIT
                                                                                        : BODY_8BITMIME;
    return written;
}

static void log_unknown(const struct drop_submission *submission)
{
    for (size_t i = 0; i < submission->unknown_count; i++)
        event_log_write(&(struct mail_event){.kind = EVENT_BOUNCED,
                                             .sender = submission->drop_file.envelope.sender,
                                             .recipient = submission->unknown[i].recipient->address,
                                             .code = submission->unknown[i].code,
                                             .enhanced = submission->unknown[i].enhanced,
                                             .text = submission->unknown[i].text,
                                             .account = submission->origin.account});
}

/* All possible targets are submitted. Reports the unknown ones to the sender, and ends. */
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
    submission->target_count = submission->given = 0;
    map_free(&submission->seen);
    map_start(&submission->seen, random_u64());
    submission->asking = true;
    ask_recipients(p);
}

/* ---- its life ---- */

static void sender_answered(void *owner, enum sender_verdict verdict)
{
    permission_sender_answered(owner, verdict);
}

static void limit_answered(void *owner, enum limit_verdict verdict, uint32_t number)
{
    permission_limit_answered(owner, verdict, number);
}

static const struct submission_events drop_submission_events = {.sender = sender_answered,
                                                                .limit = limit_answered,
                                                                .recipient = recipient_answered,
                                                                .ended = ended,
                                                                .go_on = go_on};

void drop_submission_begin(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    struct drop_file drop_file = submission->drop_file;
    *submission = (struct drop_submission){.drop_file = drop_file};
    snprintf(submission->account, sizeof submission->account, "uid %u", (unsigned)drop_file.uid);
    submission->origin = (struct origin){.kind = ORIGIN_LOCAL,
                                         .account = bytes_of_text(submission->account),
                                         .client_address = BYTES("local"),
                                         .client_helo = bytes_of_text(p->child->config->hostname),
                                         .protocol = BYTES("local")};
    map_start(&submission->seen, random_u64());
    submission->busy = true;
    submission_start(&submission->submission, &p->submissions, &drop_submission_events, p);
    permission_ask(p);
}

void drop_submission_go_on(struct pickup *p)
{
    p->submission.asking = true;
    ask_recipients(p);
}
