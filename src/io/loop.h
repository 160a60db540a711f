/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: one event loop per process (libevent), thin enough to read at a glance.
 *
 * loop_start(), then watches (io/watch.h) and timers (io/timer.h), then
 * loop_run() until loop_stop(). Timeouts of one length share a queue
 * (libevent's common timeouts), so that ten thousand idle connections cost one
 * kernel timer. What ends inside a callback is handed to loop_release().
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

#endif
