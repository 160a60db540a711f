/* SPDX-License-Identifier: Apache-2.0 */
/* acceptor: accepts at a listening socket, and leaves it alone for a while where no descriptor is free. */
#define _GNU_SOURCE
#include "service/web/web.h"

#include "io/clock.h"
#include "run/listen.h"
#include "io/log.h"

#include <errno.h>

static bool accept_one(struct gate *gate)
{
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof from;
    int descriptor = accept4(gate->listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
        if (trouble_is_over(&gate->accepting, clock_now_ms()))
            log_event(LOG_EVENT_INFO, "accepting_again", LOG_U64("times", gate->accepting.times));
        gate->on_guest(gate->owner, descriptor, &from, length);
        return true;
    }
    if (!listen_is_exhausted(errno))
        return errno == EINTR || errno == ECONNABORTED;
    if (trouble_met(&gate->accepting, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "accept_failed", LOG_TEXT("reason", strerror(errno)), LOG_U64("times", gate->accepting.times),
                  LOG_TEXT("mend", "raise the limit of open files"));
    watch_change(&gate->watch, false, false);
    timer_set(&gate->reopen, LISTEN_PAUSE_MS);
    return false;
}

static void somebody_waits(void *owner, bool readable, bool writable)
{
    for (int i = 0; i < WEB_ACCEPTS_A_TURN_MAX; i++)
        if (!accept_one(owner))
            break;
}

static void reopen(void *owner)
{
    struct gate *gate = owner;
    watch_change(&gate->watch, true, false);
}

void gate_start(struct gate *gate, struct loop *loop, int listener,
                void (*on_guest)(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length), void *owner)
{
    *gate = (struct gate){.listener = listener, .on_guest = on_guest, .owner = owner};
    timer_start(&gate->reopen, loop, reopen, gate);
    watch_start(&gate->watch, loop, listener, true, false, somebody_waits, gate);
}
