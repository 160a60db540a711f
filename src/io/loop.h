/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: one event loop per process (libevent), thin enough to read at a glance.
 *
 * loop_start(), then watches and timers, then loop_run() until loop_stop(). Timers of one length share a
 * queue (libevent's common timeouts), so that ten thousand idle connections cost one kernel timer. Objects
 * that end inside a callback are passed to loop_release().
 */
#ifndef MAILBOAT_IO_LOOP_H
#define MAILBOAT_IO_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

#include "base/error.h"

/* Defers freeing an object whose functions may still be on the stack: the loop frees it once the running
 * callbacks have returned. Its owner embeds this struct, and has removed the object from all lists, timers
 * and watches before. */
struct released {
    struct released *next;
    void (*free_owner)(void *owner);
    void *owner;
};

struct loop {
    struct event_base *base;
    struct released *released; /* waiting to be freed */
    struct event release;
};

bool loop_start(struct loop *loop, struct error *error);
void loop_free(struct loop *loop);
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* after the running callback */

/* Calls free_owner(owner) later, from the loop; once per `released`. Leftovers are freed by loop_free(). */
void loop_release(struct loop *loop, struct released *released, void (*free_owner)(void *owner), void *owner);

/* Returns libevent's handle for timeouts of this length, which share one queue. */
const struct timeval *loop_common_timeout(struct loop *loop, uint32_t timeout_ms);

/* Watches a descriptor, level triggered, until watch_stop(). */
struct watch {
    struct event event;
    void (*on_ready)(void *owner, bool readable, bool writable);
    void *owner;
    short interest;
};
void watch_start(struct watch *watch, struct loop *loop, int descriptor, bool read, bool write,
                 void (*on_ready)(void *owner, bool readable, bool writable), void *owner);
void watch_change(struct watch *watch, bool read, bool write); /* without a system call if nothing changes */
void watch_stop(struct watch *watch);

/* Fires once, `delay_ms` from now; setting it again moves it. */
struct timer {
    struct event event;
    void (*on_time)(void *owner);
    void *owner;
    struct loop *loop;
};
void timer_start(struct timer *timer, struct loop *loop, void (*on_time)(void *owner), void *owner);
void timer_set(struct timer *timer, uint64_t delay_ms);
void timer_cancel(struct timer *timer);

/* Calls `on_time` once the events of this turn are handled, before the loop sleeps: for work gathered over
 * a turn (group commit, one flush). */
void timer_soon(struct timer *timer);

#endif
