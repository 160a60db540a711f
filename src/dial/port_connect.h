/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_connect: finds the way to an outgoing server: looks its addresses up and
 * drives the race of core/port with real connections, without blocking. The
 * subcommands and the relay process use it.
 *
 * dialing_start(), then on_decided() comes once from the loop: `outcome`
 * tells what was found. When DIALING_WON, the winner's connection and its
 * session, which stands at CLIENT_READY before AUTH, are the owner's to go
 * on with, by on_line(). dialing_end() in any case; who was greeted is told
 * goodbye.
 */
#ifndef MAILBOAT_DIAL_PORT_CONNECT_H
#define MAILBOAT_DIAL_PORT_CONNECT_H

#include "io/conn.h"
#include "dial/host_lookup.h"
#include "core/port/race.h"

enum dialing_outcome {
    DIALING_UNDER_WAY,
    DIALING_UNRESOLVED, /* resolving_tell() says why */
    DIALING_OVER,       /* no port works, or all are examined: the race has the verdicts */
    DIALING_WON,
};

struct dialing_options {
    const char *host;            /* a name or an address; lives as long as the dialing */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    struct bytes helo;           /* ours; lives as long as the dialing */
    uint16_t last_resort;        /* as in struct race_options */
    bool needs_auth, by_token, examine;
    bool own_ca;                 /* CA certificates were named: they count on loopback too */
    uint32_t deadline_ms;        /* for all of it, the look-up too; 0: RACE_DEADLINE_MS */
};

struct dialing;

/* What one attempt's connection shows. */
struct dialing_line {
    struct dialing *dialing;
    struct conn conn;
    size_t attempt;
    bool open;
    char tls_text[96];     /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    char certificate[24];  /* "valid", "expired", ... */
};

struct dialing_events {
    void (*on_decided)(void *owner);
    void (*on_line)(void *owner);                        /* the winner's connection has news: input, or room for output */
    void (*on_line_end)(void *owner, const char *why);   /* it ended, or was silent for as long as was set */
    void (*on_progress)(void *owner);                    /* an attempt went on; may be NULL */
};

struct dialing {
    struct dialing_options options;
    const struct dialing_events *events;
    void *owner;
    struct loop *loop;
    struct tls_context *tls;
    struct dns *dns;
    struct resolving resolving;
    struct race race;
    struct dialing_line lines[RACE_ATTEMPTS_MAX];
    struct dialing_line *line;     /* the winner's */
    struct timer timer;
    uint64_t started_ms;
    enum dialing_outcome outcome;
    bool has_race, has_timer, loopback;
};

void dialing_start(struct dialing *dialing, struct loop *loop, struct tls_context *tls, struct dns *dns,
                   const struct dialing_options *options, const struct dialing_events *events, void *owner);
void dialing_end(struct dialing *dialing);
/* The line of an attempt, or of the winner. */
const struct dialing_line *dialing_line_of(const struct dialing *dialing, const struct race_attempt *attempt);
struct client_session *dialing_session(struct dialing *dialing);

#endif
