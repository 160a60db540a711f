/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: what a client wants that begins a connection with TLS, read from its
 * ClientHello (RFC 8446 4.1.2) before anybody answers it: the names of the
 * protocols that it offers (ALPN, RFC 7301). So one port can serve the web
 * and, to those who ask for "smtp", submission.
 */
#ifndef MAILBOAT_PORT_HELLO_H
#define MAILBOAT_PORT_HELLO_H

#include "bytes.h"

enum {
    HELLO_MAX = 16 * 1024, /* octets of it that are looked at, with the headers of its records */
};

enum hello_verdict {
    HELLO_MORE,    /* it is not all there yet */
    HELLO_OFFERS,  /* it offers the protocol */
    HELLO_LACKS,   /* it does not */
    HELLO_NO_HELLO, /* it is none, or one that is longer than HELLO_MAX */
};

/* `octets`: all that has come. Does it offer `protocol`? */
enum hello_verdict hello_judge(struct bytes octets, struct bytes protocol);

#endif
