/* SPDX-License-Identifier: Apache-2.0 */
/* queue_state: what the files of this folder share about a queue; nobody else includes it. */
#ifndef MAILBOAT_QUEUE_QUEUE_STATE_H
#define MAILBOAT_QUEUE_QUEUE_STATE_H

#include <assert.h>

#include "queue/queue.h"

/* A destination in memory. */
struct active_destination {
    struct schedule_destination scheduled;      /* first: the schedule gives it back */
    enum next_hop hop;                          /* what its name means */
    struct active_destination *next, *previous; /* all */
    struct active_destination *idle_next, *idle_previous;
    bool idle;
    uint64_t entered_batch;  /* the batch in which it came, and its row perhaps with it */
    bool rowless;            /* that batch is not on disk: whoever brings mail brings the row again */
    struct arena page_arena; /* of what the page holds */
    struct store_page page;  /* what is due next, with all that its attempts need */
    size_t page_at;          /* those before it have begun */
    uint64_t page_octets;    /* that the page takes, of queue->page_octets */
    struct store_due cursor; /* how far was read */
    uint64_t look_ms; /* when something of it is due again while deliveries are under way; 0: not known */
    char name[STORE_DESTINATION_MAX];
};

/* One delivery under way: some recipients of one message to one destination. */
struct queue_delivery {
    uint64_t number;
    enum schedule_transport transport;
    struct active_destination *active; /* NULL once it ended */
    struct queue_delivery *next_of_message;
    struct arena arena;           /* of all that follows */
    struct store_message message; /* without content */
    struct store_recipient *recipients;
    size_t recipient_count;
    bool *gone; /* those of them that a person removed meanwhile; NULL: none */
    /* Once the result is known: */
    struct queue_delivery *next_unsaved;
    bool applied;                     /* it is in the batch that is open, or being committed */
    struct ipc_deliver_answer answer; /* a copy */
    struct bytes tls_text;            /* what it knows of TLS, for people */
    enum recipient_verdict verdict;   /* LOOKUP */
    struct recipient *targets;
    size_t target_count;
    struct ipc_expand_answer page; /* LOOKUP of what expands: a copy */
};

uint64_t queue_random(struct queue *queue);
/* Holds between two calls of anything in queue.h; asserted at its doors. */
bool queue_is_sound(const struct queue *queue);

/* ---- destinations.c ---- */

/* Holds between two calls of anything in this file. */
bool destinations_is_sound(const struct queue *queue, const struct active_destination *active);
/* Where a recipient goes: "@local", "@smarthost", or its domain in lower case, into `buffer`. */
struct bytes destinations_find(const struct queue *queue, const struct recipient *recipient,
                               char buffer[STORE_DESTINATION_MAX]);
/* Something for it is due: into memory with it, where there is room. `forgive`: whatever it failed before. */
void destinations_due(struct queue *queue, struct bytes name, uint64_t now_ms, bool forgive);
/* What is to be delivered next; NULL when nothing more is due. It lives until the next call. */
const struct store_delivery *destinations_next(struct queue *queue, struct active_destination *active,
                                               uint64_t now_ms);
/* Rows of this destination were changed, not by a delivery of it: its page does not hold any more. */
void destinations_changed(struct queue *queue, struct bytes name);
/* A delivery of it ended, or nothing of it is due: does it stay in memory? */
void destinations_rest(struct queue *queue, struct active_destination *active, uint64_t now_ms);
/* What was read of the store may not hold any more. */
void destinations_forget_pages(struct queue *queue);
/* Neither that batch nor what came behind it is on disk: nor are the rows that they had. */
void destinations_undone(struct queue *queue, uint64_t batch);

/* ---- deliveries.c ---- */

bool deliveries_has(const struct queue *queue, uint64_t id, uint32_t number);
/* Makes one of what is due now; NULL when nothing of it can be delivered. The
 * content lives as long as `due`, or until queue->scratch is cleared. */
struct queue_delivery *deliveries_make(struct queue *queue, struct active_destination *active,
                                       const struct store_delivery *due, uint64_t now_ms,
                                       struct bytes *content);
/* It is over in memory: the message's other recipients may go on. */
void deliveries_drop(struct queue *queue, struct queue_delivery *delivery);

/* ---- stats.c ---- */

/* It happened, and is on disk. */
void stats_note(struct queue *queue, const struct mail_event *event);

/* ---- events.c ---- */

/* Into the batch, with an id and the time. */
void events_add(struct queue *queue, const struct mail_event *event, uint64_t now_ms);
/* The batch is on disk; or none of it is. */
void events_committed(struct queue *queue);
void events_undone(struct queue *queue);

/* ---- delivery_result.c ---- */

/* Puts the results of an ended delivery into the batch. */
/* A message was taken in. An alias with several members whose sender asked to
 * hear of success is told of now, once; of its members nothing more is said
 * but what fails (RFC 3461 5.2.7.3). The recipients' NOTIFY is changed, before they are stored. */
void delivery_result_hide_members(struct envelope *envelope, uint8_t *asked);
void delivery_result_expanded(struct queue *queue, const struct store_message *message, const uint8_t *asked,
                              uint64_t now_ms);
void delivery_result_apply(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);
/* Its time is over: the senders of these recipients are told. */
void delivery_result_expire(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, uint64_t now_ms);
/* A part of the sweep; when to come again. */
void delivery_result_expire_due(struct queue *queue, uint64_t now_ms);
/* What happens now to this recipient, with all that is known of it beforehand. */
struct mail_event delivery_result_event(enum event_kind kind, const struct store_message *message,
                                        const struct store_recipient *recipient, uint64_t now_ms);
/* A message came in; `own`: it was made here. */
void delivery_result_received(struct queue *queue, const struct store_message *message, bool own,
                              uint64_t now_ms);
/* The beginning of a message's content, in queue->scratch; *whole: all of it. */
struct bytes delivery_result_beginning(struct queue *queue, const struct store_message *message,
                                       size_t size_max, bool *whole);
/* A message of our own to the sender of another, with the null reverse path;
 * where it goes is asked when its turn comes. */
bool delivery_result_accept_own(struct queue *queue, uint64_t id, const struct envelope *about,
                                struct bytes content, const char *protocol, uint64_t now_ms);
/* Something of this message may expire again: the sweep shall see it. */
void delivery_result_expire_due_again(struct queue *queue, uint64_t id);

/* The message came back to `who`, an address of ours that had sent it on: these
 * recipients, DELIVERY_RECIPIENTS_MAX at most, go, and the sender is told once. */
void delivery_result_looped(struct queue *queue, const struct store_message *message,
                            const struct store_recipient *recipients, size_t count, struct bytes who,
                            uint64_t now_ms);
/* A report to the sender, where there is one and it is wanted, into the batch. */
struct dsn_recipient;
void delivery_result_report(struct queue *queue, const struct store_message *message,
                            const struct dsn_recipient *about, size_t count, uint64_t now_ms);
/* The question about it could not be answered: later, or its time is over and the sender is told. */
void delivery_result_unanswered(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);

/* ---- expansion.c ---- */

/* Puts a page of members into the batch. */
void expansion_apply(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms);

/* ---- vacation_queue.c ---- */

/* It is in the mailbox of somebody who may be away: is an answer due? */
void vacation_queue_consider(struct queue *queue, const struct store_message *message,
                             const struct store_recipient *recipient);
void vacation_queue_free(struct queue *queue);

#endif
