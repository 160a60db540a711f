/* SPDX-License-Identifier: Apache-2.0 */
#include "io/happy_eyeballs.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static void close_door(struct knock_door *door)
{
    if (door->descriptor < 0)
        return;
    watch_stop(&door->watch);
    close(door->descriptor);
    door->descriptor = -1;
}

void knock_stop(struct knock *knock)
{
    for (size_t i = 0; i < knock->started; i++)
        close_door(&knock->doors[i]);
    timer_cancel(&knock->next);
    timer_cancel(&knock->deadline);
}

static void give_up(struct knock *knock)
{
    enum conn_end end = knock->refused ? CONN_END_REFUSED : knock->silent ? CONN_END_TIMEOUT : CONN_END_UNREACHABLE;
    knock_stop(knock);
    knock->events->on_done(knock->owner, -1, 0, end, knock->why);
}

/* The next one has its turn at once; after the last, nobody is there. */
static void door_failed(struct knock_door *door, int number)
{
    struct knock *knock = door->knock;
    enum conn_end end = conn_end_of(number);
    close_door(door);
    knock->failed++;
    knock->refused = knock->refused || end == CONN_END_REFUSED || end == CONN_END_RESET;
    knock->silent = knock->silent || end == CONN_END_TIMEOUT;
    snprintf(knock->why, sizeof knock->why, "%s", strerror(number));
    timer_set(&knock->next, 0);
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct knock_door *door = owner;
    struct knock *knock = door->knock;
    int problem = 0, descriptor = door->descriptor;
    socklen_t length = sizeof problem;
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem != 0) {
        door_failed(door, problem);
        return;
    }
    watch_stop(&door->watch);
    door->descriptor = -1; /* it is the owner's now */
    knock_stop(knock);
    knock->events->on_done(knock->owner, descriptor, (size_t)(door - knock->doors), CONN_END_OTHER, "");
}

static void start_door(struct knock *knock)
{
    struct knock_door *door = &knock->doors[knock->started];
    const struct route_address *to = &knock->addresses[knock->started++];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(knock->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(knock->port)};
    int one = 1;
    memcpy(&six.sin6_addr, to->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, to->octets, sizeof four.sin_addr);
    door->knock = knock;
    door->descriptor = socket(to->six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int problem = errno;
    watch_start(&door->watch, knock->loop, door->descriptor, false, false, on_ready, door);
    if (door->descriptor < 0) {
        door_failed(door, problem);
        return;
    }
    setsockopt(door->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct sockaddr *address = to->six ? (const void *)&six : (const void *)&four;
    if (connect(door->descriptor, address, to->six ? sizeof six : sizeof four) != 0 && errno != EINPROGRESS) {
        door_failed(door, errno);
        return;
    }
    watch_change(&door->watch, false, true);
    if (knock->started < knock->count)
        timer_set(&knock->next, KNOCK_STAGGER_MS);
    else
        timer_set(&knock->deadline, knock->timeout_ms);
}

static void next_turn(void *owner)
{
    struct knock *knock = owner;
    if (knock->started < knock->count)
        start_door(knock);
    else if (knock->failed == knock->count)
        give_up(knock);
    else
        timer_set(&knock->deadline, knock->timeout_ms);
}

static void too_late(void *owner)
{
    struct knock *knock = owner;
    knock->silent = true;
    snprintf(knock->why, sizeof knock->why, "timed out: no answer in the step connect");
    give_up(knock);
}

void knock_start(struct knock *knock, struct loop *loop, const struct route_address *addresses, size_t count, uint16_t port, uint32_t timeout_ms,
                 const struct knock_events *events, void *owner)
{
    assert(count > 0 && count <= ROUTE_ADDRESSES_MAX);
    *knock = (struct knock){.loop = loop, .events = events, .owner = owner, .count = count, .port = port, .timeout_ms = timeout_ms};
    memcpy(knock->addresses, addresses, count * sizeof addresses[0]);
    timer_start(&knock->next, loop, next_turn, knock);
    timer_start(&knock->deadline, loop, too_late, knock);
    timer_set(&knock->next, 0);
}
