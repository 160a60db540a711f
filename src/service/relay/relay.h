/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: what the files of this folder share. relay.c is the process: what
 * queue gives, which connection takes it. outbound_connection.c is one connection to a
 * destination: it drives core/client/delivery with io's conn, dns and tls,
 * one message after another. What has ended (OUTBOUND_ENDED) is freed by the loop,
 * so it outlives the calls that ended it. smarthost.c finds the smarthost's port where
 * the configuration leaves it to us, while connections wait for it. sts_policies.c
 * knows the MTA-STS policies of other domains, fetch.c fetches them; port_self_check.c
 * knows whether our own ports answer, own_addresses.c the addresses of this machine; smarthost_secret.c has
 * the supervisor run the command that prints what it is signed in to with.
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
#include "run/child.h"
#include "service/relay/sts_policies.h"

enum relay_limit {
    OUTBOUND_PACE_OCTETS = 64 * 1024, /* of content that the peer takes before it counts as silent */
    /* a connection is kept so long for the next message to the same place */
    OUTBOUND_IDLE_MS = 3 * 1000,
    OUTBOUND_SEARCH_MS = 30 * 60 * 1000, /* of one attempt; then no further server is looked up or called */
    OWN_FRESH_MS = 1000,                 /* then the addresses of this machine are read again */
    SECRET_FRESH_MS = 10 * 60 * 1000,    /* then a token is fetched anew */
    /* a wall clock that jumped back by more: the resolver's memory is not to be used any more */
    RELAY_CLOCK_BACK_MS = 10 * 1000,
    RELAY_CLOCK_LOOK_MS = 2 * 1000,     /* how often it is looked at while something is under way */
    RELAY_DRAIN_MS = 10 * 1000,         /* for deliveries under way when the process ends */
    AUTHORITIES_MAX = 16 << 20,         /* octets of CA certificates */
    CONTENT_READ_MAX = CONTENT_RUN_MAX, /* octets of a large content that are read at once */
};

/* Our own addresses, as they were read last. */
struct own_list {
    struct buffer octets;      /* of struct route_address after struct route_address */
    struct own_addresses list; /* the same */
    uint64_t read_ms;          /* 0: never */
    bool failed;               /* the last time; said once */
};

struct relay {
    struct child *child;
    struct tls_context tls;
    struct dns *dns;
    struct sts_policies policies;            /* MTA-STS */
    struct tls_fallback fallback;            /* hosts that were silent in TLS */
    struct buffer authorities;               /* PEM: whom MTA-STS policies are fetched from */
    struct map idle;                         /* by destination: the first connection that waits for more */
    struct outbound_connection *connections; /* all */
    size_t busy_count;
    struct race_port smarthost;   /* with port: auto, the way that was found; port 0: none yet */
    struct port_connect *finding; /* the race for it, while it lasts */
    struct folder folder;         /* DATA/relay, until its file was opened */
    /* the smarthost's, from the file that the configuration names; empty: there is none */
    struct buffer password;
    struct buffer secret; /* the last that the command printed; empty: none, or it was refused */
    uint64_t secret_ms;
    bool secret_asked;
    struct own_list own;
    struct port25_monitor port25_monitor; /* with via: auto: does outgoing 25 work? */
    struct conn probe;                    /* that looks whether it does again */
    struct timer probing, drained;
    /* of this server's own ports, while it lasts, and for whom; NULL: none */
    struct port_connect *examining;
    struct channel *examiner;
    bool draining;
    bool anew;             /* draining, for a successor with a fresh resolver */
    int64_t wall_ahead_ms; /* the wall clock less the time since the machine started */
    struct timer clock_look;
};

/* What a connection is at; outbound_check() says what it holds meanwhile. */
enum outbound_stage {
    OUTBOUND_ROUTING,       /* its delivery says what comes next */
    OUTBOUND_AWAITS_PORT,   /* of the smarthost; it is looked for: smarthost.c */
    OUTBOUND_AWAITS_SECRET, /* what the smarthost is signed in to with: smarthost_secret.c */
    OUTBOUND_AWAITS_ANSWER, /* of DNS, or which MTA-STS policy there is */
    OUTBOUND_CONNECTING,    /* to an address, or to several side by side */
    OUTBOUND_HANDSHAKING,   /* TLS */
    OUTBOUND_TALKING,       /* SMTP */
    OUTBOUND_AWAITS_ROOM,   /* its content waits until the peer has taken some of it */
    OUTBOUND_IDLE,          /* without a message, for the next one to the same destination */
    OUTBOUND_RESTARTING,    /* the message goes another way, with a fresh delivery */
    OUTBOUND_ENDED,         /* the loop frees it */
};

/* The way to the destination: relay_route.c chooses it. */
struct outbound_route {
    enum next_hop hop;             /* as the queue decided */
    const struct route_rule *rule; /* HOST: the configuration's, which names the host */
    bool by_smarthost;             /* not to the destination's own server */
    bool reached, silent;          /* somebody was connected to; somebody was not, in time */
    struct buffer secret;          /* the one that its delivery signs in with */
};

/* The message under way. */
struct outbound_message {
    uint64_t number, id;  /* queue's name for the delivery, 0: none is under way; the message's queue id */
    struct channel *from; /* NULL: queue is gone */
    struct arena arena;
    struct envelope envelope;
    struct bytes front;   /* fields to send before it */
    struct bytes content; /* inline */
    int file;             /* or here */
    uint64_t began_ms;    /* when its attempt began */
    uint64_t given;       /* octets given to the connection there is */
    uint64_t progress;    /* of them, that had left us at the last time-out */
    bool given_all;       /* then the peer may have it */
    bool waited;          /* it has waited for the smarthost's port, once */
};

/* The connection to the peer, or those that are tried. */
struct outbound_peer {
    struct conn conn;                /* its loop is NULL while there is none */
    struct happy_eyeballs *eyeballs; /* while several addresses are tried side by side */
    struct conn_peer asked;          /* what is asked of it in TLS */
    char name[DOMAIN_MAX + 1];       /* the host's, for the certificate */
    bool tls_first;                  /* before anything is said */
    struct tls_result tls;           /* zeroes before the handshake */
};

/* A connection, or one that is being made, and the message it carries. */
struct outbound_connection {
    struct relay *relay;
    struct outbound_connection *next, *previous; /* all */
    struct outbound_connection *idle_next;       /* of the same destination */
    struct released released;
    enum outbound_stage stage;
    bool pulling; /* the delivery's actions are being carried out */
    char destination[320];
    size_t destination_length;
    struct outbound_route route;
    struct outbound_message message;
    struct delivery delivery;
    struct dns_question question;
    struct sts_policies_question sts;
    struct outbound_peer peer;
    struct timer idle_timer;
};

/* A connection for the destination that will carry this. */
void outbound_start(struct relay *relay, struct channel *from, const struct ipc_deliver *deliver,
                    int content);
/* The next message on a connection that is idle. */
void outbound_next(struct outbound_connection *connection, struct channel *from,
                   const struct ipc_deliver *deliver, int content);
/* Ends politely. */
void outbound_quit(struct outbound_connection *connection);
/* Ends now; its delivery has no result. */
void outbound_cut(struct outbound_connection *connection);

/* Goes on once the smarthost's port is known. */
void outbound_go(struct outbound_connection *connection);
/* All of its message's recipients are deferred with this reason. */
void outbound_defer(struct outbound_connection *connection, struct bytes why);

/* outbound_message.c: */
/* The file descriptor `content` is the message's from here on; -1: it is inline. */
void outbound_message_take(struct outbound_message *message, struct channel *from,
                           const struct ipc_deliver *deliver, int content);
void outbound_message_let_go(struct outbound_message *message);
void outbound_message_rewind(struct outbound_message *message);
/* The next run, and whether it is the last; false where the file cannot be read. */
bool outbound_message_read(struct outbound_message *message, char buffer[CONTENT_READ_MAX], struct bytes *run,
                           bool *last);

/* smarthost.c: */
bool smarthost_is_auto(const struct outbound_connection *connection);
/* Must it wait until the port is found? Then it does (AWAITS_PORT), and
 * outbound_go() or outbound_defer() follows. */
bool smarthost_must_wait(struct outbound_connection *connection);
/* Did the message fail for the port's sake? Then the port is forgotten, and
 * the message waits for another, once. */
bool smarthost_has_failed(struct outbound_connection *connection, const struct delivery_result *results,
                          size_t count);
void smarthost_stop(struct relay *relay);

/* relay_route.c: */
/* May its message go either way? */
bool relay_route_is_auto(const struct outbound_connection *connection);
/* Which way the connection's message goes now. */
void relay_route_choose(struct outbound_connection *connection);
void relay_route_reached(struct outbound_connection *connection);
void relay_route_silent(struct outbound_connection *connection);
/* Did the message fail because 25 is blocked? Then the smarthost may carry it. */
bool relay_route_has_other(const struct outbound_connection *connection);
void relay_route_start(struct relay *relay);

/* own_addresses.c: */
/* The list stays where it is; what it holds may change with the next call. */
const struct own_addresses *own_addresses_now(struct relay *relay);

/* smarthost_secret.c: */
/* Must it wait until the command was run? Then it does (AWAITS_SECRET), and
 * outbound_go() or outbound_defer() follows. */
bool smarthost_secret_must_wait(struct outbound_connection *connection);
/* Into the options, where a command is set. */
void smarthost_secret_give(struct outbound_connection *connection, struct delivery_options *options);
void smarthost_secret_refused(struct outbound_connection *connection);
void smarthost_secret_forget(struct outbound_connection *connection); /* the connection's own */
void smarthost_secret_answered(struct relay *relay, const struct ipc_secret_answer *answer);

/* port_self_check.c: */
void port_self_check_start(struct relay *relay, struct channel *examiner);
void port_self_check_stop(struct relay *relay);

/* relay.c: */
struct delivery_options relay_options(const struct outbound_connection *connection);
void relay_answer(struct relay *relay, struct outbound_connection *connection,
                  const struct delivery_result *results, size_t count);
/* Into the list of those that wait for more, and out of it. */
void relay_add_idle(struct relay *relay, struct outbound_connection *connection);
void relay_remove_idle(struct relay *relay, struct outbound_connection *connection);
void relay_leave_if_done(struct relay *relay);

#endif
