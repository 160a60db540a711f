/* SPDX-License-Identifier: Apache-2.0 */
#include "io/watch.h"

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
