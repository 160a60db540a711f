/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_timeouts: limits the duration of the web service's connections. The library ends silent ones; a
 * client that sends an octet now and then would never be ended, so each connection has a deadline.
 */
#include <stdlib.h>

#include "io/clock.h"
#include "service/web/web.h"

struct timed_connection {
    struct web_connection caller; /* first: callers are cast to it */
    struct web_timeouts *timeouts;
    int descriptor;
    uint64_t since_ms;
    bool served; /* had a request */
};

static struct timed_connection *oldest_of(const struct web_timeouts *timeouts)
{
    return (struct timed_connection *)timeouts->callers.oldest;
}

static void wait_for_oldest(struct web_timeouts *timeouts)
{
    uint64_t now_ms = clock_now_ms();
    const struct timed_connection *oldest = oldest_of(timeouts);
    uint64_t end_ms = oldest == NULL ? 0 : oldest->since_ms + WEB_TIMEOUT_MS;
    if (oldest != NULL)
        timer_set(&timeouts->timer, end_ms > now_ms ? end_ms - now_ms : 0);
    else
        timer_cancel(&timeouts->timer);
}

static void begin(struct web_timeouts *timeouts, struct MHD_Connection *connection, void **context)
{
    int descriptor = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    struct timed_connection *timed = *context = memory_new(sizeof *timed);
    *timed = (struct timed_connection){
        .timeouts = timeouts, .descriptor = descriptor, .since_ms = clock_now_ms()};
    web_connections_add(&timeouts->callers, &timed->caller, from);
    if (oldest_of(timeouts) == timed)
        wait_for_oldest(timeouts);
}

bool web_timeouts_first_request(struct MHD_Connection *connection)
{
    struct timed_connection *timed =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    bool first = !timed->served;
    timed->served = true;
    return first;
}

void web_timeouts_changed(void *owner, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct timed_connection *timed = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(owner, connection, context);
        return;
    }
    if (timed == NULL)
        return;
    if (timed->timeouts != NULL)
        web_connections_remove(&timed->timeouts->callers, &timed->caller);
    free(timed);
    *context = NULL;
}

/* The library then closes the connection, and reports that. */
static void hang_up(struct timed_connection *timed)
{
    web_connections_remove(&timed->timeouts->callers, &timed->caller);
    timed->timeouts = NULL;
    shutdown(timed->descriptor, SHUT_RDWR);
}

void web_timeouts_make_room(struct web_timeouts *timeouts)
{
    struct web_connection *caller = web_connections_to_close(&timeouts->callers);
    if (caller == NULL)
        return;
    hang_up((struct timed_connection *)caller);
    wait_for_oldest(timeouts);
}

static void end_oldest(void *owner)
{
    struct web_timeouts *timeouts = owner;
    uint64_t now_ms = clock_now_ms();
    for (struct timed_connection *timed;
         (timed = oldest_of(timeouts)) != NULL && timed->since_ms + WEB_TIMEOUT_MS <= now_ms;)
        hang_up(timed);
    wait_for_oldest(timeouts);
}

void web_timeouts_start(struct web_timeouts *timeouts, struct loop *loop)
{
    timer_start(&timeouts->timer, loop, end_oldest, timeouts);
}
