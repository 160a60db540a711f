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

void events_commit_start(struct queue *queue)
{
    struct buffer before = queue->committing_events;
    assert(before.length == 0);
    if (queue->batch_events.length > 0)
        store_events_put(queue->store, queue->batch_event_count, buffer_bytes(&queue->batch_events));
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
}

bool queue_event_next(struct queue *queue, struct mail_event *event)
{
    struct bytes left = buffer_bytes(&queue->events);
    bool any = mail_event_decode(&left, event);
    buffer_consume(&queue->events, queue->events.length - left.length);
    return any;
}
