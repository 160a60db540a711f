/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery: delivers one message to one destination: route, connect, session, transaction, and the next
 * address after a failure. Pure: the relay process and the simulation drive it.
 *
 * The shell calls delivery_start(), then in a loop executes every delivery_action() and reports the
 * result: delivery_resolved(), delivery_connected() or delivery_lost(), delivery_feed() ... At
 * DELIVERY_DONE each recipient has a result. While delivery_is_open() is true the connection can be reused
 * for another message to the same destination: delivery_next(). delivery_quit() ends it with QUIT; after
 * DELIVERY_MESSAGES_MAX messages it ends by itself.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_H

#include "core/client/client_session.h"
#include "core/route/tls_fallback.h"
#include "core/route/tls_result.h"

enum delivery_limit {
    DELIVERY_MESSAGES_MAX = 100, /* per connection */
    CONNECT_TIMEOUT_MS = 30 * 1000,
    DELIVERY_REFUSED_MAX = 16,     /* hosts of a message, ruled out by their TLS policy, that are told */
    HANDSHAKE_AGAIN_MS = 5 * 1000, /* for a host that was silent in its last one, if TLS is required */
};

/* The route and TLS settings of a destination; texts outlive the delivery. */
struct delivery_options {
    struct bytes hostname; /* of this server */
    struct bytes domain;   /* the recipients' domain, or the smarthost's name */
    bool smarthost;        /* uses the host's addresses, no MX; the certificate is checked */
    bool verify;           /* the certificate must be valid for the host's name */
    struct bytes user, password, token;
    uint16_t port;
    enum client_tls tls; /* minimum for hosts from MX records */
    enum tls_wish wish;  /* configured for the domain */
    uint64_t random;
    bool signs;                      /* each message is signed before it is sent: DELIVERY_SIGN */
    const struct own_addresses *own; /* of this machine: not contacted unless `smarthost`; NULL: unknown */
    struct tls_fallback *fallback;   /* hosts that were silent during TLS; NULL: nothing is remembered */
};

enum delivery_action_kind {
    DELIVERY_NOTHING,
    DELIVERY_RESOLVE, /* look up `name`, `type`: delivery_resolved() or delivery_learned() */
    DELIVERY_ASK_STS, /* get the MTA-STS policy of the domain `name`: delivery_sts() */
    /* connect to `address`, `port`, within `timeout_ms`; with `tls` including the handshake, for `name` */
    DELIVERY_CONNECT,
    DELIVERY_SEND,
    DELIVERY_STARTTLS, /* start the handshake for `name`, verified if `verify` or by `tlsa` */
    DELIVERY_ASK,      /* answer the session's question `asked`: sasl_client_answer() of dial/ does */
    /* with options.signs: sign the message in its `form` for this host; delivery_signed() or
     * delivery_not_signed(), now or later */
    DELIVERY_SIGN,
    DELIVERY_WANT_CONTENT, /* delivery_content() */
    /* `results`, one per recipient; valid until the next call of start, next or free */
    DELIVERY_DONE,
    DELIVERY_CLOSE, /* close the current connection; another CONNECT may follow */
};

struct delivery_action {
    enum delivery_action_kind kind;
    struct bytes name;
    enum dns_type type;
    struct route_address address;
    /* this and further addresses of the host, for concurrent attempts; answer with delivery_took() or
     * delivery_tried() */
    const struct route_address *addresses;
    size_t address_count; /* 1: only `address` */
    uint16_t port;
    uint32_t timeout_ms;
    bool tls, verify;
    /* if set, only these verify the certificate (usable ones: tls_policy_tlsa_is_usable()) */
    const struct dns_record *tlsa;
    size_t tlsa_count;
    struct bytes names[2]; /* with tlsa: alternative names accepted in the certificate; empty: none */
    bool begins;           /* WANT_CONTENT: from the first octet, as in client_action */
    bool quit;             /* CLOSE: send QUIT first */
    struct client_action asked;
    struct content_form form;
    struct bytes bytes;
    const struct delivery_result *results;
    size_t result_count;
};

struct delivery {
    struct delivery_options options;
    const struct envelope *envelope;
    struct route route;
    struct client_session session;
    struct arena arena; /* results created here, and their texts */
    struct delivery_result *results;
    /* of the last failed connection that reached a server, else of the last one */
    struct delivery_result last;
    /* of the current or last connection; at the end the host of `last` */
    struct bytes host;
    struct route_address address;
    struct bytes last_host;
    struct route_address last_address;
    struct delivery_tls {   /* TLS policy of the host */
        struct arena arena; /* contents of the records */
        struct tls_facts facts;
        struct tls_policy policy; /* the decision */
    } tls;
    size_t messages; /* sent on this connection */
    enum delivery_stage {
        DELIVERY_ROUTING,
        DELIVERY_RESOLVING,
        DELIVERY_CONNECTING,
        DELIVERY_TALKING,
        DELIVERY_HANDSHAKING,
        DELIVERY_OPEN,
        DELIVERY_LEAVING,
        DELIVERY_OVER,
        /* an address is known, its TLS policy is not decided yet */
        DELIVERY_SECURING,
        DELIVERY_SIGNING, /* the session is ready; the message is to be signed */
    } stage;
    bool sign_due;
    bool has_session, connected, transacting, done_reported, close_due, quit_due;
    bool in_clear;             /* without STARTTLS, because TLS with this host failed */
    bool hurried;              /* the host was silent during TLS before: its timeout is shorter */
    bool again;                /* reconnects to the same address: no concurrent attempts */
    enum tls_next next;        /* next step with the address */
    unsigned tls_tries;        /* with the address */
    struct bytes clear_reason; /* why there is no TLS where it was possible; in tls.arena */
    bool signed_in_refused;    /* authentication failed: no further address is tried */
    /* hosts that the current message did not contact because of their TLS policy, and where that is from */
    struct delivery_refused {
        struct bytes host; /* lives as long as the route */
        enum tls_level level;
        bool lacks_dane; /* as in struct tls_policy */
    } refused[DELIVERY_REFUSED_MAX];
    size_t refused_count;
    bool any_unfit, any_other; /* hosts failed because of REQUIRETLS; for another reason */
};

void delivery_start(struct delivery *delivery, const struct delivery_options *options,
                    const struct envelope *envelope);
void delivery_free(struct delivery *delivery);

bool delivery_action(struct delivery *delivery, struct delivery_action *action);

void delivery_resolved(struct delivery *delivery, enum dns_type type, enum dns_status status,
                       const struct dns_record *records, size_t count);
/* The same with all facts from DNS: aliases, and whether DNSSEC validated the answer. */
void delivery_learned(struct delivery *delivery, enum dns_type type, const struct dns_answer *answer);
/* NULL: the domain has no policy. Copied. */
void delivery_sts(struct delivery *delivery, const struct sts_policy *policy);
/* Before delivery_connected(): addresses[i] of the action was reached. */
void delivery_took(struct delivery *delivery, size_t i);
/* Before delivery_lost(): all addresses of the action were tried. */
void delivery_tried_all(struct delivery *delivery);
void delivery_connected(struct delivery *delivery); /* with implicit TLS: after the handshake */
void delivery_tls_started(struct delivery *delivery);
size_t delivery_feed(struct delivery *delivery, struct bytes input);
/* After DELIVERY_SIGN: `top` is what to put above the message, with its line ends; empty: it is sent
 * without a signature. */
void delivery_signed(struct delivery *delivery, struct bytes top);
/* After DELIVERY_SIGN: the message is deferred with this reason, a sentence; the connection stays open. */
void delivery_not_signed(struct delivery *delivery, const char *enhanced, struct bytes why);
void delivery_content(struct delivery *delivery, struct bytes run, bool last);
/* Reports a connection that failed, ended, or timed out: `why` is a sentence. `in_tls`: during a
 * handshake. `how`: CLEAR_TEXT only where TLS was expected. */
void delivery_lost(struct delivery *delivery, bool in_tls, enum tls_loss how, struct bytes why);

/* Instead of the requested lookup or connection: the time for reaching a server is used up, the message is
 * deferred. */
void delivery_out_of_time(struct delivery *delivery);

/* Returns the current timeout for the peer. */
uint32_t delivery_timeout_ms(const struct delivery *delivery);
enum client_step delivery_step(const struct delivery *delivery);

/* After DONE: true if the connection can be reused for another message. */
bool delivery_is_open(const struct delivery *delivery);
/* True if the connection is secured as this message requires (RFC 8689). Otherwise it needs its own
 * connection. */
bool delivery_suits(const struct delivery *delivery, const struct envelope *envelope);
void delivery_next(struct delivery *delivery, const struct envelope *envelope);
void delivery_quit(struct delivery *delivery);

/* Returns the TLS policy of the last host, and why there is no TLS where it was possible; the connection
 * knows the rest. Texts live as long as the connection to that host. */
struct tls_result delivery_tls_result(const struct delivery *delivery);

/* Returns why the last connection had no TLS where it was wanted: "TLS failed twice: no shared cipher";
 * otherwise empty. */
struct bytes delivery_clear_reason(const struct delivery *delivery);

/* Appends "mx1.example.net[192.0.2.1]:25"; nothing before a server was reached. */
void delivery_peer(const struct delivery *delivery, struct buffer *out);

#endif
