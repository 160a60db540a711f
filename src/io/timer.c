/* SPDX-License-Identifier: Apache-2.0 */
#include "io/timer.h"

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
    /* Activated now, it runs after the callbacks that are active already. */
    event_active(&timer->event, EV_TIMEOUT, 1);
}
