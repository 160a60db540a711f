/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_facts: what is known of the four ports that carry mail (RFC 6409, RFC 8314;
 * docs/ports.md has the story for people).
 */
#ifndef MAILBOAT_CORE_PORT_PORT_FACTS_H
#define MAILBOAT_CORE_PORT_PORT_FACTS_H

#include "core/client/client_session.h"

struct port_facts {
    uint16_t port;
    const char *role;      /* "submission" */
    enum client_tls tls;   /* how a client speaks there when it submits */
    const char *tls_words; /* "STARTTLS" */
    const char *status;    /* in IANA's registry */
    const char *blocked;   /* who blocks it */
    const char *advice;
    const char *source;
    char confidence; /* as provider.h has it */
};

/* In the order of 25, 587, 2525, 465; NULL for another port. */
extern const struct port_facts port_facts[4];
const struct port_facts *port_facts_of(uint16_t port);

/* Ports besides the four on which some providers take mail. Port
 * 0 ends; NULL for one that nobody is known to use. */
struct port_other {
    uint16_t port;
    enum client_tls tls;
    const char *who, *source;
    char confidence;
};
extern const struct port_other port_others[];
const struct port_other *port_other_of(uint16_t port);

/* How to speak on a port when nobody says: implicit on 465 (those that
 * end in 465, as 2465 and 8465, and 443), else STARTTLS. */
enum client_tls port_tls(uint16_t port);
/* Is that known, or a guess? */
bool port_tls_is_known(uint16_t port);

#endif
