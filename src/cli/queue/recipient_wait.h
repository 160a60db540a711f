/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipient_wait: why a queued recipient waits, and until when: the one answer of `queue list`, `queue
 * show` and `explain`. queue_view_open(), then recipient_wait_find() for each recipient, and its words.
 */
#ifndef MAILBOAT_CLI_QUEUE_RECIPIENT_WAIT_H
#define MAILBOAT_CLI_QUEUE_RECIPIENT_WAIT_H

#include "config/config.h"
#include "core/queue/schedule.h"
#include "core/text/selection.h"
#include "service/control_client.h"
#include "store/queue/store.h"

/* The queue at one moment. */
struct queue_view {
    struct store *store; /* borrowed */
    const struct config *config;
    struct in_progress in_progress;
    uint64_t now_ms; /* by the queue's clock */
    /* the destination that was looked at last: neighbours in a queue often share it */
    struct store_destination latest;
    bool latest_known, has_latest;
};

/* `folder` is DATA/queue. Asks the server, if one runs, which attempts are in progress. */
void queue_view_open(struct queue_view *view, struct store *store, const struct config *config,
                     const char *folder);
void queue_view_close(struct queue_view *view);

struct recipient_wait {
    enum schedule_wait why;
    uint64_t next_ms;  /* next attempt, in ms since the epoch; 0: unknown */
    uint64_t due_ms;   /* the same if nothing but its own time and its destination delayed it */
    uint32_t failures; /* of its destination, as the schedule counts them */
};

void recipient_wait_find(struct recipient_wait *wait, struct queue_view *view, uint64_t message,
                         const struct store_recipient *recipient);
/* Among the recipients of a message the one that is tried first decides: true if `a` is before `b`. */
bool recipient_wait_is_before(const struct recipient_wait *a, const struct recipient_wait *b);

/* "destination_backoff", for programs. */
const char *recipient_wait_name(enum schedule_wait why);
/* "in_progress", "held", "waiting" or "ready": the same in four states. */
const char *recipient_wait_state(const struct recipient_wait *wait, uint64_t now_ms);
/* True if the selection takes a recipient in its state. */
bool recipient_wait_is_taken(const struct selection *selection, struct queue_view *view, uint64_t message,
                             const struct store_recipient *recipient);
/* Appends a clause: when the next attempt is, and why then. `id` is the message's; `expires_ms` too. */
void recipient_wait_add(struct buffer *out, const struct recipient_wait *wait, const struct queue_view *view,
                        const char *id, uint64_t expires_ms, const struct store_recipient *recipient);
/* Appends the reason for a line of a list: that the destination does not respond or refuses, and the last
 * reply; nothing where neither is so. */
void recipient_wait_add_reason(struct buffer *out, const struct recipient_wait *wait,
                               struct bytes destination, struct bytes last_reply);
/* Returns the name of a destination for users; it may be in `buffer`. */
const char *recipient_wait_destination(struct bytes destination, char buffer[STORE_DESTINATION_MAX + 1]);

#endif
