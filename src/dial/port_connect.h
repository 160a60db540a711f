/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_connect: finds the way to an outgoing server: looks its addresses up and
 * drives the race of core/port with real connections, without blocking. The
 * subcommands and the relay process use it.
 *
 * port_connect_start(), then on_decided() comes once from the loop: `outcome`
 * tells what was found. When PORT_CONNECT_WON, the winner's connection and its
 * session, which stands at CLIENT_READY before AUTH, are the owner's to go
 * on with, by on_line(). port_connect_end() in any case, from within a callback
 * too; its memory must stay until the loop has gone on (loop_release()). Who
 * was greeted is told goodbye.
 */
#ifndef MAILBOAT_DIAL_PORT_CONNECT_H
#define MAILBOAT_DIAL_PORT_CONNECT_H

#include "core/port/race.h"
#include "dial/host_lookup.h"
#include "io/conn.h"

enum port_connect_outcome {
    PORT_CONNECT_IN_PROGRESS,
    PORT_CONNECT_UNRESOLVED, /* host_lookup_explain() says why */
    PORT_CONNECT_OVER,       /* no port works, or all are examined: the race has the verdicts */
    PORT_CONNECT_WON,
};

struct port_connect_options {
    const char *host; /* a name or an address; lives as long as the dialing */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    struct bytes helo;    /* ours; lives as long as the dialing */
    uint16_t last_resort; /* as in struct race_options */
    bool needs_auth, by_token, examine;
    bool own_ca;          /* CA certificates were named: they count on loopback too */
    uint32_t deadline_ms; /* for all of it, the look-up too; 0: RACE_DEADLINE_MS */
};

struct port_connect;

/* What one attempt's connection shows. */
struct port_connect_line {
    struct port_connect *port_connect;
    struct conn conn;
    size_t attempt;
    bool open;
    char tls_text[96];    /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    char certificate[24]; /* "valid", "expired", ... */
};

struct port_connect_events {
    void (*on_decided)(void *owner);
    /* the winner's connection has news: input, or room for output */
    void (*on_line)(void *owner);
    void (*on_line_end)(void *owner, const char *why); /* it ended, or was silent for as long as was set */
    void (*on_progress)(void *owner);                  /* an attempt went on; may be NULL */
};

struct port_connect {
    struct port_connect_options options;
    const struct port_connect_events *events;
    void *owner;
    struct loop *loop;
    struct tls_context *tls;
    struct dns *dns;
    struct host_lookup lookup;
    struct race race;
    struct port_connect_line lines[RACE_ATTEMPTS_MAX];
    struct port_connect_line *line; /* the winner's */
    struct timer timer;
    uint64_t started_ms;
    enum port_connect_outcome outcome;
    bool has_race, has_timer, loopback;
    struct released released; /* the owner's, where it is ended from within on_decided() */
};

void port_connect_start(struct port_connect *port_connect, struct loop *loop, struct tls_context *tls,
                        struct dns *dns, const struct port_connect_options *options,
                        const struct port_connect_events *events, void *owner);
void port_connect_end(struct port_connect *port_connect);
/* The line of an attempt, or of the winner. */
const struct port_connect_line *port_connect_line_of(const struct port_connect *port_connect,
                                                     const struct race_attempt *attempt);
struct client_session *port_connect_session(struct port_connect *port_connect);

#endif
