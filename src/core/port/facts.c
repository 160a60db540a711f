/* SPDX-License-Identifier: Apache-2.0 */
#include "port/facts.h"

const struct port_facts port_facts[4] = {
    {25, "relay between servers", CLIENT_TLS_OPPORTUNISTIC, "STARTTLS", "smtp, registered",
     "most clouds and home networks block it outgoing, since infected machines sent spam through it", "never submit mail through it; programs use 587", "RFC 5321, RFC 3207; the networks' own pages"},
    {587, "submission", CLIENT_TLS_REQUIRED, "STARTTLS", "submission, registered (RFC 6409)", "some clouds and hotel networks", "the default for programs that send mail", "RFC 6409"},
    {2525, "submission", CLIENT_TLS_REQUIRED, "STARTTLS", "registered to another service (ms-v-worlds), not to mail; an agreement among providers", "hardly anybody, except networks that block all four",
     "where 587 is blocked", "the providers' own pages"},
    {465, "submission", CLIENT_TLS_IMPLICIT, "TLS from the first byte", "submissions, registered again (RFC 8314)", "some clouds",
     "as good as 587 where the program speaks TLS from the first byte (often called SSL)", "RFC 8314"},
};

const struct port_facts *port_facts_of(uint16_t port)
{
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++)
        if (port_facts[i].port == port)
            return &port_facts[i];
    return NULL;
}

enum client_tls port_tls(uint16_t port)
{
    return port % 1000 == 465 || port == 443 ? CLIENT_TLS_IMPLICIT : port == 25 ? CLIENT_TLS_OPPORTUNISTIC : CLIENT_TLS_REQUIRED;
}
