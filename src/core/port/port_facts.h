/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_facts: facts about the four mail ports (RFC 6409, RFC 8314; docs/ports.md explains them to users).
 */
#ifndef MAILBOAT_CORE_PORT_PORT_FACTS_H
#define MAILBOAT_CORE_PORT_PORT_FACTS_H

#include "core/client/client_session.h"

struct port_facts {
    uint16_t port;
    const char *role;      /* "submission" */
    enum client_tls tls;   /* TLS mode for submission */
    const char *tls_words; /* "STARTTLS" */
    const char *status;    /* in IANA's registry */
    const char *blocked;   /* networks that block it */
    const char *advice;
    const char *source;
    char confidence;        /* as in provider.h */
    const char *probe_host; /* public server that anybody may call on this port, to test for a block */
};

/* In the order of 25, 587, 2525, 465; NULL for another port. */
extern const struct port_facts port_facts[4];
const struct port_facts *port_facts_of(uint16_t port);

/* Other ports on which some providers accept mail. Port 0 ends the list; NULL for an unknown port. */
struct port_other {
    uint16_t port;
    enum client_tls tls;
    const char *who, *source;
    char confidence;
};
extern const struct port_other port_others[];
const struct port_other *port_other_of(uint16_t port);

/* Returns the usual TLS mode of a port: implicit on 465 (and ports ending in 465, like 2465 and 8465, and
 * 443), else STARTTLS. */
enum client_tls port_tls(uint16_t port);
/* True if that is known, not a guess. */
bool port_tls_is_known(uint16_t port);

#endif
