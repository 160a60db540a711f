/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: a connection: a non-blocking stream socket, plain or with TLS, with its unread and unsent octets.
 * It is independent of SMTP.
 *
 * The owner embeds a struct conn, starts it with a descriptor (or connects), reads conn_input() and
 * consumes it with conn_consume(), writes with conn_write(). Writes are buffered and sent by conn_flush(),
 * or by the conn itself after on_input or in the next turn. Callbacks come only from the loop, never from
 * within a call by the owner; they may close the conn, which is never touched afterwards, so the owner may
 * free itself there. Memory: an idle conn holds no buffers; a TLS one releases OpenSSL's.
 */
#ifndef MAILBOAT_IO_CONN_H
#define MAILBOAT_IO_CONN_H

#include <sys/socket.h>

#include "base/buffer.h"
#include "core/route/route.h"
#include "core/route/tls_result.h"
#include "io/conn_icmp.h"
#include "io/handshakes.h"
#include "io/tls.h"
#include "io/tls_socket.h"
#include "io/watch.h"

enum {
    CONN_INPUT_MAX = 64 * 1024, /* unread octets held before reading stops */
    /* octets that TLS reads from a socket before the loop continues */
    CONN_TLS_TURN_MAX = 4 * CONN_INPUT_MAX,
    CONN_HELLO_MAX = 16 * 1024,    /* octets of a client in its TLS handshake */
    CONN_CHAIN_MAX = 256 * 1024,   /* octets of a server in its handshake, including certificates */
    CONN_OUTPUT_HIGH = 256 * 1024, /* unsent octets; conn_output_is_full() from here on */
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

/* Maps the errno of a connection. */
enum conn_end conn_end_of(int number);

struct conn_events {
    void (*on_connected)(void *owner); /* conn_connect() succeeded */
    void (*on_input)(void *owner);     /* there are unread octets (or more than before) */
    /* buffered output, or output after conn_output_is_full(), has been sent; may be NULL */
    void (*on_drained)(void *owner);
    void (*on_tls)(void *owner);                    /* the handshake is done */
    void (*on_end)(void *owner, enum conn_end end); /* the peer closed, or the conn is broken; close it */
    void (*on_timeout)(void *owner);                /* the timeout of conn_set_timeout() expired */
    void (*on_first)(void *owner, bool tls);        /* after conn_await_first() */
};

struct conn {
    struct loop *loop;
    const struct conn_events *events;
    void *owner;
    int descriptor; /* -1 when closed */
    SSL *ssl;       /* NULL without TLS */
    struct tls_socket tls;
    struct watch watch;
    struct event timeout;
    struct buffer input, output;
    struct bytes fresh; /* octets just read, not yet copied into `input` */
    uint32_t timeout_ms;
    long verify_error;           /* first error found by OpenSSL, X509_V_OK if none */
    struct tls_context *context; /* stores sessions under session_key; NULL: sessions are not stored */
    struct buffer session_key;
    struct handshake_place handshake; /* of a server: its place in the handshake queue */
    long resumed_error;               /* verify_error of the session to resume */
    enum conn_end end;
    int number;                /* errno that ended the connection; 0: none */
    struct conn_icmp icmp;     /* the message that ended it while it was being made */
    unsigned long tls_problem; /* OpenSSL error that ended TLS; 0: none */
    size_t clear_left;         /* octets of `output` to send in plain text before the handshake */
    bool connecting, handshaking, paused, ended, end_reported, verify;
    bool awaiting_first;        /* reading waits until the peer's first octet is known */
    bool deaf;                  /* the socket became readable while paused: not watched until resumed */
    bool deadline;              /* the timeout is a deadline: input does not extend it */
    bool full, drained;         /* the owner was told that the output is full; on_drained is due */
    bool wake_read, wake_write; /* the loop must return although the kernel has no event */
    const char *hint;           /* advice for the log; NULL: none */
    char why[160];              /* a sentence: how it ended, or why TLS failed */
};

void conn_start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events,
                void *owner);
/* Connects to an address without blocking; on_connected or on_end follows, never before this returns. */
void conn_connect(struct conn *conn, struct loop *loop, const struct sockaddr *address, socklen_t length,
                  const struct conn_events *events, void *owner);
/* Sends the end of this side, once all output has been sent; reading goes on. For a last word to a peer that
 * may still be sending: closing would reset the connection, and could cost the peer that word. */
void conn_shut(struct conn *conn);
void conn_close(struct conn *conn); /* immediate; discards unsent octets; safe to call twice */

struct bytes conn_input(const struct conn *conn);
void conn_consume(struct conn *conn, size_t count);
void conn_pause(struct conn *conn, bool paused); /* stops reading while the owner waits for an answer */

void conn_write(struct conn *conn, struct bytes b);
void conn_flush(struct conn *conn);
size_t conn_unsent(const struct conn *conn);
static inline bool conn_output_is_full(const struct conn *conn)
{
    return conn_unsent(conn) >= CONN_OUTPUT_HIGH;
}

/* Starts a handshake. Earlier output is sent in plain text first; unread plain text is discarded (RFC 3207
 * 4.2). */
void conn_start_tls_server(struct conn *conn, struct tls_context *context);
/* To be called before that: the handshake's steps wait for their turns. */
void conn_queue_handshakes(struct conn *conn, struct handshakes *handshakes,
                           const struct handshake_network *network);
/* `name` is checked against the certificate, and sent as SNI unless it is an address. With `verify`, an
 * invalid certificate ends the conn (CONN_END_TLS); without, only conn_tls_certificate() reports it. */
void conn_start_tls_client(struct conn *conn, struct tls_context *context, const char *name, bool verify);
/* The same, with all options for the peer. */
struct conn_peer {
    const char *name;
    bool verify;
    /* usable records alone decide (RFC 7671); if none is usable, `verify` applies */
    const struct dns_record *tlsa;
    size_t tlsa_count;
    const char *protocol;  /* protocol to offer (ALPN, RFC 7301): "smtp"; NULL: none */
    struct bytes names[2]; /* with tlsa: alternative names accepted in the certificate; empty: none */
};
void conn_start_tls_peer(struct conn *conn, struct tls_context *context, const struct conn_peer *peer);
/* True after CONN_END_TLS if the server sent plain text where TLS was expected: the port does not use
 * implicit TLS; or, after STARTTLS, someone injected it (RFC 3207 6). */
bool conn_met_clear_text(const struct conn *conn);
/* Returns the first octets of that text; they live until the conn is closed. */
struct bytes conn_clear_text(const struct conn *conn);
/* True if this protocol was negotiated (ALPN). */
bool conn_tls_speaks(const struct conn *conn, const char *protocol);
/* True if an earlier session was resumed. */
bool conn_tls_resumed(const struct conn *conn);
/* Returns protocol, cipher, certificate result, and whether a session was resumed; zeroes without TLS. Its
 * text lives as long as the process. */
struct tls_result conn_tls_result(const struct conn *conn);
/* Returns "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" without TLS; in `buffer`. */
struct bytes conn_tls_text(const struct conn *conn, char *buffer, size_t size);
/* Returns the octets of a channel binding by its name, "tls-exporter" (RFC 9266) or "tls-server-end-point"
 * (RFC 5929 4), in `buffer`; empty if the connection has no such binding. */
enum { CONN_BINDING_MAX = 64 };
struct bytes conn_tls_binding(const struct conn *conn, struct bytes name,
                              unsigned char buffer[CONN_BINDING_MAX]);
enum tls_certificate conn_tls_certificate(const struct conn *conn);
/* Describes the fault of the peer's certificate: "it is for a.example, b.example", "it expired on Nov  1
 * 00:00:00 2026 GMT", "its issuer is CN = ..."; "" if there is none. */
struct bytes conn_tls_certificate_text(const struct conn *conn, char *buffer, size_t size);

/* Peeks at the peer's first octet: on_first reports whether a TLS handshake begins; then the owner
 * continues without TLS or with conn_start_tls_server(). on_timeout if the peer stays silent. */
void conn_await_first(struct conn *conn);
/* Ends that wait; the owner continues without TLS. */
void conn_end_await(struct conn *conn);

/* True if the unread octets begin like a TLS handshake (a ClientHello). */
bool conn_input_is_tls(const struct conn *conn);

/* Calls on_timeout after so long without input; 0: never. Input restarts it. */
void conn_set_timeout(struct conn *conn, uint32_t timeout_ms);
/* The same, but input does not extend it: a peer that trickles single octets gains no time. */
void conn_set_deadline(struct conn *conn, uint32_t timeout_ms);

/* Fills the address of a socket, IPv4-mapped as IPv4; false: it is of another family. */
bool conn_address(const struct sockaddr_storage *from, struct route_address *address);
/* Returns "192.0.2.1" or "2001:db8::1", IPv4-mapped as IPv4; in `buffer`. */
struct bytes conn_address_text(const struct sockaddr *address, char *buffer, size_t size);

#endif
