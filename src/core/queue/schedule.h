/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule: when to try, and whose turn it is. It knows the destinations
 * that the queue has in memory, how many deliveries each may have under way,
 * and which of them answer; of messages it knows nothing.
 *
 * The queue calls schedule_enter() for a destination with mail,
 * schedule_want() when something of it is due, then schedule_next() as long
 * as it gives one; schedule_started() and schedule_ended() frame each
 * delivery. Destinations take turns, so that a long queue for one, or one
 * that is dead, never delays another. A destination whose connections fail is
 * put off as a whole: 100,000 messages for one dead host are not each tried.
 * One that is busy (421) is given less at a time; one with a rate is given
 * its messages one by one: schedule_wake() when schedule_wake_ms() says so.
 */
#ifndef MAILBOAT_CORE_QUEUE_SCHEDULE_H
#define MAILBOAT_CORE_QUEUE_SCHEDULE_H

#include "base/map.h"

enum schedule_limit {
    SCHEDULE_CONCURRENCY_FIRST = 5, /* deliveries under way to a destination of which nothing is known */
    /* when the server of the mailboxes is asked again that did not answer */
    SCHEDULE_LOCAL_RETRY_MS = 15 * 1000,
    SCHEDULE_CONCURRENCY_MAX = 20, /* as many as it grows to */
    SCHEDULE_LOCAL_MAX = 100,      /* into mailboxes of ours */
    SCHEDULE_AWAY_MAX = 10000,     /* to all other destinations together */
    SCHEDULE_FAILURES_MAX = 5,     /* connections that fail in a row until a destination is put off */
    SCHEDULE_JITTER_PERCENT = 10,  /* of a delay, either way */
    /* where a server greylists and does not say for how long: most let go after a minute */
    SCHEDULE_GREYLIST_MS = 70 * 1000,
    SCHEDULE_GREYLIST_MAX_MS = 15 * 60 * 1000, /* of what it says */
    SCHEDULE_GRACE_MS = 5 * 60 * 1000, /* a last attempt has so long before its recipient is given up */
};

/* The ways out: they have rooms and limits of their own. LOOKUP is for the
 * queue's own reports: where they go must be asked before they can leave. */
enum schedule_transport { SCHEDULE_LOCAL, SCHEDULE_AWAY, SCHEDULE_LOOKUP, SCHEDULE_TRANSPORTS };

struct schedule_retry {
    uint64_t first_ms, max_ms;
    double factor;
};

/* How long after failed attempt number `attempts` (from 1) the next is due;
 * `random` makes those that failed together spread. */
uint64_t schedule_delay_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random);
/* When: never behind the expiry while that is ahead, so that a last attempt is made then. */
uint64_t schedule_due_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random,
                         uint64_t now_ms, uint64_t expires_ms);

/* Greylisting (RFC 6647): a first 4xx that says so, or that says how long to
 * wait, is tried again at that time; 0: it is an ordinary failure. */
uint64_t schedule_greylist_ms(uint32_t attempts, uint32_t code, struct bytes text);

/* Is a recipient's time over? One that was due behind the expiry is owed that
 * attempt: it was held by a person until then, or a person said: try again. */
bool schedule_is_over(uint64_t expires_ms, uint64_t due_ms, uint64_t now_ms);

/* Why a recipient waits, for people: the first of these that is true. */
enum schedule_wait {
    WAIT_IN_PROGRESS, /* it does not: an attempt is being made */
    WAIT_HELD,        /* a person said so */
    WAIT_NO_SERVER,
    WAIT_ALL_HELD, /* the configuration holds the whole queue */
    WAIT_BACKOFF,  /* nobody answers at its destination */
    WAIT_RETRY,    /* an attempt failed; the next is not due */
    WAIT_TURN,     /* it is due: others are before it */
};
struct schedule_facts {
    bool in_progress, held, served, all_held;
    uint64_t due_ms;           /* its own */
    uint64_t backoff_until_ms; /* until then its destination is; 0: it is not */
};
/* `next_ms` gets when the next attempt may be made; 0: nobody can tell. */
enum schedule_wait schedule_wait_reason(const struct schedule_facts *facts, uint64_t now_ms,
                                        uint64_t *next_ms);

/* A destination in memory; the owner embeds it. Members are read-only to others. */
struct schedule_destination {
    struct bytes name; /* the owner's; lives as long as this */
    enum schedule_transport transport;
    uint32_t limit;   /* deliveries that may be under way */
    uint32_t most;    /* what it grows to */
    uint32_t rate;    /* messages a minute; 0: no limit */
    uint64_t pace_us; /* not before; with a rate */
    uint32_t passing; /* deliveries that began before the limit shrank: their trouble is the same */
    uint32_t in_progress;
    uint32_t good;                                /* that went well since the limit last changed */
    uint32_t failures;                            /* connections that failed in a row */
    uint64_t until_ms;                            /* put off until then; 0: not */
    uint32_t turns;                               /* deliveries started since it entered */
    bool wanting;                                 /* something is due */
    bool in_ring, paced;                          /* paced: waits for its rate */
    struct schedule_destination *next, *previous; /* in the ring of its way */
    struct schedule_destination *paced_next;
};

struct schedule {
    struct schedule_retry retry;
    struct map destinations;
    struct schedule_destination *paced;
    struct {
        struct schedule_destination *ring; /* whose turn is next; those that may start now */
        uint32_t in_progress, max;
    } transports[SCHEDULE_TRANSPORTS];
};

void schedule_start(struct schedule *schedule, const struct schedule_retry *retry, uint64_t seed);
void schedule_free(struct schedule *schedule); /* destinations stay with their owner */

struct schedule_destination *schedule_find(const struct schedule *schedule, struct bytes name);
/* `failures` as when it left last: a destination that was put off begins with one delivery at a time. */
void schedule_enter(struct schedule *schedule, struct schedule_destination *destination, struct bytes name,
                    enum schedule_transport transport, uint32_t failures);
/* What the configuration allows it: deliveries at once, messages a minute; 0: as ever. Right behind enter. */
void schedule_limit(struct schedule *schedule, struct schedule_destination *destination, uint32_t connections,
                    uint32_t rate);
/* Nothing of it may be under way. */
void schedule_leave(struct schedule *schedule, struct schedule_destination *destination);

/* Something of it is due, or nothing is any more. */
void schedule_want(struct schedule *schedule, struct schedule_destination *destination, bool wanting);
/* May one more delivery to it start now? */
bool schedule_may_start(const struct schedule *schedule, const struct schedule_destination *destination);
/* Whose turn it is on this way, or NULL. */
struct schedule_destination *schedule_next(const struct schedule *schedule,
                                           enum schedule_transport transport);

enum schedule_news {
    SCHEDULE_ANSWERED,    /* somebody there said something about the message */
    SCHEDULE_BUSY,        /* somebody there has enough for now: 421, or turned away at the greeting */
    SCHEDULE_UNREACHABLE, /* no connection, or one that ended before the message */
    SCHEDULE_UNKNOWN,     /* we do not know: our own process ended */
};
void schedule_started(struct schedule *schedule, struct schedule_destination *destination, uint64_t now_ms);
/* True when the destination has just been put off, until destination->until_ms. */
bool schedule_ended(struct schedule *schedule, struct schedule_destination *destination,
                    enum schedule_news news, uint64_t now_ms, uint64_t random);
/* When a rate lets another start; 0: none waits for that. */
uint64_t schedule_wake_ms(const struct schedule *schedule);
void schedule_wake(struct schedule *schedule, uint64_t now_ms);
/* A person says try: failures are forgotten. */
void schedule_reset_failures(struct schedule *schedule, struct schedule_destination *destination);

#endif
