/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/port_order.h"

const struct submission_port port_order[PORT_ORDER_ALL] = {
    {PORT_SUBMISSION, CLIENT_TLS_REQUIRED, "submission with STARTTLS: the default for programs",
     "it is the default for programs that send mail, and it works"},
    {PORT_ALTERNATIVE, CLIENT_TLS_REQUIRED, "submission with STARTTLS, if 587 is blocked",
     "587 does not work from here; 2525 is the alternative"},
    {PORT_SUBMISSIONS, CLIENT_TLS_IMPLICIT, "submission with implicit TLS",
     "neither 587 nor 2525 works from here"},
    {PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT, "submission with implicit TLS and ALPN smtp: the last resort",
     "no other port works from here; the server accepts mail on its web port (ALPN smtp)"},
};

const uint16_t port_order_rfc8314[PORT_ORDER_USUAL] = {PORT_SUBMISSIONS, PORT_SUBMISSION, PORT_ALTERNATIVE};
const uint16_t port_order_listeners[PORT_LISTENERS] = {PORT_SMTP, PORT_SUBMISSION, PORT_SUBMISSIONS,
                                                       PORT_ALTERNATIVE};

void port_order_usual(uint16_t ports[PORT_ORDER_USUAL])
{
    for (size_t i = 0; i < PORT_ORDER_USUAL; i++)
        ports[i] = port_order[i].port;
}

const struct submission_port *port_order_of(uint16_t port)
{
    for (size_t i = 0; i < PORT_ORDER_ALL; i++)
        if (port_order[i].port == port)
            return &port_order[i];
    return NULL;
}

uint16_t port_order_named(struct bytes service)
{
    static const struct {
        const char *name;
        uint16_t port;
    } names[] = {{"smtp", PORT_SMTP},
                 {"submission", PORT_SUBMISSION},
                 {"submissions", PORT_SUBMISSIONS},
                 {"smtps", PORT_SUBMISSIONS}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (bytes_is_nocase(service, names[i].name))
            return names[i].port;
    return 0;
}
