/* SPDX-License-Identifier: Apache-2.0 */
/* queue_state: the queue's internal state, shared by the files of this folder and included only there. */
#ifndef MAILBOAT_QUEUE_QUEUE_STATE_H
#define MAILBOAT_QUEUE_QUEUE_STATE_H

#include <assert.h>

#include "queue/queue.h"

/* A destination in memory. */
struct active_destination {
    struct schedule_destination scheduled;      /* first: the schedule returns it */
    enum next_hop hop;                          /* the meaning of its name */
    struct active_destination *next, *previous; /* list of all */
    struct active_destination *idle_next, *idle_previous;
    bool idle;
    uint64_t entered_batch;  /* the batch in which it entered, perhaps with its row */
    bool rowless;            /* that batch is not on disk: the next message for it adds the row again */
    struct arena page_arena; /* for the page */
    struct store_page page;  /* the next due deliveries, complete */
    size_t page_at;          /* earlier ones have started */
    uint64_t page_octets;    /* size of the page, part of queue->page_octets */
    struct store_due cursor; /* end of the rows read */
    uint64_t look_ms;        /* when its mail is due again while deliveries are in progress; 0: unknown */
    char name[STORE_DESTINATION_MAX];
};

/* A delivery in progress: recipients of one message to one destination. */
struct queue_delivery {
    uint64_t number;
    enum schedule_transport transport;
    struct active_destination *active; /* NULL once it ended */
    struct queue_delivery *next_of_message;
    struct arena arena;           /* of all the following */
    struct store_message message; /* without content */
    struct store_recipient *recipients;
    size_t recipient_count;
    bool *gone; /* recipients that an operator removed meanwhile; NULL: none */
    /* Once the result is known: */
    struct queue_delivery *next_unsaved;
    bool applied;                          /* it is in the open batch, or in one being committed */
    struct ipc_deliver_answer answer;      /* a copy */
    struct bytes tls_text;                 /* its TLS state, as text */
    const struct reply_meaning **meanings; /* of the replies in `answer`; NULL: none of a failure */
    enum recipient_verdict verdict;        /* LOOKUP */
    struct recipient *targets;
    size_t target_count;
    struct ipc_expand_answer page; /* LOOKUP of an address that expands: a copy */
};

uint64_t queue_random(struct queue *queue);
/* Invariant between two calls of functions in queue.h; asserted in them. */
bool queue_is_sound(const struct queue *queue);

/* ---- destinations.c ---- */

/* Invariant between two calls of functions in this file. */
bool destinations_is_sound(const struct queue *queue, const struct active_destination *active);
/* Returns a recipient's destination: "@local", "@smarthost", or its domain in lower case, in `buffer`. */
struct bytes destinations_find(const struct queue *queue, const struct recipient *recipient,
                               char buffer[STORE_DESTINATION_MAX]);
/* Mail for it is due: loads it if there is space. `forgive`: despite earlier failures. */
void destinations_due(struct queue *queue, struct bytes name, uint64_t now_ms, bool forgive);
/* Returns the next delivery; NULL if nothing more is due. It lives until the next call. */
const struct store_delivery *destinations_next(struct queue *queue, struct active_destination *active,
                                               uint64_t now_ms);
/* Rows of this destination were changed other than by its deliveries: discards its page. */
void destinations_changed(struct queue *queue, struct bytes name);
/* A delivery of it ended, or nothing of it is due: decides whether it stays in memory. */
void destinations_rest(struct queue *queue, struct active_destination *active, uint64_t now_ms);
/* Discards all pages: they may be outdated. */
void destinations_forget_pages(struct queue *queue);
/* That batch and later changes are not on disk: their destination rows are missing. */
void destinations_undone(struct queue *queue, uint64_t batch);

/* ---- deliveries.c ---- */

bool deliveries_has(const struct queue *queue, uint64_t id, uint32_t number);
/* Makes a delivery of the due recipients; NULL if none of it can be delivered. The content lives as long
 * as `due`, or until queue->scratch is cleared. */
struct queue_delivery *deliveries_make(struct queue *queue, struct active_destination *active,
                                       const struct store_delivery *due, uint64_t now_ms,
                                       struct bytes *content);
/* Ends it in memory: the message's other recipients may be delivered. */
void deliveries_drop(struct queue *queue, struct queue_delivery *delivery);

/* ---- stats.c ---- */

/* Counts an event that is on disk. */
void stats_note(struct queue *queue, const struct mail_event *event);

/* ---- events.c ---- */

/* Adds it to the batch, with an id and the time. */
void events_add(struct queue *queue, const struct mail_event *event, uint64_t now_ms);
/* The same for the judgements of mail authentication, if there is room. */
void events_judged(struct queue *queue, const struct mail_event *event, uint64_t now_ms);
/* The batch is about to be committed: its events go into it. */
void events_commit_start(struct queue *queue, uint64_t now_ms);
/* The batch is on disk; or none of it is. */
void events_committed(struct queue *queue);
void events_undone(struct queue *queue);

/* ---- delivery_reply.c ---- */

/* Reads the replies in the answer of an ended delivery: sets its meanings. */
void delivery_reply_read(const struct queue *queue, struct queue_delivery *delivery);
/* Returns what the recipient's last attempt means. */
const struct reply_meaning *delivery_reply_last(const struct queue *queue,
                                                const struct store_message *message,
                                                const struct store_recipient *recipient);
/* Returns what the answer means for the destination. */
enum schedule_news delivery_reply_news(const struct queue_delivery *delivery);

/* ---- delivery_result.c ---- */

/* Adds the results of an ended delivery to the batch. */
/* For an accepted message. If the sender of an alias with several members requested success reports, one
 * is sent now; later only failures of its members are reported (RFC 3461 5.2.7.3). Changes the recipients'
 * NOTIFY, before they are stored. */
void delivery_result_hide_members(struct envelope *envelope, uint8_t *asked);
void delivery_result_expanded(struct queue *queue, const struct store_message *message, const uint8_t *asked,
                              uint64_t now_ms);
void delivery_result_apply(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);
/* Expired recipients: reports them to the sender. */
void delivery_result_expire(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, uint64_t now_ms);
/* Runs a part of the sweep; returns when to continue. */
void delivery_result_expire_due(struct queue *queue, uint64_t now_ms);
/* Makes an event for this recipient, with all known facts. */
struct mail_event delivery_result_event(enum event_kind kind, const struct store_message *message,
                                        const struct store_recipient *recipient, uint64_t now_ms);
/* A message was accepted; `own`: it was made here. */
void delivery_result_received(struct queue *queue, const struct store_message *message, bool own,
                              uint64_t now_ms);
/* Returns the beginning of a message's content, in queue->scratch; *whole: all of it. */
struct bytes delivery_result_beginning(struct queue *queue, const struct store_message *message,
                                       size_t size_max, bool *whole);
/* Accepts a message from this server to the sender of another, with the null reverse path; its recipient
 * is resolved when it is delivered. */
bool delivery_result_accept_own(struct queue *queue, uint64_t id, const struct envelope *about,
                                struct bytes content, enum origin_kind kind, uint64_t now_ms);
/* Something of this message may expire again: the sweep shall see it. */
void delivery_result_expire_due_again(struct queue *queue, uint64_t id);

/* A mail loop through `who`, a local address that had forwarded it: removes these recipients,
 * DELIVERY_RECIPIENTS_MAX at most, and sends one report. */
void delivery_result_looped(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, struct bytes who,
                            uint64_t now_ms);
/* Adds a report to the sender to the batch, if it is wanted and possible. */
struct dsn_recipient;
void delivery_result_report(struct queue *queue, const struct store_message *message,
                            const struct dsn_recipient *about, size_t count, uint64_t now_ms);
/* The lookup failed temporarily: defers it, or expires it with a report. */
void delivery_result_unanswered(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);

/* ---- expansion.c ---- */

/* Adds a page of members to the batch. */
void expansion_apply(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);

/* ---- report_queue.c ---- */

/* After a recipient was refused for good: if it was to get a report of this server on TLS or DMARC, its
 * address gets none for a while. */
void report_queue_bounced(struct queue *queue, const struct queue_delivery *delivery,
                          const struct mail_event *event, uint64_t now_ms);
/* After another server has accepted a message: notes the domain of its recipient, if a user sent it. */
void report_queue_sent(struct queue *queue, const struct store_message *message,
                       const struct mail_event *event, uint64_t now_ms);
/* Adds that note to the batch, if it has changed. */
void report_queue_commit_start(struct queue *queue);

/* ---- vacation_queue.c ---- */

/* After delivery to a user with a vacation reply: queues a reply if one is due. */
void vacation_queue_consider(struct queue *queue, const struct store_message *message,
                             const struct store_recipient *recipient);
void vacation_queue_free(struct queue *queue);

#endif
