/* SPDX-License-Identifier: Apache-2.0 */
/* listener: accepts connections, and refuses those that are too many. */
#define _GNU_SOURCE
#include "service/smtpd/smtpd.h"

#include "io/clock.h"
#include "run/listen.h"
#include "io/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct guest {
    int descriptor;
    struct sockaddr_storage from;
    struct visitor *visitor; /* NULL until it is counted */
    char room[INET6_ADDRSTRLEN];
    struct bytes address;
    char account[32]; /* of a local program: "uid 1000" */
};

/* Why one cannot come in: what is logged, and the greeting. */
static const struct refusal {
    struct bytes reply;
    const char *reason;
} refusals[] = {
    [NOTICE_FULL] = {BYTES("421 4.3.2 Too many connections; try again in a minute\r\n"),
                     "too many connections"},
    [NOTICE_TOO_MANY] = {BYTES("421 4.7.0 Too many connections from your address or network; "
                               "close some first\r\n"),
                         "too many connections from this address"},
    [NOTICE_BLOCKED] = {BYTES("421 4.7.0 Too many unknown recipients from your address or network; "
                              "try again later\r\n"),
                        "too many unknown recipients from this address"},
};

/* With implicit TLS there is no telling before the handshake, and a handshake
 * costs more than it tells. One line a client and a while, not one a connection. */
static void turn_away(const struct door *door, struct guest *guest, enum notice_kind why)
{
    struct smtpd *smtpd = door->smtpd;
    const struct refusal *refusal = &refusals[why];
    uint64_t times;
    if (door->policy.tls != TLS_IMPLICIT)
        (void)!send(guest->descriptor, refusal->reply.at, refusal->reply.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(guest->descriptor);
    if (notice_is_due(&smtpd->notices, why, visitor_network(guest->visitor)->key, clock_now_ms(), &times))
        log_event(LOG_EVENT_WARN, "refused", LOG_U64("code", 421), LOG_TEXT("reason", refusal->reason),
                  LOG_BYTES("client", guest->address), LOG_U64("port", door->port),
                  LOG_TEXT("account", guest->account), LOG_U64("times", times));
    visitor_leaves(smtpd, guest->visitor);
}

/* Who comes is counted at once: making room for it must not free what stands for its network. */
static bool count_guest(struct door *door, struct guest *guest)
{
    struct ucred who;
    socklen_t length = sizeof who;
    if (door->policy.role != ROLE_LOCAL) {
        guest->visitor = visitor_enters(door->smtpd, &guest->from);
        return guest->visitor != NULL;
    }
    /* A local program is known by its user: the kernel says who. */
    if (getsockopt(guest->descriptor, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        return false;
    guest->visitor = visitor_user_enters(door->smtpd, who.uid);
    snprintf(guest->account, sizeof guest->account, "uid %u", (unsigned)who.uid);
    return true;
}

static void receive(struct door *door, struct guest *guest)
{
    struct smtpd *smtpd = door->smtpd;
    guest->address = conn_address_text((struct sockaddr *)&guest->from, guest->room, sizeof guest->room);
    if (!count_guest(door, guest)) {
        close(guest->descriptor);
        return;
    }
    bool house = door->policy.role == ROLE_LOCAL && visitor_factor(guest->visitor) == 0;
    bool known = house || (door->policy.role == ROLE_SUBMISSION && familiar_is(smtpd, guest->visitor));
    if (visitor_has_too_many(smtpd, guest->visitor))
        turn_away(door, guest, NOTICE_TOO_MANY);
    else if (door->policy.role == ROLE_MX && harvests_shut_min(smtpd, guest->visitor) > 0)
        turn_away(door, guest, NOTICE_BLOCKED);
    else if (!crowd_lets_in(door, known))
        turn_away(door, guest, NOTICE_FULL);
    else
        dialogue_start(door, guest->descriptor, guest->visitor, known, guest->address,
                       bytes_of_text(guest->account));
}

void door_welcome(struct door *door, int descriptor)
{
    struct guest guest = {.descriptor = descriptor};
    socklen_t length = sizeof guest.from;
    if (getpeername(descriptor, (struct sockaddr *)&guest.from, &length) == 0)
        receive(door, &guest);
    else
        close(descriptor); /* it is gone already */
}

/* The limit of open files can be lower than that of connections: one that does nothing makes room. */
static int accept_guest(struct door *door, struct guest *guest)
{
    socklen_t length = sizeof guest->from;
    int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = accept4(door->descriptor, (struct sockaddr *)&guest->from, &length, flags);
    if (descriptor >= 0 || errno != EMFILE || !crowd_makes_room(door->smtpd, true))
        return descriptor;
    length = sizeof guest->from;
    return accept4(door->descriptor, (struct sockaddr *)&guest->from, &length, flags);
}

/* False when nobody waits, or nobody can be accepted just now. */
static bool accept_one(struct door *door)
{
    struct smtpd *smtpd = door->smtpd;
    struct guest guest = {.visitor = NULL};
    guest.descriptor = accept_guest(door, &guest);
    if (guest.descriptor < 0) {
        if (!listen_is_exhausted(errno))
            return errno == EINTR || errno == ECONNABORTED;
        if (trouble_met(&smtpd->accepting, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "accept_failed", LOG_TEXT("reason", strerror(errno)), LOG_U64("times", smtpd->accepting.times),
                      LOG_TEXT("mend", "raise the limit of open files or lower limits.connections"));
        doors_shut(smtpd, LISTEN_PAUSE_MS);
        return false;
    }
    if (trouble_is_over(&smtpd->accepting, clock_now_ms()))
        log_event(LOG_EVENT_INFO, "accepting_again", LOG_U64("times", smtpd->accepting.times));
    receive(door, &guest);
    return true;
}

static void door_ready(void *owner, bool readable, bool writable)
{
    struct door *door = owner;
    for (int i = 0; i < ACCEPTS_A_TURN_MAX; i++)
        if (!accept_one(door))
            break;
}

void door_open(struct door *door, struct smtpd *smtpd, int descriptor)
{
    door->smtpd = smtpd;
    door->descriptor = descriptor;
    watch_start(&door->watch, smtpd->child->loop, descriptor, true, false, door_ready, door);
}

void doors_shut(struct smtpd *smtpd, uint64_t reopen_ms)
{
    for (size_t i = 0; i < smtpd->door_count; i++)
        watch_change(&smtpd->doors[i].watch, false, false);
    timer_set(&smtpd->reopen, reopen_ms);
}

void doors_reopen(void *owner)
{
    struct smtpd *smtpd = owner;
    for (size_t i = 0; !smtpd->draining && i < smtpd->door_count; i++)
        watch_change(&smtpd->doors[i].watch, true, false);
}

void doors_close(struct smtpd *smtpd)
{
    timer_cancel(&smtpd->reopen);
    for (size_t i = 0; i < smtpd->door_count; i++) {
        struct door *door = &smtpd->doors[i];
        if (door->descriptor < 0)
            continue;
        watch_stop(&door->watch);
        close(door->descriptor);
        door->descriptor = -1;
    }
}
