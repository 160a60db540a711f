/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alpn_demux: peeks at connections to the TLS port. The ClientHello is examined but left unread (see
 * core/port/tls_client_hello), so that the receiver of the connection reads it from the start.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/port/tls_client_hello.h"
#include "io/log.h"
#include "io/timer.h"
#include "io/watch.h"
#include "service/web/web.h"

/* A client whose protocol is not known yet; its descriptor is -1 once it has ended: the loop frees it. */
struct tls_client {
    struct web_connection connection; /* first: a connection is one of these */
    struct released released;
    struct web *web;
    int descriptor;
    struct sockaddr_storage from;
    struct watch watch;
    struct timer deadline, again; /* again: what is known has not grown */
    size_t heard;                 /* octets of the hello that have come */
};

/* ---- clients ---- */

/* The client has ended; its connection is the caller's. */
static int let_go(struct tls_client *client)
{
    int descriptor = client->descriptor;
    assert(descriptor >= 0);
    watch_stop(&client->watch);
    timer_cancel(&client->deadline);
    timer_cancel(&client->again);
    web_connections_remove(&client->web->connections, &client->connection);
    client->descriptor = -1;
    loop_release(client->web->child->loop, &client->released, free, client);
    return descriptor;
}

static void give_up(void *owner)
{
    struct tls_client *client = owner;
    close(let_go(client));
    web_leave_if_done(client->web);
}

static void end_client(struct web_connection *connection)
{
    give_up((struct tls_client *)connection);
}

static const struct web_connection_kind tls_client_kind = {.end = end_client};

/* ---- dispatch ---- */

static void wait_for_more(struct tls_client *client, size_t heard)
{
    int wanted = (int)heard + 1; /* does not wake the loop for octets already seen */
    if (heard == client->heard) {
        watch_change(&client->watch, false, false);
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
    web_leave_if_done(web);
}

static void sort(struct tls_client *client, bool offers_smtp)
{
    struct web *web = client->web;
    struct sockaddr_storage from = client->from;
    int one = 1;
    setsockopt(client->descriptor, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
    bool submits = web->configured.starttls[0] != 0 || web->configured.implicit[0] != 0;
    if (offers_smtp && submits)
        hand_over(web, let_go(client));
    else
        http_connection_start(web, let_go(client), &from, true);
}

/* ---- peeking ---- */

static void look(struct tls_client *client)
{
    static char buffer[TLS_CLIENT_HELLO_MAX];
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
    watch_change(&client->watch, true, false);
    look(client);
}

void alpn_demux_accept(struct web *web, int descriptor, const struct sockaddr_storage *from)
{
    if (!web_admits(web, from)) {
        close(descriptor);
        return;
    }
    struct loop *loop = web->child->loop;
    struct tls_client *client = memory_new(sizeof *client);
    *client = (struct tls_client){
        .connection = {.kind = &tls_client_kind}, .web = web, .descriptor = descriptor, .from = *from};
    web_connections_add(&web->connections, &client->connection, from);
    watch_start(&client->watch, loop, descriptor, true, false, client_ready, client);
    timer_start(&client->again, loop, look_again, client);
    timer_start(&client->deadline, loop, give_up, client);
    timer_set(&client->deadline, WEB_HELLO_MS);
}
