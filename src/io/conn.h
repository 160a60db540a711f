/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: a connection: a non-blocking stream socket, in clear or in TLS, with
 * its unread and unsent octets. It knows nothing of SMTP.
 *
 * The owner embeds a struct conn, starts it with a descriptor (or connects),
 * reads conn_input() and uses it up with conn_consume(), writes with
 * conn_write(). Writes are gathered and sent by conn_flush(), or by the conn
 * itself after on_input or at the next turn. Callbacks come from the loop
 * only, never from within a call of the owner's; they may close the conn,
 * which is never touched afterwards, so the owner may free itself there.
 * Memory: an idle conn holds no buffers; a TLS one releases OpenSSL's.
 */
#ifndef MAILBOAT_IO_CONN_H
#define MAILBOAT_IO_CONN_H

#include <sys/socket.h>

#include "base/buffer.h"
#include "core/route/route.h"
#include "core/route/tls_result.h"
#include "io/handshakes.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/tls_socket.h"

enum {
    CONN_INPUT_MAX = 64 * 1024,             /* unread octets held before reading stops */
    CONN_TLS_TURN_MAX = 4 * CONN_INPUT_MAX, /* octets of a socket that TLS takes in before the loop goes on */
    CONN_HELLO_MAX = 16 * 1024,             /* octets of a client in its TLS handshake */
    CONN_CHAIN_MAX = 256 * 1024,            /* octets of a server in its: there are certificates in it */
    CONN_OUTPUT_HIGH = 256 * 1024,          /* unsent octets; conn_output_is_full() from here on */
};

enum conn_end {
    CONN_END_CLOSED,
    CONN_END_RESET,
    CONN_END_TIMEOUT,
    CONN_END_TLS,
    CONN_END_REFUSED,
    CONN_END_UNREACHABLE,
    CONN_END_OTHER
};

/* What an errno of a connection means. */
enum conn_end conn_end_of(int number);

struct conn_events {
    void (*on_connected)(void *owner); /* conn_connect() is through */
    void (*on_input)(void *owner);     /* there are unread octets (or more than before) */
    /* what could not be sent at once, or made conn_output_is_full(), has been sent now; may be NULL */
    void (*on_drained)(void *owner);
    void (*on_tls)(void *owner);                    /* the handshake is done */
    void (*on_end)(void *owner, enum conn_end end); /* the peer closed, or the conn is broken; close it */
    void (*on_timeout)(void *owner);                /* conn_set_timeout() ran out */
    void (*on_first)(void *owner, bool tls);        /* after conn_await_first() */
};

struct conn {
    struct loop *loop;
    const struct conn_events *events;
    void *owner;
    int descriptor; /* -1 when closed */
    SSL *ssl;       /* NULL in clear */
    struct tls_socket tls;
    struct watch watch;
    struct event timeout;
    struct buffer input, output;
    struct bytes fresh; /* octets just read, not yet copied into `input` */
    uint32_t timeout_ms;
    long verify_error;           /* the first that OpenSSL found, X509_V_OK when none */
    struct tls_context *context; /* where sessions are kept, under session_key; NULL: none are */
    struct buffer session_key;
    struct handshake_place handshake; /* a server's: where it waits for its turn */
    long resumed_error;               /* verify_error of the session that may be resumed */
    enum conn_end end;
    size_t clear_left; /* octets of `output` that go in clear before the handshake */
    bool connecting, handshaking, paused, ended, end_reported, verify;
    bool awaiting_first;        /* nothing is read until it is known how the peer begins */
    bool deaf;                  /* the socket had octets while paused: not watched until it goes on */
    bool deadline;              /* the timeout is one: input does not put it off */
    bool full, drained;         /* the owner was told that no more fits; on_drained is owed to it */
    bool wake_read, wake_write; /* the loop shall come back though the kernel has no news */
    char why[160];              /* a sentence on how it ended, or why TLS failed */
};

void conn_start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events,
                void *owner);
/* Connects to an address without blocking; on_connected or on_end follows,
 * never before this returns. */
void conn_connect(struct conn *conn, struct loop *loop, const struct sockaddr *address, socklen_t length,
                  const struct conn_events *events, void *owner);
void conn_close(struct conn *conn); /* at once; unsent octets are lost; safe to call twice */

struct bytes conn_input(const struct conn *conn);
void conn_consume(struct conn *conn, size_t count);
void conn_pause(struct conn *conn, bool paused); /* stops reading while an answer is awaited */

void conn_write(struct conn *conn, struct bytes b);
void conn_flush(struct conn *conn);
size_t conn_unsent(const struct conn *conn);
static inline bool conn_output_is_full(const struct conn *conn)
{
    return conn_unsent(conn) >= CONN_OUTPUT_HIGH;
}

/* Handshakes. What was written before goes out in clear first; unread clear
 * text is dropped (RFC 3207 4.2). */
void conn_start_tls_server(struct conn *conn, struct tls_context *context);
/* Before that: its steps wait for their turns. */
void conn_queue_handshakes(struct conn *conn, struct handshakes *handshakes,
                           const struct handshake_network *network);
/* `name` is checked against the certificate, and sent as SNI unless it is an
 * address. Where `verify`, a certificate that is not valid ends the conn
 * (CONN_END_TLS); else conn_tls_certificate() alone tells. */
void conn_start_tls_client(struct conn *conn, struct tls_context *context, const char *name, bool verify);
/* The same, with all that can be asked of a peer. */
struct conn_peer {
    const char *name;
    bool verify;
    /* those that can be used are the only judges (RFC 7671); none of them can: as `verify` says */
    const struct dns_record *tlsa;
    size_t tlsa_count;
    const char *protocol;  /* to offer inside (ALPN, RFC 7301): "smtp"; NULL: none */
    struct bytes names[2]; /* with tlsa: a certificate for one of these will do too; empty: none */
};
void conn_start_tls_peer(struct conn *conn, struct tls_context *context, const struct conn_peer *peer);
/* After CONN_END_TLS: the server's first octets where TLS was due were clear
 * text. It speaks in clear on this port; or, after STARTTLS, something on the
 * way put them there (RFC 3207 6). */
bool conn_met_clear_text(const struct conn *conn);
/* Is this the protocol that was agreed on (ALPN)? */
bool conn_tls_speaks(const struct conn *conn, const char *protocol);
/* Was an earlier session resumed? */
bool conn_tls_resumed(const struct conn *conn);
/* Protocol, cipher, certificate, and whether a session was resumed; zeroes in
 * clear. Its text lives as long as the process. */
struct tls_result conn_tls_result(const struct conn *conn);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" in clear; into `buffer`. */
struct bytes conn_tls_text(const struct conn *conn, char *buffer, size_t size);
/* The octets of a channel binding by its name, "tls-exporter" (RFC 9266) or
 * "tls-server-end-point" (RFC 5929 4), into `buffer`; none where the connection
 * has no such binding. */
enum { CONN_BINDING_MAX = 64 };
struct bytes conn_tls_binding(const struct conn *conn, struct bytes name,
                              unsigned char buffer[CONN_BINDING_MAX]);
enum tls_certificate conn_tls_certificate(const struct conn *conn);
/* What the peer's certificate says about its fault: "it is for a.example, b.example",
 * "it expired on Nov  1 00:00:00 2026 GMT", "its issuer is CN = ..."; "" when it has none. */
struct bytes conn_tls_certificate_text(const struct conn *conn, char *buffer, size_t size);

/* Looks at the peer's first octet and leaves it unread: on_first tells
 * whether a TLS handshake begins; then the owner goes on in clear or with
 * conn_start_tls_server(). on_timeout where the peer waits instead. */
void conn_await_first(struct conn *conn);
/* The owner has waited long enough, and goes on in clear. */
void conn_end_await(struct conn *conn);

/* True when the unread octets begin like a TLS handshake (a ClientHello). */
bool conn_input_is_tls(const struct conn *conn);

/* on_timeout when no octet arrived for so long; 0: never. Reset by input. */
void conn_set_timeout(struct conn *conn, uint32_t timeout_ms);
/* The same, and input does not put it off: who sends an octet now and then
 * holds nothing for longer. */
void conn_set_deadline(struct conn *conn, uint32_t timeout_ms);

/* "192.0.2.1" or "2001:db8::1", IPv4-mapped as IPv4; into `buffer`. */
struct bytes conn_address_text(const struct sockaddr *address, char *buffer, size_t size);

#endif
