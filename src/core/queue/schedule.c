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

uint64_t schedule_due_ms(uint64_t delay_ms, uint64_t now_ms, uint64_t expires_ms)
{
    uint64_t due_ms = now_ms + delay_ms;
    return expires_ms > now_ms && due_ms > expires_ms ? expires_ms : due_ms;
}

/* ---- after a reply ---- */

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
        if (digits > 0 && bytes_starts_nocase(rest, "hour"))
            return number * 3600;
        digits = 0;
    }
    return 0;
}

/* Returns the delay before an early second attempt; 0: none. */
static uint64_t early_ms(uint32_t attempts, const struct reply_meaning *meaning, uint64_t named_ms)
{
    if (attempts != 1 || (meaning->class != CLASS_GREYLIST && meaning->class != CLASS_SYSTEM) ||
        named_ms > SCHEDULE_GREYLIST_MAX_MS)
        return 0;
    if (named_ms > 0)
        return (named_ms < SCHEDULE_GREYLIST_MIN_MS ? SCHEDULE_GREYLIST_MIN_MS : named_ms) +
               5000; /* tolerance for clock differences */
    return meaning->class == CLASS_GREYLIST ? SCHEDULE_GREYLIST_MS : 0;
}

/* Returns how the usual delay is multiplied. A temporary reply without hope is as one that takes long. */
static uint64_t multiple_of(const struct reply_meaning *meaning)
{
    switch (meaning->retry) {
    case REPLY_RETRY_SOON: return 1;
    case REPLY_RETRY_NO:
    case REPLY_RETRY_SLOWLY:
    case REPLY_RETRY_SLOW_DOWN:
    case REPLY_RETRY_STOP:
    case REPLY_RETRY_OTHER_SOURCE: break;
    }
    return SCHEDULE_SLOWLY;
}

static struct schedule_retry slowed(const struct schedule_retry *retry, uint64_t times)
{
    struct schedule_retry slow = *retry;
    slow.first_ms = retry->first_ms <= retry->max_ms / times ? retry->first_ms * times : retry->max_ms;
    return slow;
}

uint64_t schedule_reply_delay_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random,
                                 const struct schedule_reply *reply)
{
    if (reply->meaning == NULL)
        return schedule_delay_ms(retry, attempts, random);
    struct schedule_retry slow = slowed(retry, multiple_of(reply->meaning));
    uint64_t delay_ms = schedule_delay_ms(&slow, attempts, random);
    uint64_t named_ms = said_seconds(reply->text) * 1000;
    uint64_t sooner_ms = early_ms(attempts, reply->meaning, named_ms);
    if (sooner_ms > 0)
        return sooner_ms < delay_ms ? sooner_ms : delay_ms;
    if (named_ms > SCHEDULE_NAMED_MAX_MS)
        named_ms = SCHEDULE_NAMED_MAX_MS;
    return named_ms > delay_ms ? named_ms : delay_ms;
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
    schedule->transports[SCHEDULE_REPORTS].max = SCHEDULE_REPORTS_MAX;
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

/* Grows by one when as many succeeded as the limit allows: doubles per round at first, like TCP's window;
 * slowly after a rate limit, up to what was allowed at first. */
static void grow(struct schedule_destination *d)
{
    uint32_t needed = d->limit < SCHEDULE_CONCURRENCY_FIRST ? 1 : d->limit;
    d->failures = 0;
    if (d->slow)
        needed *= SCHEDULE_SLOW_GROWTH;
    if (++d->good < needed || d->limit >= d->most)
        return;
    d->limit++;
    d->good = 0;
    d->slow = d->slow && d->limit < SCHEDULE_CONCURRENCY_FIRST;
}

/* Once for all deliveries in progress: their failures have the same cause. */
static void shrink(struct schedule_destination *d)
{
    d->good = 0;
    d->limit = d->limit > 1 ? d->limit / 2 : 1;
    d->passing = d->in_progress;
}

static uint32_t failed_again(uint32_t failures)
{
    uint32_t count = schedule_failure_count(failures);
    return count < SCHEDULE_REFUSED - 1 ? count + 1 : count;
}

/* Defers the destination; afterwards one delivery probes it. */
static void back_off(struct schedule_destination *d, const struct schedule_retry *retry, uint64_t now_ms,
                     uint64_t random)
{
    d->limit = 1;
    d->until_ms = now_ms + schedule_delay_ms(retry,
                                             schedule_failure_count(d->failures) - SCHEDULE_FAILURES_MAX + 1,
                                             random);
}

/* True if the limit of failures was reached. */
static bool fail(struct schedule *schedule, struct schedule_destination *d, uint64_t now_ms, uint64_t random)
{
    if (d->until_ms != 0)
        return false; /* started before the backoff: already counted */
    d->failures = failed_again(d->failures);
    if (d->failures < SCHEDULE_FAILURES_MAX)
        return false;
    back_off(d, &schedule->retry, now_ms, random);
    return true;
}

/* A reply that concerns all mail of this server. One delivery at a time was allowed and is too many, or
 * none is wanted: true, and the destination is deferred immediately; longer each time. */
static bool restrain(struct schedule *schedule, struct schedule_destination *d, enum schedule_news news,
                     uint64_t now_ms, uint64_t random)
{
    struct schedule_retry slow = slowed(&schedule->retry, SCHEDULE_SLOWLY);
    d->slow = true;
    if (news == SCHEDULE_LIMITED && d->limit > 1) {
        shrink(d);
        return false;
    }
    d->failures = failed_again(d->failures);
    if (d->failures < SCHEDULE_FAILURES_MAX)
        d->failures = SCHEDULE_FAILURES_MAX;
    d->failures |= SCHEDULE_REFUSED;
    back_off(d, news == SCHEDULE_LIMITED ? &schedule->retry : &slow, now_ms, random);
    d->passing = d->in_progress;
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
    else if (news == SCHEDULE_LIMITED || news == SCHEDULE_REJECTED) {
        if (!passing && destination->until_ms == 0 && destination->transport == SCHEDULE_AWAY)
            backs_off = restrain(schedule, destination, news, now_ms, random);
    } else if (news != SCHEDULE_UNKNOWN && destination->transport == SCHEDULE_AWAY) {
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
    destination->slow = false;
    destination->limit = first_limit(destination);
    place(schedule, destination);
}
