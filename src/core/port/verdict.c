/* SPDX-License-Identifier: Apache-2.0 */
#include "port/verdict.h"

static const struct { const char *name, *sentence, *mend; } words[PORT_VERDICTS] = {
    [PORT_UNTRIED] = {"untried", "not tried: all was decided before its turn", ""},
    [PORT_OPEN] = {"open", "works", ""},
    [PORT_REFUSED] = {"refused", "the host answers that nothing listens there", "use another port, or start the server's listener"},
    [PORT_FILTERED] = {"filtered", "no answer at all: a firewall or the provider drops this port", "use another port, or ask the provider to open it"},
    [PORT_UNREACHABLE] = {"unreachable", "there is no way to this host from here", "check the network and the host's address"},
    [PORT_SILENT] = {"silent", "it connects, but the server does not speak", "the port may want TLS from the first byte: say 465, SSL or implicit TLS; or the server is overloaded"},
    [PORT_TLS_OTHER] = {"tls-other-way", "the server speaks TLS the other way round here", "465 is TLS from the first byte (SSL), 587 and 2525 are STARTTLS: swap the two"},
    [PORT_NO_TLS] = {"no-tls", "STARTTLS is not offered: the server has none, or something on the way strips it", "never send a password here; use another port or network"},
    [PORT_TLS_FAILED] = {"tls-failed", "the TLS handshake failed", "the server's TLS may be too old, or something on the way meddles with it"},
    [PORT_CERTIFICATE] = {"certificate", "the server's certificate is not valid for this host", "use the name the certificate has, or have it renewed; do not switch the check off"},
    [PORT_NO_AUTH] = {"no-auth", "nobody can sign in on this port", "use a submission port: 587, 2525 or 465"},
    [PORT_NOT_SMTP] = {"intercepted", "something that is not a mail server answers", "a captive portal or a proxy may stand between: try another network or port"},
    [PORT_UNWILLING] = {"unwilling", "the server refuses to talk with us now", "read its words; where it says 4xx, try again later"},
    [PORT_CLOSED] = {"closed", "the connection was closed early", "a firewall may close it in the server's place; try another port"},
};

const char *port_verdict_name(enum port_verdict verdict)
{
    return words[verdict].name;
}

const char *port_verdict_sentence(enum port_verdict verdict)
{
    return words[verdict].sentence;
}

const char *port_verdict_mend(enum port_verdict verdict)
{
    return words[verdict].mend;
}
