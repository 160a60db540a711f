/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web: shared declarations of the web process. web.c is the process: its documents and request handling.
 * alpn_demux.c examines connections to the TLS port before any data is sent: clients that offer "smtp" in
 * the ClientHello are handed to an smtpd, all others to the web service, one per turn of the loop, since
 * their TLS handshakes dominate the cost. published_ports.c leaves out ports that do not respond;
 * web_timeouts.c ends connections that last too long; web_connections.c limits connections per client.
 */
#ifndef MAILBOAT_SERVICE_WEB_WEB_H
#define MAILBOAT_SERVICE_WEB_WEB_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "core/domain/published.h"
#include "io/log_throttle.h"
#include "io/timer.h"
#include "io/tls.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/web/web_connections.h"

enum web_limit {
    WEB_CONNECTIONS_SPARE = 32,   /* connections closed here but not yet freed by the library */
    WEB_TIMEOUT_MS = 20 * 1000,   /* for a whole connection */
    WEB_PATIENCE_S = 10,          /* for a request, and between two; for a ClientHello */
    WEB_REQUEST_ROOM = 16 * 1024, /* octets of memory per connection: its header must fit */
    WEB_DOMAINS_MAX = 10000,
    WEB_ACCEPTS_A_TURN_MAX = 16,
    WEB_EXAMINE_MS = 5 * 60 * 1000, /* interval of checks of this server's own ports */
    WEB_PAUSE_MS = 200,             /* before a ClientHello that did not grow is examined again */
    WEB_UNSERVED_US = 5 * 1000,     /* of CPU time charged to a connection until its first request */
    WEB_NICE = 5,                   /* settings are less urgent than mail */
};

struct web;
/* Connections of the web service, oldest first. */
struct web_timeouts {
    struct web_connections callers;
    struct timer timer;
};

/* Accepts connections, instead of libmicrohttpd, which polls busily while no descriptor is free. */
struct acceptor {
    int listening;
    struct watch watch;
    struct timer reopen;
    struct log_throttle accepting;
    void (*on_accept)(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length);
    void *owner;
};

/* A listener, with or without TLS. */
struct web_listener {
    struct web *web;
    int listening;            /* -1: none */
    struct acceptor acceptor; /* of the one without TLS; TLS clients go through the alpn_demux */
    struct MHD_Daemon *daemon;
    struct watch watch;
    struct timer timer;
    struct web_timeouts timeouts;
};

/* Clients of the TLS port whose protocol is not known yet. */
struct alpn_demux {
    struct web *web;
    struct acceptor acceptor;
    struct web_connections clients;
    /* their ClientHellos are complete; they wait for the web service */
    struct tls_client *ready_first, *ready_last;
    struct timer turn;
    struct handshake_budget *budget; /* of this process */
    struct log_throttle delaying;
};

struct web {
    struct child *child;
    struct web_listener clear, secured;
    struct alpn_demux demux;
    struct arena arena;
    struct bytes *domains; /* hosted, as A-labels in lower case */
    size_t domain_count;
    /* without domain and address; facts: without ports that do not respond */
    struct published configured, facts;
    struct bytes sts_policy; /* of each domain; empty: none is published */
    struct timer examine;
    struct buffer certificate, key;
    struct tls_signer signer;
    struct buffer name; /* of the requested domain, as A-labels */
};

/* ---- acceptor.c ---- */
/* `on_accept` takes ownership of the descriptor. */
void acceptor_start(struct acceptor *acceptor, struct loop *loop, int listening,
                    void (*on_accept)(void *owner, int descriptor, const struct sockaddr_storage *from,
                                      socklen_t length),
                    void *owner);
/* ---- alpn_demux.c ---- */
void alpn_demux_start(struct web *web);
/* Records the first request of a connection from here. */
void alpn_demux_served(struct web *web, struct MHD_Connection *connection);
/* ---- web_timeouts.c ---- */
void web_timeouts_start(struct web_timeouts *timeouts, struct loop *loop);
/* Closes the oldest connection, if all places are in use. */
void web_timeouts_make_room(struct web_timeouts *timeouts);
/* As MHD_NotifyConnectionCallback. */
/* True once per connection. */
bool web_timeouts_first_request(struct MHD_Connection *connection);
void web_timeouts_changed(void *timeouts, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what);
/* ---- published_ports.c ---- */
void published_ports_ask(void *web); /* and again periodically */
/* `closed`: "2525,465" */
void published_ports_answered(struct web *web, struct bytes closed);
/* ---- web.c ---- */
/* Passes a connection to the web service; takes ownership of the descriptor. */
void web_serve(void *listener, int descriptor, const struct sockaddr_storage *from, socklen_t length);

#endif
