/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interceptor: scanners that end TLS on the way and sign a certificate of their
 * own: virus scanners on this machine, firewalls and gateways of a company.
 *
 * A name in a certificate is written by its maker: it may explain a failure, and
 * never excuses one. So these names are looked for only beside "issuer not known
 * to this machine", and the verdict stays.
 */
#ifndef MAILBOAT_CORE_PORT_INTERCEPTOR_H
#define MAILBOAT_CORE_PORT_INTERCEPTOR_H

#include "base/bytes.h"

enum interceptor_kind {
    INTERCEPTOR_ANTIVIRUS, /* on this machine */
    INTERCEPTOR_FIREWALL,  /* of the company or school whose network it is */
};

struct interceptor {
    const char *name;  /* "Avast" */
    const char *words; /* between commas; any of them anywhere in the issuer's O, OU and CN */
    const char *own;   /* the word in a domain of its maker's own: no interception there */
    enum interceptor_kind kind;
    const char *source;
    char confidence; /* as provider.h has it */
};

extern const struct interceptor interceptors[];
extern const size_t interceptor_count;

/* `issuer`: "O=Fortinet, CN=FG100..."; `host`: the requested one. NULL if unknown, or if the host's own
 * domain contains the word. */
const struct interceptor *interceptor_by_issuer(struct bytes issuer, struct bytes host);
const struct interceptor *interceptor_by_name(struct bytes name);
/* "the virus scanner on this machine" */
const char *interceptor_kind_words(enum interceptor_kind kind);
/* Returns what to do, in one sentence without its dot; never to disable a check, nor to trust the
 * certificate unseen. */
const char *interceptor_advice(enum interceptor_kind kind);

#endif
