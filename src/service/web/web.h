/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web: what the files of this folder share. web.c is the process: which
 * documents there are and who gets which. alpn_demux.c looks at those who come
 * to the port with TLS before anybody speaks to them: who offers "smtp" in
 * the ClientHello is handed to an smtpd, all others to the web service, one in
 * a turn of the loop, since that is what their TLS handshakes cost most.
 * published_ports.c leaves ports out that do not answer; web_timeouts.c ends what lasts too
 * long; web_connections.c counts who is connected.
 */
#ifndef MAILBOAT_SERVICE_WEB_WEB_H
#define MAILBOAT_SERVICE_WEB_WEB_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "core/domain/published.h"
#include "io/log_throttle.h"
#include "io/tls.h"
#include "run/child.h"
#include "service/web/web_connections.h"

enum web_limit {
    WEB_CONNECTIONS_SPARE = 32,   /* of the library's: those that were hung up on, until it has noticed */
    WEB_TIMEOUT_MS = 20 * 1000,   /* for all that a connection does */
    WEB_PATIENCE_S = 10,          /* for a request, and between two; for a ClientHello */
    WEB_REQUEST_ROOM = 16 * 1024, /* octets of memory of a connection: its header must fit */
    WEB_DOMAINS_MAX = 10000,
    WEB_ACCEPTS_A_TURN_MAX = 16,
    WEB_EXAMINE_MS = 5 * 60 * 1000, /* between two looks at our own ports */
    WEB_PAUSE_MS = 200,             /* before a ClientHello that did not grow is looked at again */
    WEB_UNSERVED_US = 5 * 1000,     /* of CPU time that a connection is charged until it asks for something */
    WEB_NICE = 5,                   /* settings are less urgent than mail */
};

struct web;
/* Connections of the web service, the oldest first. */
struct web_timeouts {
    struct web_connections callers;
    struct timer timer;
};

/* Where connections are accepted. Not by libmicrohttpd, which asks again and
 * again while no descriptor is free. */
struct acceptor {
    int listening;
    struct watch watch;
    struct timer reopen;
    struct log_throttle accepting;
    void (*on_accept)(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length);
    void *owner;
};

/* One way in: in clear, or in TLS. */
struct web_listener {
    struct web *web;
    int listening;            /* -1: there is none */
    struct acceptor acceptor; /* of the one in clear; those who come for TLS go through the reception's */
    struct MHD_Daemon *daemon;
    struct watch watch;
    struct timer timer;
    struct web_timeouts timeouts;
};

/* Those who came to the port with TLS and have not shown yet what they want. */
struct alpn_demux {
    struct web *web;
    struct acceptor acceptor;
    struct web_connections clients;
    /* their ClientHellos are there; they wait for the web service */
    struct tls_client *ready_first, *ready_last;
    struct timer turn;
    struct handshake_budget *budget; /* this process' own */
    struct log_throttle delaying;
};

struct web {
    struct child *child;
    struct web_listener clear, secured;
    struct alpn_demux demux;
    struct arena arena;
    struct bytes *domains; /* hosted, as A-labels in lower case */
    size_t domain_count;
    struct published configured, facts; /* without domain and address; facts: less what does not answer */
    struct timer examine;
    struct buffer certificate, key;
    struct tls_signer signer;
    struct buffer name; /* of the domain that is asked for, as A-labels */
};

/* ---- acceptor.c ---- */
/* `on_accept` takes the descriptor over. */
void acceptor_start(struct acceptor *acceptor, struct loop *loop, int listening,
                    void (*on_accept)(void *owner, int descriptor, const struct sockaddr_storage *from,
                                      socklen_t length),
                    void *owner);
/* ---- alpn_demux.c ---- */
void alpn_demux_start(struct web *web);
/* A connection that came in here asks for something, for the first time. */
void alpn_demux_served(struct web *web, struct MHD_Connection *connection);
/* ---- web_timeouts.c ---- */
void web_timeouts_start(struct web_timeouts *timeouts, struct loop *loop);
/* Hangs up on one, where all places are taken. */
void web_timeouts_make_room(struct web_timeouts *timeouts);
/* As MHD_NotifyConnectionCallback has it. */
/* True once for each connection. */
bool web_timeouts_first_request(struct MHD_Connection *connection);
void web_timeouts_changed(void *timeouts, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what);
/* ---- published_ports.c ---- */
void published_ports_ask(void *web); /* and again after a while */
/* `closed`: "2525,465" */
void published_ports_answered(struct web *web, struct bytes closed);
/* ---- web.c ---- */
/* Somebody for the web service; takes the descriptor over. */
void web_serve(void *listener, int descriptor, const struct sockaddr_storage *from, socklen_t length);

#endif
