/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: shared declarations of the relay process. relay.c is the process: it assigns queue's requests to
 * connections. outbound_connection.c is one connection to a destination: it drives core/client/delivery
 * with io's conn, dns and tls, one message after another. Ended connections (OUTBOUND_ENDED) are freed by
 * the loop, so they outlive the calls that ended them. smarthost.c detects the smarthost's port if it is
 * not configured, while connections wait for it. sts_policies.c caches the MTA-STS policies of other
 * domains, fetch.c downloads them; port_self_check.c tests this server's own ports, own_addresses.c lists
 * the addresses of this machine; signatures.c has the messages signed, of which signature_digest.c hashes
 * the contents; tls_counts.c counts sessions for reports on TLS; relay_cause.c says why a server was not
 * reached; smarthost_secret.c has the supervisor run the command that prints the smarthost's password or
 * token.
 */
#ifndef MAILBOAT_SERVICE_RELAY_RELAY_H
#define MAILBOAT_SERVICE_RELAY_RELAY_H

#include "base/map.h"
#include "core/client/delivery.h"
#include "core/route/plan.h"
#include "core/route/port25_monitor.h"
#include "dial/port_connect.h"
#include "io/conn.h"
#include "io/happy_eyeballs.h"
#include "io/timer.h"
#include "run/child.h"
#include "service/relay/signatures.h"
#include "service/relay/sts_policies.h"
#include "service/relay/tls_counts.h"

enum relay_limit {
    OUTBOUND_PACE_OCTETS = 64 * 1024, /* of content that the peer must accept per timeout */
    /* time an idle connection is kept for the next message to the same destination */
    OUTBOUND_IDLE_MS = 3 * 1000,
    /* of one attempt; after it no further server is looked up or connected to */
    OUTBOUND_SEARCH_MS = 30 * 60 * 1000,
    OWN_FRESH_MS = 1000, /* maximum age of the list of this machine's addresses */
    RELAY_SEEN_MAX = 8,
    RELAY_SEEN_MS = 15 * 60 * 1000,   /* how long it tells something about the network */
    RELAY_SILENT_MIN = 2,             /* other servers that are silent before the network is blamed */
    SECRET_FRESH_MS = 10 * 60 * 1000, /* age from which a token is fetched again */
    /* a backward jump of the wall clock that invalidates the resolver's cache */
    RELAY_CLOCK_BACK_MS = 10 * 1000,
    RELAY_EXAMINERS_MAX = 4,            /* web processes that wait for the check of the ports at a time */
    RELAY_CLOCK_LOOK_MS = 2 * 1000,     /* interval of clock checks while a delivery is in progress */
    RELAY_DRAIN_MS = 10 * 1000,         /* for deliveries in progress when the process ends */
    AUTHORITIES_MAX = 16 << 20,         /* octets of CA certificates */
    CONTENT_READ_MAX = CONTENT_RUN_MAX, /* octets of large content per read */
};

/* This machine's addresses as last read. */
struct own_list {
    struct buffer octets;      /* array of struct route_address */
    struct own_addresses list; /* view of it */
    uint64_t read_ms;          /* 0: never */
    bool failed;               /* on the last read; logged once */
};

/* How the last attempt to reach another server ended, for the diagnosis of the next failure. */
struct relay_seen {
    char host[DOMAIN_MAX + 1];
    struct route_address address;
    enum fact_reach reach;
    uint64_t at_ms;
};

struct relay {
    struct child *child;
    struct tls_context tls;
    struct dns *dns;
    struct sts_policies policies;            /* MTA-STS */
    struct tls_counts tls_counts;            /* sessions, for reports on TLS */
    struct signatures signatures;            /* DKIM, ARC */
    struct tls_fallback fallback;            /* hosts that were silent during TLS */
    struct buffer authorities;               /* PEM: CA certificates for fetching MTA-STS policies */
    struct map idle;                         /* by destination: the first idle connection */
    struct outbound_connection *connections; /* all */
    size_t busy_count;
    struct race_port smarthost;   /* with port: auto, the detected port; 0: none yet */
    struct port_connect *finding; /* the race for it, while it runs */
    struct folder folder;         /* DATA/relay, until its file is open */
    /* the smarthost's, from the configured file; empty: none */
    struct buffer password;
    struct buffer secret; /* last output of the command; empty: none, or rejected */
    uint64_t secret_ms;
    bool secret_asked;
    struct own_list own;
    struct relay_seen seen[RELAY_SEEN_MAX]; /* on the port of other servers; at most one per host */
    struct port25_monitor port25_monitor;   /* with via: auto: whether outgoing port 25 works */
    struct conn probe;                      /* probes whether it works again */
    struct timer probing, drained;
    /* check of this server's own ports, while it runs; NULL: none */
    struct port_connect *examining;
    struct channel *examiners[RELAY_EXAMINERS_MAX]; /* of those that wait for its result; NULL: free */
    bool draining;
    bool anew;             /* draining, for a successor with a fresh resolver */
    int64_t wall_ahead_ms; /* wall clock minus time since boot */
    struct timer clock_look;
};

/* Stage of a connection; outbound_check() lists what it owns in each. */
enum outbound_stage {
    OUTBOUND_ROUTING,          /* the delivery decides the next action */
    OUTBOUND_AWAITS_PORT,      /* detecting the smarthost's port: smarthost.c */
    OUTBOUND_AWAITS_SECRET,    /* waiting for the smarthost's secret: smarthost_secret.c */
    OUTBOUND_AWAITS_ANSWER,    /* from DNS, or for an MTA-STS policy */
    OUTBOUND_CONNECTING,       /* to an address, or concurrently to several */
    OUTBOUND_HANDSHAKING,      /* TLS */
    OUTBOUND_TALKING,          /* SMTP */
    OUTBOUND_AWAITS_SIGNATURE, /* the message is being signed for this peer: signatures.c */
    OUTBOUND_AWAITS_ROOM,      /* its content waits for space in the connection */
    OUTBOUND_IDLE,             /* without a message, kept for the next one to the same destination */
    OUTBOUND_RESTARTING,       /* the message uses another route, with a fresh delivery */
    OUTBOUND_ENDED,            /* freed by the loop */
};

/* The route to the destination, chosen by relay_route.c. */
struct outbound_route {
    enum next_hop hop;             /* as decided by queue */
    const struct route_rule *rule; /* HOST: the configured rule that names the host */
    bool by_smarthost;             /* instead of the destination's own server */
    bool reached, silent;          /* a server was reached; one was silent */
    struct buffer secret;          /* credential of its delivery */
};

/* The message in progress. */
struct outbound_message {
    uint64_t number, id;  /* queue's number of the delivery, 0: none; the message's queue id */
    struct channel *from; /* NULL: queue is gone */
    struct arena arena;
    struct envelope envelope;
    enum message_author author;
    enum arc_result chain; /* as in struct ipc_deliver */
    bool any_tls;          /* as in struct ipc_deliver */
    struct bytes front;    /* header fields to prepend */
    struct bytes content;  /* inline */
    int file;              /* or in this file */
    uint64_t began_ms;     /* start of its attempt */
    uint64_t given;        /* octets given to the current connection */
    uint64_t progress;     /* of them, sent at the last timeout */
    bool given_all;        /* the whole content was given: the peer may have the message */
    bool waited;           /* it has waited for the smarthost's port, once */
};

/* The connection to the peer, or concurrent attempts. */
struct outbound_peer {
    struct conn conn;                /* its loop is NULL while there is none */
    struct happy_eyeballs *eyeballs; /* during concurrent attempts */
    struct conn_peer asked;          /* TLS requirements for it */
    char name[DOMAIN_MAX + 1];       /* host name for the certificate check */
    bool tls_first;                  /* implicit TLS */
    bool counted;                    /* the connection, by tls_counts.c */
    struct tls_result tls;           /* zeroes before the handshake */
    /* of the last attempt, for relay_cause.c: */
    struct route_address tried;
    enum fact_reach reach;
    enum fact_unreachable unreachable;
    struct attempt_line evidence; /* of a failed handshake */
    bool tls_failed;
};

/* An outbound connection, or an attempt at one, and its message. */
struct outbound_connection {
    struct relay *relay;
    struct outbound_connection *next, *previous; /* list of all */
    struct outbound_connection *idle_next;       /* same destination */
    struct released released;
    enum outbound_stage stage;
    bool pulling; /* run() is executing actions */
    char destination[320];
    size_t destination_length;
    struct outbound_route route;
    struct outbound_message message;
    struct delivery delivery;
    struct dns_question question;
    struct sts_policies_question sts;
    struct signature_wait signature;
    struct outbound_peer peer;
    struct timer idle_timer;
};

/* Creates a connection to the destination for this delivery. */
void outbound_start(struct relay *relay, struct channel *from, const struct ipc_deliver *deliver,
                    int content);
/* Sends the next message on an idle connection. */
void outbound_next(struct outbound_connection *connection, struct channel *from,
                   const struct ipc_deliver *deliver, int content);
/* Ends with QUIT. */
void outbound_quit(struct outbound_connection *connection);
/* Ends immediately; its delivery has no result. */
void outbound_cut(struct outbound_connection *connection);

/* Continues once the smarthost's port is known. */
void outbound_go(struct outbound_connection *connection);
/* Defers all recipients of its message with this reason. */
void outbound_defer(struct outbound_connection *connection, struct bytes why);
/* Continues once its message is signed, or is not to be: on_done() of signatures.h; `owner`: the connection.
 */
void outbound_signed(void *owner, const struct signature_result *result);

/* outbound_check.c: asserts what each stage owns. */
void outbound_check(const struct outbound_connection *connection);

/* outbound_message.c: */
/* Takes the request's message. It owns the file descriptor `content` from here on; -1: inline. */
void outbound_message_take(struct outbound_message *message, struct channel *from,
                           const struct ipc_deliver *deliver, int content);
void outbound_message_let_go(struct outbound_message *message);
/* Returns what is signed, or sealed; it borrows the message's texts and file. */
struct signature_message outbound_message_to_sign(const struct outbound_message *message);
void outbound_message_rewind(struct outbound_message *message);
/* Reads the next run, and whether it is the last; false on a read error. */
bool outbound_message_read(struct outbound_message *message, char buffer[CONTENT_READ_MAX], struct bytes *run,
                           bool *last);

/* smarthost.c: */
bool smarthost_is_auto(const struct outbound_connection *connection);
/* True if it must wait for the port (AWAITS_PORT); outbound_go() or outbound_defer() follows. */
bool smarthost_must_wait(struct outbound_connection *connection);
/* True if the message failed because of the port. The port is then discarded, and the message waits for
 * another, once. */
bool smarthost_has_failed(struct outbound_connection *connection, const struct delivery_result *results,
                          size_t count);
void smarthost_stop(struct relay *relay);

/* relay_route.c: */
/* True if its message may use either route. */
bool relay_route_is_auto(const struct outbound_connection *connection);
/* Chooses the current route of the connection's message. */
void relay_route_choose(struct outbound_connection *connection);
void relay_route_reached(struct outbound_connection *connection);
void relay_route_silent(struct outbound_connection *connection);
void relay_route_ended(struct outbound_connection *connection, enum conn_end end); /* without a connection */
/* True if the message failed because 25 is blocked, and the smarthost may relay it. */
bool relay_route_has_other(const struct outbound_connection *connection);
void relay_route_start(struct relay *relay);

/* relay_cause.c: */
/* An attempt to connect begins. */
void relay_cause_begin(struct outbound_connection *connection, const struct route_address *address);
/* A handshake fails, or the connection does otherwise; before it is closed. */
void relay_cause_lost(struct outbound_connection *connection, bool in_tls);
/* Records how an attempt to connect ended; CONN_END_CLOSED: it did not, there is a connection. */
void relay_cause_saw(struct outbound_connection *connection, enum conn_end end);
/* Appends "; cause: …" with what to do to the reason of a server that was not reached, where what was seen
 * tells one; else nothing. */
void relay_cause_add(struct outbound_connection *connection, const struct delivery_result *result,
                     struct buffer *reason);

/* own_addresses.c: */
/* Returns the list, which does not move; its content may change with the next call. */
const struct own_addresses *own_addresses_now(struct relay *relay);

/* smarthost_secret.c: */
/* True if it must wait for the command (AWAITS_SECRET); outbound_go() or outbound_defer() follows. */
bool smarthost_secret_must_wait(struct outbound_connection *connection);
/* Sets the secret in the options, if a command is configured. */
void smarthost_secret_give(struct outbound_connection *connection, struct delivery_options *options);
void smarthost_secret_refused(struct outbound_connection *connection);
void smarthost_secret_forget(struct outbound_connection *connection); /* the connection's copy */
void smarthost_secret_answered(struct relay *relay, const struct ipc_secret_answer *answer);

/* port_self_check.c: */
void port_self_check_start(struct relay *relay, struct channel *examiner);
void port_self_check_forget(struct relay *relay, const struct channel *examiner);
void port_self_check_stop(struct relay *relay);

/* relay.c: */
struct delivery_options relay_options(const struct outbound_connection *connection);
void relay_answer(struct relay *relay, struct outbound_connection *connection,
                  const struct delivery_result *results, size_t count);
/* Adds to the list of idle connections, or removes. */
void relay_add_idle(struct relay *relay, struct outbound_connection *connection);
void relay_remove_idle(struct relay *relay, struct outbound_connection *connection);
void relay_leave_if_done(struct relay *relay);

#endif
