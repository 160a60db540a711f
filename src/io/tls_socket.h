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
    TLS_VAIN_RECORDS_MAX = 32, /* in a row; one more closes the connection */
    /* per turn, including those that OpenSSL read ahead: each has a cost, small or large */
    TLS_TURN_RECORDS_MAX = 128,
    TLS_SMALL_RECORD = 512,   /* octets: if records are smaller on average, */
    TLS_SMALL_AHEAD = 2048,   /* so many are read at a time */
    TLS_CLEAR_KEPT_MAX = 512, /* octets kept of plain text where TLS was expected */
};

struct tls_socket {
    SSL *ssl;
    struct tls_client_hello_flow hello; /* of a client, until the handshake is done */
    int descriptor;
    size_t capacity;             /* octets left to read in this turn */
    unsigned records;            /* read in this turn */
    uint64_t heard, all_records; /* octets and records read in all turns */
    uint64_t sent;               /* octets sent */
    struct buffer clear;         /* plain text from a server where TLS was expected */
    unsigned char first;         /* first octet of the peer */
    bool ended;                  /* the peer has closed, or is treated as closed */
    bool refused;                /* the ClientHello was too long */
    bool counts;                 /* the handshake is done: records must carry data */
    unsigned vain;               /* records since SSL_read() last returned data */
};

/* Attaches the socket to the SSL. The struct must outlive it, and must not move. False: out of memory. */
bool tls_socket_start(struct tls_socket *socket, int descriptor, SSL *ssl);

/* True if the peer sent plain text where TLS was expected. */
bool tls_socket_met_clear_text(const struct tls_socket *socket);

/* Starts a turn with a budget of octets to read. */
static inline void tls_socket_turn(struct tls_socket *socket, size_t capacity)
{
    socket->capacity = capacity;
    socket->records = 0;
}

#endif
