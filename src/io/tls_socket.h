/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_socket: what OpenSSL reads a conn's socket through and writes to it
 * (a BIO). It bounds how much OpenSSL takes in at one go: some records carry
 * nothing that SSL_read() could return (alerts, empty records, attempts to
 * renegotiate), and OpenSSL reads on over them for as long as more come. The
 * owner sets `room` before each call; with no room left OpenSSL is told to
 * come back later, and the loop, which sees that the socket has more, calls
 * again in the next turn. It also counts such records: OpenSSL limits empty
 * ones and alerts, but neither KeyUpdates, each of which costs new keys, nor
 * attempts to renegotiate, each of which is answered.
 */
#ifndef MAILBOAT_IO_TLS_SOCKET_H
#define MAILBOAT_IO_TLS_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>

enum { TLS_VAIN_RECORDS_MAX = 32 }; /* one after the other; with one more the peer is not heard any more */

struct tls_socket {
    int descriptor;
    size_t room;    /* octets that may be read until it is set again */
    uint64_t heard; /* octets that were read */
    bool ended;     /* the peer has sent its last, or what counts as such */
    bool counts;    /* the handshake is done: records shall carry something */
    unsigned vain;  /* records since SSL_read() returned something, which sets it to 0 */
};

/* SSL reads and writes here from now on. The struct stays where it is, and longer than SSL. False: no memory. */
bool tls_socket_start(struct tls_socket *socket, int descriptor, SSL *ssl);

#endif
