/* SPDX-License-Identifier: Apache-2.0 */
/* door: accepts connections, counts them, and refuses those that are too many. */
#define _GNU_SOURCE
#include "smtpd/smtpd.h"

#include "clock.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct guest {
    int descriptor;
    struct sockaddr_storage from;
    char room[INET6_ADDRSTRLEN];
    struct bytes address;
};

/* The greeting of one who cannot come in. With implicit TLS there is no
 * telling before the handshake, and a handshake costs more than it tells. */
static void turn_away(const struct door *door, const struct guest *guest, struct bytes reply, const char *reason)
{
    if (door->policy.tls != TLS_IMPLICIT)
        (void)!send(guest->descriptor, reply.at, reply.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(guest->descriptor);
    log_event(LOG_EVENT_WARN, "refused", LOG_U64("code", 421), LOG_TEXT("reason", reason), LOG_BYTES("client", guest->address),
              LOG_U64("port", door->port));
}

/* A local program is known by its user: the kernel says who. */
static struct bytes local_account(int descriptor, char *room, size_t size)
{
    struct ucred who;
    socklen_t length = sizeof who;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        return bytes_none();
    snprintf(room, size, "uid %u", (unsigned)who.uid);
    return bytes_of_text(room);
}

static void let_in(struct door *door, const struct guest *guest)
{
    struct smtpd *smtpd = door->smtpd;
    uint32_t each_max = smtpd->child->config->limits.connections_per_client;
    struct visitor *visitor;
    char room[32];
    struct bytes account = bytes_none();
    if (visitor_of(smtpd, &guest->from, &visitor) && visitor_connections(smtpd, visitor) >= each_max) {
        visitor_forget(smtpd, visitor);
        turn_away(door, guest, BYTES("421 4.7.0 Too many connections from your address; close some first\r\n"), "too many connections from this address");
        return;
    }
    if (door->policy.role == ROLE_LOCAL) {
        account = local_account(guest->descriptor, room, sizeof room);
        if (account.length == 0) {
            close(guest->descriptor);
            return;
        }
    }
    if (visitor != NULL)
        visitor_enters(smtpd, visitor);
    dialogue_start(door, guest->descriptor, visitor, guest->address, account);
}

/* All smtpd processes together have as many connections as they may. */
static bool is_full(const struct smtpd *smtpd)
{
    uint32_t max = smtpd->child->config->limits.connections;
    uint64_t all = 0;
    for (size_t i = 0; smtpd->dialogue_count <= max && i < CENSUS_SLOTS; i++)
        all += atomic_load_explicit(&smtpd->child->census->connections[i], memory_order_relaxed);
    return smtpd->dialogue_count >= max || all >= max;
}

static void receive(struct door *door, struct guest *guest)
{
    guest->address = conn_address_text((struct sockaddr *)&guest->from, guest->room, sizeof guest->room);
    if (is_full(door->smtpd))
        turn_away(door, guest, BYTES("421 4.3.2 Too many connections; try again in a minute\r\n"), "too many connections");
    else
        let_in(door, guest);
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

/* False when nobody waits, or nobody can be accepted just now. */
static bool accept_one(struct door *door)
{
    struct smtpd *smtpd = door->smtpd;
    struct guest guest;
    socklen_t length = sizeof guest.from;
    guest.descriptor = accept4(door->descriptor, (struct sockaddr *)&guest.from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
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
