/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_socket: a BIO between OpenSSL and a conn's socket. It bounds how much OpenSSL reads in one call:
 * some records carry nothing that SSL_read() could return (alerts, empty records, renegotiation attempts),
 * and OpenSSL reads on as long as more come. The owner calls tls_socket_turn() before; when the budget is
 * used up OpenSSL is told to retry later, and the loop, which sees that the socket is still readable,
 * calls again in the next turn. It also counts such records: OpenSSL limits empty ones and alerts, but
 * neither KeyUpdates, each of which costs new keys, nor renegotiation attempts, each of which is answered.
 */
#ifndef MAILBOAT_IO_TLS_SOCKET_H
#define MAILBOAT_IO_TLS_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "core/port/tls_client_hello.h"

enum {
    TLS_VAIN_RECORDS_MAX = 32,  /* one after the other; with one more the peer is not heard any more */
    TLS_TURN_RECORDS_MAX = 128, /* in a turn, and what OpenSSL has read ahead: each costs, small or large */
    TLS_SMALL_RECORD = 512,     /* octets: where records have fewer on average, */
    TLS_SMALL_AHEAD = 2048,     /* so many are read at once */
    TLS_CLEAR_KEPT_MAX = 512,   /* octets of clear text that are kept, where TLS was due */
};

struct tls_socket {
    SSL *ssl;
    struct tls_client_hello_flow hello; /* of a client, until the handshake is done */
    int descriptor;
    size_t capacity;             /* octets that may be read in this turn */
    unsigned records;            /* that were read in this turn */
    uint64_t heard, all_records; /* octets and records that were read, of all turns */
    uint64_t sent;               /* octets */
    struct buffer clear;         /* what a server said in clear where TLS was due */
    unsigned char first;         /* of the octets: what the peer began with */
    bool ended;                  /* the peer has sent its last, or what counts as such */
    bool refused;                /* its ClientHello was to be too long */
    bool counts;                 /* the handshake is done: records shall carry something */
    unsigned vain;               /* records since SSL_read() returned something, which sets it to 0 */
};

/* Attaches the socket to the SSL. The struct must outlive it, and must not move. False: out of memory. */
bool tls_socket_start(struct tls_socket *socket, int descriptor, SSL *ssl);

/* The peer's first octets are text where TLS was due. */
bool tls_socket_met_clear_text(const struct tls_socket *socket);

/* From now on so many octets may be read. */
static inline void tls_socket_turn(struct tls_socket *socket, size_t capacity)
{
    socket->capacity = capacity;
    socket->records = 0;
}

#endif
