/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_order: the ports to which mail is submitted, in the order in which they
 * are tried (docs/ports.md says why). This is the one place that knows it: the
 * race, a smarthost's `port: auto`, the default listeners, the published
 * settings, `ports`, `doctor`, `settings` and `demo` all take it from here.
 *
 * 587 comes first, the port of submission with STARTTLS; then 2525, which
 * nearly every sending service has where 587 is blocked; then 465, with TLS
 * from the first octet; and 443 where nothing else goes through. Never 25,
 * which is for mail between servers. What else is known of each port stands in
 * port_facts.h.
 */
#ifndef MAILBOAT_CORE_PORT_PORT_ORDER_H
#define MAILBOAT_CORE_PORT_PORT_ORDER_H

#include "core/client/client_session.h"

struct submission_port {
    uint16_t port;
    enum client_tls tls;
    const char *meaning; /* its purpose: "submission with implicit TLS" */
    const char *note;    /* a clause: why it is the one to use, where it is the best that works */
};

enum {
    PORT_SMTP = 25, /* between servers */
    PORT_SUBMISSION = 587,
    PORT_ALTERNATIVE = 2525, /* registered to another service: an agreement among providers */
    PORT_SUBMISSIONS = 465,
    PORT_LAST_RESORT = 443, /* of servers that take mail beside their web server (ALPN smtp) */

    PORT_ORDER_USUAL = 3, /* ports that every server for submission may have */
    PORT_ORDER_ALL = 4,   /* and the last resort */
    PORT_LISTENERS = 4,   /* on which a server listens unless the configuration says otherwise */
};

/* The best first. */
extern const struct submission_port port_order[PORT_ORDER_ALL];
/* As RFC 8314 3 would have it: implicit TLS first. */
extern const uint16_t port_order_rfc8314[PORT_ORDER_USUAL];
/* Of a server: 25, then those for submission, with those first that mail programs try by themselves. */
extern const uint16_t port_order_listeners[PORT_LISTENERS];

/* The usual ones, by number alone. */
void port_order_usual(uint16_t ports[PORT_ORDER_USUAL]);
/* NULL for another port. */
const struct submission_port *port_order_of(uint16_t port);
/* The port of a service by the name that IANA or mail programs give it ("submissions"); 0 for another name.
 */
uint16_t port_order_named(struct bytes service);

#endif
