/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_clock: the queue's own time. What waits is due and expires at times on
 * disk, so they must outlive the process; but a wall clock can jump, and a
 * week ahead by mistake must not expire all that waits, nor a week back
 * freeze it. So the queue's time starts as the wall clock and then only
 * passes, as the kernel counts since the machine started (also while it
 * slept). A note in the store carries it on to the next process; across a
 * restart of the machine the wall clock tells how long that took.
 *
 * queue_clock_open() unsealed; queue_clock_start() with the store; then
 * queue_clock_now_ms() wherever the queue asks for the time, and
 * queue_clock_look() each turn.
 */
#ifndef MAILBOAT_QUEUE_QUEUE_CLOCK_H
#define MAILBOAT_QUEUE_QUEUE_CLOCK_H

#include "store/queue/store.h"

enum {
    QUEUE_CLOCK_STEP_MS = 60 * 1000,       /* a wall clock that moved against ours by more has jumped */
    QUEUE_CLOCK_NOTED_MS = 10 * 60 * 1000, /* how old the note may be while other changes are committed */
    /* octets of the kernel's name for the time since the machine started */
    QUEUE_CLOCK_BOOT_ID_MAX = 40,
};

/* What the clocks say at one moment. */
struct queue_clock_moment {
    char boot_id[QUEUE_CLOCK_BOOT_ID_MAX + 1];
    uint64_t boot_ms, wall_ms;
};

struct queue_clock {
    struct queue_clock_moment started;
    uint64_t started_ms; /* our time then */
    uint64_t noted_ms;   /* when the note was written; our time */
    int64_t noted_ahead_ms;
};

void queue_clock_open(struct queue_clock *queue_clock);
/* Goes on where the note of before stopped; the fresh note comes into the store's batch.
 * False with the error where the store does not tell: then no time is known. */
bool queue_clock_start(struct queue_clock *queue_clock, struct store *store, struct error *error);
uint64_t queue_clock_now_ms(const struct queue_clock *queue_clock);
/* How far the wall clock is ahead of us; negative: behind. */
int64_t queue_clock_ahead_ms(const struct queue_clock *queue_clock);
/* Has the wall clock jumped? It is logged, once, and noted in the batch. Where
 * there is a batch anyway, an old note is renewed. */
void queue_clock_look(struct queue_clock *queue_clock, struct store *store);

/* The time of the queue in that store, for those who read it. */
uint64_t queue_clock_read_ms(struct store *store);

/* Where a note's time has come to. Nothing noted: the wall clock's. */
uint64_t queue_clock_resume_ms(struct bytes note, const struct queue_clock_moment *now);

#endif
