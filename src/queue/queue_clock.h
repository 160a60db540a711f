/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_clock: the queue's own time. Due and expiry times are stored on disk, so they must outlive the
 * process; but a wall clock can jump, and an error of a week must neither expire the whole queue nor
 * freeze it. So the queue's time starts as the wall clock and then advances as the kernel counts since
 * boot (including suspend). A note in the store passes it on to the next process; across a reboot the wall
 * clock measures the gap.
 *
 * queue_clock_open() before the sandbox; queue_clock_start() with the store; then queue_clock_now_ms()
 * whenever the queue needs the time, and queue_clock_look() each turn.
 */
#ifndef MAILBOAT_QUEUE_QUEUE_CLOCK_H
#define MAILBOAT_QUEUE_QUEUE_CLOCK_H

#include "store/queue/store.h"

enum {
    QUEUE_CLOCK_STEP_MS = 60 * 1000,       /* a difference to the wall clock that counts as a jump */
    QUEUE_CLOCK_NOTED_MS = 10 * 60 * 1000, /* maximum age of the note while other changes are committed */
    /* octets of the kernel's boot id */
    QUEUE_CLOCK_BOOT_ID_MAX = 40,
};

/* The clocks at one moment. */
struct queue_clock_moment {
    char boot_id[QUEUE_CLOCK_BOOT_ID_MAX + 1];
    uint64_t boot_ms, wall_ms;
};

struct queue_clock {
    struct queue_clock_moment started;
    uint64_t started_ms; /* queue time then */
    uint64_t noted_ms;   /* queue time of the note */
    int64_t noted_ahead_ms;
};

void queue_clock_open(struct queue_clock *queue_clock);
/* Continues from the previous note; adds a fresh note to the store's batch. False with the error if the
 * store does not answer: then the time is unknown. */
bool queue_clock_start(struct queue_clock *queue_clock, struct store *store, struct error *error);
uint64_t queue_clock_now_ms(const struct queue_clock *queue_clock);
/* Returns wall clock minus queue time. */
int64_t queue_clock_ahead_ms(const struct queue_clock *queue_clock);
/* Detects a jump of the wall clock: logs it once, and adds a note to the batch. If a batch is open anyway,
 * an old note is renewed. */
void queue_clock_look(struct queue_clock *queue_clock, struct store *store);

/* Returns the queue time in that store, for readers. */
uint64_t queue_clock_read_ms(struct store *store);

/* Computes the current time from a note. Without one: the wall clock's. */
uint64_t queue_clock_resume_ms(struct bytes note, const struct queue_clock_moment *now);

#endif
