/* SPDX-License-Identifier: Apache-2.0 */
/* delivery_result: applies the results of an attempt to its recipients, and sends reports. */
#include <unistd.h>

#include "core/client/client_session.h"
#include "core/message/dsn.h"
#include "core/route/plan.h"
#include "queue/queue_state.h"

/* ---- events ---- */

struct mail_event delivery_result_event(enum event_kind kind, const struct store_message *message,
                                        const struct store_recipient *recipient, uint64_t now_ms)
{
    return (struct mail_event){.kind = kind,
                               .message = message->id,
                               .number = recipient->number,
                               .sender = message->envelope.sender,
                               .recipient = recipient->recipient.address,
                               .recipients = 1,
                               .destination = recipient->destination,
                               .attempt = recipient->attempts + 1,
                               .sent_as = recipient->recipient.sent_as,
                               .delay_ms = now_ms - message->arrived_ms};
}

void delivery_result_received(struct queue *queue, const struct store_message *message, bool own,
                              uint64_t now_ms)
{
    struct mail_event event = mail_event_of_message(EVENT_RECEIVED, message->id, &message->envelope,
                                                    &message->origin);
    event.own = own;
    if (own)
        event.client = bytes_none();
    mail_event_set_trust(&event, &message->trust);
    if (event.trust != 0)
        events_judged(queue, &event, now_ms);
    event.evidence = bytes_none(); /* in the judgements alone */
    events_add(queue, &event, now_ms);
}

/* Returns the report's entry for `recipient`. */
static struct dsn_recipient dsn_entry(const struct mail_event *event, const struct reply_meaning *meaning,
                                      const struct recipient *recipient)
{
    static const enum dsn_action actions[] = {[EVENT_CLASS_DEFERRED] = DSN_DELAYED,
                                              [EVENT_CLASS_DELIVERED] = DSN_RELAYED,
                                              [EVENT_CLASS_FAILED] = DSN_FAILED};
    return (struct dsn_recipient){.recipient = recipient,
                                  .action = event->mailbox ? DSN_DELIVERED
                                                           : actions[mail_event_class(event->kind)],
                                  .enhanced = event->enhanced,
                                  .code = (uint32_t)event->code,
                                  .text = event->text,
                                  .peer = event->peer,
                                  .meaning = meaning};
}

/* Why a mailbox or the store of reports cannot be written names paths and users of this machine, which are
 * the operator's: the sender reads what it means. RFC 3463 3.4: X.3 is the state of the mail system itself.
 */
static void hide_local_reason(struct dsn_recipient *entry, const struct store_recipient *recipient)
{
    bool is_system = entry->code == 0 && entry->enhanced.length > 2 && entry->enhanced.at[2] == '3';
    if (is_system && (bytes_equal(recipient->destination, DESTINATION_LOCAL) ||
                      bytes_equal(recipient->destination, DESTINATION_REPORTS)))
        entry->text = BYTES("the mailbox is temporarily not available");
}

/* ---- reports ---- */

struct bytes delivery_result_beginning(struct queue *queue, const struct store_message *message,
                                       size_t size_max, bool *whole)
{
    struct store_message found;
    arena_clear(&queue->scratch);
    *whole = !message->large;
    if (!store_read(queue->store, message->id, true, &queue->scratch, &found))
        return bytes_none();
    size_t room = message->large ? size_max : found.prefix.length + found.content.length;
    char *buffer = arena_take(&queue->scratch, room + 1);
    struct bytes prefix = bytes_first(found.prefix, room), content = bytes_first(found.content, room);
    if (prefix.length > 0)
        memcpy(buffer, prefix.at, prefix.length);
    if (!message->large) {
        if (content.length > 0)
            memcpy(buffer + prefix.length, content.at, content.length);
        return bytes_of(buffer, room);
    }
    int file = store_content(queue->store, message->id);
    ssize_t count = file < 0 ? 0 : pread(file, buffer + prefix.length, room - prefix.length, 0);
    if (file >= 0)
        close(file);
    return bytes_of(buffer, prefix.length + (count > 0 ? (size_t)count : 0));
}

bool delivery_result_accept_own(struct queue *queue, uint64_t id, const struct envelope *about,
                                struct bytes content, enum origin_kind kind, uint64_t now_ms)
{
    struct recipient to = {.address = about->sender, .notify = NOTIFY_NEVER};
    struct store_message own = {
        .id = id,
        .arrived_ms = now_ms,
        .expires_ms = now_ms + queue->options.expire_ms,
        .content = content,
        .envelope = {.body = bytes_is_ascii(content) ? BODY_7BIT : BODY_8BITMIME,
                     .smtputf8 = about->smtputf8,
                     .requiretls = about->requiretls,
                     .long_lines = about->long_lines, /* of the header that the report returns */
                     .size = content.length,
                     .recipients = &to,
                     .recipient_count = 1},
        .origin = {.kind = kind,
                   .client_address = BYTES("local"),
                   .protocol = kind == ORIGIN_VACATION ? BYTES("answer") : BYTES("report")}};
    if (kind == ORIGIN_TLS_REPORT || kind == ORIGIN_DMARC_REPORT)
        own.expires_ms = now_ms + REPORT_EXPIRES_MS;
    struct bytes destination = DESTINATION_LOOKUP;
    if (!store_accept(queue->store, &own, &destination, now_ms, 0))
        return false;
    destinations_due(queue, destination, now_ms, false);
    delivery_result_received(queue, &own, true, now_ms);
    return true;
}

void delivery_result_report(struct queue *queue, const struct store_message *message,
                            const struct dsn_recipient *about, size_t count, uint64_t now_ms)
{
    struct buffer content = {0};
    uint64_t ahead_ms = (uint64_t)queue->wall_ahead_ms; /* modulo 2^64: it may be negative */
    struct dsn dsn = {.hostname = queue->options.hostname,
                      .now_ms = now_ms + ahead_ms,
                      .envelope = &message->envelope,
                      .about_id = message->id,
                      .arrived_ms = message->arrived_ms + ahead_ms,
                      .expires_ms = message->expires_ms + ahead_ms,
                      .recipients = about,
                      .recipient_count = count};
    bool any = false;
    struct envelope headers_only = message->envelope;
    headers_only.ret = RET_HEADERS;
    if (headers_only.requiretls) /* RFC 8689 5: the content of a REQUIRETLS message is not exposed by its
                                    report */
        dsn.envelope = &headers_only;
    for (size_t i = 0; i < count; i++)
        any = any || dsn_wanted(about[i].recipient, about[i].action);
    if (!any || message->envelope.sender.length == 0) /* no report is sent about a report */
        return;
    dsn.id = queue_id_next(&queue->ids, now_ms * 1000);
    dsn.content = delivery_result_beginning(queue, message, DSN_RETURNED_MAX, &dsn.content_is_whole);
    if (dsn_add(&content, &dsn))
        delivery_result_accept_own(queue, dsn.id, dsn.envelope, buffer_bytes(&content), ORIGIN_REPORT,
                                   now_ms);
    buffer_free(&content);
}

/* ---- aliases ---- */

/* Returns how many, from `first` on, are members of the same original address. */
static size_t members_from(const struct envelope *envelope, size_t first)
{
    const struct recipient *r = envelope->recipients;
    size_t count = 1;
    while (r[first].original.length > 0 && first + count < envelope->recipient_count &&
           bytes_equal(r[first + count].original, r[first].original))
        count++;
    return count;
}

void delivery_result_hide_members(struct envelope *envelope, uint8_t *asked)
{
    for (size_t i = 0, count; i < envelope->recipient_count; i += count) {
        count = members_from(envelope, i);
        for (size_t k = i; k < i + count; k++) {
            uint8_t left = (uint8_t)(envelope->recipients[k].notify & ~NOTIFY_SUCCESS);
            asked[k] = (count > 1 || envelope->recipients[k].expands != EXPANDS_NOT) &&
                       left != envelope->recipients[k].notify;
            if (asked[k])
                envelope->recipients[k].notify = left == NOTIFY_UNSAID ? NOTIFY_NEVER : left;
        }
    }
}

void delivery_result_expanded(struct queue *queue, const struct store_message *message, const uint8_t *asked,
                              uint64_t now_ms)
{
    const struct envelope *envelope = &message->envelope;
    for (size_t i = 0, count; i < envelope->recipient_count; i += count) {
        count = members_from(envelope, i);
        if (!asked[i])
            continue;
        struct recipient alias = envelope->recipients[i];
        if (alias.original.length > 0)
            alias.address = alias.original;
        alias.notify = NOTIFY_SUCCESS;
        struct dsn_recipient expanded = {
            .recipient = &alias, .action = DSN_EXPANDED, .enhanced = BYTES("2.0.0")};
        delivery_result_report(queue, message, &expanded, 1, now_ms);
    }
}

/* ---- one recipient ---- */

/* True for the first failure after warn_after: each sender is warned once, even across restarts. */
static bool warning_due(const struct queue *queue, const struct store_message *message,
                        const struct store_recipient *r, uint64_t now_ms)
{
    uint64_t warn_ms = message->arrived_ms + queue->options.warn_after_ms;
    return queue->options.warn_after_ms > 0 && now_ms >= warn_ms && r->last.when_ms < warn_ms && !r->held;
}

/* Returns the next due time; `local_early`: its mailbox could not be reached. */
static uint64_t due_again_ms(const struct queue *queue, const struct mail_event *event,
                             const struct reply_meaning *meaning, uint64_t expires_ms, bool local_early,
                             uint64_t random, uint64_t now_ms)
{
    struct schedule_reply reply = {meaning, event->text};
    uint64_t delay_ms = schedule_reply_delay_ms(&queue->options.retry, (uint32_t)event->attempt, random,
                                                &reply);
    uint64_t due_ms = schedule_due_ms(delay_ms, now_ms, expires_ms);
    if (local_early && now_ms + SCHEDULE_LOCAL_RETRY_MS < due_ms)
        due_ms = now_ms + SCHEDULE_LOCAL_RETRY_MS; /* the LMTP server is down: usually briefly */
    return due_ms;
}

static struct store_result defer(struct queue *queue, struct mail_event *event, uint64_t due_ms,
                                 uint64_t now_ms)
{
    struct attempt_record last = {.when_ms = now_ms,
                                  .code = (uint32_t)event->code,
                                  .enhanced = event->enhanced,
                                  .text = event->text,
                                  .peer = event->peer,
                                  .tls = event->tls};
    event->retry_in_ms = due_ms - now_ms;
    events_add(queue, event, now_ms);
    return (struct store_result){.number = (uint32_t)event->number,
                                 .fate = STORE_DEFERRED,
                                 .due_ms = due_ms,
                                 .attempts = (uint32_t)event->attempt,
                                 .last = last};
}

/* The recipient could not be resolved: defers it. */
static void defer_lookup(struct queue *queue, struct mail_event *event, uint64_t expires_ms, uint64_t now_ms)
{
    event->enhanced = BYTES("4.3.0");
    event->text = BYTES("temporary account lookup failure");
    event->step = bytes_of_text(client_step_name(STEP_CONNECT));
    uint64_t due_ms = due_again_ms(queue, event, NULL, expires_ms, false, queue_random(queue), now_ms);
    struct store_result deferred = defer(queue, event, due_ms, now_ms);
    store_settle(queue->store, event->message, &deferred, 1);
}

static enum event_kind kind_of(const struct queue_delivery *d, size_t i, uint64_t now_ms)
{
    const struct store_recipient *r = &d->recipients[i];
    switch (d->answer.results[i].outcome) {
    case OUTCOME_DELIVERED:
        return d->transport == SCHEDULE_AWAY && r->recipient.via.length > 0 ? EVENT_FORWARDED
                                                                            : EVENT_DELIVERED;
    case OUTCOME_FAILED: return EVENT_BOUNCED;
    case OUTCOME_DEFERRED: break;
    }
    return now_ms >= d->message.expires_ms && !r->held ? EVENT_EXPIRED : EVENT_DEFERRED;
}

static void add_meaning(struct mail_event *event, const struct reply_meaning *meaning)
{
    if (meaning == NULL)
        return;
    event->reply_class = bytes_of_text(reply_meaning_class_name(meaning->class));
    event->reply_about = bytes_of_text(reply_meaning_about_name(meaning->about));
}

static struct mail_event attempt_event(const struct queue_delivery *d, size_t i, uint64_t now_ms)
{
    const struct delivery_result *result = &d->answer.results[i];
    struct mail_event event = delivery_result_event(kind_of(d, i, now_ms), &d->message, &d->recipients[i],
                                                    now_ms);
    event.peer = d->answer.peer;
    event.tls = d->tls_text;
    event.tls_policy = bytes_of_text(tls_level_name(d->answer.tls.level));
    event.tls_reason = d->answer.tls.level_reason;
    event.code = result->code;
    event.enhanced = result->enhanced;
    event.text = result->text;
    event.step = bytes_of_text(client_step_name(result->step));
    add_meaning(&event, d->meanings[i]);
    event.mailbox = d->transport == SCHEDULE_LOCAL && event.kind == EVENT_DELIVERED;
    return event;
}

/* Decides the recipient's state. True if the sender may want a report; `dsn` is its entry. */
static bool decide(struct queue *queue, const struct queue_delivery *d, size_t i, uint64_t random,
                   uint64_t now_ms, struct store_result *settled, struct dsn_recipient *dsn)
{
    const struct store_recipient *r = &d->recipients[i];
    const struct delivery_result *result = &d->answer.results[i];
    struct mail_event event = attempt_event(d, i, now_ms);
    *dsn = dsn_entry(&event, d->meanings[i], &r->recipient);
    hide_local_reason(dsn, r);
    if (event.kind == EVENT_DEFERRED) {
        bool local_early = d->transport == SCHEDULE_LOCAL && result->step < STEP_MAIL;
        uint64_t due_ms = due_again_ms(queue, &event, d->meanings[i], d->message.expires_ms, local_early,
                                       random, now_ms);
        *settled = defer(queue, &event, due_ms, now_ms);
        return warning_due(queue, &d->message, r, now_ms);
    }
    *settled = (struct store_result){.number = r->number, .fate = STORE_FINISHED};
    events_add(queue, &event, now_ms);
    if (event.kind == EVENT_DELIVERED && d->transport == SCHEDULE_AWAY)
        report_queue_sent(queue, &d->message, &event, now_ms);
    if (event.kind == EVENT_BOUNCED)
        report_queue_bounced(queue, d, &event, now_ms);
    if (event.mailbox && r->recipient.away)
        vacation_queue_consider(queue, &d->message, r);
    /* RFC 3461 5.2.2: `relayed` is reported only if the next server sends no reports */
    return mail_event_class(event.kind) != EVENT_CLASS_DELIVERED || !result->peer_reports;
}

/* ---- an attempt ---- */

static void apply_lookup(struct queue *queue, struct queue_delivery *d, uint64_t now_ms);

void delivery_result_apply(struct queue *queue, struct queue_delivery *d, uint64_t now_ms)
{
    struct dsn_recipient about[DELIVERY_RECIPIENTS_MAX];
    struct store_result results[DELIVERY_RECIPIENTS_MAX];
    size_t count = 0, settled = 0;
    if (d->transport == SCHEDULE_LOOKUP) {
        bool expands = d->recipients[0].recipient.expands != EXPANDS_NOT;
        if (d->gone == NULL && !d->recipients[0].held)
            (expands ? expansion_apply : apply_lookup)(queue, d, now_ms);
        return;
    }
    uint64_t random = queue_random(queue); /* one value for all: they stay together */
    for (size_t i = 0; i < d->recipient_count; i++)
        if (d->gone == NULL || !d->gone[i])
            count += decide(queue, d, i, random, now_ms, &results[settled++], &about[count]);
    delivery_result_report(queue, &d->message, about, count, now_ms);
    store_settle(queue->store, d->message.id, results, settled);
}

/* Removes it without an attempt; pages read ahead are discarded. */
static struct store_result finish(struct queue *queue, const struct store_recipient *recipient)
{
    destinations_changed(queue, recipient->destination);
    return (struct store_result){.number = recipient->number, .fate = STORE_FINISHED};
}

/* ---- mail loops ---- */

/* Reports an original address once, however many members it has. */
static bool wants_dsn(const struct dsn_recipient *about, size_t count, const struct recipient *recipient)
{
    struct bytes said = recipient->original.length > 0 ? recipient->original : recipient->address;
    for (size_t i = 0; i < count; i++) {
        const struct recipient *other = about[i].recipient;
        if (bytes_equal(other->original.length > 0 ? other->original : other->address, said))
            return true;
    }
    return false;
}

void delivery_result_looped(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, struct bytes who,
                            uint64_t now_ms)
{
    struct dsn_recipient about[DELIVERY_RECIPIENTS_MAX];
    struct store_result results[DELIVERY_RECIPIENTS_MAX];
    struct arena arena = {0};
    size_t told_count = 0;
    const char *text = arena_format(
        &arena, "the message returned to %.*s, which had already forwarded it: mail loop detected",
        BYTES_ARG(who));
    for (size_t i = 0; i < count; i++) {
        struct mail_event event = delivery_result_event(EVENT_LOOPED, message, &recipients[i], now_ms);
        event.enhanced = BYTES("5.4.6");
        event.text = bytes_of_text(text);
        results[i] = finish(queue, &recipients[i]);
        events_add(queue, &event, now_ms);
        if (!wants_dsn(about, told_count, &recipients[i].recipient))
            about[told_count++] = dsn_entry(&event, NULL, &recipients[i].recipient);
    }
    delivery_result_report(queue, message, about, told_count, now_ms);
    store_settle(queue->store, message->id, results, count);
    arena_clear(&arena);
}

/* ---- lookups ---- */

void delivery_result_unanswered(struct queue *queue, struct queue_delivery *d, uint64_t now_ms)
{
    struct mail_event event = delivery_result_event(EVENT_DEFERRED, &d->message, &d->recipients[0], now_ms);
    if (now_ms >= d->message.expires_ms)
        delivery_result_expire(queue, &d->message, d->recipients, 1, now_ms);
    else
        defer_lookup(queue, &event, d->message.expires_ms, now_ms);
}

/* ---- recipients of reports ---- */

static void drop_report(struct queue *queue, struct mail_event *event, struct bytes why, uint64_t now_ms)
{
    event->kind = EVENT_DISCARDED;
    event->enhanced = BYTES("5.1.1");
    event->text = why;
    events_add(queue, event, now_ms);
    store_remove(queue->store, event->message);
}

/* The sender is local: the report continues under a new id, to the mailboxes of the address. */
static void requeue_report(struct queue *queue, const struct queue_delivery *d, uint64_t now_ms)
{
    struct store_message message;
    struct bytes *destinations = ARENA_ARRAY(&queue->scratch, struct bytes, d->target_count);
    char(*rooms)[STORE_DESTINATION_MAX] = arena_take(&queue->scratch, d->target_count * sizeof *rooms);
    if (!store_read(queue->store, d->message.id, true, &queue->scratch, &message))
        return;
    message.id = queue_id_next(&queue->ids, now_ms * 1000);
    message.envelope.recipients = d->targets;
    message.envelope.recipient_count = d->target_count;
    for (size_t i = 0; i < d->target_count; i++)
        destinations[i] = destinations_find(queue, &d->targets[i], rooms[i]);
    if (!store_accept(queue->store, &message, destinations, now_ms, 0))
        return;
    for (size_t i = 0; i < d->target_count; i++)
        destinations_due(queue, destinations[i], now_ms, false);
    struct mail_event event = delivery_result_event(EVENT_REQUEUED, &d->message, &d->recipients[0], now_ms);
    event.other = message.id;
    events_add(queue, &event, now_ms);
    store_remove(queue->store, d->message.id);
}

static void apply_lookup(struct queue *queue, struct queue_delivery *d, uint64_t now_ms)
{
    const struct store_recipient *r = &d->recipients[0];
    char buffer[STORE_DESTINATION_MAX];
    struct mail_event event = delivery_result_event(EVENT_DEFERRED, &d->message, r, now_ms);
    struct bytes destination;
    arena_clear(&queue->scratch);
    switch (d->verdict) {
    case RECIPIENT_KNOWN: requeue_report(queue, d, now_ms); break;
    case RECIPIENT_FOREIGN:
        destination = destinations_find(queue, &r->recipient, buffer);
        store_settle(
            queue->store, d->message.id,
            &(struct store_result){
                .number = r->number, .fate = STORE_PLACED, .due_ms = now_ms, .destination = destination},
            1);
        destinations_due(queue, destination, now_ms, false);
        break;
    case RECIPIENT_UNKNOWN:
        drop_report(queue, &event, BYTES("no such mailbox: report discarded"), now_ms);
        break;
    case RECIPIENT_FORGED:
    case RECIPIENT_EXPIRED:
    case RECIPIENT_BOUNCES_ONLY: /* never for a report, whose sender is null */
        drop_report(queue, &event, BYTES("not a bounce address of this server, or expired: report discarded"),
                    now_ms);
        break;
    case RECIPIENT_FULL: /* auth never says so to the queue */
    case RECIPIENT_UNAVAILABLE:
        if (now_ms >= d->message.expires_ms) {
            drop_report(queue, &event, BYTES("account lookups failed until the message expired"), now_ms);
            break;
        }
        defer_lookup(queue, &event, d->message.expires_ms, now_ms);
        break;
    }
}

/* ---- expiry ---- */

void delivery_result_expire(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, uint64_t now_ms)
{
    struct dsn_recipient about[STORE_READ_MAX];
    struct store_result results[STORE_READ_MAX];
    assert(count <= STORE_READ_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct attempt_record *last = &recipients[i].last;
        bool said = last->text.length > 0;
        struct mail_event event = delivery_result_event(EVENT_EXPIRED, message, &recipients[i], now_ms);
        event.peer = last->peer;
        event.code = said ? last->code : 0;
        event.enhanced = said ? last->enhanced : BYTES("4.4.7");
        event.text = said ? last->text : BYTES("no server could be reached before the message expired");
        const struct reply_meaning *meaning = delivery_reply_last(queue, message, &recipients[i]);
        add_meaning(&event, meaning);
        results[i] = finish(queue, &recipients[i]);
        events_add(queue, &event, now_ms);
        about[i] = dsn_entry(&event, meaning, &recipients[i].recipient);
        hide_local_reason(&about[i], &recipients[i]);
    }
    delivery_result_report(queue, message, about, count, now_ms);
    store_settle(queue->store, message->id, results, count);
}

/* Expires its recipients, except held ones, those in progress, and those with an attempt left. False if
 * only held ones remain. */
static bool expire_message(struct queue *queue, uint64_t id, uint64_t now_ms)
{
    bool left = false;
    struct arena arena = {0};
    struct store_message message;
    struct store_recipient found[STORE_READ_MAX];
    uint32_t from = 0;
    if (!store_read(queue->store, id, false, &arena, &message))
        return false;
    for (size_t count;
         (count = store_recipients(queue->store, id, from, STORE_READ_MAX, &arena, found)) > 0;) {
        size_t over = 0;
        from = found[count - 1].number + 1;
        for (size_t i = 0; i < count; i++)
            if (found[i].held)
                continue;
            else if (schedule_is_over(message.expires_ms, found[i].due_ms, now_ms) &&
                     !deliveries_has(queue, id, found[i].number))
                found[over++] = found[i];
            else
                left = true;
        if (over > 0)
            delivery_result_expire(queue, &message, found, over, now_ms);
        if (count < STORE_READ_MAX)
            break;
    }
    arena_clear(&arena);
    return left;
}

void delivery_result_expire_due_again(struct queue *queue, uint64_t id)
{
    if (id > queue->sweep_from)
        return;
    queue->sweep_from = id - 1;
    if (queue->sweep_after >= id)
        queue->sweep_after = id - 1;
}

void delivery_result_expire_due(struct queue *queue, uint64_t now_ms)
{
    uint64_t ids[STORE_READ_MAX], expires_ms[STORE_READ_MAX];
    size_t count = store_ids(queue->store, queue->sweep_after, STORE_READ_MAX, ids, expires_ms);
    size_t i = 0;
    for (; i < count && expires_ms[i] + SCHEDULE_GRACE_MS <= now_ms; i++) {
        queue->sweep_left = expire_message(queue, ids[i], now_ms) || queue->sweep_left;
        if (!queue->sweep_left)
            queue->sweep_from = ids[i];
    }
    bool more = count == STORE_READ_MAX && i == count; /* ids grow with time: later ids expire later */
    queue->sweep_after = more ? ids[count - 1] : queue->sweep_from;
    queue->sweep_left = more && queue->sweep_left;
    queue->sweep_ms = now_ms + (more ? 1 : EXPIRY_SWEEP_MS);
}
