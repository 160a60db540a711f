/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf_record: the text of an SPF record (RFC 7208 4.5, 4.6, 5, 6): which TXT record is one, whether its
 * syntax is right, and its terms.
 *
 * spf.c checks a record once with spf_record_fault(), then takes its terms with spf_record_next(). The input
 * is untrusted; nothing is allocated, texts borrow from the record.
 */
#ifndef MAILBOAT_CORE_TRUST_SPF_RECORD_H
#define MAILBOAT_CORE_TRUST_SPF_RECORD_H

#include "core/route/ip.h"

enum spf_record_limit {
    SPF_RECORD_MAX = 4096, /* octets of a record; a longer one has a fault */
};

enum spf_kind {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
    SPF_EXP,
    SPF_UNKNOWN_MODIFIER,
};

struct spf_term {
    enum spf_kind kind;
    char qualifier;               /* '+', '-', '~' or '?' of a mechanism */
    struct bytes text;            /* the term as written */
    struct bytes domain;          /* the domain-spec, with its macros; empty: the record's own domain */
    struct route_address network; /* ip4, ip6 */
    unsigned prefix4, prefix6;    /* bits that are compared: 32 and 128 unless the term has its own */
};

/* How each record begins: of the TXT of a name, no others are wanted. */
#define SPF_PREFIX "v=spf1"

/* True for "v=spf1", alone or followed by a space, in any case (RFC 7208 4.5). */
bool spf_record_is(struct bytes text);
/* Returns the first faulty term of a record for which spf_record_is() is true, or the whole record if it is
 * too long or has a modifier twice; bytes_none() if the syntax is right (RFC 7208 4.6, 12). */
struct bytes spf_record_fault(struct bytes record);
/* Returns the terms of a record without fault one by one: *rest begins as the record; false at its end. */
bool spf_record_next(struct bytes *rest, struct spf_term *term);
/* True if the client is in the network of an address (4 or 16 octets) with the term's prefix; ip4 has IPv4
 * clients only, ip6 IPv6 clients, a and mx both. */
bool spf_record_term_has(const struct spf_term *term, const uint8_t *address,
                         const struct route_address *client);
/* True if the term needs DNS and counts against the limit of ten (RFC 7208 4.6.4). */
bool spf_record_term_asks(enum spf_kind kind);

#endif
