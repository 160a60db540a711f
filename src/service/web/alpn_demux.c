/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alpn_demux: peeks at connections to the TLS port. The ClientHello is examined but left unread (see
 * core/port/tls_client_hello), so that the receiver of the connection reads it from the start.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/port/tls_client_hello.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/timer.h"
#include "io/watch.h"
#include "service/handshake_budget.h"
#include "service/web/web.h"

/* Stages of a client; tls_client_check() says what it holds in each. */
enum tls_client_stage {
    TLS_CLIENT_LOOKING, /* its ClientHello is awaited */
    TLS_CLIENT_PAUSING, /* it waits a while: nothing new had come, or its network has no handshakes left */
    TLS_CLIENT_READY,   /* it waits for the web service */
    TLS_CLIENT_ENDED,   /* its connection is somebody else's, or closed; the loop frees it */
};

struct tls_client {
    struct web_connection caller; /* first: a caller is one of these */
    enum tls_client_stage stage;
    struct released released;
    struct alpn_demux *demux;
    int descriptor;
    struct sockaddr_storage from;
    socklen_t length;
    struct watch watch;
    struct timer deadline, again; /* again: what is known has not grown */
    size_t heard;                 /* octets of the hello that have come */
    struct tls_client *previous_ready, *next_ready;
};

static struct handshake_budget budget_here; /* one per process */

/* ---- clients ---- */

static void tls_client_check(const struct tls_client *client)
{
    const struct alpn_demux *demux = client->demux;
    assert((client->stage == TLS_CLIENT_ENDED) == (client->descriptor < 0));
    assert(client->heard <= TLS_CLIENT_HELLO_MAX);
    assert(client->stage != TLS_CLIENT_READY || (demux->ready_first != NULL && demux->ready_last != NULL));
    assert(client->stage == TLS_CLIENT_READY ||
           (demux->ready_first != client && demux->ready_last != client));
}

static void leave_ready(struct tls_client *client)
{
    struct alpn_demux *demux = client->demux;
    if (client->stage != TLS_CLIENT_READY)
        return;
    struct tls_client *before = client->previous_ready, *behind = client->next_ready;
    *(before == NULL ? &demux->ready_first : &before->next_ready) = behind;
    *(behind == NULL ? &demux->ready_last : &behind->previous_ready) = before;
    client->stage = TLS_CLIENT_PAUSING;
}

/* The client has ended; its connection is the caller's. */
static int let_go(struct tls_client *client)
{
    struct alpn_demux *demux = client->demux;
    int descriptor = client->descriptor;
    leave_ready(client);
    watch_stop(&client->watch);
    timer_cancel(&client->deadline);
    timer_cancel(&client->again);
    web_connections_remove(&demux->clients, &client->caller);
    client->descriptor = -1;
    client->stage = TLS_CLIENT_ENDED;
    loop_release(demux->web->child->loop, &client->released, free, client);
    tls_client_check(client);
    return descriptor;
}

static void give_up(void *owner)
{
    struct tls_client *client = owner;
    tls_client_check(client);
    close(let_go(client));
}

/* ---- dispatch ---- */

static void wait_for_more(struct tls_client *client, size_t heard)
{
    int wanted = (int)heard + 1; /* does not wake the loop for octets already seen */
    if (heard == client->heard) {
        watch_change(&client->watch, false, false);
        client->stage = TLS_CLIENT_PAUSING;
        timer_set(&client->again, WEB_PAUSE_MS);
        return;
    }
    client->heard = heard;
    setsockopt(client->descriptor, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
}

static void hand_over(struct web *web, int descriptor)
{
    struct ipc_handed_over client = {.port = web->child->config->web.tls_port};
    struct channel *smtpd = child_next_peer(web->child, PROCESS_SMTPD);
    if (smtpd == NULL || channel_is_full(smtpd) ||
        !child_send(web->child, smtpd, IPC_HANDED_OVER, &client, descriptor))
        log_event(LOG_EVENT_WARN, "connection_rejected",
                  LOG_TEXT("reason", "no smtpd process accepts connections"), LOG_U64("port", client.port));
    close(descriptor); /* smtpd has a copy */
}

/* ---- the web service, one client per turn ---- */

static void serve(struct tls_client *client, const struct handshake_network *network)
{
    struct alpn_demux *demux = client->demux;
    struct web *web = demux->web;
    struct sockaddr_storage from = client->from;
    socklen_t length = client->length;
    uint64_t before_us = clock_cpu_us();
    web_serve(&web->secured, let_go(client), &from, length); /* the library answers the ClientHello */
    int64_t cpu_us = (int64_t)(clock_cpu_us() - before_us) + WEB_UNSERVED_US;
    handshake_budget_charge(demux->budget, network, clock_now_us(), cpu_us);
}

void alpn_demux_served(struct web *web, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *from = info->client_addr;
    struct handshake_network network;
    struct sockaddr_storage address = {0};
    bool four = from->sa_family == AF_INET;
    memcpy(&address, from, four ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    handshake_network_of(&address, &network);
    handshake_budget_charge(web->demux.budget, &network, clock_now_us(), -WEB_UNSERVED_US);
}

static void take_turn(void *owner)
{
    struct alpn_demux *demux = owner;
    struct tls_client *client = demux->ready_first;
    struct handshake_network network;
    if (client == NULL)
        return;
    handshake_network_of(&client->from, &network);
    uint64_t now_us = clock_now_us();
    uint64_t wait_ms = handshake_budget_wait_ms(demux->budget, &network, now_us, false);
    if (wait_ms > 0) {
        if (log_throttle_is_due(&demux->delaying, clock_now_ms()))
            handshake_budget_log(&network, demux->delaying.times);
        leave_ready(client);
        timer_set(&client->again, wait_ms);
    } else {
        serve(client, &network);
    }
    if (demux->ready_first != NULL)
        timer_set(&demux->turn, 0);
}

static void await_turn(struct tls_client *client)
{
    struct alpn_demux *demux = client->demux;
    watch_change(&client->watch, false, false);
    client->stage = TLS_CLIENT_READY;
    client->next_ready = NULL;
    client->previous_ready = demux->ready_last;
    *(demux->ready_last == NULL ? &demux->ready_first : &demux->ready_last->next_ready) = client;
    demux->ready_last = client;
    if (demux->ready_first == client)
        timer_soon(&demux->turn);
    tls_client_check(client);
}

/* ---- peeking ---- */

static void sort(struct tls_client *client, bool offers_smtp)
{
    struct web *web = client->demux->web;
    int one = 1;
    setsockopt(client->descriptor, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
    bool submits = web->configured.starttls[0] != 0 || web->configured.implicit[0] != 0;
    if (offers_smtp && submits)
        hand_over(web, let_go(client));
    else
        await_turn(client);
}

static void look(struct tls_client *client)
{
    static char buffer[TLS_CLIENT_HELLO_MAX];
    tls_client_check(client);
    ssize_t got = recv(client->descriptor, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        give_up(client);
        return;
    }
    enum tls_client_hello_verdict verdict = tls_client_hello_check(bytes_of(buffer, (size_t)got),
                                                                   BYTES("smtp"));
    if (verdict == TLS_CLIENT_HELLO_MORE)
        wait_for_more(client, (size_t)got);
    else if (verdict == TLS_CLIENT_HELLO_NO_HELLO)
        give_up(client); /* nothing in it can be answered, and there is no plain text reply */
    else
        sort(client, verdict == TLS_CLIENT_HELLO_OFFERS);
}

static void client_ready(void *owner, bool readable, bool writable)
{
    look(owner);
}

static void look_again(void *owner)
{
    struct tls_client *client = owner;
    client->stage = TLS_CLIENT_LOOKING;
    watch_change(&client->watch, true, false);
    look(client);
}

static void receive(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length)
{
    struct alpn_demux *demux = owner;
    if (web_connections_are_too_many(&demux->clients, (const struct sockaddr *)from)) {
        close(descriptor);
        return;
    }
    struct web_connection *to_close = web_connections_to_close(&demux->clients);
    if (to_close != NULL)
        give_up(to_close);
    struct tls_client *client = memory_new(sizeof *client);
    *client = (struct tls_client){.demux = demux, .descriptor = descriptor, .from = *from, .length = length};
    web_connections_add(&demux->clients, &client->caller, (const struct sockaddr *)&client->from);
    struct loop *loop = demux->web->child->loop;
    watch_start(&client->watch, loop, descriptor, true, false, client_ready, client);
    timer_start(&client->again, loop, look_again, client);
    timer_start(&client->deadline, loop, give_up, client);
    timer_set(&client->deadline, WEB_PATIENCE_S * 1000);
}

void alpn_demux_start(struct web *web)
{
    struct alpn_demux *demux = &web->demux;
    if (web->secured.listening < 0)
        return;
    demux->web = web;
    demux->budget = &budget_here;
    handshake_budget_start(demux->budget);
    timer_start(&demux->turn, web->child->loop, take_turn, demux);
    acceptor_start(&demux->acceptor, web->child->loop, web->secured.listening, receive, demux);
}
