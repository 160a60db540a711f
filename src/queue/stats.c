/* SPDX-License-Identifier: Apache-2.0 */
/* stats: public statistics of the queue. A delivery costs one counter; everything else is computed on
 * request. */
#include <stdio.h>

#include "core/smtp/status.h"
#include "queue/queue_state.h"

/* ---- counting ---- */

/* Returns the destination's entry, or a free one, or the oldest. */
static struct stats_reason *reason_place(struct delivery_stats *stats, struct bytes name)
{
    struct stats_reason *oldest = &stats->reasons[0];
    for (size_t i = 0; i < QUEUE_STATS_REASONS_MAX; i++) {
        struct stats_reason *at = &stats->reasons[i];
        if (at->when_ms != 0 && bytes_equal(bytes_of(at->name, at->name_length), name))
            return at;
        if (at->when_ms < oldest->when_ms)
            oldest = at;
    }
    return oldest;
}

static void note_reason(struct delivery_stats *stats, const struct mail_event *event)
{
    struct bytes name = event->destination;
    struct stats_reason *at = reason_place(stats, name);
    struct buffer said = {0};
    status_add_said(&said, (uint32_t)event->code, event->enhanced, event->text);
    at->text_length = bytes_first(buffer_bytes(&said), sizeof at->text - 1).length;
    memcpy(at->text, buffer_text(&said), at->text_length);
    at->text[at->text_length] = '\0';
    buffer_free(&said);
    at->name_length = name.length;
    memcpy(at->name, name.at, name.length);
    at->when_ms = event->at_ms;
}

void stats_note(struct queue *queue, const struct mail_event *event)
{
    struct delivery_stats *stats = &queue->stats;
    stats->accepted += event->kind == EVENT_RECEIVED && event->own == 0;
    switch (mail_event_class(event->kind)) {
    case EVENT_CLASS_NONE:
    case EVENT_CLASS_GONE: break;
    case EVENT_CLASS_DELIVERED: stats->delivered++; break;
    case EVENT_CLASS_FAILED: stats->failed++; break;
    case EVENT_CLASS_DEFERRED:
        stats->deferred++;
        note_reason(stats, event);
        break;
    }
}

/* ---- on request ---- */

static bool is_busier(const struct schedule_destination *a, const struct schedule_destination *b)
{
    return a->in_progress != b->in_progress ? a->in_progress > b->in_progress : a->wanting && !b->wanting;
}

/* Finds the busiest; at most QUEUE_STATS_DESTINATIONS_MAX. */
static size_t find_busiest(const struct queue *queue, const struct schedule_destination **found)
{
    size_t count = 0;
    for (const struct active_destination *a = queue->active; a != NULL; a = a->next) {
        const struct schedule_destination *d = &a->scheduled;
        size_t at = count;
        if (d->in_progress == 0 && !d->wanting && d->until_ms == 0)
            continue;
        while (at > 0 && is_busier(d, found[at - 1]))
            at--;
        if (at == QUEUE_STATS_DESTINATIONS_MAX)
            continue;
        count += count < QUEUE_STATS_DESTINATIONS_MAX;
        memmove(found + at + 1, found + at, (count - 1 - at) * sizeof *found);
        found[at] = d;
    }
    return count;
}

static void add_reason(const struct delivery_stats *stats, struct destination_status *status)
{
    for (size_t i = 0; i < QUEUE_STATS_REASONS_MAX; i++) {
        const struct stats_reason *at = &stats->reasons[i];
        if (at->when_ms == 0 || !bytes_equal(bytes_of(at->name, at->name_length), status->name))
            continue;
        status->deferred_ms = at->when_ms;
        status->reason = bytes_of(at->text, at->text_length);
    }
}

static bool is_among(const struct destination_status *list, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(list[i].name, name))
            return true;
    return false;
}

/* Adds inactive ones with the most recent deferrals. */
static size_t add_quiet(struct queue *queue, uint64_t now_ms, struct destination_status *list, size_t count)
{
    size_t busy = count;
    for (size_t i = 0; i < QUEUE_STATS_REASONS_MAX; i++) {
        const struct stats_reason *at = &queue->stats.reasons[i];
        struct bytes name = bytes_of(at->name, at->name_length);
        struct store_destination row;
        if (at->when_ms == 0 || is_among(list, busy, name) || !store_destination(queue->store, name, &row))
            continue;
        list[count++] = (struct destination_status){.name = name,
                                                    .failures = schedule_failure_count(row.failures),
                                                    .until_ms = row.due_ms > now_ms ? row.due_ms : 0};
    }
    return count;
}

static void add_in_progress(const struct queue *queue, struct arena *arena, struct ipc_status_answer *answer)
{
    size_t position = 0, count = 0;
    void *value;
    while (map_next(&queue->deliveries, &position, NULL, &value))
        count += ((struct queue_delivery *)value)->active == NULL
                     ? 0
                     : ((struct queue_delivery *)value)->recipient_count;
    answer->in_progress = ARENA_ARRAY(arena, struct chosen, count);
    for (position = 0; map_next(&queue->deliveries, &position, NULL, &value);) {
        const struct queue_delivery *d = value;
        for (size_t i = 0; d->active != NULL && i < d->recipient_count; i++)
            answer->in_progress[answer->in_progress_count++] = (struct chosen){d->message.id,
                                                                               d->recipients[i].number};
    }
}

void queue_status(struct queue *queue, bool with_in_progress, uint64_t now_ms, struct arena *arena,
                  struct ipc_status_answer *answer)
{
    const struct schedule_destination *busiest[QUEUE_STATS_DESTINATIONS_MAX];
    const struct delivery_stats *stats = &queue->stats;
    size_t count = find_busiest(queue, busiest);
    *answer = (struct ipc_status_answer){.request = answer->request,
                                         .started_ms = stats->started_ms,
                                         .accepted = stats->accepted,
                                         .delivered = stats->delivered,
                                         .deferred = stats->deferred,
                                         .failed = stats->failed,
                                         .deliveries = (uint32_t)queue_in_progress(queue),
                                         .is_held = queue->options.hold,
                                         .is_full = queue->stuck && queue->stuck_as == STORE_FULL};
    struct destination_status *list = answer->destinations = ARENA_ARRAY(
        arena, struct destination_status, QUEUE_STATS_DESTINATIONS_MAX + QUEUE_STATS_REASONS_MAX);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct destination_status){.name = busiest[i]->name,
                                              .deliveries = busiest[i]->in_progress,
                                              .limit = busiest[i]->limit,
                                              .failures = schedule_failure_count(busiest[i]->failures),
                                              .until_ms = busiest[i]->until_ms,
                                              .has_due = busiest[i]->wanting};
    answer->destination_count = add_quiet(queue, now_ms, list, count);
    for (size_t i = 0; i < answer->destination_count; i++)
        add_reason(stats, &list[i]);
    if (with_in_progress)
        add_in_progress(queue, arena, answer);
}
