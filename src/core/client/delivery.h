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
 * delivery_next(). delivery_quit() ends it politely; one that has carried
 * DELIVERY_MESSAGES_MAX ends by itself.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_H

#include "core/client/client_session.h"
#include "core/route/tls_fallback.h"
#include "core/route/tls_result.h"

enum delivery_limit {
    DELIVERY_MESSAGES_MAX = 100, /* on one connection */
    CONNECT_TIMEOUT_MS = 30 * 1000,
    HANDSHAKE_AGAIN_MS = 5 * 1000, /* with a host that was silent in it, where TLS is demanded */
};

/* How a destination is reached; texts outlive the delivery. */
struct delivery_options {
    struct bytes hostname; /* ours */
    struct bytes domain;   /* the recipients' domain, or the smarthost's name */
    bool smarthost;        /* its own addresses, no MX; the certificate is checked */
    bool verify;           /* the certificate must be valid for the host's name */
    struct bytes user, password, token;
    uint16_t port;
    enum client_tls tls; /* of hosts that MX records name: where nothing more is demanded of them */
    enum tls_wish wish;  /* the configuration's, for the domain */
    uint64_t random;
    const struct own_addresses *own; /* this machine's: not called unless `smarthost`; NULL: unknown */
    struct tls_fallback *fallback;   /* which hosts are silent in TLS; NULL: nothing is remembered */
};

enum delivery_action_kind {
    DELIVERY_NOTHING,
    DELIVERY_RESOLVE, /* look up `name`, `type`; delivery_resolved() or delivery_learned() */
    DELIVERY_ASK_STS, /* the MTA-STS policy of the domain `name`; delivery_sts() */
    /* to `address`, `port`, within `timeout_ms`; with `tls` shake hands first, for `name` */
    DELIVERY_CONNECT,
    DELIVERY_SEND,
    DELIVERY_STARTTLS,     /* shake hands for `name`, checked where `verify` or by `tlsa` */
    DELIVERY_ASK,          /* `asked` of the session: sasl_client_answer() of dial/ knows it */
    DELIVERY_WANT_CONTENT, /* delivery_content() */
    /* `results`, one a recipient; they live until the next call of start, next or free */
    DELIVERY_DONE,
    DELIVERY_CLOSE, /* close the connection there is; another CONNECT may follow */
};

struct delivery_action {
    enum delivery_action_kind kind;
    struct bytes name;
    enum dns_type type;
    struct route_address address;
    /* the same and more of that host, to be tried side by side; delivery_took() or delivery_tried() tells */
    const struct route_address *addresses;
    size_t address_count; /* 1: no others */
    uint16_t port;
    uint32_t timeout_ms;
    bool tls, verify;
    /* with them a certificate is checked by these alone (those that tls_policy_tlsa_is_usable()) */
    const struct dns_record *tlsa;
    size_t tlsa_count;
    struct bytes names[2]; /* with tlsa: more names that the certificate may be for; empty: none */
    bool begins;           /* WANT_CONTENT: from the first octet, as client_action has it */
    struct client_action asked;
    struct bytes bytes;
    const struct delivery_result *results;
    size_t result_count;
};

struct delivery {
    struct delivery_options options;
    const struct envelope *envelope;
    struct route route;
    struct client_session session;
    struct arena arena; /* results made here, and their texts */
    struct delivery_result *results;
    /* what the last failed connection said that got anywhere, else the last */
    struct delivery_result last;
    /* the one we talk with, or talked with last; at the end the one `last` is of */
    struct bytes host;
    struct route_address address;
    struct bytes last_host;
    struct route_address last_address;
    struct delivery_tls {   /* how it must be secured */
        struct arena arena; /* what the records hold */
        struct tls_facts facts;
        struct tls_policy policy; /* what was decided */
    } tls;
    size_t messages; /* given on this connection */
    enum delivery_stage {
        DELIVERY_ROUTING,
        DELIVERY_RESOLVING,
        DELIVERY_CONNECTING,
        DELIVERY_TALKING,
        DELIVERY_HANDSHAKING,
        DELIVERY_OPEN,
        DELIVERY_LEAVING,
        DELIVERY_OVER,
        /* an address is there, and it is not decided yet how it must be secured */
        DELIVERY_SECURING,
    } stage;
    bool has_session, connected, transacting, done_reported, close_due;
    bool in_clear;             /* without STARTTLS, for TLS with this host did not come about */
    bool hurried;              /* the host was silent in TLS before: it is given less time */
    bool again;                /* the address was connected to before: no others beside it */
    enum tls_next next;        /* what follows with the address */
    unsigned tls_tries;        /* with the address */
    struct bytes clear_reason; /* why there is no TLS, where there might have been; in tls.arena */
    bool signed_in_refused;    /* AUTH was refused: no further address is tried */
    bool any_unfit, any_other; /* hosts failed for what REQUIRETLS asks; for another reason */
};

void delivery_start(struct delivery *delivery, const struct delivery_options *options,
                    const struct envelope *envelope);
void delivery_free(struct delivery *delivery);

bool delivery_action(struct delivery *delivery, struct delivery_action *action);

void delivery_resolved(struct delivery *delivery, enum dns_type type, enum dns_status status,
                       const struct dns_record *records, size_t count);
/* The same with all that DNS says: aliases, and whether DNSSEC vouches. */
void delivery_learned(struct delivery *delivery, enum dns_type type, const struct dns_answer *answer);
/* NULL: the domain has no policy. Copied. */
void delivery_sts(struct delivery *delivery, const struct sts_policy *policy);
/* Before delivery_connected(): it is the action's addresses[i] that answered. */
void delivery_took(struct delivery *delivery, size_t i);
/* Before delivery_lost(): all of the action's addresses were tried. */
void delivery_tried_all(struct delivery *delivery);
void delivery_connected(struct delivery *delivery); /* with implicit TLS: and the handshake is done */
void delivery_tls_started(struct delivery *delivery);
size_t delivery_feed(struct delivery *delivery, struct bytes input);
void delivery_content(struct delivery *delivery, struct bytes run, bool last);
/* The connection failed, ended, or was silent too long: `why` is a sentence.
 * `in_tls`: during a handshake. `how`: CLEAR_TEXT only where TLS was due. */
void delivery_lost(struct delivery *delivery, bool in_tls, enum tls_loss how, struct bytes why);

/* Instead of looking up or connecting as the action says: so much time has
 * been spent on the way to a server that the message waits for its next attempt. */
void delivery_out_of_time(struct delivery *delivery);

/* How long the shell waits for the peer now. */
uint32_t delivery_timeout_ms(const struct delivery *delivery);
enum client_step delivery_step(const struct delivery *delivery);

/* After DONE: the connection is there and takes another message. */
bool delivery_is_open(const struct delivery *delivery);
/* Is it secured as this message requires (RFC 8689)? Else it needs a connection of its own. */
bool delivery_suits(const struct delivery *delivery, const struct envelope *envelope);
void delivery_next(struct delivery *delivery, const struct envelope *envelope);
void delivery_quit(struct delivery *delivery);

/* What was decided about TLS for the last host, and why there is none where
 * there might have been; the connection knows the rest. Texts live as long as
 * the connection to that host does. */
struct tls_result delivery_tls_result(const struct delivery *delivery);

/* Why the last connection was in clear where TLS was wished for: "TLS failed
 * twice: no shared cipher"; empty where it was not. */
struct bytes delivery_clear_reason(const struct delivery *delivery);

/* "mx1.example.net[192.0.2.1]:25"; nothing while nobody was reached. */
void delivery_peer(const struct delivery *delivery, struct buffer *out);

#endif
