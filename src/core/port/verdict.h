/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: what is the matter with a port, in a word, a sentence and a mend. */
#ifndef MAILBOAT_PORT_VERDICT_H
#define MAILBOAT_PORT_VERDICT_H

#include "buffer.h"

enum port_verdict {
    PORT_UNTRIED,     /* the race was over before its turn, or its deadline came */
    PORT_OPEN,        /* greeting, EHLO, TLS and a way to sign in are all there */
    PORT_REFUSED,     /* the host says no */
    PORT_FILTERED,    /* silence: something on the way drops it */
    PORT_UNREACHABLE, /* no way to the host */
    PORT_SILENT,      /* connected, and then nothing in time */
    PORT_TLS_OTHER,   /* TLS the other way round */
    PORT_NO_TLS,      /* STARTTLS is not offered, or stripped */
    PORT_TLS_FAILED,
    PORT_CERTIFICATE, /* its certificate is not valid */
    PORT_NO_AUTH,     /* no mechanism that we could use */
    PORT_NOT_SMTP,    /* somebody else answers */
    PORT_UNWILLING,   /* a greeting or EHLO with 4xx or 5xx */
    PORT_CLOSED,      /* the connection ended early */
    PORT_VERDICTS
};

const char *port_verdict_name(enum port_verdict verdict);     /* "filtered" */
const char *port_verdict_sentence(enum port_verdict verdict); /* "no answer: a firewall or the provider drops this port" */
const char *port_verdict_mend(enum port_verdict verdict);     /* "use another port", or "" */

#endif
