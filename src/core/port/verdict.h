/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: the state of a port, as a word, a sentence and a hint. */
#ifndef MAILBOAT_CORE_PORT_VERDICT_H
#define MAILBOAT_CORE_PORT_VERDICT_H

#include "base/buffer.h"

enum port_verdict {
    PORT_UNTRIED,          /* the race was over before its turn, or its deadline came */
    PORT_OPEN,             /* greeting, EHLO, TLS and a way to sign in are all there */
    PORT_REFUSED,          /* the host says no */
    PORT_FILTERED,         /* silence: something on the way drops it */
    PORT_UNREACHABLE,      /* no way to the host */
    PORT_SILENT,           /* connected, and then not one octet in time */
    PORT_SLOW,             /* it speaks, but not in time */
    PORT_TLS_OTHER,        /* TLS the other way round: clear text on 465, or TLS from the first byte on 587 */
    PORT_NO_TLS,           /* STARTTLS is not offered */
    PORT_STRIPPED,         /* STARTTLS was offered, and garbled or taken away on the way */
    PORT_STARTTLS_REFUSED, /* it was offered, and the server says no when it is asked for it */
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
    PORT_LATER,       /* 4xx at the greeting or EHLO: busy, or greylisting */
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
