/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alpn_demux: the first look at a connection to the port with TLS. The
 * ClientHello is looked at and left unread (core/port/tls_client_hello judges it), so
 * whoever gets the connection reads it from its beginning.
 */
#define _GNU_SOURCE
#include "service/web/web.h"

#include "io/clock.h"
#include "io/log.h"
#include "core/port/tls_client_hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

struct guest {
    struct caller caller; /* first: a caller is one of these */
    struct reception *reception;
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
    callers_remove(&reception->guests, &guest->caller);
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
    if (callers_are_too_many(&reception->guests, (const struct sockaddr *)from)) {
        close(descriptor);
        return;
    }
    struct caller *in_the_way = callers_in_the_way(&reception->guests);
    if (in_the_way != NULL)
        give_up(in_the_way);
    struct guest *guest = memory_new(sizeof *guest);
    *guest = (struct guest){.reception = reception, .descriptor = descriptor, .from = *from, .length = length};
    callers_add(&reception->guests, &guest->caller, (const struct sockaddr *)&guest->from);
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
