/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "core/client/client_session.h"
#include "io/log.h"
#include "queue/queue_state.h"

/* splitmix64: to spread retries, not for secrets; deterministic for a seed. */
uint64_t queue_random(struct queue *queue)
{
    uint64_t z = queue->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void queue_start(struct queue *queue, struct store *store, const struct queue_options *options, uint64_t seed,
                 uint64_t now_ms)
{
    *queue = (struct queue){.options = *options,
                            .store = store,
                            .random = seed,
                            .ids = {.slot = QUEUE_SLOT},
                            .event_ids = {.slot = QUEUE_SLOT},
                            .sweep_ms = now_ms,
                            .stats.started_ms = now_ms};
    schedule_start(&queue->schedule, &options->retry, seed);
    if (options->deliveries > 0)
        queue->schedule.transports[SCHEDULE_AWAY].max = options->deliveries;
    map_start(&queue->deliveries, seed);
    map_start(&queue->messages, seed);
    sent_domains_start(&queue->sent, seed);
    queue->wake_ms = now_ms; /* mail stored before */
}

/* Each delivery is in progress at its destination, or its result waits to be stored. */
bool queue_is_sound(const struct queue *queue)
{
    size_t in_progress = queue_in_progress(queue);
    bool counted = queue->unsaved == NULL ? in_progress == queue->deliveries.count
                                          : in_progress < queue->deliveries.count;
    return counted && queue->messages.count <= queue->deliveries.count &&
           (queue->messages.count > 0) == (queue->deliveries.count > 0) &&
           (!queue->stuck || queue->stuck_as == STORE_FULL || queue->stuck_as == STORE_UNREACHABLE) &&
           (queue->vacations == NULL) == (queue->vacation_count == 0);
}

void queue_free(struct queue *queue)
{
    void *value;
    vacation_queue_free(queue);
    sent_domains_free(&queue->sent);
    for (size_t position = 0; map_next(&queue->deliveries, &position, NULL, &value);) {
        struct queue_delivery *delivery = value;
        arena_clear(&delivery->arena);
        free(delivery);
    }
    while (queue->active != NULL) {
        struct active_destination *active = queue->active;
        queue->active = active->next;
        arena_clear(&active->page_arena);
        free(active);
    }
    schedule_free(&queue->schedule);
    map_free(&queue->deliveries);
    map_free(&queue->messages);
    arena_clear(&queue->scratch);
    buffer_free(&queue->batch_events);
    buffer_free(&queue->batch_judged);
    buffer_free(&queue->committing_events);
    buffer_free(&queue->events);
}

/* ---- accepting ---- */

/* Reports read the stored message into the scratch arena, which holds these. */
static void report_expansions(struct queue *queue, const struct store_message *message, const uint8_t *asked,
                              uint64_t now_ms)
{
    size_t count = message->envelope.recipient_count;
    if (memchr(asked, true, count) == NULL)
        return;
    struct arena kept = {0};
    struct store_message copy = *message;
    uint8_t *asked_too = ARENA_ARRAY(&kept, uint8_t, count);
    memcpy(asked_too, asked, count);
    copy.envelope.recipients = ARENA_ARRAY(&kept, struct recipient, count);
    memcpy(copy.envelope.recipients, message->envelope.recipients, count * sizeof *copy.envelope.recipients);
    delivery_result_expanded(queue, &copy, asked_too, now_ms);
    arena_clear(&kept);
}

/* True if the mailbox is among the first `count` recipients, other than number `except`. */
static bool has_mailbox(const struct envelope *envelope, size_t count, struct bytes address, size_t except)
{
    for (size_t i = 0; i < count; i++)
        if (i != except && envelope->recipients[i].local &&
            bytes_equal(envelope->recipients[i].address, address))
            return true;
    return false;
}

/* Mail for the Junk folder is not forwarded: it would fail the same checks at the next server, which rejects
 * it and thinks the worse of this one. It stays with the user who forwards. Its sender, who may be forged,
 * is not told of success. */
static void keep_junk_here(struct envelope *envelope)
{
    size_t left = 0;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        struct recipient r = envelope->recipients[i];
        if ((r.notify & NOTIFY_SUCCESS) != 0)
            r.notify = (uint8_t)(r.notify & ~NOTIFY_SUCCESS) == 0 ? NOTIFY_NEVER
                                                                  : (uint8_t)(r.notify & ~NOTIFY_SUCCESS);
        if (r.forwarder.length > 0) {
            if (has_mailbox(envelope, envelope->recipient_count, r.forwarder, i))
                continue;
            r.address = r.forwarder;
            r.original = bytes_equal(r.original, r.address) ? bytes_none() : r.original;
            r.local = true;
            r.via = r.forwarder = r.sent_as = bytes_none();
        }
        envelope->recipients[left++] = r;
    }
    envelope->recipient_count = left;
}

/* Several users may forward to one address, which gets one copy. */
static void drop_twins(struct envelope *envelope)
{
    size_t left = 0;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct recipient r = envelope->recipients[i];
        bool is_twin = false;
        for (size_t k = 0; k < left && !is_twin; k++) {
            const struct recipient *other = &envelope->recipients[k];
            is_twin = (r.forwarder.length > 0 || other->forwarder.length > 0) && r.local == other->local &&
                      r.expands == other->expands && bytes_equal(r.address, other->address);
        }
        if (!is_twin)
            envelope->recipients[left++] = r;
    }
    envelope->recipient_count = left;
}

enum store_verdict queue_accept(struct queue *queue, const struct store_message *given, uint64_t spool,
                                uint64_t now_ms)
{
    struct store_message message = *given;
    size_t count = message.envelope.recipient_count;
    assert(!queue->committing);
    if (queue->stuck)
        return queue->stuck_as;
    if (count == 0)
        return STORE_FAILED;
    arena_clear(&queue->scratch);
    struct bytes *destinations = ARENA_ARRAY(&queue->scratch, struct bytes, count);
    char(*rooms)[STORE_DESTINATION_MAX] = arena_take(&queue->scratch, count * sizeof *rooms);
    uint8_t *asked = ARENA_ARRAY(&queue->scratch, uint8_t, count);
    message.arrived_ms = now_ms;
    message.expires_ms = now_ms + queue->options.expire_ms;
    message.envelope.recipients = ARENA_ARRAY(&queue->scratch, struct recipient, count);
    memcpy(message.envelope.recipients, given->envelope.recipients,
           count * sizeof *message.envelope.recipients);
    if (message.trust.disposition == DISPOSITION_JUNK)
        keep_junk_here(&message.envelope);
    else
        drop_twins(&message.envelope);
    count = message.envelope.recipient_count;
    for (size_t i = 0; i < count; i++)
        destinations[i] = destinations_find(queue, &message.envelope.recipients[i], rooms[i]);
    delivery_result_hide_members(&message.envelope, asked);
    if (!store_accept(queue->store, &message, destinations, now_ms, spool))
        return STORE_FAILED;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !bytes_equal(destinations[i], destinations[i - 1]))
            destinations_due(queue, destinations[i], now_ms, false);
    delivery_result_received(queue, &message, false, now_ms);
    report_expansions(queue, &message, asked, now_ms);
    assert(queue_is_sound(queue));
    return STORE_DONE;
}

/* ---- the batch ---- */

/* Removes the results that are on disk; others came during the commit. */
static void results_saved(struct queue *queue)
{
    for (struct queue_delivery **at = &queue->unsaved; *at != NULL;) {
        struct queue_delivery *delivery = *at;
        if (!delivery->applied) {
            at = &delivery->next_unsaved;
            continue;
        }
        *at = delivery->next_unsaved;
        deliveries_drop(queue, delivery);
    }
    assert(queue_is_sound(queue));
}

/* Their destinations left memory without these results: recomputes when they are due. */
static void apply_results(struct queue *queue, uint64_t now_ms)
{
    for (struct queue_delivery *d = queue->unsaved; d != NULL; d = d->next_unsaved)
        if (!d->applied) {
            delivery_result_apply(queue, d, now_ms);
            d->applied = true;
            destinations_due(queue, d->recipients[0].destination, now_ms, false);
        }
}

static void start(struct queue *queue, uint64_t now_ms)
{
    queue->committing = true;
    queue->committing_batch = queue->batch++;
    events_commit_start(queue, now_ms);
    store_commit_start(queue->store);
}

void queue_commit_start(struct queue *queue, uint64_t now_ms)
{
    assert(!queue->committing);
    if (queue->stuck && now_ms < queue->stuck_ms)
        return;
    if (queue->stuck)
        destinations_forget_pages(queue);
    apply_results(queue, now_ms);
    queue->saving_again = queue->stuck;
    queue->first_as = STORE_DONE;
    if (queue->stuck || queue->unsaved != NULL || store_is_changed(queue->store) ||
        queue->batch_events.length > 0 || queue->batch_judged.length > 0)
        start(queue, now_ms);
}

/* Neither the batch nor later changes are on disk. */
static void undo(struct queue *queue, enum store_verdict verdict, uint64_t now_ms)
{
    destinations_undone(queue, queue->committing_batch);
    events_undone(queue);
    for (struct queue_delivery *d = queue->unsaved; d != NULL; d = d->next_unsaved)
        d->applied = false;
    if (verdict != STORE_UNREACHABLE)
        return;
    /* Lookups may have found nothing only because the store was unreachable. */
    queue->wake_ms = now_ms;
    queue->sweep_after = queue->sweep_from = 0;
    queue->sweep_left = false;
}

/* Pauses until the store has space again, or is reachable again. */
static void get_stuck(struct queue *queue, enum store_verdict verdict, uint64_t now_ms)
{
    queue->stuck = true;
    queue->stuck_as = verdict;
    queue->stuck_ms = now_ms + STUCK_RETRY_MS;
}

/* Results are only in memory: if the whole batch does not fit, they are committed in a separate batch,
 * repeatedly until it succeeds. */
bool queue_commit_done(struct queue *queue, uint64_t now_ms, enum store_verdict *verdict, struct error *error)
{
    *verdict = queue->stuck ? queue->stuck_as : STORE_DONE;
    while (queue->committing) {
        if (!store_commit_done(queue->store, verdict, error))
            return false;
        queue->committing = false;
        if (*verdict == STORE_DONE) {
            results_saved(queue);
            events_committed(queue);
            queue->stuck = false;
        } else {
            undo(queue, *verdict, now_ms);
        }
        if (*verdict == STORE_UNREACHABLE || (*verdict == STORE_FULL && queue->saving_again))
            get_stuck(queue, *verdict, now_ms);
        if (*verdict == STORE_FULL && !queue->saving_again && queue->unsaved != NULL) {
            queue->saving_again = true;
            queue->first_as = STORE_FULL;
            apply_results(queue, now_ms);
            start(queue, now_ms);
        } else if (*verdict == STORE_DONE && queue->first_as != STORE_DONE) {
            *verdict = queue->first_as;
        }
    }
    assert(queue_is_sound(queue));
    return true;
}

enum store_verdict queue_commit(struct queue *queue, uint64_t now_ms, struct error *error)
{
    enum store_verdict verdict;
    queue_commit_start(queue, now_ms);
    while (!queue_commit_done(queue, now_ms, &verdict, error))
        store_commit_wait(queue->store);
    return verdict;
}

bool queue_has_kept_results(const struct queue *queue)
{
    for (const struct queue_delivery *d = queue->unsaved; d != NULL && !queue->stuck; d = d->next_unsaved)
        if (!d->applied)
            return true;
    return false;
}

/* ---- results ---- */

static struct queue_delivery *in_progress(struct queue *queue, uint64_t number)
{
    struct queue_delivery *delivery = map_get_u64(&queue->deliveries, number);
    return delivery == NULL || delivery->active == NULL ? NULL : delivery;
}

/* Returns why a destination is deferred; NULL: it was not reached, or is busy. */
static const char *backoff_reason(enum schedule_news news)
{
    return news == SCHEDULE_LIMITED    ? "the server limits the rate of mail from this server"
           : news == SCHEDULE_REJECTED ? "the server rejects mail from the IP address of this server"
                                       : NULL;
}

static void end_delivery(struct queue *queue, struct queue_delivery *d, enum schedule_news news,
                         uint64_t now_ms)
{
    struct active_destination *active = d->active;
    d->active = NULL;
    if (schedule_ended(&queue->schedule, &active->scheduled, news, now_ms, queue_random(queue)))
        log_event(LOG_EVENT_WARN, "destination_backoff", LOG_BYTES("destination", active->scheduled.name),
                  LOG_U64("failures", schedule_failure_count(active->scheduled.failures)),
                  LOG_U64("retry_in_ms", active->scheduled.until_ms - now_ms),
                  LOG_TEXT("reason", backoff_reason(news)));
    destinations_rest(queue, active, now_ms);
}

static void save(struct queue *queue, struct queue_delivery *d, enum schedule_news news, uint64_t now_ms)
{
    d->next_unsaved = queue->unsaved;
    queue->unsaved = d;
    if (!queue->stuck && !queue->committing) {
        delivery_result_apply(queue, d, now_ms);
        d->applied = true;
    }
    end_delivery(queue, d, news, now_ms);
    assert(queue_is_sound(queue));
}

static void copy_answer(struct queue_delivery *d, const struct ipc_deliver_answer *answer)
{
    static const struct delivery_result unsaid = {.outcome = OUTCOME_DEFERRED,
                                                  .enhanced = {"4.3.0", 5},
                                                  .text = {"the attempt ended without a result", 34}};
    d->answer = *answer;
    d->answer.peer = arena_copy(&d->arena, answer->peer);
    d->answer.tls.cipher = arena_copy(&d->arena, answer->tls.cipher);
    d->answer.tls.clear_reason = arena_copy(&d->arena, answer->tls.clear_reason);
    d->answer.tls.level_reason = arena_copy(&d->arena, answer->tls.level_reason);
    struct buffer text = {0};
    tls_result_text(&answer->tls, &text);
    d->tls_text = arena_copy(&d->arena, buffer_bytes(&text));
    buffer_free(&text);
    d->answer.results = ARENA_ARRAY(&d->arena, struct delivery_result, d->recipient_count);
    for (size_t i = 0; i < d->recipient_count; i++) {
        struct delivery_result *result = &d->answer.results[i];
        *result = i < answer->result_count ? answer->results[i] : unsaid;
        result->enhanced = arena_copy(&d->arena, result->enhanced);
        result->text = arena_copy(&d->arena, bytes_first(result->text, STORE_REPLY_MAX));
    }
    d->answer.result_count = d->recipient_count;
}

void queue_delivered(struct queue *queue, const struct ipc_deliver_answer *answer, uint64_t now_ms)
{
    struct queue_delivery *d = in_progress(queue, answer->delivery);
    if (d == NULL || d->transport == SCHEDULE_LOOKUP)
        return;
    copy_answer(d, answer);
    delivery_reply_read(queue, d);
    save(queue, d, delivery_reply_news(d), now_ms);
}

void queue_looked_up(struct queue *queue, const struct ipc_recipient_answer *answer, uint64_t now_ms)
{
    struct queue_delivery *d = in_progress(queue, answer->request);
    if (d == NULL || d->transport != SCHEDULE_LOOKUP || d->recipients[0].recipient.expands != EXPANDS_NOT)
        return;
    d->verdict = answer->verdict <= RECIPIENT_UNAVAILABLE ? (enum recipient_verdict)answer->verdict
                                                          : RECIPIENT_UNAVAILABLE;
    if (d->verdict == RECIPIENT_KNOWN && answer->target_count == 0)
        d->verdict = RECIPIENT_UNAVAILABLE;
    d->target_count = answer->target_count;
    d->targets = ARENA_ARRAY(&d->arena, struct recipient, d->target_count);
    for (size_t i = 0; i < d->target_count; i++) {
        d->targets[i] = (struct recipient){.address = arena_copy(&d->arena, answer->targets[i].address),
                                           .local = answer->targets[i].local,
                                           .away = answer->targets[i].away,
                                           .reports = answer->targets[i].reports,
                                           .original = arena_copy(&d->arena, answer->targets[i].original),
                                           .notify = NOTIFY_NEVER,
                                           .expands = answer->targets[i].expands,
                                           .via = arena_copy(&d->arena, answer->targets[i].via),
                                           .sent_as = arena_copy(&d->arena, answer->targets[i].sent_as)};
    }
    save(queue, d, SCHEDULE_ANSWERED, now_ms);
}

struct ipc_expand queue_expansion(struct queue *queue, uint64_t delivery)
{
    const struct queue_delivery *d = in_progress(queue, delivery);
    assert(d != NULL && d->transport == SCHEDULE_LOOKUP && d->recipients[0].recipient.expands != EXPANDS_NOT);
    const struct store_recipient *r = &d->recipients[0];
    return (struct ipc_expand){.request = delivery,
                               .address = r->recipient.address,
                               .how = r->recipient.expands,
                               .after = r->progress,
                               .account = d->message.origin.account,
                               .sender = d->message.envelope.sender};
}

static struct recipient *copy_places(struct arena *arena, const struct recipient *from, size_t count)
{
    struct recipient *to = ARENA_ARRAY(arena, struct recipient, count);
    for (size_t i = 0; i < count; i++)
        to[i] = (struct recipient){.address = arena_copy(arena, from[i].address),
                                   .local = from[i].local,
                                   .away = from[i].away,
                                   .reports = from[i].reports,
                                   .expands = from[i].expands,
                                   .via = arena_copy(arena, from[i].via),
                                   .sent_as = arena_copy(arena, from[i].sent_as)};
    return to;
}

void queue_members_answered(struct queue *queue, const struct ipc_expand_answer *answer, uint64_t now_ms)
{
    struct queue_delivery *d = in_progress(queue, answer->request);
    if (d == NULL || d->transport != SCHEDULE_LOOKUP || d->recipients[0].recipient.expands == EXPANDS_NOT)
        return;
    d->page = *answer;
    d->page.members = copy_places(&d->arena, answer->members, answer->member_count);
    d->page.missing = copy_places(&d->arena, answer->missing, answer->missing_count);
    d->page.after = arena_copy(&d->arena, answer->after);
    save(queue, d, SCHEDULE_ANSWERED, now_ms);
}

void queue_transport_lost(struct queue *queue, enum schedule_transport transport, uint64_t now_ms)
{
    size_t position = 0;
    void *value;
    while (map_next(&queue->deliveries, &position, NULL, &value)) {
        struct queue_delivery *d = value;
        if (d->active == NULL || d->transport != transport)
            continue;
        end_delivery(queue, d, SCHEDULE_UNKNOWN, now_ms);
        deliveries_drop(queue, d); /* the map allows removing the visited one */
    }
    destinations_forget_pages(queue);
    assert(queue_is_sound(queue));
}

/* ---- operator actions ---- */

static void place(struct queue *queue, uint64_t id, const struct store_recipient *r, uint64_t due_ms,
                  bool held, uint64_t now_ms)
{
    struct store_result placed = {.number = r->number, .fate = STORE_PLACED, .due_ms = due_ms, .held = held};
    store_settle(queue->store, id, &placed, 1);
    destinations_changed(queue, r->destination);
    if (held)
        return;
    delivery_result_expire_due_again(queue, id);
    destinations_due(queue, r->destination, now_ms, true);
}

/* Keeps the due time of a recipient that is already due: repeated `queue retry` does not postpone expiry. */
static void retry(struct queue *queue, uint64_t id, const struct store_recipient *r, uint64_t now_ms)
{
    if (r->due_ms > now_ms)
        place(queue, id, r, now_ms, false, now_ms);
    else
        destinations_due(queue, r->destination, now_ms, true);
}

/* True if it changed anything. */
static bool control_recipient(struct queue *queue, enum control_verb verb, uint64_t id,
                              const struct store_recipient *r, uint64_t now_ms)
{
    switch (verb) {
    case CONTROL_RETRY:
        if (!r->held)
            retry(queue, id, r, now_ms);
        return !r->held;
    case CONTROL_HOLD:
        if (!r->held)
            place(queue, id, r, r->due_ms, true, now_ms);
        return !r->held;
    case CONTROL_RELEASE:
        if (r->held)
            place(queue, id, r, now_ms, false, now_ms);
        return r->held;
    case CONTROL_REMOVE: destinations_changed(queue, r->destination); return true;
    case CONTROL_PING: break;
    }
    return false;
}

/* Marks the recipients of a delivery in progress: its result then has another meaning. */
static void apply_to_delivery(struct queue_delivery *d, size_t i, enum control_verb verb)
{
    if (verb == CONTROL_HOLD || verb == CONTROL_RELEASE)
        d->recipients[i].held = verb == CONTROL_HOLD;
    if (verb != CONTROL_REMOVE)
        return;
    if (d->gone == NULL)
        d->gone = ARENA_ARRAY(&d->arena, bool, d->recipient_count);
    d->gone[i] = true;
}

static void apply_to_deliveries(struct queue *queue, enum control_verb verb, uint64_t id, uint32_t number)
{
    for (struct queue_delivery *d = map_get_u64(&queue->messages, id); d != NULL; d = d->next_of_message)
        for (size_t i = 0; i < d->recipient_count; i++)
            if (d->recipients[i].number == number)
                apply_to_delivery(d, i, verb);
}

/* `one`: only about that recipient. */
static void add_control_event(struct queue *queue, enum control_verb verb, uint64_t id,
                              const struct store_recipient *one, size_t count, uint64_t now_ms)
{
    static const enum event_kind kinds[] = {[CONTROL_RETRY] = EVENT_RETRIED,
                                            [CONTROL_HOLD] = EVENT_HELD,
                                            [CONTROL_RELEASE] = EVENT_RELEASED,
                                            [CONTROL_REMOVE] = EVENT_REMOVED};
    struct mail_event event = {.kind = kinds[verb], .message = id, .recipients = count};
    if (one != NULL) {
        event.number = one->number;
        event.recipient = one->recipient.address;
        event.destination = one->destination;
    }
    events_add(queue, &event, now_ms);
}

size_t queue_control(struct queue *queue, enum control_verb verb, uint64_t id, uint64_t now_ms)
{
    struct store_recipient found[STORE_READ_MAX];
    struct arena arena = {0};
    uint32_t from = 0;
    size_t touched = 0, count;
    do {
        count = store_recipients(queue->store, id, from, STORE_READ_MAX, &arena, found);
        for (size_t i = 0; i < count; i++) {
            touched += control_recipient(queue, verb, id, &found[i], now_ms);
            apply_to_deliveries(queue, verb, id, found[i].number);
        }
        from = count == 0 ? from : found[count - 1].number + 1;
        arena_clear(&arena);
    } while (count == STORE_READ_MAX);
    if (touched > 0 && verb == CONTROL_REMOVE)
        store_remove(queue->store, id);
    if (touched > 0)
        add_control_event(queue, verb, id, NULL, touched, now_ms);
    return touched;
}

size_t queue_control_some(struct queue *queue, enum control_verb verb, uint64_t *after, uint64_t now_ms)
{
    uint64_t ids[STORE_READ_MAX];
    size_t count = store_ids(queue->store, *after, STORE_READ_MAX, ids, NULL), touched = 0;
    for (size_t i = 0; i < count; i++)
        touched += queue_control(queue, verb, ids[i], now_ms);
    *after = count == 0 ? 0 : ids[count - 1];
    return touched;
}

static bool control_one(struct queue *queue, enum control_verb verb, const struct chosen *chosen,
                        uint64_t now_ms)
{
    struct store_recipient r;
    struct arena arena = {0};
    bool touched = store_recipients(queue->store, chosen->id, chosen->number, 1, &arena, &r) == 1 &&
                   r.number == chosen->number && control_recipient(queue, verb, chosen->id, &r, now_ms);
    if (touched) {
        apply_to_deliveries(queue, verb, chosen->id, chosen->number);
        add_control_event(queue, verb, chosen->id, &r, 1, now_ms);
    }
    if (touched && verb == CONTROL_REMOVE)
        store_settle(queue->store, chosen->id,
                     &(struct store_result){.number = chosen->number, .fate = STORE_FINISHED}, 1);
    arena_clear(&arena);
    return touched;
}

size_t queue_control_chosen(struct queue *queue, enum control_verb verb, const struct chosen *chosen,
                            size_t count, uint64_t now_ms)
{
    size_t touched = 0;
    for (size_t i = 0; i < count; i++)
        touched += control_one(queue, verb, &chosen[i], now_ms);
    return touched;
}
