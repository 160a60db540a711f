/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: rings once, from the loop. timer_start() fills it, timer_set() says when;
 * setting it again moves it, timer_cancel() forgets it.
 */
#ifndef MAILBOAT_IO_TIMER_H
#define MAILBOAT_IO_TIMER_H

#include "io/loop.h"

struct timer {
    struct event event;
    void (*on_time)(void *owner);
    void *owner;
    struct loop *loop;
};
void timer_start(struct timer *timer, struct loop *loop, void (*on_time)(void *owner), void *owner);
void timer_set(struct timer *timer, uint64_t delay_ms); /* from now */
void timer_cancel(struct timer *timer);

/* Runs `on_time` once the events of this turn are handled, before the loop
 * sleeps: where work of one turn is gathered (group commit, one flush). */
void timer_soon(struct timer *timer);

#endif
