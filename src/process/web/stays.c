/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stays: how long each connection of the web service has been there. The
 * library ends those that are silent; who sends an octet now and then would
 * stay for ever, so after a while each is hung up on.
 */
#include "web/web.h"

#include "clock.h"

#include <stdlib.h>

struct stay {
    struct stays *stays;
    struct stay *previous, *next; /* the oldest first */
    int descriptor;
    uint64_t since_ms;
    bool served; /* it has asked for something */
};

static void wait_for_oldest(struct stays *stays)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t end_ms = stays->oldest == NULL ? 0 : stays->oldest->since_ms + WEB_STAY_MS;
    if (stays->oldest != NULL)
        timer_set(&stays->timer, end_ms > now_ms ? end_ms - now_ms : 0);
    else
        timer_cancel(&stays->timer);
}

static void begin(struct stays *stays, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct stay *stay = *context = memory_new(sizeof *stay);
    *stay = (struct stay){.stays = stays, .previous = stays->newest, .descriptor = info->connect_fd, .since_ms = clock_now_ms()};
    *(stays->newest == NULL ? &stays->oldest : &stays->newest->next) = stay;
    stays->newest = stay;
    if (stays->oldest == stay)
        wait_for_oldest(stays);
}

static void unlink_stay(struct stay *stay)
{
    struct stays *stays = stay->stays;
    *(stay->previous == NULL ? &stays->oldest : &stay->previous->next) = stay->next;
    *(stay->next == NULL ? &stays->newest : &stay->next->previous) = stay->previous;
    stay->previous = stay->next = NULL;
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
        unlink_stay(stay);
    free(stay);
    *context = NULL;
}

/* The library closes what was hung up on, and says so. */
static void end_oldest(void *owner)
{
    struct stays *stays = owner;
    uint64_t now_ms = clock_now_ms();
    while (stays->oldest != NULL && stays->oldest->since_ms + WEB_STAY_MS <= now_ms) {
        struct stay *stay = stays->oldest;
        unlink_stay(stay);
        stay->stays = NULL;
        shutdown(stay->descriptor, SHUT_RDWR);
    }
    wait_for_oldest(stays);
}

void stays_start(struct stays *stays, struct loop *loop)
{
    timer_start(&stays->timer, loop, end_oldest, stays);
}
