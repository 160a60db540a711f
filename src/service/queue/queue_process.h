/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_process: shared declarations of the queue process: its turn (queue_process.c) and the control
 * socket for subcommands (queue_control.c).
 */
#ifndef MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H
#define MAILBOAT_SERVICE_QUEUE_QUEUE_PROCESS_H

#include "io/timer.h"
#include "io/watch.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"
#include "run/child.h"

enum { CONTROL_CLIENTS_MAX = 16 };

/* A report that waits until a batch may be changed; it owns its texts. */
struct waiting_report {
    struct arena arena;
    struct ipc_report report;
};

/* A connected subcommand. */
struct queue_control_client {
    struct channel channel;
    struct watch watch;
    struct queue_control *control;
    bool connected;
    /* Its one unanswered request. */
    bool asked, done;
    bool all;        /* about all messages: continues over several turns */
    bool next_batch; /* a commit was in progress when it asked: the next one answers */
    uint64_t request, after, count;
    enum control_verb verb;
    struct waiting_report *waiting; /* its request is this; NULL: another */
    const char *why;                /* the answer's text */
};

struct queue_control {
    int listener;
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after running out of descriptors */
    struct queue *queue;
    const struct queue_clock *queue_clock;
    struct timer *wake; /* requests a turn */
    struct queue_control_client clients[CONTROL_CLIENTS_MAX];
};

/* DATA/queue/control.sock: only for the folder's owner and root. */
bool queue_control_open(struct queue_control *control, const char *folder, struct error *error);
void queue_control_start(struct queue_control *control, struct loop *loop, struct queue *queue,
                         const struct queue_clock *queue_clock, struct timer *wake);
void queue_control_close(struct queue_control *control);
/* Answers the requests of the committed batch. */
void queue_control_committed(struct queue_control *control, enum store_verdict verdict);
/* Continues requests about all messages; true if more remains. */
bool queue_control_walk(struct queue_control *control, uint64_t now_ms);

#endif
