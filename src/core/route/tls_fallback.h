/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_fallback: decides what follows after STARTTLS was offered but the handshake failed, and remembers
 * hosts that were silent in it recently.
 *
 * If nothing requires TLS (RFC 7435), a failed handshake is tried once more, and then the message is sent
 * without TLS; a silent handshake is not tried again. If TLS is required the message goes to the next
 * host, or is deferred: the memory only shortens the timeout, and never allows sending without TLS. Plain
 * text instead of TLS counts as an attack: the message is never sent without TLS because of it.
 *
 * A delivery asks tls_fallback_next(), and notes hosts; whoever owns the
 * memory sets `now_ms` before. Bounded: the oldest host makes room (a list by
 * whole names, no table of base/slots.h: a stranger with the same hash would lose its TLS).
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_FALLBACK_H
#define MAILBOAT_CORE_ROUTE_TLS_FALLBACK_H

#include "core/smtp/address.h"

enum tls_fallback_limit {
    TLS_FALLBACK_HOSTS_MAX = 256,       /* hosts remembered */
    TLS_FALLBACK_KEPT_MS = 3600 * 1000, /* after that, TLS is tried again */
    TLS_TRIES = 2,                      /* handshakes with an address before sending without TLS */
};

/* The way in which a connection was lost. */
enum tls_loss {
    TLS_LOSS_ENDED,      /* closed, reset, or the handshake failed */
    TLS_LOSS_SILENT,     /* timeout */
    TLS_LOSS_CLEAR_TEXT, /* plain text where only TLS is allowed */
};

/* The reported reason for CLEAR_TEXT after STARTTLS. */
#define CLEAR_TEXT_AFTER_STARTTLS \
    "plain text was received after STARTTLS: someone is tampering with the connection"

/* The next step with the address. */
enum tls_next { TLS_NEXT_HOST, TLS_NEXT_AGAIN, TLS_NEXT_CLEAR };

/* `may_go_clear`: nothing requires TLS. `tries`: handshakes with this address, including the failed one. */
enum tls_next tls_fallback_next(bool may_go_clear, enum tls_loss loss, unsigned tries);

struct tls_fallback {
    uint64_t now_ms;
    struct tls_fallback_host {
        char name[DOMAIN_MAX + 1];
        uint16_t name_length; /* 0: a free place */
        uint16_t port;
        uint64_t since_ms;
    } hosts[TLS_FALLBACK_HOSTS_MAX];
};

/* Records a host that was silent just now. While it is remembered, another silence changes nothing: within
 * the hour a slow host gets the full timeout again. Names longer than DOMAIN_MAX are not remembered. */
void tls_fallback_note(struct tls_fallback *fallback, struct bytes host, uint16_t port);
/* Removes a host: TLS with it works. */
void tls_fallback_forget(struct tls_fallback *fallback, struct bytes host, uint16_t port);
/* True if the host was silent within TLS_FALLBACK_KEPT_MS; *ago_ms, unless NULL, gets how long ago. */
bool tls_fallback_has(const struct tls_fallback *fallback, struct bytes host, uint16_t port,
                      uint64_t *ago_ms);

#endif
