/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: the state of a port, as a word, a sentence and a hint. */
#ifndef MAILBOAT_CORE_PORT_VERDICT_H
#define MAILBOAT_CORE_PORT_VERDICT_H

#include "base/buffer.h"

enum port_verdict {
    PORT_UNTRIED,          /* the race ended before its turn, or its deadline passed */
    PORT_OPEN,             /* greeting, EHLO, TLS and an authentication mechanism are present */
    PORT_REFUSED,          /* connection refused by the host */
    PORT_FILTERED,         /* silence: a device on the path drops packets */
    PORT_UNREACHABLE,      /* no route to the host */
    PORT_SILENT,           /* connected, then no octet before the timeout */
    PORT_SLOW,             /* it replies, but too slowly */
    PORT_TLS_OTHER,        /* the other TLS mode: plain text on 465, or implicit TLS on 587 */
    PORT_NO_TLS,           /* STARTTLS is not offered */
    PORT_STRIPPED,         /* STARTTLS was offered, then garbled or removed on the path */
    PORT_STARTTLS_REFUSED, /* STARTTLS was offered, then refused by the server */
    PORT_TLS_FAILED,
    PORT_CERTIFICATE_EXPIRED,
    PORT_CERTIFICATE_OTHER_NAME,
    PORT_CERTIFICATE_SELF_SIGNED,
    PORT_CERTIFICATE_UNKNOWN_ISSUER,
    PORT_CERTIFICATE, /* invalid for another reason */
    PORT_IMPOSTOR,    /* the certificate is not the server's here, but is on another port */
    PORT_NO_AUTH,     /* no supported mechanism */
    PORT_NOT_SMTP,    /* another kind of server responds */
    PORT_PORTAL,      /* an HTTP server responds: a captive portal, or a proxy */
    PORT_LATER,       /* 4xx at the greeting or EHLO: busy, or it limits this address */
    PORT_UNWILLING,   /* the same with 5xx */
    PORT_CLOSED,      /* the connection ended early */
    PORT_VERDICTS
};

const char *port_verdict_name(enum port_verdict verdict); /* "filtered" */
/* "no answer: a firewall or the provider drops this port" */
const char *port_verdict_sentence(enum port_verdict verdict);
const char *port_verdict_hint(enum port_verdict verdict); /* "use another port", or "" */
/* Returns the state in one of five words: "open" (it responds, in any way), "refused", "filtered",
 * "unreachable", "intercepted" (another server responds). */
const char *port_verdict_state(enum port_verdict verdict);
/* True if the server's reply belongs into the reason: not if it sent none. */
bool port_verdict_quotes(enum port_verdict verdict);

#endif
