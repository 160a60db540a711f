/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/port_facts.h"

const struct port_facts port_facts[4] = {
    {25, "relay between servers", CLIENT_TLS_OPPORTUNISTIC, "STARTTLS", "smtp, registered",
     "most clouds and home networks block it outgoing, since infected machines sent spam through it",
     "never use it for submission; programs use 587", "RFC 5321, RFC 3207; the networks' own pages", 'A',
     "gmail-smtp-in.l.google.com"},
    {587, "submission", CLIENT_TLS_REQUIRED, "STARTTLS", "submission, registered (RFC 6409)",
     "some clouds and hotel networks", "the default for programs that send mail", "RFC 6409", 'A',
     "smtp.gmail.com"},
    {2525, "submission", CLIENT_TLS_REQUIRED, "STARTTLS",
     "registered to another service (ms-v-worlds), not to mail; an agreement among providers",
     "few networks, except those that block all four", "where 587 is blocked", "the providers' own pages",
     'A', "smtp.sendgrid.net"},
    {465, "submission", CLIENT_TLS_IMPLICIT, "implicit TLS", "submissions, registered again (RFC 8314)",
     "some clouds",
     "as good as 587 for programs that use implicit TLS (TLS from the first byte; often called SSL/TLS)",
     "RFC 8314", 'A', "smtp.gmail.com"},
};

const struct port_other port_others[] = {
    {2587, CLIENT_TLS_REQUIRED, "Amazon SES and Resend, where 587 is blocked",
     "docs.aws.amazon.com/ses, resend.com/docs", 'A'},
    {588, CLIENT_TLS_REQUIRED, "Mailjet, where 587 is blocked", "dev.mailjet.com", 'B'},
    {8025, CLIENT_TLS_REQUIRED, "SMTP2GO, where 587 is blocked", "developers.smtp2go.com", 'A'},
    {80, CLIENT_TLS_REQUIRED,
     "SMTP2GO and Mailjet, where only web ports are open; a web proxy on the path breaks it",
     "developers.smtp2go.com", 'A'},
    {2465, CLIENT_TLS_IMPLICIT, "Amazon SES and Resend, where 465 is blocked",
     "docs.aws.amazon.com/ses, resend.com/docs", 'A'},
    {8465, CLIENT_TLS_IMPLICIT, "SMTP2GO, where 465 is blocked", "developers.smtp2go.com", 'A'},
    {443, CLIENT_TLS_IMPLICIT,
     "SMTP2GO, where only web ports are open; Mailboat and mox beside their web servers, for clients that "
     "offer ALPN smtp",
     "developers.smtp2go.com", 'A'},
    {0, CLIENT_TLS_REQUIRED, "", "", 'A'},
};

const struct port_facts *port_facts_of(uint16_t port)
{
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++)
        if (port_facts[i].port == port)
            return &port_facts[i];
    return NULL;
}

const struct port_other *port_other_of(uint16_t port)
{
    for (const struct port_other *other = port_others; other->port != 0; other++)
        if (other->port == port)
            return other;
    return NULL;
}

bool port_tls_is_known(uint16_t port)
{
    return port_facts_of(port) != NULL || port_other_of(port) != NULL;
}

enum client_tls port_tls(uint16_t port)
{
    const struct port_facts *facts = port_facts_of(port);
    const struct port_other *other = port_other_of(port);
    if (facts != NULL || other != NULL)
        return facts != NULL ? facts->tls : other->tls;
    return port % 1000 == 465 ? CLIENT_TLS_IMPLICIT : CLIENT_TLS_REQUIRED;
}
