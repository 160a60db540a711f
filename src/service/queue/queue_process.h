/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_process: the queue process's own parts: its turn (queue_process.c) and the
 * control socket by which subcommands speak to it (queue_control.c).
 */
#ifndef MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H
#define MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H

#include "run/child.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"

enum { CONTROL_CLIENTS_MAX = 16 };

/* One subcommand that is connected. */
struct control_client {
    struct channel channel;
    struct watch watch;
    struct control *control;
    bool connected;
    /* The one thing it asked that is not answered yet. */
    bool asked, done;
    bool all;              /* of all messages: goes on turn by turn */
    uint64_t request, after, count;
    enum control_verb verb;
};

struct control {
    int listener;
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after the descriptors ran out */
    struct queue *queue;
    const struct timeline *timeline;
    struct timer *wake; /* asks for a turn */
    struct control_client clients[CONTROL_CLIENTS_MAX];
};

/* DATA/queue/control.sock: for the folder's owner and root alone. */
bool control_open(struct control *control, const char *folder, struct error *error);
void control_start(struct control *control, struct loop *loop, struct queue *queue, const struct timeline *timeline, struct timer *wake);
void control_close(struct control *control);
/* Those whose wish was in the batch are answered. */
void control_committed(struct control *control, enum store_verdict verdict);
/* Goes on with wishes about all messages; true when there is more to do. */
bool control_walk(struct control *control, uint64_t now_ms);

#endif
