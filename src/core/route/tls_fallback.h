/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_fallback: what follows where STARTTLS was offered and no TLS came about,
 * and which hosts fell silent in it not long ago.
 *
 * Where nothing demands TLS (RFC 7435), a handshake that fails is tried once
 * more and then the message goes in clear; one that has no answer at all is
 * not waited for twice. Where TLS is demanded the message goes to the next
 * host, or waits: what is remembered here makes it wait for less time, and
 * never go in clear. Clear text in the place of TLS is nobody's handshake but
 * an attack, or looks like one: the message never goes in clear for it.
 *
 * A delivery asks tls_fallback_next(), and notes hosts; whoever owns the
 * memory sets `now_ms` before. Bounded: the oldest host makes room (a list by
 * whole names, no table of base/slots.h: a stranger with the same hash would lose its TLS).
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_FALLBACK_H
#define MAILBOAT_CORE_ROUTE_TLS_FALLBACK_H

#include "core/smtp/address.h"

enum tls_fallback_limit {
    TLS_FALLBACK_HOSTS_MAX = 256,       /* remembered */
    TLS_FALLBACK_KEPT_MS = 3600 * 1000, /* then TLS is tried again */
    TLS_TRIES = 2,                      /* handshakes with an address before it goes in clear */
};

/* How a connection was lost. */
enum tls_loss {
    TLS_LOSS_ENDED,      /* closed, reset, or the handshake failed */
    TLS_LOSS_SILENT,     /* no answer in time */
    TLS_LOSS_CLEAR_TEXT, /* clear text came where only TLS may */
};

/* What a person is told of CLEAR_TEXT after STARTTLS. */
#define CLEAR_TEXT_AFTER_STARTTLS \
    "plain text was received after STARTTLS: someone is tampering with the connection"

/* What is done with the address next. */
enum tls_next { TLS_NEXT_HOST, TLS_NEXT_AGAIN, TLS_NEXT_CLEAR };

/* `may_go_clear`: nothing demands TLS. `tries`: with this address, the one that was lost among them. */
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

/* It was silent, just now. While it is remembered another silence changes
 * nothing: within the hour a slow host has all the time again that it needs.
 * Names that are longer than DOMAIN_MAX are not remembered. */
void tls_fallback_note(struct tls_fallback *fallback, struct bytes host, uint16_t port);
/* TLS with it works. */
void tls_fallback_forget(struct tls_fallback *fallback, struct bytes host, uint16_t port);
/* Was it silent within TLS_FALLBACK_KEPT_MS? *ago_ms, unless NULL, says how long ago. */
bool tls_fallback_has(const struct tls_fallback *fallback, struct bytes host, uint16_t port,
                      uint64_t *ago_ms);

#endif
