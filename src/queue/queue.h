/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: accepted mail until it is delivered or its sender has a report. Schedule and store combined into
 * one machine without sockets or a clock: the process in queue_process.c drives it, and so does the
 * simulation.
 *
 * Per turn of the shell: queue_accept() for new messages, queue_delivered() for results; then
 * queue_commit_start(); when queue_commit_done(), in this turn or a later one, its verdict applies to all
 * of them; queue_event_next() for each event; then queue_next() for each open transport, as long as it
 * returns a delivery. queue_wake() at the time of queue_wake_ms().
 *
 * Memory holds the destinations with due mail (at most ACTIVE_MAX) and the deliveries in progress; the
 * rest is in the store.
 */
#ifndef MAILBOAT_QUEUE_QUEUE_H
#define MAILBOAT_QUEUE_QUEUE_H

#include "core/event/mail_event.h"
#include "core/queue/queue_id.h"
#include "core/queue/schedule.h"
#include "core/route/plan.h"
#include "core/trust/sent_domains.h"
#include "ipc/ipc_message.h"
#include "store/queue/store.h"

enum queue_limit {
    ACTIVE_MAX = 12000,                /* destinations in memory */
    PAGE_CONTENTS_MAX = 128 * 1024,    /* octets of contents read ahead per destination, */
    PAGES_OCTETS_MAX = 32 << 20,       /* and in total; beyond it, contents are read one by one */
    DELIVERY_RECIPIENTS_MAX = 100,     /* per transaction (RFC 5321 4.5.3.1.8) */
    LOOKS_A_TURN_MAX = 256,            /* undeliverable rows examined before others have their turn */
    EXPIRY_SWEEP_MS = 60 * 1000,       /* interval of expiry checks of the oldest messages */
    STUCK_RETRY_MS = 1000,             /* interval of retries of a commit that failed for lack of space */
    QUEUE_SLOT = 255,                  /* of the ids of this server's reports */
    QUEUE_STATS_DESTINATIONS_MAX = 64, /* in status output: the busiest */
    QUEUE_STATS_REASONS_MAX = 32,      /* destinations whose last reason for waiting is stored */
    QUEUE_STATS_REASON_MAX = 200,      /* octets of such a reason; longer ones are cut */
};

struct queue_options {
    struct bytes hostname; /* of this server, for reports */
    struct schedule_retry retry;
    uint64_t expire_ms;
    uint64_t warn_after_ms;    /* age at which the sender gets one warning; 0: never */
    struct route_rules routes; /* next hops and limits of non-local mail */
    uint32_t deliveries;       /* concurrent, to other servers; 0: SCHEDULE_AWAY_MAX */
    bool hold;                 /* deliver nothing */
    bool notes_sent;           /* remember the domains that users send to (core/trust/sent_domains.h) */
};

struct active_destination;
struct queue_delivery;

/* The latest reason why mail for a destination waits. */
struct stats_reason {
    uint64_t when_ms; /* 0: this entry is free */
    size_t name_length, text_length;
    char name[STORE_DESTINATION_MAX], text[QUEUE_STATS_REASON_MAX];
};

/* Public statistics of the queue; numbers since the start, counted from events. */
struct delivery_stats {
    uint64_t started_ms;
    uint64_t accepted;                    /* messages */
    uint64_t delivered, deferred, failed; /* recipients */
    struct stats_reason reasons[QUEUE_STATS_REASONS_MAX];
};

struct queue {
    struct queue_options options;
    struct store *store;
    struct schedule schedule;
    struct queue_id_maker ids;
    uint64_t random;
    struct active_destination *active; /* all of memory */
    size_t active_count;
    struct active_destination *idle_first, *idle_last; /* idle: the first is evicted for another */
    size_t idle_count;
    uint64_t page_octets; /* read ahead */
    bool outside;         /* some with due mail did not fit into memory */
    uint64_t look_ms;     /* when mail of an active one becomes due again; 0: unknown */
    uint64_t wake_ms;     /* when mail of one in the store becomes due; 0: none */
    /* the expiry sweep: its next time, and the id after which it continues */
    uint64_t sweep_ms, sweep_after;
    int64_t wall_ahead_ms;           /* wall clock minus queue time: see queue_clock.h */
    uint64_t sweep_from;             /* up to this id only held messages remain to expire */
    bool sweep_left;                 /* this sweep has skipped a message that is not held */
    struct map deliveries, messages; /* in progress: by number; by message id (the first of a list) */
    uint64_t last_number;
    struct queue_delivery *unsaved; /* with results that are not on disk yet */
    /* the last commit failed for lack of space, or of the store: nothing is started */
    bool stuck;
    enum store_verdict stuck_as; /* which of the two */
    uint64_t stuck_ms;           /* when it is retried */
    uint64_t batch;              /* number of the open batch */
    /* A commit is in progress: nothing is accepted, results are kept until it ends. */
    bool committing;
    bool saving_again;           /* it is the second one, with only the results */
    enum store_verdict first_as; /* verdict of the first one */
    uint64_t committing_batch;
    struct arena scratch; /* the content of the current delivery */
    struct queue_id_maker event_ids;
    struct buffer batch_events; /* of the open batch */
    uint64_t batch_event_count;
    struct buffer batch_judged; /* of them, those with findings of mail authentication, and rejected messages
                                 */
    uint64_t batch_judged_count;
    struct buffer committing_events; /* of the batch that is being committed; they are in the store's batch */
    struct buffer events;            /* of the last one on disk: those not taken yet */
    struct delivery_stats stats;
    struct sent_domains sent;         /* of the day */
    bool sent_changed;                /* the open batch lacks its note */
    struct vacation_reply *vacations; /* vacation replies that may be due, pending auth's answer */
    size_t vacation_count;
    uint64_t last_vacation;
};

/* The caller keeps `store`. The texts of `options` live as long as the queue. */
void queue_start(struct queue *queue, struct store *store, const struct queue_options *options, uint64_t seed,
                 uint64_t now_ms);
void queue_free(struct queue *queue);

/* Adds a message to the batch: its id, envelope, origin and content (or `spool`) are set, the times are
 * set here. DONE: queue_commit() decides; other values are the final verdict. */
enum store_verdict queue_accept(struct queue *queue, const struct store_message *message, uint64_t spool,
                                uint64_t now_ms);

enum {
    QUEUE_JUDGED_WAITING_MAX = 256 * 1024, /* octets of judgements that wait for a commit; more are dropped */
    QUEUE_JUDGED_DAYS = 30,                /* judgements are kept for so long */
};
/* Adds messages that smtpd has rejected for what mail authentication found, EVENT_REFUSED as
 * mail_event_encode() writes them, to the judgements of the batch; others are ignored. */
void queue_judged(struct queue *queue, struct bytes events, uint64_t now_ms);

enum { REPORT_EXPIRES_MS = 24 * 3600 * 1000 }; /* after a day, a report to another domain is given up */
/* Takes a report for another domain, or an answer about a day (core/trust/report_ledger.h). Returns 1 if it
 * is in the batch or the answer is yes; else 0, with *why, a clause, unless NULL. Not while a batch is being
 * committed. */
size_t report_queue_take(struct queue *queue, const struct ipc_report *report, uint64_t now_ms,
                         const char **why);

/* Starts to commit the batch. Until queue_commit_done() is true no message may be accepted and no vacation
 * answer given; results of deliveries and operator actions may come. */
void queue_commit_start(struct queue *queue, uint64_t now_ms);
/* False: in progress, ask again when store_commit_descriptor() is readable. FULL, UNREACHABLE: nothing of
 * the batch was stored, results of deliveries are kept and retried. FAILED: the process must end. */
bool queue_commit_done(struct queue *queue, uint64_t now_ms, enum store_verdict *verdict,
                       struct error *error);
/* Both, waiting in between. */
enum store_verdict queue_commit(struct queue *queue, uint64_t now_ms, struct error *error);
/* True if results came during a commit, and need another one. */
bool queue_has_kept_results(const struct queue *queue);

/* Returns the next event on disk; false if there is none. Its texts live until the next call to the queue;
 * remaining events are kept for the next batch. RECEIVED is reported for every message: its submitter
 * already knows, except for those that are `own`. */
bool queue_event_next(struct queue *queue, struct mail_event *event);

/* Returns the next delivery of this transport; false if there is none now. `deliver` lives until the next
 * call; `content` gets a descriptor, owned by the caller, or -1 if the content is inline. On
 * SCHEDULE_LOOKUP the only recipient's address is to be resolved, then queue_looked_up(); if it expands,
 * auth is asked as queue_expansion() says, then queue_members_answered(). */
bool queue_next(struct queue *queue, enum schedule_transport transport, uint64_t now_ms,
                struct ipc_deliver *deliver, int *content);
/* After it returned none: true if LOOKS_A_TURN_MAX rows were examined, and more wait for another turn. */
bool queue_looks_on(const struct queue *queue, enum schedule_transport transport);

/* Takes the result. Unknown numbers are ignored. */
void queue_delivered(struct queue *queue, const struct ipc_deliver_answer *answer, uint64_t now_ms);
void queue_looked_up(struct queue *queue, const struct ipc_recipient_answer *answer, uint64_t now_ms);
struct ipc_expand queue_expansion(struct queue *queue, uint64_t delivery);
void queue_members_answered(struct queue *queue, const struct ipc_expand_answer *answer, uint64_t now_ms);
/* Returns the next question to auth about a vacation reply, once the batch is on disk; false if there is
 * none. Then takes its answer. After auth was lost: repeats all questions. */
bool vacation_queue_next(struct queue *queue, struct ipc_away *asked);
void vacation_queue_answered(struct queue *queue, const struct ipc_away_answer *said, uint64_t now_ms);
void vacation_queue_unasked(struct queue *queue);
/* The transport's process was lost: all its deliveries in progress are due again. */
void queue_transport_lost(struct queue *queue, enum schedule_transport transport, uint64_t now_ms);

/* Returns when queue_wake() is needed; 0: never. */
uint64_t queue_wake_ms(const struct queue *queue);
void queue_wake(struct queue *queue, uint64_t now_ms);
size_t queue_in_progress(const struct queue *queue);

/* Applies an operator action to one message; returns the affected recipients. A retry clears the failures
 * of the destination; it does not affect held recipients. Held recipients are not attempted and do not
 * expire. Released ones are attempted immediately, and then may expire. A removed recipient whose delivery
 * is in progress may still get the message, without a report. */
size_t queue_control(struct queue *queue, enum control_verb verb, uint64_t id, uint64_t now_ms);
/* The same for all messages, in steps: up to STORE_READ_MAX after *after, which advances; 0 at the end.
 * Returns the affected recipients. */
size_t queue_control_some(struct queue *queue, enum control_verb verb, uint64_t *after, uint64_t now_ms);
/* The same for only these recipients; those of one message are adjacent. */
size_t queue_control_chosen(struct queue *queue, enum control_verb verb, const struct chosen *chosen,
                            size_t count, uint64_t now_ms);

/* Lists the activity: the busiest destinations, and those with the most recent deferrals; texts and arrays
 * live in the arena or until the queue changes. `with_in_progress`: also every recipient whose delivery is
 * in progress. */
void queue_status(struct queue *queue, bool with_in_progress, uint64_t now_ms, struct arena *arena,
                  struct ipc_status_answer *answer);

#endif
