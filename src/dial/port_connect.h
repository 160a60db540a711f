/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_connect: finds a working port of an outgoing server: resolves its addresses and drives the race of
 * core/port with real connections, without blocking. Used by the subcommands and the relay process.
 *
 * port_connect_start(), then on_decided() once from the loop: `outcome` is the result. On
 * PORT_CONNECT_WON, the owner continues with the winner's connection and its session, which is at
 * CLIENT_READY before AUTH, by on_line(). port_connect_end() in any case, also from within a callback; its
 * memory must stay until the loop has continued (loop_release()). Servers that sent a greeting get a QUIT.
 */
#ifndef MAILBOAT_DIAL_PORT_CONNECT_H
#define MAILBOAT_DIAL_PORT_CONNECT_H

#include "core/diagnosis/attempt_facts.h"
#include "core/port/race.h"
#include "dial/host_lookup.h"
#include "io/conn.h"
#include "io/timer.h"

enum port_connect_outcome {
    PORT_CONNECT_IN_PROGRESS,
    PORT_CONNECT_UNRESOLVED, /* reason: host_lookup_explain() */
    PORT_CONNECT_OVER,       /* no port works, or all are checked: the race has the verdicts */
    PORT_CONNECT_WON,
};

/* Stages of a connect; port_connect_is_sound() says what it holds in each. */
enum port_connect_stage {
    PORT_CONNECT_CLOSED,    /* not started (all octets zero), or ended */
    PORT_CONNECT_RESOLVING, /* the host's addresses are looked up */
    PORT_CONNECT_RACING,
    PORT_CONNECT_DECIDED, /* `outcome` holds */
};

struct port_connect_options {
    const char *host; /* a name or an address; lives as long as the port_connect */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    struct bytes helo;      /* this host's name; lives as long as the port_connect; empty: address literals */
    uint16_t remembered;    /* as in struct race_options */
    uint16_t last_resort;   /* as in struct race_options */
    uint32_t round_trip_ms; /* as in struct race_options */
    bool needs_auth, by_token, examine;
    bool own_ca;          /* configured CA certificates: applied on loopback too */
    size_t addresses_max; /* examine at most so many; 0: all */
    uint32_t deadline_ms; /* for everything, including the lookup; 0: RACE_DEADLINE_MS */
};

struct port_connect;

/* State of one attempt's connection. */
struct port_connect_line {
    struct port_connect *port_connect;
    struct conn conn;
    size_t attempt;
    bool open;
    char tls_text[96];    /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    char certificate[24]; /* "valid", "expired", ... */
    struct attempt_line evidence;
    char helo[64]; /* address literal, if this host has no name */
};

struct port_connect_events {
    void (*on_decided)(void *owner);
    /* event of the winner's connection: input, or output space */
    void (*on_line)(void *owner);
    void (*on_line_end)(void *owner, const char *why); /* it ended, or its timeout expired */
    void (*on_progress)(void *owner);                  /* an attempt made progress; may be NULL */
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
    struct port_connect_line *line; /* of the winner */
    struct timer timer;
    uint64_t started_ms;
    enum port_connect_outcome outcome;
    enum port_connect_stage stage;
    bool has_race; /* the host has addresses: the race has its verdicts until port_connect_end() */
    bool loopback;
    struct released released; /* the owner's, where it is ended from within on_decided() */
};

void port_connect_start(struct port_connect *port_connect, struct loop *loop, struct tls_context *tls,
                        struct dns *dns, const struct port_connect_options *options,
                        const struct port_connect_events *events, void *owner);
void port_connect_end(struct port_connect *port_connect);
/* Returns the connection of an attempt, or of the winner. */
const struct port_connect_line *port_connect_line_of(const struct port_connect *port_connect,
                                                     const struct race_attempt *attempt);
struct client_session *port_connect_session(struct port_connect *port_connect);

/* Fills the answer of DNS, the addresses, and one attempt per port and address; attempts on the last resort
 * that found a web server go to `web`. Other facts are not changed. */
void port_connect_facts(const struct port_connect *port_connect, struct diagnosis_facts *facts);

#endif
