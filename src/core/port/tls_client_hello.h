/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_client_hello: reads the protocol names (ALPN, RFC 7301) offered in a ClientHello (RFC 8446 4.1.2),
 * before it is answered. So one port can serve the web and, for clients that offer "smtp", submission.
 */
#ifndef MAILBOAT_CORE_PORT_TLS_CLIENT_HELLO_H
#define MAILBOAT_CORE_PORT_TLS_CLIENT_HELLO_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    TLS_CLIENT_HELLO_MAX = 16 * 1024, /* octets of it that are read, including record headers */
};

enum tls_client_hello_verdict {
    TLS_CLIENT_HELLO_MORE,     /* incomplete */
    TLS_CLIENT_HELLO_OFFERS,   /* it offers the protocol */
    TLS_CLIENT_HELLO_LACKS,    /* it does not */
    TLS_CLIENT_HELLO_NO_HELLO, /* not a ClientHello, or longer than TLS_CLIENT_HELLO_MAX */
};

/* Checks whether it offers `protocol`. `octets`: all input so far. */
enum tls_client_hello_verdict tls_client_hello_check(struct bytes octets, struct bytes protocol);

/*
 * Follows a client's octets during its handshake. A TLS library allocates a ClientHello's announced length
 * after four octets, up to 128 KiB: tls_client_hello_goes_on() is false if one announces more than
 * TLS_CLIENT_HELLO_MAX, the first one or the one after a HelloRetryRequest. All zero: no input yet.
 */
struct tls_client_hello_flow {
    unsigned char header[5], beginning[4]; /* of a record; of a message in it */
    unsigned header_has, beginning_has;
    size_t record_left, message_left;
    bool over; /* no ClientHello follows, or it is encrypted */
};

/* `before_1_3`: the server has answered with TLS 1.2: octets after ChangeCipherSpec are encrypted. */
bool tls_client_hello_goes_on(struct tls_client_hello_flow *flow, struct bytes octets, bool before_1_3);

#endif
