/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/verdict.h"

static const struct {
    const char *name, *state, *sentence, *hint;
    bool quotes;
} words[PORT_VERDICTS] = {
    [PORT_UNTRIED] = {"untried", "filtered", "not tried: all was decided before its turn", "", false},
    [PORT_OPEN] = {"open", "open", "works", "", false},
    [PORT_REFUSED] = {"refused", "refused", "the host answers that nothing listens there",
                      "use another port, or start the server's listener", false},
    [PORT_FILTERED] = {"filtered", "filtered", "no answer at all: a firewall or the provider drops this port",
                       "use another port, or ask the provider to open it", false},
    [PORT_UNREACHABLE] = {"unreachable", "unreachable", "there is no way to this host from here",
                          "check the network and the host's address", true},
    [PORT_SILENT] =
        {"silent", "open", "it connects, but the server does not speak",
         "a firewall may answer in the server's place, or the server is overloaded: use another port", false},
    [PORT_SLOW] = {"slow", "open", "the server is too slow",
                   "try again, or allow it more time with --deadline", true},
    [PORT_TLS_OTHER] = {"tls-other-way", "open", "the server speaks TLS the other way round here",
                        "465 is TLS from the first byte (SSL), 587 and 2525 are STARTTLS: swap the two",
                        false},
    [PORT_NO_TLS] = {"no-tls", "open",
                     "STARTTLS is not offered: the server has none, or something on the way strips it",
                     "never send a password here; use another port or network", false},
    [PORT_STRIPPED] =
        {"stripped", "intercepted",
         "STARTTLS was garbled or taken away on the way: a firewall that inspects mail, or an attacker",
         "never send a password here; use 465, which cannot be stripped, or another network", true},
    [PORT_TLS_FAILED] = {"tls-failed", "open", "the TLS handshake failed",
                         "the server's TLS may be too old, or something on the way meddles with it", true},
    [PORT_CERTIFICATE_EXPIRED] = {"certificate-expired", "open", "the server's certificate has expired",
                                  "have it renewed by who runs the server, and check this machine's clock; "
                                  "do not switch the check off",
                                  false},
    [PORT_CERTIFICATE_OTHER_NAME] = {"certificate-other-name", "open",
                                     "the server's certificate is for another name",
                                     "use the name that the certificate has; do not switch the check off",
                                     true},
    [PORT_CERTIFICATE_SELF_SIGNED] =
        {"certificate-self-signed", "open",
         "the server's certificate is self-signed: anybody could have made it",
         "say --ca-file with the server's own certificate, or have a real one made", false},
    [PORT_CERTIFICATE_UNKNOWN_ISSUER] =
        {"certificate-unknown-issuer", "open",
         "the server's certificate comes from an issuer that this machine does not know",
         "install the issuer's certificate or say --ca-file; on a company network a proxy may stand between",
         false},
    [PORT_CERTIFICATE] = {"certificate", "open", "the server's certificate is not valid",
                          "have it renewed by who runs the server; do not switch the check off", true},
    [PORT_IMPOSTOR] =
        {"impostor", "intercepted",
         "somebody else answers: the certificate is not the server's here, though it is on another port",
         "use the other port; this one is redirected on the way", true},
    [PORT_NO_AUTH] = {"no-auth", "open", "nobody can sign in on this port",
                      "use a submission port: 587, 2525 or 465", false},
    [PORT_NOT_SMTP] = {"not-smtp", "intercepted", "something that is not a mail server answers",
                       "a firewall or a proxy may stand between: try another network or port", true},
    [PORT_PORTAL] = {"portal", "intercepted",
                     "a web server answers: a captive portal or a proxy stands between",
                     "sign in to the network in a browser first, or use another network", false},
    [PORT_LATER] = {"later", "open", "the server asks us to come later: it is busy, or it greylists us",
                    "try again in a few minutes", true},
    [PORT_UNWILLING] = {"unwilling", "open", "the server refuses to talk with us",
                        "read its words: it may not like our address or our network", true},
    [PORT_CLOSED] = {"closed", "open", "the connection was closed early",
                     "a firewall may close it in the server's place; try another port", true},
};

const char *port_verdict_name(enum port_verdict verdict)
{
    return words[verdict].name;
}

const char *port_verdict_sentence(enum port_verdict verdict)
{
    return words[verdict].sentence;
}

const char *port_verdict_hint(enum port_verdict verdict)
{
    return words[verdict].hint;
}

const char *port_verdict_state(enum port_verdict verdict)
{
    return words[verdict].state;
}

bool port_verdict_quotes(enum port_verdict verdict)
{
    return words[verdict].quotes;
}
