/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

/* Frees what was released; releases made meanwhile wait for the next round. */
static void free_released(evutil_socket_t descriptor, short what, void *of)
{
    struct loop *loop = of;
    struct released *released = loop->released;
    loop->released = NULL;
    while (released != NULL) {
        struct released *next = released->next; /* read first: it is freed with its owner */
        released->free_owner(released->owner);
        released = next;
    }
}

bool loop_start(struct loop *loop, struct error *error)
{
    signal(SIGPIPE, SIG_IGN);
    struct event_config *wishes = event_config_new();
    *loop = (struct loop){0};
    if (wishes != NULL) {
        /* No change list: listening sockets and channels are shared with other processes, and a closed one
         * must leave epoll immediately. */
        event_config_set_flag(wishes, EVENT_BASE_FLAG_NOLOCK);
        loop->base = event_base_new_with_config(wishes);
        event_config_free(wishes);
    }
    if (loop->base == NULL)
        return error_set(error, EX_OSERR, "cannot start the event loop");
    event_assign(&loop->release, loop->base, -1, 0, free_released, loop);
    return true;
}

void loop_free(struct loop *loop)
{
    if (loop->base == NULL)
        return;
    while (loop->released != NULL)
        free_released(-1, 0, loop);
    event_base_free(loop->base);
    loop->base = NULL;
}

void loop_run(struct loop *loop)
{
    event_base_dispatch(loop->base);
}

void loop_stop(struct loop *loop)
{
    event_base_loopbreak(loop->base);
}

void loop_release(struct loop *loop, struct released *released, void (*free_owner)(void *owner), void *owner)
{
    *released = (struct released){.next = loop->released, .free_owner = free_owner, .owner = owner};
    loop->released = released;
    event_active(&loop->release, EV_TIMEOUT, 1);
}

/* ---- watches ---- */

static void watch_ready(evutil_socket_t descriptor, short what, void *owner)
{
    struct watch *watch = owner;
    watch->on_ready(watch->owner, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

static short interest_of(bool read, bool write)
{
    return (short)(EV_PERSIST | (read ? EV_READ : 0) | (write ? EV_WRITE : 0));
}

void watch_start(struct watch *watch, struct loop *loop, int descriptor, bool read, bool write,
                 void (*on_ready)(void *owner, bool readable, bool writable), void *owner)
{
    *watch = (struct watch){.on_ready = on_ready, .owner = owner, .interest = interest_of(read, write)};
    event_assign(&watch->event, loop->base, descriptor, watch->interest, watch_ready, watch);
    if (read || write)
        event_add(&watch->event, NULL);
}

void watch_change(struct watch *watch, bool read, bool write)
{
    short interest = interest_of(read, write);
    if (interest == watch->interest)
        return;
    struct event_base *base = event_get_base(&watch->event);
    evutil_socket_t descriptor = event_get_fd(&watch->event);
    event_del(&watch->event);
    watch->interest = interest;
    event_assign(&watch->event, base, descriptor, interest, watch_ready, watch);
    if (read || write)
        event_add(&watch->event, NULL);
}

void watch_stop(struct watch *watch)
{
    if (watch->on_ready != NULL)
        event_del(&watch->event);
    watch->on_ready = NULL;
}

/* ---- timers ---- */

static void timer_rang(evutil_socket_t descriptor, short what, void *owner)
{
    struct timer *timer = owner;
    timer->on_time(timer->owner);
}

void timer_start(struct timer *timer, struct loop *loop, void (*on_time)(void *owner), void *owner)
{
    *timer = (struct timer){.on_time = on_time, .owner = owner, .loop = loop};
    event_assign(&timer->event, loop->base, -1, 0, timer_rang, timer);
}

void timer_set(struct timer *timer, uint64_t delay_ms)
{
    struct timeval delay = {.tv_sec = (time_t)(delay_ms / 1000),
                            .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
    event_add(&timer->event, &delay);
}

void timer_cancel(struct timer *timer)
{
    if (timer->on_time != NULL)
        event_del(&timer->event);
}

void timer_soon(struct timer *timer)
{
    /* An event activated now runs after the callbacks that are already active. */
    event_active(&timer->event, EV_TIMEOUT, 1);
}

const struct timeval *loop_common_timeout(struct loop *loop, uint32_t timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    const struct timeval *common = event_base_init_common_timeout(loop->base, &timeout);
    assert(common != NULL); /* few lengths exist: libevent's limit is 256 */
    return common;
}
