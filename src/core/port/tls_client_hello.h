/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_client_hello: what a client wants that begins a connection with TLS, read from its
 * ClientHello (RFC 8446 4.1.2) before anybody answers it: the names of the
 * protocols that it offers (ALPN, RFC 7301). So one port can serve the web
 * and, to those who ask for "smtp", submission.
 */
#ifndef MAILBOAT_CORE_PORT_TLS_CLIENT_HELLO_H
#define MAILBOAT_CORE_PORT_TLS_CLIENT_HELLO_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    TLS_CLIENT_HELLO_MAX = 16 * 1024, /* octets of it that are looked at, with the headers of its records */
};

enum tls_client_hello_verdict {
    TLS_CLIENT_HELLO_MORE,     /* it is not all there yet */
    TLS_CLIENT_HELLO_OFFERS,   /* it offers the protocol */
    TLS_CLIENT_HELLO_LACKS,    /* it does not */
    TLS_CLIENT_HELLO_NO_HELLO, /* it is none, or one that is longer than TLS_CLIENT_HELLO_MAX */
};

/* `octets`: all that has come. Does it offer `protocol`? */
enum tls_client_hello_verdict tls_client_hello_check(struct bytes octets, struct bytes protocol);

/*
 * The octets of a client in its handshake, followed as they come. A TLS library
 * makes room for a ClientHello as soon as four octets of it say how long it will
 * be, up to 128 KiB: tls_client_hello_goes_on() is false where one says that it is
 * longer than TLS_CLIENT_HELLO_MAX, the first one or the one after a HelloRetryRequest.
 * All zero: nothing has come.
 */
struct tls_client_hello_flow {
    unsigned char header[5], beginning[4]; /* of a record; of a message in it */
    unsigned header_has, beginning_has;
    size_t record_left, message_left;
    bool over; /* what follows is none, or is encrypted */
};

/* `before_1_3`: the server has answered, with TLS 1.2: what follows ChangeCipherSpec is encrypted. */
bool tls_client_hello_goes_on(struct tls_client_hello_flow *flow, struct bytes octets, bool before_1_3);

#endif
