/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: events of messages, added to the batch together with the change that they report. They are
 * stored encoded (core/event/mail_event.h); after the commit they are counted in the stats, and passed to
 * the shell.
 */
#include "queue/queue_state.h"

void events_add(struct queue *queue, const struct mail_event *event, uint64_t now_ms)
{
    struct mail_event added = *event;
    added.id = queue_id_next(&queue->event_ids, now_ms * 1000);
    added.at_ms = now_ms;
    mail_event_encode(&queue->batch_events, &added);
}

void events_committed(struct queue *queue)
{
    struct buffer before = queue->events;
    struct bytes left;
    struct mail_event event;
    queue->events = queue->batch_events;
    queue->batch_events = before;
    buffer_clear(&queue->batch_events);
    for (left = buffer_bytes(&queue->events); mail_event_decode(&left, &event);)
        stats_note(queue, &event);
    assert(left.length == 0);
}

void events_undone(struct queue *queue)
{
    buffer_clear(&queue->batch_events);
}

bool queue_event_next(struct queue *queue, struct mail_event *event)
{
    struct bytes left = buffer_bytes(&queue->events);
    bool any = mail_event_decode(&left, event);
    buffer_consume(&queue->events, queue->events.length - left.length);
    return any;
}
