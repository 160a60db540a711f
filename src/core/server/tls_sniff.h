/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_sniff: TLS detection on ports where STARTTLS is usual. A client that is configured for implicit TLS
 * sends its ClientHello as soon as it is connected, or after a moment (PHP and Perl read their CA
 * certificates first). If the greeting is sent before it arrives, the connection is lost; so the server waits
 * for an octet before it greets a client that it does not know. This module decides how long, from the
 * history of the client's address on that port; smtpd keeps the histories (smtpd/tls_sniff_table.c).
 *
 * Where an account has signed in after STARTTLS, or TLS_SNIFF_ORDERLY_MAX sessions waited for the greeting,
 * the next client is greeted immediately; until then each such session halves the wait. A ClientHello makes
 * the wait as long again as that client needs, with a margin, and starts the count anew if it came later than
 * any before. Days are of a clock that runs on; a history expires.
 */
#ifndef MAILBOAT_CORE_SERVER_TLS_SNIFF_H
#define MAILBOAT_CORE_SERVER_TLS_SNIFF_H

#include <stdbool.h>
#include <stdint.h>

enum tls_sniff_limit {
    /* for a client of an unknown address. Until its ClientHello msmtp, smtplib, openssl and curl take 1 to 5,
     * PHP and swaks 30 to 50, on a busy machine 80 */
    TLS_SNIFF_WAIT_MS = 100,
    TLS_SNIFF_WAIT_MAX_MS = 500,          /* for an address whose ClientHello came late */
    TLS_SNIFF_MARGIN = 2,                 /* times the time until the latest ClientHello */
    TLS_SNIFF_ORDERLY_MAX = 5,            /* sessions that waited for the greeting until none is waited for */
    TLS_SNIFF_FORGET_DAYS = 7,            /* after the last session, and after the last ClientHello */
    TLS_SNIFF_FORGET_SIGNED_IN_DAYS = 30, /* after the last sign-in */
    TLS_SNIFF_WORD_BITS = 32,
};

/* The history of one address on one port; all zero: none. */
struct tls_sniff {
    uint32_t wait_ms; /* needed by its ClientHellos, with the margin; 0: none came */
    uint32_t orderly; /* sessions that waited for the greeting, up to TLS_SNIFF_ORDERLY_MAX */
    bool signed_in;   /* an account has authenticated after STARTTLS */
    uint32_t hello_day;
    uint32_t day; /* of the last change */
};

/* Returns how long to wait for the client's first octet: 0, or one of few lengths up to
 * TLS_SNIFF_WAIT_MAX_MS. `round_trip_us`: of its connection; its packets are assumed to vary by half of
 * it. */
uint32_t tls_sniff_wait_ms(const struct tls_sniff *history, uint32_t round_trip_us, uint32_t day);

/* Observations of a client. They return true if the history changed, and must be stored. */
/* Its ClientHello came `after_ms` after it was accepted, in time or too late. */
bool tls_sniff_hello(struct tls_sniff *history, uint64_t after_ms, uint32_t day);
/* It waited for the greeting. */
bool tls_sniff_waited(struct tls_sniff *history, uint32_t day);
/* It authenticated, in a session that began without TLS. */
bool tls_sniff_signed_in(struct tls_sniff *history, uint32_t day);

/* Encodes a history in TLS_SNIFF_WORD_BITS bits, and decodes it; expired parts are left out. */
uint32_t tls_sniff_pack(const struct tls_sniff *history);
struct tls_sniff tls_sniff_unpack(uint32_t word, uint32_t day);
/* Returns the weight of a history: in a full table the lightest is replaced. An address where an account has
 * signed in outweighs all others, so that no client without a password can displace it; 0: expired. */
uint32_t tls_sniff_weight(uint32_t word, uint32_t day);

#endif
