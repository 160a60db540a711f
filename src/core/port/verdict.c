/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/verdict.h"

static const struct {
    const char *name, *state, *sentence, *hint;
    bool quotes;
} words[PORT_VERDICTS] = {
    [PORT_UNTRIED] = {"untried", "filtered", "not tried: another port had already been chosen", "", false},
    [PORT_OPEN] = {"open", "open", "works", "", false},
    [PORT_REFUSED] = {"refused", "refused",
                      "connection refused: no server listens there, or a firewall rejects it",
                      "use another port", false},
    [PORT_FILTERED] = {"filtered", "filtered", "no answer at all: a firewall or the provider drops this port",
                       "use another port, or ask the provider to open it", false},
    [PORT_UNREACHABLE] = {"unreachable", "unreachable", "this host is unreachable from here",
                          "check the network and the host's address", true},
    [PORT_SILENT] =
        {"silent", "open", "the connection opens, but the server sends nothing",
         "a firewall may be answering in place of the server, or the server is overloaded: use another port",
         false},
    [PORT_SLOW] = {"slow", "open", "the server is too slow",
                   "try again, or allow it more time with --deadline", true},
    [PORT_TLS_OTHER] = {"tls-other-way", "open", "this port uses the other TLS mode",
                        "465 uses implicit TLS (SSL/TLS), 587 and 2525 use STARTTLS: swap the two", false},
    [PORT_NO_TLS] =
        {"no-tls", "open",
         "STARTTLS is not offered: the server does not support it, or a device on the path removes it",
         "never send a password here; use another port or network", false},
    [PORT_STRIPPED] =
        {"stripped", "intercepted",
         "STARTTLS was garbled or removed on the path: by a firewall that inspects mail, or an attacker",
         "never send a password here; use 465, where TLS cannot be removed, or another network", true},
    [PORT_STARTTLS_REFUSED] =
        {"starttls-refused", "open", "the server offers STARTTLS and then refuses it",
         "ask the server's operator to repair its TLS, or use another port; never send a password here",
         true},
    [PORT_TLS_FAILED] = {"tls-failed", "open", "the TLS handshake failed",
                         "the server's TLS may be too old, or a device on the path interferes", true},
    [PORT_CERTIFICATE_EXPIRED] =
        {"certificate-expired", "open", "the server's certificate has expired",
         "ask the server's operator to renew it, and check this machine's clock; do not disable the check",
         false},
    [PORT_CERTIFICATE_OTHER_NAME] = {"certificate-other-name", "open",
                                     "the server's certificate is for another name",
                                     "do not sign in here before it is known whose certificate it is", true},
    [PORT_CERTIFICATE_SELF_SIGNED] =
        {"certificate-self-signed", "open",
         "the server's certificate is self-signed: it does not prove who the server is",
         "do not sign in here unless the certificate is known to be the server's own", false},
    [PORT_CERTIFICATE_UNKNOWN_ISSUER] =
        {"certificate-unknown-issuer", "open",
         "the server's certificate comes from an issuer that this machine does not know",
         "do not sign in here: the issuer can be a device that intercepts TLS", false},
    [PORT_CERTIFICATE] = {"certificate", "open", "the server's certificate is not valid",
                          "ask the server's operator to renew it; do not disable the check", true},
    [PORT_IMPOSTOR] =
        {"impostor", "intercepted",
         "another server answers: the certificate here is not the one that the server has on another port",
         "use the other port; this one is redirected on the path", true},
    [PORT_NO_AUTH] = {"no-auth", "open", "authentication is not available on this port",
                      "use a submission port: 587, 2525 or 465", false},
    [PORT_NOT_SMTP] = {"not-smtp", "intercepted", "the answer is not from a mail server",
                       "a firewall or a proxy may intercept the connection: try another network or port",
                       true},
    [PORT_PORTAL] = {"portal", "intercepted",
                     "a web server answers: a captive portal or a proxy intercepts the connection",
                     "sign in to the network in a browser first, or use another network", false},
    [PORT_LATER] = {"later", "open", "the server asked to try again later", "try again in a few minutes",
                    true},
    [PORT_UNWILLING] = {"unwilling", "open", "the server refuses service",
                        "see its reply: your address or network may be blocked", true},
    [PORT_CLOSED] = {"closed", "open", "the connection was closed early",
                     "a firewall may have closed it in place of the server; try another port", true},
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
