/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: what was accepted, until it is delivered or its sender is told.
 * Schedule and store joined into one machine without sockets or a clock: the
 * process in queue_process.c drives it, and so does the simulation.
 *
 * Per turn of the shell: queue_accept() for what arrived, queue_delivered()
 * for results that came; then queue_commit_start(); when queue_commit_done(), in
 * this turn or a later one, its verdict holds for all of it; queue_event_next()
 * for what happened; then queue_next() for each way out that is open, as long as
 * it gives a delivery. queue_wake() when queue_wake_ms() says so.
 *
 * In memory are the destinations that have mail to send now (at most
 * ACTIVE_MAX) and the deliveries under way; the rest waits in the store.
 */
#ifndef MAILBOAT_QUEUE_QUEUE_H
#define MAILBOAT_QUEUE_QUEUE_H

#include "core/event/mail_event.h"
#include "core/queue/queue_id.h"
#include "core/queue/schedule.h"
#include "core/route/plan.h"
#include "ipc/ipc_message.h"
#include "store/queue/store.h"

enum queue_limit {
    ACTIVE_MAX = 12000,             /* destinations in memory */
    PAGE_CONTENTS_MAX = 128 * 1024, /* octets of contents that one reads ahead, */
    PAGES_OCTETS_MAX = 32 << 20, /* and octets of all that is read ahead; beyond, contents are read one by one
                                  */
    DELIVERY_RECIPIENTS_MAX = 100, /* in one transaction (RFC 5321 4.5.3.1.8) */
    LOOKS_A_TURN_MAX = 256,        /* rows that turn out not to be deliverable, then others have their turn */
    EXPIRY_SWEEP_MS = 60 * 1000,   /* how often the oldest messages are looked at */
    STUCK_RETRY_MS = 1000,         /* how soon a commit is tried again for which there was no room */
    QUEUE_SLOT = 255,              /* of the ids of our own reports */
    QUEUE_STATS_DESTINATIONS_MAX = 64, /* that people are shown: the busiest */
    QUEUE_STATS_REASONS_MAX = 32,      /* destinations whose last reason for waiting is kept for people */
    QUEUE_STATS_REASON_MAX = 200,      /* octets of such a reason; longer ones are cut */
};

struct queue_options {
    struct bytes hostname; /* ours, for reports */
    struct schedule_retry retry;
    uint64_t expire_ms;
    uint64_t warn_after_ms;    /* waiting this long: the sender is told once; 0: never */
    struct route_rules routes; /* where what is not local goes, and how much at once */
    uint32_t deliveries;       /* to other servers, at once, at most; 0: SCHEDULE_AWAY_MAX */
    bool hold;                 /* deliver nothing */
};

struct active_destination;
struct queue_delivery;

/* Why mail for a destination waits, as of late. */
struct stats_reason {
    uint64_t when_ms; /* 0: this place is free */
    size_t name_length, text_length;
    char name[STORE_DESTINATION_MAX], text[QUEUE_STATS_REASON_MAX];
};

/* What people see of the queue at work; numbers since the start, counted from events. */
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
    struct active_destination *active; /* all in memory */
    size_t active_count;
    struct active_destination *idle_first, *idle_last; /* nothing to do: the first makes room for another */
    size_t idle_count;
    uint64_t page_octets;            /* of what is read ahead */
    bool outside;                    /* some with due mail found no room */
    uint64_t look_ms;                /* when one in memory has something due again; 0: unknown to any */
    uint64_t wake_ms;                /* when one in the store has; 0: none */
    uint64_t sweep_ms, sweep_after;  /* the expiry sweep: when, and behind which id */
    int64_t wall_ahead_ms;           /* what people's clocks show less the queue's time: see queue_clock.h */
    uint64_t sweep_from;             /* up to this id nothing is to expire but what is held */
    bool sweep_left;                 /* this sweep has left something behind that is not held */
    struct map deliveries, messages; /* under way: by number; by message id (the first of a list) */
    uint64_t last_number;
    struct queue_delivery *unsaved; /* their results are known, and not on disk */
    bool stuck;                     /* the last commit found no room, or no store: nothing is begun */
    enum store_verdict stuck_as;    /* which of both */
    uint64_t stuck_ms;              /* when it is tried again */
    uint64_t batch;                 /* the number of the open one */
    /* A commit is under way: nothing is accepted, results are kept until it ends. */
    bool committing;
    bool saving_again;           /* it is the second one, of results alone */
    enum store_verdict first_as; /* what the first one said then */
    uint64_t committing_batch;
    struct arena scratch; /* a content on its way out */
    struct queue_id_maker event_ids;
    struct buffer batch_events, events; /* of the open batch; of the last one on disk, those not taken yet */
    struct delivery_stats stats;
    struct vacation_reply *vacations; /* answers that may be due; auth is asked for their words */
    size_t vacation_count;
    uint64_t last_vacation;
};

/* `store` stays the caller's. The texts of `options` live as long as the queue. */
void queue_start(struct queue *queue, struct store *store, const struct queue_options *options, uint64_t seed,
                 uint64_t now_ms);
void queue_free(struct queue *queue);

/* Takes a message into the batch: its id, envelope, origin and content (or
 * `spool`) are given, the times are filled in here. DONE: queue_commit()
 * decides; else that is the verdict. */
enum store_verdict queue_accept(struct queue *queue, const struct store_message *message, uint64_t spool,
                                uint64_t now_ms);

/* Begins to put the batch on disk. Until queue_commit_done() is true nothing may
 * be accepted and no vacation answered; results of deliveries may come, and a person's word. */
void queue_commit_start(struct queue *queue, uint64_t now_ms);
/* False: it is under way, ask again when store_commit_descriptor() is readable.
 * FULL, UNREACHABLE: nothing of the batch was stored, results of deliveries are
 * kept and tried again. FAILED: the process must end. */
bool queue_commit_done(struct queue *queue, uint64_t now_ms, enum store_verdict *verdict,
                       struct error *error);
/* Both, and waits between them. */
enum store_verdict queue_commit(struct queue *queue, uint64_t now_ms, struct error *error);
/* Did results come while a commit was under way? They want the next one. */
bool queue_has_kept_results(const struct queue *queue);

/* The next of what happened and is on disk; false when there is none. Its
 * texts live until the next call of anything here; what is not taken goes
 * with the next batch. RECEIVED is told of every message: whoever submitted it
 * knows already, but for those that are `own`. */
bool queue_event_next(struct queue *queue, struct mail_event *event);

/* The next delivery on this way; false when there is none now. `deliver`
 * lives until the next call; `content` gets a descriptor, the caller's, or
 * -1 where the content is inline. On SCHEDULE_LOOKUP the only recipient's
 * address is to be looked up, then queue_looked_up(); where it expands, what
 * queue_expansion() says is to be asked, then queue_members_answered(). */
bool queue_next(struct queue *queue, enum schedule_transport transport, uint64_t now_ms,
                struct ipc_deliver *deliver, int *content);
/* After it gave none: were LOOKS_A_TURN_MAX looked at, and others wait for another turn? */
bool queue_looks_on(const struct queue *queue, enum schedule_transport transport);

/* What came of it. Unknown numbers are ignored. */
void queue_delivered(struct queue *queue, const struct ipc_deliver_answer *answer, uint64_t now_ms);
void queue_looked_up(struct queue *queue, const struct ipc_recipient_answer *answer, uint64_t now_ms);
struct ipc_expand queue_expansion(struct queue *queue, uint64_t delivery);
void queue_members_answered(struct queue *queue, const struct ipc_expand_answer *answer, uint64_t now_ms);
/* What is to be asked of auth for those who are away, once the batch is on
 * disk; false when nothing is. Then what it said. After auth was lost: all again. */
bool vacation_queue_next(struct queue *queue, struct ipc_away *asked);
void vacation_queue_answered(struct queue *queue, const struct ipc_away_answer *said, uint64_t now_ms);
void vacation_queue_unasked(struct queue *queue);
/* Whoever carried them out is gone: all that was under way on this way is due again. */
void queue_transport_lost(struct queue *queue, enum schedule_transport transport, uint64_t now_ms);

/* When queue_wake() has something to do; 0: never. */
uint64_t queue_wake_ms(const struct queue *queue);
void queue_wake(struct queue *queue, uint64_t now_ms);
size_t queue_in_progress(const struct queue *queue);

/* A person's word on one message; how many recipients it touched. A retry
 * makes the destination forget its failures; it leaves those alone that are
 * held. What is held is not tried and does not expire. What is released is
 * tried at once, and then its time may be over like everybody's. What is
 * removed while it is under way may still arrive, but nobody is told. */
size_t queue_control(struct queue *queue, enum control_verb verb, uint64_t id, uint64_t now_ms);
/* The same for all messages, by and by: up to STORE_READ_MAX behind *after,
 * which moves on; 0 at the end. Returns recipients touched. */
size_t queue_control_some(struct queue *queue, enum control_verb verb, uint64_t *after, uint64_t now_ms);
/* The same for these recipients alone; those of one message stand together. */
size_t queue_control_chosen(struct queue *queue, enum control_verb verb, const struct chosen *chosen,
                            size_t count, uint64_t now_ms);

/* What goes on: the busiest destinations, and those of which mail was put off
 * last; texts and arrays live in the arena or as long as the queue stands
 * still. `with_in_progress`: and every recipient that is being delivered. */
void queue_status(struct queue *queue, bool with_in_progress, uint64_t now_ms, struct arena *arena,
                  struct ipc_status_answer *answer);

#endif
