/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web: shared declarations of the web process. web.c is the process: its ports, its start and its end.
 * acceptor.c accepts; alpn_demux.c examines connections to the TLS port before any data is sent: clients that
 * offer "smtp" in the ClientHello are handed to an smtpd, all others speak HTTP. http_connection.c drives one
 * http_session (core/http/http_session.h) over one connection; web_documents.c answers its requests.
 * web_handshakes.c limits what TLS handshakes may cost, web_connections.c the connections per client.
 * published_ports.c leaves out ports that do not respond.
 */
#ifndef MAILBOAT_SERVICE_WEB_WEB_H
#define MAILBOAT_SERVICE_WEB_WEB_H

#include <sys/socket.h>

#include "core/domain/published.h"
#include "core/http/http_session.h"
#include "io/handshakes.h"
#include "io/log_throttle.h"
#include "io/timer.h"
#include "io/tls.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/web/web_connections.h"

enum web_limit {
    WEB_HELLO_MS = 10 * 1000,     /* for a ClientHello */
    WEB_HANDSHAKE_MS = 60 * 1000, /* for a handshake, which may wait for others */
    WEB_UNSENT_MAX = 64 * 1024,   /* octets of answers that wait for the client; then no request is read */
    WEB_SEND_MS = 10 * 1000,      /* for the client to take them */
    WEB_LINGER_MS = 2 * 1000,     /* after the last answer, reading on for what the client still sends */
    WEB_REQUESTS_A_TURN_MAX = 16, /* of one connection, before the others have their turn */
    WEB_DRAIN_MS = 2 * 60 * 1000, /* a replaced process ends its connections within; more than an idle one
                                     stays */
    WEB_DOMAINS_MAX = 10000,
    WEB_ACCEPTS_A_TURN_MAX = 16,
    WEB_EXAMINE_MS = 5 * 60 * 1000,  /* interval of checks of this server's own ports */
    WEB_EXAMINE_FIRST_MS = 8 * 1000, /* until there was a result; doubled each time */
    WEB_PAUSE_MS = 200,              /* before a ClientHello that did not grow is examined again */
    WEB_NICE = 5,                    /* settings are less urgent than mail */
};

struct web;

/* Accepts connections on a listening socket, and pauses while no descriptor is free. */
struct acceptor {
    struct web *web;
    int listening; /* -1: none */
    struct watch watch;
    struct timer reopen;
    struct log_throttle accepting;
    /* takes ownership of the descriptor */
    void (*on_accept)(struct web *web, int descriptor, const struct sockaddr_storage *from);
};

struct web {
    struct child *child;
    struct acceptor clear, secured; /* HTTP; TLS, by way of alpn_demux.c */
    struct web_connections connections;
    struct tls_context tls;
    struct handshakes handshakes;
    struct log_throttle delaying; /* of handshakes */
    bool draining;
    struct timer drained;
    struct arena arena;
    struct bytes *domains; /* hosted, as A-labels in lower case */
    size_t domain_count;
    /* without domain and address; facts: without ports that do not respond */
    struct published configured, facts;
    struct bytes sts_policy; /* of each domain; empty: none is published */
    struct timer examine;
    uint32_t examine_ms; /* until the next check */
    struct tls_signer signer;
    struct buffer name; /* of the requested domain, as A-labels */
};

/* ---- acceptor.c ---- */
void acceptor_start(struct acceptor *acceptor, struct web *web,
                    void (*on_accept)(struct web *web, int descriptor, const struct sockaddr_storage *from));
/* Accepts those that wait, and closes the socket. */
void acceptor_stop(struct acceptor *acceptor);
/* ---- alpn_demux.c ---- */
/* Peeks at the ClientHello; takes ownership of the descriptor. */
void alpn_demux_accept(struct web *web, int descriptor, const struct sockaddr_storage *from);
/* ---- http_connection.c ---- */
/* Serves HTTP on a connection; takes ownership of the descriptor. */
void http_connection_start(struct web *web, int descriptor, const struct sockaddr_storage *from, bool in_tls);
/* The same without TLS, within the limits. */
void http_connection_accept(struct web *web, int descriptor, const struct sockaddr_storage *from);
/* ---- web_documents.c ---- */
/* Returns the octets of a body that the request's resource reads; 0: it is answered by its head. */
uint64_t web_document_body_max(const struct http_request *request);
/* An answer, and what its texts point to; `text` is the caller's to free. */
struct web_document {
    struct http_answer answer;
    struct buffer text;
};
void web_document_write(struct web *web, const struct http_request *request, struct bytes body,
                        struct web_document *document);
/* ---- web_handshakes.c ---- */
void web_handshakes_start(struct web *web);
/* ---- published_ports.c ---- */
void published_ports_ask(void *web); /* and again periodically */
/* `closed`: "2525,465" */
void published_ports_answered(struct web *web, struct bytes closed);
/* ---- web.c ---- */
/* False if a limit is exceeded: the caller closes the descriptor. Makes room for another connection. */
bool web_admits(struct web *web, const struct sockaddr_storage *from);
/* The process ends, if it drains and no connection is left. */
void web_leave_if_done(struct web *web);

#endif
