/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reception: the first look at a connection to the port with TLS. The
 * ClientHello is looked at and left unread (core/port/hello judges it), so
 * whoever gets the connection reads it from its beginning.
 */
#define _GNU_SOURCE
#include "web/web.h"

#include "clock.h"
#include "log.h"
#include "port/hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

struct guest {
    struct reception *reception;
    struct guest *previous, *next;
    int descriptor;
    struct sockaddr_storage from;
    socklen_t length;
    struct watch watch;
    struct timer deadline, again; /* again: what is known has not grown */
    size_t heard;                 /* octets of the hello that have come */
    bool ready;                   /* it waits for the web service */
    struct guest *previous_ready, *next_ready;
};

static struct handshake_budget budget_here; /* one a process */

/* ---- guests ---- */

/* Of IPv6 the /64: who has one address has them all. */
static struct bytes network_of(const struct sockaddr_storage *from)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
    if (from->ss_family == AF_INET)
        return bytes_of(&((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    return bytes_of(&six->sin6_addr, IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) ? 16 : 8);
}

static bool is_too_many(const struct reception *reception, const struct sockaddr_storage *from)
{
    size_t of_it = 0;
    for (const struct guest *guest = reception->guests; guest != NULL; guest = guest->next)
        of_it += bytes_equal(network_of(&guest->from), network_of(from));
    return reception->guest_count >= WEB_CONNECTIONS_MAX || of_it >= WEB_CONNECTIONS_PER_CLIENT_MAX;
}

static void leave_ready(struct guest *guest)
{
    struct reception *reception = guest->reception;
    if (!guest->ready)
        return;
    struct guest *before = guest->previous_ready, *behind = guest->next_ready;
    *(before == NULL ? &reception->ready_first : &before->next_ready) = behind;
    *(behind == NULL ? &reception->ready_last : &behind->previous_ready) = before;
    guest->ready = false;
}

/* The guest is gone; its connection is the caller's. */
static int let_go(struct guest *guest)
{
    struct reception *reception = guest->reception;
    int descriptor = guest->descriptor;
    leave_ready(guest);
    watch_stop(&guest->watch);
    timer_cancel(&guest->deadline);
    timer_cancel(&guest->again);
    *(guest->previous != NULL ? &guest->previous->next : &reception->guests) = guest->next;
    if (guest->next != NULL)
        guest->next->previous = guest->previous;
    reception->guest_count--;
    free(guest);
    return descriptor;
}

static void give_up(void *owner)
{
    close(let_go(owner));
}

/* ---- where it goes ---- */

static void wait_for_more(struct guest *guest, size_t heard)
{
    int wanted = (int)heard + 1; /* so the loop is not woken for what was seen */
    if (heard == guest->heard) {
        watch_change(&guest->watch, false, false);
        timer_set(&guest->again, WEB_PAUSE_MS);
        return;
    }
    guest->heard = heard;
    setsockopt(guest->descriptor, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
}

static void hand_over(struct web *web, int descriptor)
{
    struct ipc_guest guest = {.port = web->child->config->web.tls_port};
    struct channel *smtpd = child_next_peer(web->child, PROCESS_SMTPD);
    if (smtpd == NULL || channel_is_full(smtpd) || !child_send(web->child, smtpd, IPC_GUEST, &guest, descriptor))
        log_event(LOG_EVENT_WARN, "refused", LOG_TEXT("reason", "no smtpd process takes connections"), LOG_U64("port", guest.port));
    close(descriptor); /* smtpd has its own */
}

/* ---- the web service, one guest a turn ---- */

static void serve(struct guest *guest, const struct handshake_network *network)
{
    struct reception *reception = guest->reception;
    struct web *web = reception->web;
    struct sockaddr_storage from = guest->from;
    socklen_t length = guest->length;
    uint64_t before_us = clock_cpu_us();
    web_serve(&web->secured, let_go(guest), &from, length); /* the library answers the ClientHello */
    int64_t cpu_us = (int64_t)(clock_cpu_us() - before_us) + WEB_UNSERVED_US;
    handshake_budget_charge(reception->budget, network, clock_now_us(), cpu_us);
}

void reception_served(struct web *web, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *from = info->client_addr;
    struct handshake_network network;
    struct sockaddr_storage address = {0};
    bool four = from->sa_family == AF_INET;
    memcpy(&address, from, four ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    handshake_network_of(&address, &network);
    handshake_budget_charge(web->reception.budget, &network, clock_now_us(), -WEB_UNSERVED_US);
}

static void take_turn(void *owner)
{
    struct reception *reception = owner;
    struct guest *guest = reception->ready_first;
    struct handshake_network network;
    if (guest == NULL)
        return;
    handshake_network_of(&guest->from, &network);
    uint64_t now_us = clock_now_us();
    uint64_t wait_ms = handshake_budget_wait_ms(reception->budget, &network, now_us, false);
    if (wait_ms > 0) {
        if (trouble_met(&reception->delaying, clock_now_ms()))
            handshake_budget_tell(&network, reception->delaying.times);
        leave_ready(guest);
        timer_set(&guest->again, wait_ms);
    } else {
        serve(guest, &network);
    }
    if (reception->ready_first != NULL)
        timer_set(&reception->turn, 0);
}

static void await_turn(struct guest *guest)
{
    struct reception *reception = guest->reception;
    watch_change(&guest->watch, false, false);
    guest->ready = true;
    guest->next_ready = NULL;
    guest->previous_ready = reception->ready_last;
    *(reception->ready_last == NULL ? &reception->ready_first : &reception->ready_last->next_ready) = guest;
    reception->ready_last = guest;
    if (reception->ready_first == guest)
        timer_soon(&reception->turn);
}

/* ---- the first look ---- */

static void sort(struct guest *guest, bool offers_smtp)
{
    struct web *web = guest->reception->web;
    int one = 1;
    setsockopt(guest->descriptor, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
    bool submits = web->configured.starttls[0] != 0 || web->configured.implicit[0] != 0;
    if (offers_smtp && submits)
        hand_over(web, let_go(guest));
    else
        await_turn(guest);
}

static void look(struct guest *guest)
{
    static char room[HELLO_MAX];
    ssize_t got = recv(guest->descriptor, room, sizeof room, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        give_up(guest);
        return;
    }
    enum hello_verdict verdict = hello_judge(bytes_of(room, (size_t)got), BYTES("smtp"));
    if (verdict == HELLO_MORE)
        wait_for_more(guest, (size_t)got);
    else if (verdict == HELLO_NO_HELLO)
        give_up(guest); /* nothing in it could be answered, and in clear there is nothing to say */
    else
        sort(guest, verdict == HELLO_OFFERS);
}

static void guest_ready(void *owner, bool readable, bool writable)
{
    look(owner);
}

static void look_again(void *owner)
{
    struct guest *guest = owner;
    watch_change(&guest->watch, true, false);
    look(guest);
}

static void receive(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length)
{
    struct reception *reception = owner;
    if (is_too_many(reception, from)) {
        close(descriptor);
        return;
    }
    struct guest *guest = memory_new(sizeof *guest);
    *guest = (struct guest){.reception = reception, .next = reception->guests, .descriptor = descriptor, .from = *from, .length = length};
    if (guest->next != NULL)
        guest->next->previous = guest;
    reception->guests = guest;
    reception->guest_count++;
    struct loop *loop = reception->web->child->loop;
    watch_start(&guest->watch, loop, descriptor, true, false, guest_ready, guest);
    timer_start(&guest->again, loop, look_again, guest);
    timer_start(&guest->deadline, loop, give_up, guest);
    timer_set(&guest->deadline, WEB_PATIENCE_S * 1000);
}

void reception_start(struct web *web)
{
    struct reception *reception = &web->reception;
    if (web->secured.listener < 0)
        return;
    reception->web = web;
    reception->budget = &budget_here;
    handshake_budget_start(reception->budget);
    timer_start(&reception->turn, web->child->loop, take_turn, reception);
    gate_start(&reception->gate, web->child->loop, web->secured.listener, receive, reception);
}
