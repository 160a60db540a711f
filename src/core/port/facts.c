/* SPDX-License-Identifier: Apache-2.0 */
#include "port/facts.h"

const struct port_facts port_facts[4] = {
    {25, "relay between servers", CLIENT_TLS_OPPORTUNISTIC, "STARTTLS", "smtp, registered",
     "most clouds and home networks block it outgoing, since infected machines sent spam through it", "never submit mail through it; programs use 587"},
    {587, "submission", CLIENT_TLS_REQUIRED, "STARTTLS", "submission, registered (RFC 6409)", "some clouds and hotel networks", "the default for programs that send mail"},
    {2525, "submission", CLIENT_TLS_REQUIRED, "STARTTLS", "nobody's official port; widely offered", "hardly anybody", "where 587 is blocked"},
    {465, "submission", CLIENT_TLS_IMPLICIT, "TLS from the first byte", "submissions, registered again (RFC 8314)", "some clouds",
     "as good as 587 where the program speaks TLS from the first byte (often called SSL)"},
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
    return port % 1000 == 465 ? CLIENT_TLS_IMPLICIT : port == 25 ? CLIENT_TLS_OPPORTUNISTIC : CLIENT_TLS_REQUIRED;
}
