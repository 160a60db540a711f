/* SPDX-License-Identifier: Apache-2.0 */
/* acceptor: accepts connections on a listening socket, and pauses while no descriptor is free. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/listen.h"
#include "service/web/web.h"

static bool accept_one(struct acceptor *acceptor)
{
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof from;
    int descriptor = accept4(acceptor->listening, (struct sockaddr *)&from, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
        if (log_throttle_recovered(&acceptor->accepting, clock_now_ms()))
            log_event(LOG_EVENT_INFO, "accept_recovered", LOG_U64("occurrences", acceptor->accepting.times));
        acceptor->on_accept(acceptor->web, descriptor, &from);
        return true;
    }
    if (!listen_is_exhausted(errno))
        return errno == EINTR || errno == ECONNABORTED;
    if (log_throttle_is_due(&acceptor->accepting, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "accept_failed", LOG_TEXT("error", strerror(errno)),
                  LOG_U64("occurrences", acceptor->accepting.times),
                  LOG_TEXT("hint", "raise the limit of open files"));
    watch_change(&acceptor->watch, false, false);
    timer_set(&acceptor->reopen, LISTEN_PAUSE_MS);
    return false;
}

static void connection_waits(void *owner, bool readable, bool writable)
{
    for (int i = 0; i < WEB_ACCEPTS_A_TURN_MAX; i++)
        if (!accept_one(owner))
            break;
}

static void reopen(void *owner)
{
    struct acceptor *acceptor = owner;
    watch_change(&acceptor->watch, true, false);
}

void acceptor_start(struct acceptor *acceptor, struct web *web,
                    void (*on_accept)(struct web *web, int descriptor, const struct sockaddr_storage *from))
{
    struct loop *loop = web->child->loop;
    acceptor->web = web;
    acceptor->on_accept = on_accept;
    if (acceptor->listening < 0)
        return;
    timer_start(&acceptor->reopen, loop, reopen, acceptor);
    watch_start(&acceptor->watch, loop, acceptor->listening, true, false, connection_waits, acceptor);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (acceptor->listening < 0)
        return;
    for (int i = 0; i < WEB_CONNECTIONS_MAX && accept_one(acceptor); i++)
        continue;
    timer_cancel(&acceptor->reopen);
    watch_stop(&acceptor->watch);
    close(acceptor->listening);
    acceptor->listening = -1;
}
