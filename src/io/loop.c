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

const struct timeval *loop_common_timeout(struct loop *loop, uint32_t timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    const struct timeval *common = event_base_init_common_timeout(loop->base, &timeout);
    assert(common != NULL); /* few lengths exist: libevent's limit is 256 */
    return common;
}
