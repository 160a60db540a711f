/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/schedule.h"

#include <assert.h>

enum { PACE_SLACK_US = 50 * 1000 }; /* a late clock or turn does not lower a rate */

/* ---- due times ---- */

uint64_t schedule_delay_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random)
{
    double delay = (double)retry->first_ms;
    for (uint32_t i = 1; i < attempts && delay < (double)retry->max_ms && retry->factor > 1.0; i++)
        delay *= retry->factor;
    if (!(delay < (double)retry->max_ms))
        delay = (double)retry->max_ms;
    double spread = (double)(random >> 11) / (double)(UINT64_C(1) << 53); /* 0 to 1 */
    delay *= 1.0 + (2.0 * spread - 1.0) * SCHEDULE_JITTER_PERCENT / 100.0;
    return delay < 1.0 ? 1 : (uint64_t)delay;
}

uint64_t schedule_due_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random,
                         uint64_t now_ms, uint64_t expires_ms)
{
    uint64_t due_ms = now_ms + schedule_delay_ms(retry, attempts, random);
    return expires_ms > now_ms && due_ms > expires_ms ? expires_ms : due_ms;
}

/* Parses "300 seconds", "5 minutes", "00:05:00" into seconds; 0 if absent. */
static uint64_t said_seconds(struct bytes text)
{
    uint64_t number = 0;
    size_t digits = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (ascii_is_digit(text.at[i])) {
            number = digits++ == 0 ? 0 : number;
            number = number < 100000 ? number * 10 + (uint64_t)(text.at[i] - '0') : number;
            continue;
        }
        struct bytes rest = bytes_from(text, text.at[i] == ' ' ? i + 1 : i);
        if (digits > 0 && (bytes_starts_nocase(rest, "sec") || bytes_starts_nocase(rest, "s)")))
            return number;
        if (digits > 0 && bytes_starts_nocase(rest, "min"))
            return number * 60;
        digits = 0;
    }
    return 0;
}

uint64_t schedule_greylist_ms(uint32_t attempts, uint32_t code, struct bytes text)
{
    static const char *const words[] = {"greylist",  "graylist",  "grey-list",
                                        "gray-list", "grey list", "postgrey"};
    bool says_so = false;
    if (attempts != 1 || (code != 450 && code != 451 && code != 452 && code != 421))
        return 0;
    for (size_t at = 0; at < text.length && !says_so; at++)
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            says_so = says_so || bytes_starts_nocase(bytes_from(text, at), words[i]);
    uint64_t wait_ms = said_seconds(text) * 1000;
    if (wait_ms > SCHEDULE_GREYLIST_MAX_MS)
        return 0;
    /* tolerance for clock differences */
    return wait_ms > 0 ? wait_ms + 5000 : says_so ? SCHEDULE_GREYLIST_MS : 0;
}

bool schedule_is_over(uint64_t expires_ms, uint64_t due_ms, uint64_t now_ms)
{
    uint64_t last_ms = due_ms > expires_ms ? due_ms : expires_ms;
    return last_ms + SCHEDULE_GRACE_MS <= now_ms;
}

enum schedule_wait schedule_wait_reason(const struct schedule_facts *f, uint64_t now_ms, uint64_t *next_ms)
{
    *next_ms = 0;
    if (f->in_progress)
        return WAIT_IN_PROGRESS;
    if (f->held)
        return WAIT_HELD;
    if (!f->served)
        return WAIT_NO_SERVER;
    if (f->all_held)
        return WAIT_ALL_HELD;
    *next_ms = f->backoff_until_ms > f->due_ms ? f->backoff_until_ms : f->due_ms;
    if (*next_ms > now_ms)
        return f->backoff_until_ms > f->due_ms ? WAIT_BACKOFF : WAIT_RETRY;
    *next_ms = now_ms;
    return WAIT_TURN;
}

/* ---- destinations ---- */

void schedule_start(struct schedule *schedule, const struct schedule_retry *retry, uint64_t seed)
{
    *schedule = (struct schedule){.retry = *retry};
    schedule->transports[SCHEDULE_LOCAL].max = SCHEDULE_LOCAL_MAX;
    schedule->transports[SCHEDULE_AWAY].max = SCHEDULE_AWAY_MAX;
    schedule->transports[SCHEDULE_LOOKUP].max = SCHEDULE_CONCURRENCY_MAX;
    map_start(&schedule->destinations, seed);
}

void schedule_free(struct schedule *schedule)
{
    map_free(&schedule->destinations);
}

static void ring_add(struct schedule *schedule, struct schedule_destination *d)
{
    struct schedule_destination **ring = &schedule->transports[d->transport].ring;
    d->in_ring = true;
    if (*ring == NULL) {
        *ring = d->next = d->previous = d;
        return;
    }
    d->next = *ring; /* before the next in turn: at the end */
    d->previous = (*ring)->previous;
    d->previous->next = d;
    d->next->previous = d;
}

static void ring_remove(struct schedule *schedule, struct schedule_destination *d)
{
    struct schedule_destination **ring = &schedule->transports[d->transport].ring;
    if (*ring == d)
        *ring = d->next == d ? NULL : d->next;
    d->previous->next = d->next;
    d->next->previous = d->previous;
    d->next = d->previous = NULL;
    d->in_ring = false;
}

/* The ring holds exactly the destinations that may start a delivery now. */
static bool belongs_in_ring(const struct schedule_destination *d)
{
    return d->wanting && d->until_ms == 0 && d->in_progress < d->limit && !d->paced;
}

/* The invariant after each function of this file; asserted where a destination changes. */
static bool is_sound(const struct schedule *schedule, const struct schedule_destination *d)
{
    uint32_t all = schedule->transports[d->transport].in_progress,
             most = schedule->transports[d->transport].max;
    bool limits = d->limit >= 1 && d->limit <= d->most && d->in_progress <= all && all <= most;
    bool backs_off = d->until_ms == 0 || d->transport == SCHEDULE_AWAY;
    bool in_place = d->in_ring == belongs_in_ring(d) && d->in_ring == (d->next != NULL) &&
                    (!d->in_ring || schedule->transports[d->transport].ring != NULL);
    return limits && backs_off && in_place && d->passing <= d->in_progress && (!d->paced || d->rate > 0);
}

/* Updates the ring and timers after each change of a destination. */
static void place(struct schedule *schedule, struct schedule_destination *d)
{
    bool wanted = belongs_in_ring(d);
    if (wanted && !d->in_ring)
        ring_add(schedule, d);
    else if (!wanted && d->in_ring)
        ring_remove(schedule, d);
    assert(is_sound(schedule, d));
}

struct schedule_destination *schedule_find(const struct schedule *schedule, struct bytes name)
{
    return map_get(&schedule->destinations, name);
}

static uint32_t first_limit(const struct schedule_destination *d)
{
    uint32_t first = d->failures >= SCHEDULE_FAILURES_MAX ? 1 : SCHEDULE_CONCURRENCY_FIRST;
    if (d->transport == SCHEDULE_LOCAL)
        return SCHEDULE_LOCAL_MAX;
    return first < d->most ? first : d->most;
}

void schedule_enter(struct schedule *schedule, struct schedule_destination *destination, struct bytes name,
                    enum schedule_transport transport, uint32_t failures)
{
    *destination = (struct schedule_destination){
        .name = name,
        .transport = transport,
        .failures = failures,
        .most = transport == SCHEDULE_LOCAL ? SCHEDULE_LOCAL_MAX : SCHEDULE_CONCURRENCY_MAX};
    destination->limit = first_limit(destination);
    map_put(&schedule->destinations, name, destination);
}

void schedule_limit(struct schedule *schedule, struct schedule_destination *destination, uint32_t connections,
                    uint32_t rate)
{
    if (connections > 0)
        destination->most = connections;
    destination->rate = rate;
    destination->limit = first_limit(destination);
    place(schedule, destination);
}

/* ---- rates ---- */

static void pace(struct schedule *schedule, struct schedule_destination *d, uint64_t now_ms)
{
    if (d->rate == 0)
        return;
    uint64_t now_us = now_ms * 1000;
    d->pace_us = (d->pace_us + PACE_SLACK_US > now_us ? d->pace_us : now_us) + UINT64_C(60000000) / d->rate;
    if (d->pace_us <= now_us || d->paced)
        return;
    d->paced = true;
    d->paced_next = schedule->paced;
    schedule->paced = d;
}

static void unpace(struct schedule *schedule, struct schedule_destination *d)
{
    struct schedule_destination **at = &schedule->paced;
    if (!d->paced)
        return;
    while (*at != d)
        at = &(*at)->paced_next;
    *at = d->paced_next;
    d->paced = false;
}

uint64_t schedule_wake_ms(const struct schedule *schedule)
{
    uint64_t first_us = 0;
    for (const struct schedule_destination *d = schedule->paced; d != NULL; d = d->paced_next)
        first_us = first_us == 0 || d->pace_us < first_us ? d->pace_us : first_us;
    return (first_us + 999) / 1000;
}

void schedule_wake(struct schedule *schedule, uint64_t now_ms)
{
    for (struct schedule_destination *d = schedule->paced, *next; d != NULL; d = next) {
        next = d->paced_next;
        if (d->pace_us > now_ms * 1000)
            continue;
        unpace(schedule, d);
        place(schedule, d);
    }
}

/* ---- turns ---- */

void schedule_leave(struct schedule *schedule, struct schedule_destination *destination)
{
    assert(destination->in_progress == 0);
    schedule_want(schedule, destination, false);
    unpace(schedule, destination);
    map_remove(&schedule->destinations, destination->name);
}

void schedule_want(struct schedule *schedule, struct schedule_destination *destination, bool wanting)
{
    destination->wanting = wanting;
    place(schedule, destination);
}

bool schedule_may_start(const struct schedule *schedule, const struct schedule_destination *destination)
{
    return destination->until_ms == 0 && destination->in_progress < destination->limit &&
           !destination->paced &&
           schedule->transports[destination->transport].in_progress <
               schedule->transports[destination->transport].max;
}

struct schedule_destination *schedule_next(const struct schedule *schedule, enum schedule_transport transport)
{
    return schedule->transports[transport].in_progress < schedule->transports[transport].max
               ? schedule->transports[transport].ring
               : NULL;
}

void schedule_started(struct schedule *schedule, struct schedule_destination *destination, uint64_t now_ms)
{
    struct schedule_destination **ring = &schedule->transports[destination->transport].ring;
    assert(destination->in_progress < destination->limit);
    destination->in_progress++;
    destination->turns++;
    schedule->transports[destination->transport].in_progress++;
    if (*ring == destination)
        *ring = destination->next;
    pace(schedule, destination, now_ms);
    place(schedule, destination);
}

/* Grows by one when as many succeeded as the limit allows: doubles per round at first, like TCP's window. */
static void grow(struct schedule_destination *d)
{
    d->failures = 0;
    if (++d->good < (d->limit < SCHEDULE_CONCURRENCY_FIRST ? 1 : d->limit) || d->limit >= d->most)
        return;
    d->limit++;
    d->good = 0;
}

/* Once for all deliveries in progress: their failures have the same cause. */
static void shrink(struct schedule_destination *d)
{
    d->good = 0;
    d->limit = d->limit > 1 ? d->limit / 2 : 1;
    d->passing = d->in_progress;
}

/* True if the limit of failures was reached. */
static bool fail(struct schedule *schedule, struct schedule_destination *d, uint64_t now_ms, uint64_t random)
{
    if (d->until_ms != 0)
        return false; /* started before the backoff: already counted */
    d->failures++;
    if (d->failures < SCHEDULE_FAILURES_MAX)
        return false;
    d->limit = 1;
    d->until_ms = now_ms +
                  schedule_delay_ms(&schedule->retry, d->failures - SCHEDULE_FAILURES_MAX + 1, random);
    return true;
}

bool schedule_ended(struct schedule *schedule, struct schedule_destination *destination,
                    enum schedule_news news, uint64_t now_ms, uint64_t random)
{
    bool backs_off = false, passing = destination->passing > 0;
    assert(destination->in_progress > 0);
    destination->in_progress--;
    schedule->transports[destination->transport].in_progress--;
    if (passing)
        destination->passing--;
    if (news == SCHEDULE_ANSWERED)
        grow(destination);
    else if (news != SCHEDULE_UNKNOWN && destination->transport == SCHEDULE_AWAY) {
        bool alone = destination->in_progress == 0; /* then other senders keep it busy */
        if (!passing && destination->until_ms == 0)
            shrink(destination);
        backs_off = (news == SCHEDULE_UNREACHABLE || alone) && fail(schedule, destination, now_ms, random);
    }
    place(schedule, destination);
    return backs_off;
}

void schedule_reset_failures(struct schedule *schedule, struct schedule_destination *destination)
{
    destination->failures = 0;
    destination->until_ms = 0;
    destination->limit = first_limit(destination);
    place(schedule, destination);
}
