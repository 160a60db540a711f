/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destinations: the destinations in memory. One enters when some of its mail is due, and leaves when its
 * remaining mail is due later: the store keeps that time. One without mail stays as idle, since more may
 * come, until another needs its place.
 */
#include <assert.h>
#include <stdlib.h>

#include "queue/queue_state.h"

static_assert((size_t)PLAN_NAME_MAX == (size_t)STORE_DESTINATION_MAX, "the store takes each name of a plan");

struct bytes destinations_find(const struct queue *queue, const struct recipient *recipient,
                               char buffer[STORE_DESTINATION_MAX])
{
    return plan_recipient(&queue->options.routes, recipient, buffer).name;
}

static enum schedule_transport transport_of(enum next_hop hop)
{
    switch (hop) {
    case NEXT_HOP_LOCAL: return SCHEDULE_LOCAL;
    case NEXT_HOP_REPORTS: return SCHEDULE_REPORTS;
    case NEXT_HOP_LOOKUP: return SCHEDULE_LOOKUP;
    case NEXT_HOP_MX:
    case NEXT_HOP_AUTO:
    case NEXT_HOP_HOST:
    case NEXT_HOP_SMARTHOST: break;
    }
    return SCHEDULE_AWAY;
}

/* ---- in memory ---- */

bool destinations_is_sound(const struct queue *queue, const struct active_destination *a)
{
    const struct schedule_destination *d = &a->scheduled;
    bool page = a->page_at <= a->page.count && a->page.count <= STORE_PAGE_MAX;
    bool idle = !a->idle || (d->in_progress == 0 && !d->wanting && d->until_ms == 0);
    bool listed = (a->previous != NULL || queue->active == a) && (!a->idle || queue->idle_first != NULL);
    return page && idle && listed && d->name.at == a->name && queue->idle_count <= queue->active_count &&
           queue->active_count <= ACTIVE_MAX && (queue->idle_count == 0) == (queue->idle_first == NULL);
}

static void idle_add(struct queue *queue, struct active_destination *a)
{
    if (a->idle)
        return;
    a->idle = true;
    a->idle_next = NULL;
    a->idle_previous = queue->idle_last;
    *(queue->idle_last == NULL ? &queue->idle_first : &queue->idle_last->idle_next) = a;
    queue->idle_last = a;
    queue->idle_count++;
}

static void idle_remove(struct queue *queue, struct active_destination *a)
{
    if (!a->idle)
        return;
    a->idle = false;
    *(a->idle_previous == NULL ? &queue->idle_first : &a->idle_previous->idle_next) = a->idle_next;
    *(a->idle_next == NULL ? &queue->idle_last : &a->idle_next->idle_previous) = a->idle_previous;
    queue->idle_count--;
}

static void page_free(struct queue *queue, struct active_destination *a)
{
    queue->page_octets -= a->page_octets;
    a->page_octets = 0;
    a->page = (struct store_page){0};
    a->page_at = 0;
    arena_clear(&a->page_arena);
}

static void leave(struct queue *queue, struct active_destination *a)
{
    idle_remove(queue, a);
    schedule_leave(&queue->schedule, &a->scheduled);
    *(a->previous == NULL ? &queue->active : &a->previous->next) = a->next;
    if (a->next != NULL)
        a->next->previous = a->previous;
    queue->active_count--;
    page_free(queue, a);
    free(a);
}

static bool has_room(struct queue *queue)
{
    if (queue->active_count >= ACTIVE_MAX && queue->idle_first != NULL) {
        struct active_destination *idle = queue->idle_first;
        store_destination_put(queue->store, idle->scheduled.name, STORE_NEVER, 0);
        leave(queue, idle);
    }
    return queue->active_count < ACTIVE_MAX;
}

static void enter(struct queue *queue, struct bytes name, uint32_t failures)
{
    struct active_destination *a = memory_new(sizeof *a);
    struct plan plan = plan_destination(&queue->options.routes, name);
    memcpy(a->name, name.at, name.length);
    a->hop = plan.hop;
    schedule_enter(&queue->schedule, &a->scheduled, bytes_of(a->name, name.length), transport_of(plan.hop),
                   failures);
    if (a->scheduled.transport == SCHEDULE_AWAY)
        schedule_limit(&queue->schedule, &a->scheduled, plan.connections, plan.rate);
    a->entered_batch = queue->batch;
    a->next = queue->active;
    if (a->next != NULL)
        a->next->previous = a;
    queue->active = a;
    queue->active_count++;
    schedule_want(&queue->schedule, &a->scheduled, true);
    assert(destinations_is_sound(queue, a));
}

/* Releases the memory later: some of it may be in use by a delivery. */
static void forget_page(struct active_destination *a)
{
    a->page_at = a->page.count;
    a->cursor = (struct store_due){0};
}

void destinations_changed(struct queue *queue, struct bytes name)
{
    struct active_destination *a = (struct active_destination *)schedule_find(&queue->schedule, name);
    if (a != NULL)
        forget_page(a);
}

void destinations_forget_pages(struct queue *queue)
{
    for (struct active_destination *a = queue->active; a != NULL; a = a->next) {
        forget_page(a);
        idle_remove(queue, a);
        schedule_want(&queue->schedule, &a->scheduled, true);
    }
}

void destinations_undone(struct queue *queue, uint64_t batch)
{
    destinations_forget_pages(queue);
    for (struct active_destination *a = queue->active; a != NULL; a = a->next)
        a->rowless = a->rowless || a->entered_batch >= batch;
}

static void put(struct queue *queue, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    store_destination_put(queue->store, name, due_ms, failures);
    if (queue->wake_ms == 0 || due_ms < queue->wake_ms)
        queue->wake_ms = due_ms;
}

void destinations_due(struct queue *queue, struct bytes name, uint64_t now_ms, bool forgive)
{
    struct active_destination *a = (struct active_destination *)schedule_find(&queue->schedule, name);
    if (a != NULL) {
        if (forgive)
            schedule_reset_failures(&queue->schedule, &a->scheduled);
        if (forgive || now_ms < a->cursor.due_ms) /* mail due now sorts before the page read */
            forget_page(a);
        if (a->rowless) {
            store_destination_put(queue->store, name, now_ms, a->scheduled.failures);
            a->entered_batch = queue->batch;
            a->rowless = false;
        }
        idle_remove(queue, a);
        schedule_want(&queue->schedule, &a->scheduled, true);
        assert(destinations_is_sound(queue, a));
        return;
    }
    struct store_destination row;
    bool known = store_destination(queue->store, name, &row);
    uint32_t failures = known && !forgive ? row.failures : 0;
    if (known && failures >= SCHEDULE_FAILURES_MAX && row.due_ms > now_ms)
        return; /* deferred: the destination does not respond */
    if (!known || row.due_ms > now_ms || forgive)
        store_destination_put(queue->store, name, now_ms, failures);
    if (has_room(queue))
        enter(queue, name, failures);
    else
        queue->outside = true;
}

/* ---- due mail of a destination ---- */

/* Removes deliveries in progress: their rows are still due until the result is stored. */
static void leave_out_in_progress(struct queue *queue, struct store_page *page)
{
    size_t kept = 0;
    for (size_t at = 0; at < page->count; at++) {
        struct store_delivery *d = &page->deliveries[at];
        size_t left = 0;
        for (size_t i = 0; i < d->recipient_count; i++)
            if (!deliveries_has(queue, d->message.id, d->recipients[i].number))
                d->recipients[left++] = d->recipients[i];
        d->recipient_count = left;
        if (left > 0)
            page->deliveries[kept++] = *d;
    }
    page->count = kept;
}

/* True if rows were read, though all may be in progress. */
static bool read_page(struct queue *queue, struct active_destination *a, uint64_t now_ms)
{
    struct store_due_question question = {
        .destination = a->scheduled.name,
        .now_ms = now_ms,
        .after = a->cursor,
        .deliveries_max = STORE_PAGE_MAX,
        .recipients_max = a->scheduled.transport == SCHEDULE_LOOKUP ? 1 : DELIVERY_RECIPIENTS_MAX};
    page_free(queue, a);
    uint64_t room = queue->page_octets < PAGES_OCTETS_MAX ? PAGES_OCTETS_MAX - queue->page_octets : 0;
    question.contents_max = room < PAGE_CONTENTS_MAX ? room : PAGE_CONTENTS_MAX;
    store_due(queue->store, &question, &a->page_arena, &a->page);
    bool any = a->page.end.id != a->cursor.id || a->page.end.number != a->cursor.number;
    a->cursor = a->page.end;
    a->page_octets = a->page_arena.used;
    queue->page_octets += a->page_octets;
    leave_out_in_progress(queue, &a->page);
    return any;
}

/* Reads pages after the cursor until one has something to deliver, or nothing more is due. */
static void turn_page(struct queue *queue, struct active_destination *a, uint64_t now_ms)
{
    while (read_page(queue, a, now_ms) && a->page.count == 0)
        continue;
}

const struct store_delivery *destinations_next(struct queue *queue, struct active_destination *a,
                                               uint64_t now_ms)
{
    if (a->page_at == a->page.count)
        turn_page(queue, a, now_ms);
    assert(destinations_is_sound(queue, a));
    return a->page_at == a->page.count ? NULL : &a->page.deliveries[a->page_at++];
}

/* All of its mail is due later: the store keeps the time. */
static void leave_until(struct queue *queue, struct active_destination *a, uint64_t due_ms)
{
    put(queue, a->scheduled.name, due_ms, a->scheduled.failures);
    leave(queue, a);
}

void destinations_rest(struct queue *queue, struct active_destination *a, uint64_t now_ms)
{
    if (a->scheduled.until_ms != 0) { /* deferred */
        if (a->scheduled.in_progress == 0)
            leave_until(queue, a, a->scheduled.until_ms);
        return;
    }
    if (a->scheduled.wanting)
        return;
    uint64_t next_ms = store_next_due(queue->store, a->scheduled.name, now_ms);
    if (a->scheduled.in_progress > 0) {
        a->look_ms = next_ms;
        if (next_ms != 0 && (queue->look_ms == 0 || next_ms < queue->look_ms))
            queue->look_ms = next_ms;
        return;
    }
    if (a->cursor.due_ms != 0) { /* nothing is in progress: reads once more from the beginning */
        forget_page(a);
        turn_page(queue, a, now_ms);
        if (a->page.count > 0) {
            schedule_want(&queue->schedule, &a->scheduled, true);
            return;
        }
    }
    page_free(queue, a);
    if (next_ms != 0) {
        leave_until(queue, a, next_ms);
    } else {
        idle_add(queue, a);
        assert(destinations_is_sound(queue, a));
    }
}

/* ---- waking ---- */

/* Wakes active destinations with mail that has become due. */
static void look(struct queue *queue, uint64_t now_ms)
{
    if (queue->look_ms == 0 || queue->look_ms > now_ms)
        return;
    queue->look_ms = 0;
    for (struct active_destination *a = queue->active; a != NULL; a = a->next) {
        if (a->look_ms == 0)
            continue;
        if (a->look_ms <= now_ms) {
            a->look_ms = 0;
            schedule_want(&queue->schedule, &a->scheduled, true);
        } else if (queue->look_ms == 0 || a->look_ms < queue->look_ms) {
            queue->look_ms = a->look_ms;
        }
    }
}

/* Loads destinations with due mail from the store. */
static void fetch(struct queue *queue, uint64_t now_ms)
{
    struct store_destination page[STORE_READ_MAX], after;
    size_t count = 0;
    uint64_t next_ms;
    queue->outside = false;
    do {
        after = count == 0 ? (struct store_destination){0} : page[count - 1];
        count = store_destinations_due(queue->store, now_ms, &after, STORE_READ_MAX, page, &next_ms);
        for (size_t i = 0; i < count; i++) {
            struct bytes name = store_destination_name(&page[i]);
            if (schedule_find(&queue->schedule, name) != NULL)
                continue;
            if (!has_room(queue)) {
                queue->outside = true;
                break;
            }
            enter(queue, name, page[i].failures);
        }
    } while (count == STORE_READ_MAX && !queue->outside);
    queue->wake_ms = next_ms;
}

void queue_wake(struct queue *queue, uint64_t now_ms)
{
    if (queue->options.hold || queue->committing || (queue->stuck && queue->stuck_as == STORE_UNREACHABLE))
        return;
    look(queue, now_ms);
    schedule_wake(&queue->schedule, now_ms);
    bool room_again = queue->outside &&
                      ACTIVE_MAX - queue->active_count + queue->idle_count >= ACTIVE_MAX / 10;
    if (room_again || (queue->wake_ms != 0 && queue->wake_ms <= now_ms))
        fetch(queue, now_ms);
    if (queue->sweep_ms <= now_ms)
        delivery_result_expire_due(queue, now_ms);
    assert(queue_is_sound(queue));
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms == 0 ? b_ms : b_ms == 0 || a_ms < b_ms ? a_ms : b_ms;
}

uint64_t queue_wake_ms(const struct queue *queue)
{
    if (queue->stuck)
        return queue->stuck_ms;
    if (queue->options.hold)
        return 0;
    return earlier(earlier(queue->look_ms, queue->wake_ms),
                   earlier(schedule_wake_ms(&queue->schedule), queue->sweep_ms));
}
