/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule: decides when to attempt delivery, and which destination is next. It knows the destinations
 * that the queue has in memory, how many concurrent deliveries each may have, and which of them respond;
 * it knows nothing about messages.
 *
 * The queue calls schedule_enter() for a destination with mail, schedule_want() when some of it is due,
 * then schedule_next() as long as it returns one; schedule_started() and schedule_ended() frame each
 * delivery. Destinations take turns, so that a long queue for one destination, or an unreachable one,
 * never delays others. A destination whose connections fail is deferred as a whole: 100,000 messages for
 * one dead host are not each attempted. A busy one (421) gets fewer concurrent deliveries, and so does one
 * that limits the rate of this server's mail; where one delivery at a time is still too many, it is deferred,
 * and longer each time. One that rejects this server's address is deferred immediately, and then gets one
 * delivery to probe. One with a configured rate gets its messages one by one: schedule_wake() at the time
 * of schedule_wake_ms().
 */
#ifndef MAILBOAT_CORE_QUEUE_SCHEDULE_H
#define MAILBOAT_CORE_QUEUE_SCHEDULE_H

#include "base/map.h"
#include "core/reply/reply_meaning.h"

enum schedule_limit {
    SCHEDULE_CONCURRENCY_FIRST = 5, /* concurrent deliveries to a new destination */
    /* retry interval for an unavailable LMTP server */
    SCHEDULE_LOCAL_RETRY_MS = 15 * 1000,
    SCHEDULE_CONCURRENCY_MAX = 20, /* upper limit of the growth */
    SCHEDULE_LOCAL_MAX = 100,      /* into local mailboxes */
    SCHEDULE_AWAY_MAX = 10000,     /* to all other destinations together */
    SCHEDULE_REPORTS_MAX = 8,      /* messages that the reader of reports has at a time */
    SCHEDULE_FAILURES_MAX = 5,     /* consecutive failed connections before a destination is deferred */
    SCHEDULE_REFUSED = 1 << 16,    /* added to `failures`: the last was a reply, LIMITED or REJECTED */
    SCHEDULE_JITTER_PERCENT = 10,  /* of a delay, plus or minus */
    /* for a greylisting server that names no time: most accept after a minute */
    SCHEDULE_GREYLIST_MS = 70 * 1000,
    SCHEDULE_GREYLIST_MIN_MS = 60 * 1000, /* limits of the time that it names */
    SCHEDULE_GREYLIST_MAX_MS = 15 * 60 * 1000,
    SCHEDULE_NAMED_MAX_MS = 24 * 60 * 60 * 1000, /* by which a named time lengthens a delay */
    SCHEDULE_SLOWLY = 6,      /* times the usual delay, where a reply will not pass soon: 30 minutes for 5 */
    SCHEDULE_SLOW_GROWTH = 5, /* times the successes before a limit grows again after a rate limit */
    SCHEDULE_GRACE_MS = 5 * 60 * 1000, /* time allowed for the last attempt after expiry */
};

/* Transports, with separate concurrency limits. LOOKUP is for the queue's own reports, whose recipients
 * must be resolved before delivery; REPORTS for those of other servers, which a process of their own reads.
 */
enum schedule_transport {
    SCHEDULE_LOCAL,
    SCHEDULE_AWAY,
    SCHEDULE_LOOKUP,
    SCHEDULE_REPORTS,
    SCHEDULE_TRANSPORTS
};

struct schedule_retry {
    uint64_t first_ms, max_ms;
    double factor;
};

/* Returns the delay after failed attempt number `attempts` (from 1); `random` spreads messages that failed
 * together. */
uint64_t schedule_delay_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random);
/* Returns the due time: never after a future expiry, so that a last attempt is made then. */
uint64_t schedule_due_ms(uint64_t delay_ms, uint64_t now_ms, uint64_t expires_ms);

/* The reply that deferred a recipient. */
struct schedule_reply {
    const struct reply_meaning *meaning; /* NULL: there was none */
    struct bytes text;                   /* it may name a time to wait */
};
/* Returns the delay after failed attempt number `attempts`, which `reply` ended. Greylisting (RFC 6647), or
 * a fault that names a time, gets an early second attempt; a reply that will not pass soon multiplies the
 * delay by SCHEDULE_SLOWLY; a time that any reply names can lengthen the delay, up to SCHEDULE_NAMED_MAX_MS.
 */
uint64_t schedule_reply_delay_ms(const struct schedule_retry *retry, uint32_t attempts, uint64_t random,
                                 const struct schedule_reply *reply);

/* True if a recipient has expired. One that was due after its expiry still gets that attempt: it was held
 * by an operator until then, or an operator requested a retry. */
bool schedule_is_over(uint64_t expires_ms, uint64_t due_ms, uint64_t now_ms);

/* Why a recipient waits, for users: the first of these that is true. */
enum schedule_wait {
    WAIT_IN_PROGRESS, /* it does not wait: an attempt is in progress */
    WAIT_HELD,        /* held by an operator */
    WAIT_NO_SERVER,
    WAIT_ALL_HELD, /* held by the configuration, with the whole queue */
    WAIT_BACKOFF,  /* its destination does not respond */
    WAIT_RETRY,    /* an attempt failed; the next is not due yet */
    WAIT_TURN,     /* due, but others are before it */
};
struct schedule_facts {
    bool in_progress, held, served, all_held;
    uint64_t due_ms;           /* of the recipient */
    uint64_t backoff_until_ms; /* of its destination; 0: not deferred */
};
/* `next_ms` gets the earliest next attempt; 0: unknown. */
enum schedule_wait schedule_wait_reason(const struct schedule_facts *facts, uint64_t now_ms,
                                        uint64_t *next_ms);

/* A destination in memory; the owner embeds it. Members are read-only to others. */
struct schedule_destination {
    struct bytes name; /* owned by the caller; outlives this */
    enum schedule_transport transport;
    uint32_t limit;   /* concurrent deliveries allowed */
    uint32_t most;    /* maximum of `limit` */
    uint32_t rate;    /* messages per minute; 0: no limit */
    uint64_t pace_us; /* earliest next start, with a rate */
    /* deliveries that started before the limit shrank: their failures have the same cause */
    uint32_t passing;
    uint32_t in_progress;
    uint32_t good;       /* successes since the limit last changed */
    uint32_t failures;   /* consecutive failed connections or refusals, and perhaps SCHEDULE_REFUSED */
    bool slow;           /* its limit grows slowly, after a rate limit */
    uint64_t until_ms;   /* deferred until then; 0: not deferred */
    uint32_t turns;      /* deliveries started since it entered */
    bool wanting;        /* something is due */
    bool in_ring, paced; /* paced: waits for its rate limit */
    struct schedule_destination *next, *previous; /* in the ring of its transport */
    struct schedule_destination *paced_next;
};

struct schedule {
    struct schedule_retry retry;
    struct map destinations;
    struct schedule_destination *paced;
    struct {
        struct schedule_destination *ring; /* next in turn; those that may start now */
        uint32_t in_progress, max;
    } transports[SCHEDULE_TRANSPORTS];
};

void schedule_start(struct schedule *schedule, const struct schedule_retry *retry, uint64_t seed);
void schedule_free(struct schedule *schedule); /* destinations stay with their owner */

struct schedule_destination *schedule_find(const struct schedule *schedule, struct bytes name);
/* `failures` as when it last left: a destination that was deferred starts with one concurrent delivery. */
void schedule_enter(struct schedule *schedule, struct schedule_destination *destination, struct bytes name,
                    enum schedule_transport transport, uint32_t failures);
/* Sets limits from the configuration: concurrent deliveries, messages per minute; 0: default. To be called
 * directly after enter. */
void schedule_limit(struct schedule *schedule, struct schedule_destination *destination, uint32_t connections,
                    uint32_t rate);
/* No delivery to it may be in progress. */
void schedule_leave(struct schedule *schedule, struct schedule_destination *destination);

/* Sets whether some of its mail is due. */
void schedule_want(struct schedule *schedule, struct schedule_destination *destination, bool wanting);
/* True if one more delivery to it may start now. */
bool schedule_may_start(const struct schedule *schedule, const struct schedule_destination *destination);
/* Returns the next destination in turn on this transport, or NULL. */
struct schedule_destination *schedule_next(const struct schedule *schedule,
                                           enum schedule_transport transport);

enum schedule_news {
    SCHEDULE_ANSWERED,    /* the server replied about the message */
    SCHEDULE_BUSY,        /* the server is overloaded: 421, or rejected at the greeting */
    SCHEDULE_UNREACHABLE, /* no connection, or it ended before the message */
    SCHEDULE_UNKNOWN,     /* unknown: our own process ended */
    SCHEDULE_LIMITED,     /* a reply: too much mail from this server */
    SCHEDULE_REJECTED,    /* a reply: no mail from this server's address */
};
void schedule_started(struct schedule *schedule, struct schedule_destination *destination, uint64_t now_ms);
/* True if the destination has just been deferred, until destination->until_ms. */
bool schedule_ended(struct schedule *schedule, struct schedule_destination *destination,
                    enum schedule_news news, uint64_t now_ms, uint64_t random);
/* Returns when a rate limit allows the next start; 0: none waits for that. */
uint64_t schedule_wake_ms(const struct schedule *schedule);
void schedule_wake(struct schedule *schedule, uint64_t now_ms);
/* Returns the number in `failures`, without SCHEDULE_REFUSED. */
static inline uint32_t schedule_failure_count(uint32_t failures)
{
    return failures & (SCHEDULE_REFUSED - 1);
}

/* Clears the failures, on an operator's retry. */
void schedule_reset_failures(struct schedule *schedule, struct schedule_destination *destination);

#endif
