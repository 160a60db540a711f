/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_process: the queue process's own parts: its turn (queue_process.c) and the
 * control socket by which subcommands speak to it (queue_control.c).
 */
#ifndef MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H
#define MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H

#include "queue/queue.h"
#include "queue/queue_clock.h"
#include "run/child.h"

enum { CONTROL_CLIENTS_MAX = 16 };

/* One subcommand that is connected. */
struct queue_control_client {
    struct channel channel;
    struct watch watch;
    struct queue_control *control;
    bool connected;
    /* The one thing it asked that is not answered yet. */
    bool asked, done;
    bool all;        /* of all messages: goes on turn by turn */
    bool next_batch; /* a commit was under way when it asked: the one after it answers */
    uint64_t request, after, count;
    enum control_verb verb;
};

struct queue_control {
    int listener;
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after the descriptors ran out */
    struct queue *queue;
    const struct queue_clock *queue_clock;
    struct timer *wake; /* asks for a turn */
    struct queue_control_client clients[CONTROL_CLIENTS_MAX];
};

/* DATA/queue/control.sock: for the folder's owner and root alone. */
bool queue_control_open(struct queue_control *control, const char *folder, struct error *error);
void queue_control_start(struct queue_control *control, struct loop *loop, struct queue *queue,
                         const struct queue_clock *queue_clock, struct timer *wake);
void queue_control_close(struct queue_control *control);
/* Those whose wish was in the batch are answered. */
void queue_control_committed(struct queue_control *control, enum store_verdict verdict);
/* Goes on with wishes about all messages; true when there is more to do. */
bool queue_control_walk(struct queue_control *control, uint64_t now_ms);

#endif
