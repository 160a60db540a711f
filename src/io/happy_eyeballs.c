/* SPDX-License-Identifier: Apache-2.0 */
#include "io/happy_eyeballs.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static void close_attempt(struct connect_attempt *attempt)
{
    if (attempt->descriptor < 0)
        return;
    watch_stop(&attempt->watch);
    close(attempt->descriptor);
    attempt->descriptor = -1;
}

void happy_eyeballs_stop(struct happy_eyeballs *eyeballs)
{
    for (size_t i = 0; i < eyeballs->started; i++)
        close_attempt(&eyeballs->attempts[i]);
    timer_cancel(&eyeballs->next);
    timer_cancel(&eyeballs->deadline);
}

static void give_up(struct happy_eyeballs *eyeballs)
{
    enum conn_end end = eyeballs->refused  ? CONN_END_REFUSED
                        : eyeballs->silent ? CONN_END_TIMEOUT
                                           : CONN_END_UNREACHABLE;
    happy_eyeballs_stop(eyeballs);
    eyeballs->events->on_done(eyeballs->owner, -1, 0, end, eyeballs->why);
}

/* Starts the next attempt immediately; reports failure after the last. */
static void attempt_failed(struct connect_attempt *attempt, int number)
{
    struct happy_eyeballs *eyeballs = attempt->eyeballs;
    enum conn_end end = conn_end_of(number);
    close_attempt(attempt);
    eyeballs->failed++;
    eyeballs->refused = eyeballs->refused || end == CONN_END_REFUSED || end == CONN_END_RESET;
    eyeballs->silent = eyeballs->silent || end == CONN_END_TIMEOUT;
    snprintf(eyeballs->why, sizeof eyeballs->why, "%s", strerror(number));
    timer_set(&eyeballs->next, 0);
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct connect_attempt *attempt = owner;
    struct happy_eyeballs *eyeballs = attempt->eyeballs;
    int problem = 0, descriptor = attempt->descriptor;
    socklen_t length = sizeof problem;
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem != 0) {
        attempt_failed(attempt, problem);
        return;
    }
    watch_stop(&attempt->watch);
    attempt->descriptor = -1; /* owned by the caller now */
    happy_eyeballs_stop(eyeballs);
    eyeballs->events->on_done(eyeballs->owner, descriptor, (size_t)(attempt - eyeballs->attempts),
                              CONN_END_OTHER, "");
}

static void start_attempt(struct happy_eyeballs *eyeballs)
{
    struct connect_attempt *attempt = &eyeballs->attempts[eyeballs->started];
    const struct route_address *to = &eyeballs->addresses[eyeballs->started++];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(eyeballs->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(eyeballs->port)};
    int one = 1;
    memcpy(&six.sin6_addr, to->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, to->octets, sizeof four.sin_addr);
    attempt->eyeballs = eyeballs;
    attempt->descriptor = socket(to->six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int problem = errno;
    watch_start(&attempt->watch, eyeballs->loop, attempt->descriptor, false, false, on_ready, attempt);
    if (attempt->descriptor < 0) {
        attempt_failed(attempt, problem);
        return;
    }
    setsockopt(attempt->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct sockaddr *address = to->six ? (const void *)&six : (const void *)&four;
    if (connect(attempt->descriptor, address, to->six ? sizeof six : sizeof four) != 0 &&
        errno != EINPROGRESS) {
        attempt_failed(attempt, errno);
        return;
    }
    watch_change(&attempt->watch, false, true);
    if (eyeballs->started < eyeballs->count)
        timer_set(&eyeballs->next, HAPPY_EYEBALLS_STAGGER_MS);
    else
        timer_set(&eyeballs->deadline, eyeballs->timeout_ms);
}

static void next_turn(void *owner)
{
    struct happy_eyeballs *eyeballs = owner;
    if (eyeballs->started < eyeballs->count)
        start_attempt(eyeballs);
    else if (eyeballs->failed == eyeballs->count)
        give_up(eyeballs);
    else
        timer_set(&eyeballs->deadline, eyeballs->timeout_ms);
}

static void too_late(void *owner)
{
    struct happy_eyeballs *eyeballs = owner;
    eyeballs->silent = true;
    snprintf(eyeballs->why, sizeof eyeballs->why, "timed out during connect");
    give_up(eyeballs);
}

void happy_eyeballs_start(struct happy_eyeballs *eyeballs, struct loop *loop,
                          const struct route_address *addresses, size_t count, uint16_t port,
                          uint32_t timeout_ms, const struct happy_eyeballs_events *events, void *owner)
{
    assert(count > 0 && count <= ROUTE_ADDRESSES_MAX);
    *eyeballs = (struct happy_eyeballs){.loop = loop,
                                        .events = events,
                                        .owner = owner,
                                        .count = count,
                                        .port = port,
                                        .timeout_ms = timeout_ms};
    memcpy(eyeballs->addresses, addresses, count * sizeof addresses[0]);
    timer_start(&eyeballs->next, loop, next_turn, eyeballs);
    timer_start(&eyeballs->deadline, loop, too_late, eyeballs);
    timer_set(&eyeballs->next, 0);
}
