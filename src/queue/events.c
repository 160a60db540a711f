/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what happens to messages, in the batch with what it tells of. They
 * are kept as octets (core/event/mail_event.h). When the commit begins they go
 * into the store's batch, all of them in one row; with the commit they become
 * true: the numbers that people see are counted, and the shell takes them.
 */
#include "queue/queue_state.h"

void events_add(struct queue *queue, const struct mail_event *event, uint64_t now_ms)
{
    struct mail_event added = *event;
    added.id = queue_id_next(&queue->event_ids, now_ms * 1000);
    added.at_ms = now_ms;
    mail_event_encode(&queue->batch_events, &added);
    queue->batch_event_count++;
}

void events_judged(struct queue *queue, const struct mail_event *event, uint64_t now_ms)
{
    struct mail_event added = *event;
    if (queue->batch_judged.length >= QUEUE_JUDGED_WAITING_MAX)
        return;
    added.id = queue_id_next(&queue->event_ids, now_ms * 1000);
    added.at_ms = now_ms;
    mail_event_encode(&queue->batch_judged, &added);
    queue->batch_judged_count++;
}

void queue_judged(struct queue *queue, struct bytes events, uint64_t now_ms)
{
    struct mail_event event;
    while (mail_event_decode(&events, &event))
        if (event.kind == EVENT_REFUSED && mail_event_trust(&event).finding != FINDING_NOT_CHECKED)
            events_judged(queue, &event, now_ms);
}

static bool is_old(const struct store_events *row, uint64_t now_ms)
{
    const uint64_t kept_ms = QUEUE_JUDGED_DAYS * UINT64_C(24) * 3600 * 1000;
    struct mail_event event = {.at_ms = 0};
    for (struct bytes left = row->octets; mail_event_decode(&left, &event);)
        if (event.at_ms + kept_ms >= now_ms)
            return false;
    return true;
}

/* Drops judgements that are too old, some at each batch that has any. */
static void drop_old(struct queue *queue, uint64_t now_ms)
{
    enum { LOOKED_AT = 8 }; /* rows */
    struct store_events rows[LOOKED_AT];
    struct arena arena = {0};
    size_t count = store_events_after(queue->store, STORE_JUDGEMENTS, 0, LOOKED_AT, &arena, rows), old = 0;
    while (old < count && is_old(&rows[old], now_ms))
        old++;
    if (old > 0)
        store_events_drop(queue->store, STORE_JUDGEMENTS, rows[old - 1].first + rows[old - 1].count - 1);
    arena_clear(&arena);
}

static void put_judged(struct queue *queue, uint64_t now_ms)
{
    if (queue->batch_judged.length == 0)
        return;
    store_events_put(queue->store, STORE_JUDGEMENTS, queue->batch_judged_count,
                     buffer_bytes(&queue->batch_judged));
    buffer_clear(&queue->batch_judged);
    queue->batch_judged_count = 0;
    drop_old(queue, now_ms);
}

void events_commit_start(struct queue *queue, uint64_t now_ms)
{
    put_judged(queue, now_ms);
    report_queue_commit_start(queue);
    struct buffer before = queue->committing_events;
    assert(before.length == 0);
    if (queue->batch_events.length > 0)
        store_events_put(queue->store, STORE_EVENTS, queue->batch_event_count,
                         buffer_bytes(&queue->batch_events));
    queue->committing_events = queue->batch_events;
    queue->batch_events = before;
    queue->batch_event_count = 0;
}

void events_committed(struct queue *queue)
{
    struct buffer before = queue->events;
    struct bytes left;
    struct mail_event event;
    queue->events = queue->committing_events;
    queue->committing_events = before;
    buffer_clear(&queue->committing_events);
    for (left = buffer_bytes(&queue->events); mail_event_decode(&left, &event);)
        stats_note(queue, &event);
    assert(left.length == 0);
}

void events_undone(struct queue *queue)
{
    buffer_clear(&queue->committing_events);
    buffer_clear(&queue->batch_events); /* events behind it are undone, too */
    queue->batch_event_count = 0;
    buffer_clear(&queue->batch_judged);
    queue->batch_judged_count = 0;
}

bool queue_event_next(struct queue *queue, struct mail_event *event)
{
    struct bytes left = buffer_bytes(&queue->events);
    bool any = mail_event_decode(&left, event);
    buffer_consume(&queue->events, queue->events.length - left.length);
    return any;
}
