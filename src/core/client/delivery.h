/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery: carries one message to one destination: route, connect, session,
 * transaction, and the next address where one fails. Pure: the relay process
 * and the simulation drive it.
 *
 * The shell calls delivery_start(), then in a loop pulls every
 * delivery_action() and reports what came of it: delivery_resolved(),
 * delivery_connected() or delivery_lost(), delivery_feed() ... At
 * DELIVERY_DONE each recipient has a result. While delivery_is_open() says
 * so the connection can carry another message to the same destination:
 * delivery_next(). delivery_quit() ends it politely.
 */
#ifndef MAILBOAT_CLIENT_DELIVERY_H
#define MAILBOAT_CLIENT_DELIVERY_H

#include "client/session.h"
#include "route/route.h"

enum delivery_limit {
    DELIVERY_MESSAGES_MAX = 100, /* on one connection */
    CONNECT_TIMEOUT_MS = 30 * 1000,
};

/* How a destination is reached; texts outlive the delivery. */
struct delivery_options {
    struct bytes hostname;         /* ours */
    struct bytes domain;           /* the recipients' domain, or the smarthost's name */
    bool smarthost;                /* its own addresses, no MX; the certificate is checked */
    bool verify;                   /* the certificate must be valid for the host's name */
    struct bytes user, password;
    uint16_t port;
    enum client_tls tls;
    uint64_t random;
};

enum delivery_action_kind {
    DELIVERY_NOTHING,
    DELIVERY_RESOLVE,      /* look up `name`, `type`; delivery_resolved() */
    DELIVERY_CONNECT,      /* to `address`, `port`, within `timeout_ms`; with `tls` shake hands first, for `name` */
    DELIVERY_SEND,
    DELIVERY_STARTTLS,     /* shake hands for `name`, checked where `verify` */
    DELIVERY_WANT_CONTENT, /* delivery_content() */
    DELIVERY_DONE,         /* `results`, one a recipient; they live until the next call of start, next or free */
    DELIVERY_CLOSE,        /* close the connection there is; another CONNECT may follow */
};

struct delivery_action {
    enum delivery_action_kind kind;
    struct bytes name;
    enum dns_type type;
    struct route_address address;
    uint16_t port;
    uint32_t timeout_ms;
    bool tls, verify;
    struct bytes bytes;
    const struct client_result *results;
    size_t result_count;
};

struct delivery {
    struct delivery_options options;
    const struct envelope *envelope;
    struct route route;
    struct client_session session;
    struct arena arena;              /* results made here, and their texts */
    struct client_result *results;
    struct client_result last;       /* what the last failed connection said */
    struct bytes host;               /* the one we talk with, or talked with last */
    struct route_address address;
    size_t messages;                 /* given on this connection */
    enum delivery_stage {
        DELIVERY_ROUTING, DELIVERY_RESOLVING, DELIVERY_CONNECTING, DELIVERY_TALKING, DELIVERY_HANDSHAKING, DELIVERY_OPEN, DELIVERY_LEAVING, DELIVERY_OVER,
    } stage;
    bool has_session, connected, in_clear, clear_next, transacting, done_told, close_due;
    bool signed_in_refused;          /* AUTH was refused: no further address is tried */
};

void delivery_start(struct delivery *delivery, const struct delivery_options *options, const struct envelope *envelope);
void delivery_free(struct delivery *delivery);

bool delivery_action(struct delivery *delivery, struct delivery_action *action);

void delivery_resolved(struct delivery *delivery, enum dns_type type, enum dns_status status, const struct dns_record *records, size_t count);
void delivery_connected(struct delivery *delivery); /* with implicit TLS: and the handshake is done */
void delivery_tls_started(struct delivery *delivery);
size_t delivery_feed(struct delivery *delivery, struct bytes input);
void delivery_content(struct delivery *delivery, struct bytes run, bool last);
/* The connection failed, ended, or was silent too long: `why` is a sentence.
 * `in_tls`: during a handshake. */
void delivery_lost(struct delivery *delivery, bool in_tls, struct bytes why);

/* How long the shell waits for the peer now. */
uint32_t delivery_timeout_ms(const struct delivery *delivery);
enum client_step delivery_step(const struct delivery *delivery);

/* After DONE: the connection is there and takes another message. */
bool delivery_is_open(const struct delivery *delivery);
void delivery_next(struct delivery *delivery, const struct envelope *envelope);
void delivery_quit(struct delivery *delivery);

/* "mx1.example.net[192.0.2.1]:25"; nothing while nobody was reached. */
void delivery_peer(const struct delivery *delivery, struct buffer *out);

#endif
