/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schedule under any order of events: a destination in turn may start; none that may start waits
 * longer than one turn of all others; no limit and no rate is exceeded; and the computed times are within
 * their bounds.
 */
#include "choices.h"
#include "core/queue/schedule.h"

enum { DESTINATIONS = 6 };

struct place {
    struct schedule_destination destination;
    bool entered;
    uint64_t entered_ms, starts; /* since it entered */
    unsigned waited;             /* turns of others since it may start */
};

struct schedule_world {
    struct choices choices;
    struct schedule schedule;
    struct place places[DESTINATIONS];
    uint64_t now_ms;
};

static const char *const names[DESTINATIONS] = {"a.example", "b.example", "c.example",
                                                "d.example", "local",     "lookup"};

static enum schedule_transport way_of(size_t i)
{
    return i < 4 ? SCHEDULE_AWAY : i == 4 ? SCHEDULE_LOCAL : SCHEDULE_LOOKUP;
}

static void enter(struct schedule_world *world, size_t i)
{
    struct place *p = &world->places[i];
    *p = (struct place){.entered = true, .entered_ms = world->now_ms};
    schedule_enter(&world->schedule, &p->destination, bytes_of_text(names[i]), way_of(i),
                   choose(&world->choices, 8));
    if (choose(&world->choices, 2) == 0 && way_of(i) == SCHEDULE_AWAY)
        schedule_limit(&world->schedule, &p->destination, choose(&world->choices, 4),
                       choose(&world->choices, 4) * 17);
}

static void start(struct schedule_world *world, struct schedule_destination *d)
{
    struct place *p = (struct place *)d; /* its first member */
    for (size_t i = 0; i < DESTINATIONS; i++)
        if (world->places[i].entered && way_of(i) == d->transport)
            world->places[i].waited++;
    schedule_started(&world->schedule, d, world->now_ms);
    p->starts++;
    p->waited = 0;
    /* One at once, and then as many as the rate gives. */
    INSIST(d->rate == 0 || p->starts <= 2 + (world->now_ms - p->entered_ms + 50) * d->rate / 60000);
}

static void event(struct schedule_world *world, unsigned what, size_t i)
{
    struct place *p = &world->places[i];
    struct schedule_destination *d = &p->destination, *next;
    struct schedule *s = &world->schedule;
    if (!p->entered) {
        enter(world, i);
        return;
    }
    switch (what) {
    case 0: schedule_want(s, d, true); break;
    case 1: schedule_want(s, d, false); break;
    case 2:
    case 3:
    case 4:
        next = schedule_next(s, d->transport);
        if (next != NULL)
            start(world, next);
        break;
    case 5:
    case 6:
        if (d->in_progress > 0 &&
            schedule_ended(s, d, (enum schedule_news)choose(&world->choices, 6), world->now_ms,
                           choose(&world->choices, 256) * UINT64_C(0x0101010101010101)))
            INSIST(d->until_ms > world->now_ms && d->transport == SCHEDULE_AWAY &&
                   d->failures >= SCHEDULE_FAILURES_MAX);
        break;
    case 7: schedule_reset_failures(s, d); break;
    case 8:
        world->now_ms += choose(&world->choices, 256) * 40;
        schedule_wake(s, world->now_ms);
        INSIST(schedule_wake_ms(s) == 0 || schedule_wake_ms(s) > world->now_ms - 1);
        break;
    default:
        if (d->in_progress > 0)
            break;
        schedule_leave(s, d);
        INSIST(schedule_find(s, bytes_of_text(names[i])) == NULL);
        p->entered = false;
    }
}

static void check(struct schedule_world *world)
{
    uint32_t in_progress[SCHEDULE_TRANSPORTS] = {0};
    for (size_t i = 0; i < DESTINATIONS; i++) {
        struct place *p = &world->places[i];
        const struct schedule_destination *d = &p->destination;
        if (!p->entered)
            continue;
        in_progress[d->transport] += d->in_progress;
        INSIST(schedule_find(&world->schedule, d->name) == d);
        INSIST(d->limit >= 1 && d->limit <= d->most);
        INSIST(d->in_ring == (d->wanting && d->until_ms == 0 && d->in_progress < d->limit && !d->paced));
        p->waited = d->in_ring ? p->waited : 0;
        INSIST(p->waited <= DESTINATIONS);
    }
    for (unsigned transport = 0; transport < SCHEDULE_TRANSPORTS; transport++) {
        const struct schedule_destination *next = schedule_next(&world->schedule,
                                                                (enum schedule_transport)transport);
        INSIST(world->schedule.transports[transport].in_progress == in_progress[transport] &&
               in_progress[transport] <= world->schedule.transports[transport].max);
        INSIST(next == NULL || (next->wanting && schedule_may_start(&world->schedule, next) &&
                                next->transport == (enum schedule_transport)transport));
    }
}

/* Checks the bounds of times. */
static void check_times(struct choices *choices, const struct schedule_retry *retry, struct bytes text)
{
    uint32_t attempts = choose(choices, 40);
    uint64_t random = choose(choices, 256) * UINT64_C(0x0101010101010101), now_ms = 1795435200000u,
             expires_ms = now_ms + choose(choices, 256) * 10000 - 100000, next_ms;
    uint64_t delay_ms = schedule_delay_ms(retry, attempts, random),
             due_ms = schedule_due_ms(delay_ms, now_ms, expires_ms);
    INSIST(delay_ms >= 1 && delay_ms <= retry->max_ms + retry->max_ms / 10 + 1);
    INSIST(due_ms > now_ms && (expires_ms <= now_ms || due_ms <= expires_ms));
    INSIST(!schedule_is_over(expires_ms, due_ms, due_ms) &&
           schedule_is_over(expires_ms, due_ms,
                            (due_ms > expires_ms ? due_ms : expires_ms) + SCHEDULE_GRACE_MS));
    struct reply_facts said = {.code = 450, .text = text};
    struct schedule_reply reply = {reply_meaning_find(&said), text};
    uint64_t replied_ms = schedule_reply_delay_ms(retry, attempts, random, &reply);
    uint64_t longest_ms = retry->max_ms + retry->max_ms / 10 + 1;
    INSIST(replied_ms >= 1 &&
           replied_ms <= (longest_ms > SCHEDULE_NAMED_MAX_MS ? longest_ms : SCHEDULE_NAMED_MAX_MS));
    struct schedule_facts facts = {
        .in_progress = choose(choices, 8) == 1,
        .held = choose(choices, 8) == 1,
        .served = choose(choices, 8) != 1,
        .all_held = choose(choices, 8) == 1,
        .due_ms = due_ms,
        .backoff_until_ms = choose(choices, 2) == 0 ? 0 : now_ms + choose(choices, 256)};
    enum schedule_wait wait = schedule_wait_reason(&facts, due_ms - delay_ms, &next_ms);
    INSIST((wait >= WAIT_BACKOFF) == (next_ms > 0) && (next_ms == 0 || next_ms >= due_ms - delay_ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schedule_world world = {.now_ms = 1795435200000u};
    static const double factors[] = {1.0, 1.5, 2.0, 10.0};
    struct bytes stream = choices_start(&world.choices, data, size);
    struct schedule_retry retry = {.first_ms = 1 + choose(&world.choices, 256) * 1000,
                                   .max_ms = 1 + choose(&world.choices, 256) * 100000,
                                   .factor = factors[choose(&world.choices, 4)]};
    schedule_start(&world.schedule, &retry, 1);
    check_times(&world.choices, &retry, stream);
    for (size_t i = 0; i < stream.length; i++) {
        unsigned octet = (unsigned char)stream.at[i];
        event(&world, octet % 10, octet / 10 % DESTINATIONS);
        check(&world);
    }
    schedule_free(&world.schedule);
    return 0;
}
