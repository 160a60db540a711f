/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_timeouts: how long each connection of the web service has been there. The
 * library ends those that are silent; who sends an octet now and then would
 * stay for ever, so after a while each is hung up on.
 */
#include "service/web/web.h"

#include "io/clock.h"

#include <stdlib.h>

struct stay {
    struct caller caller; /* first: a caller is one of these */
    struct stays *stays;
    int descriptor;
    uint64_t since_ms;
    bool served; /* it has asked for something */
};

static struct stay *oldest_of(const struct stays *stays)
{
    return (struct stay *)stays->callers.oldest;
}

static void wait_for_oldest(struct stays *stays)
{
    uint64_t now_ms = clock_now_ms();
    const struct stay *oldest = oldest_of(stays);
    uint64_t end_ms = oldest == NULL ? 0 : oldest->since_ms + WEB_STAY_MS;
    if (oldest != NULL)
        timer_set(&stays->timer, end_ms > now_ms ? end_ms - now_ms : 0);
    else
        timer_cancel(&stays->timer);
}

static void begin(struct stays *stays, struct MHD_Connection *connection, void **context)
{
    int descriptor = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    struct stay *stay = *context = memory_new(sizeof *stay);
    *stay = (struct stay){.stays = stays, .descriptor = descriptor, .since_ms = clock_now_ms()};
    callers_add(&stays->callers, &stay->caller, from);
    if (oldest_of(stays) == stay)
        wait_for_oldest(stays);
}

bool stays_first_request(struct MHD_Connection *connection)
{
    struct stay *stay = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    bool first = !stay->served;
    stay->served = true;
    return first;
}

void stays_changed(void *owner, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct stay *stay = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(owner, connection, context);
        return;
    }
    if (stay == NULL)
        return;
    if (stay->stays != NULL)
        callers_remove(&stay->stays->callers, &stay->caller);
    free(stay);
    *context = NULL;
}

/* The library closes what was hung up on, and says so. */
static void hang_up(struct stay *stay)
{
    callers_remove(&stay->stays->callers, &stay->caller);
    stay->stays = NULL;
    shutdown(stay->descriptor, SHUT_RDWR);
}

void stays_make_room(struct stays *stays)
{
    struct caller *caller = callers_in_the_way(&stays->callers);
    if (caller == NULL)
        return;
    hang_up((struct stay *)caller);
    wait_for_oldest(stays);
}

static void end_oldest(void *owner)
{
    struct stays *stays = owner;
    uint64_t now_ms = clock_now_ms();
    for (struct stay *stay; (stay = oldest_of(stays)) != NULL && stay->since_ms + WEB_STAY_MS <= now_ms;)
        hang_up(stay);
    wait_for_oldest(stays);
}

void stays_start(struct stays *stays, struct loop *loop)
{
    timer_start(&stays->timer, loop, end_oldest, stays);
}
