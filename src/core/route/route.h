/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: where mail for a domain goes, decided from facts of DNS alone
 * (RFC 5321 5.1, RFC 7505, RFC 8305).
 *
 * The caller starts a route, then asks route_next() again and again: the
 * answer is an address to try, the one fact that is lacking (which it learns
 * by route_learn() before it asks again), or the end with a reason. Hosts
 * are looked up only when it comes to them.
 */
#ifndef MAILBOAT_ROUTE_H
#define MAILBOAT_ROUTE_H

#include "arena.h"
#include "buffer.h"
#include "smtp/address.h"

enum route_limit {
    ROUTE_HOSTS_MAX = 16,     /* of one domain's MX; the rest is left out */
    ROUTE_ADDRESSES_MAX = 16, /* of one host */
};

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };
enum dns_status {
    DNS_UNKNOWN,        /* not asked yet */
    DNS_FOUND,
    DNS_NO_DATA,        /* the name is there, without such a record */
    DNS_NXDOMAIN,       /* the name is not there */
    DNS_SERVER_FAILURE, /* nobody can tell now */
    DNS_BOGUS,          /* DNSSEC says it is forged */
};

struct dns_record {
    uint16_t preference;  /* MX; SRV: priority */
    uint16_t weight, port; /* SRV (RFC 2782) */
    struct bytes name;    /* MX, SRV, PTR: the host, without its final dot; "" is the null MX, or a service that is not there */
    uint8_t address[16];  /* A (4 octets), AAAA (16) */
    struct bytes data;    /* TXT: its strings as one (RFC 7208 3.3); TLSA: what the certificate must match */
    uint8_t usage, selector, matching; /* TLSA (RFC 6698 2.1) */
};

/* All that DNS says to one question. */
struct dns_facts {
    enum dns_status status;
    bool secure;            /* validated by DNSSEC, each alias on the way too */
    struct bytes canonical; /* the name at the end of the aliases; empty where there are none */
    const struct dns_record *records;
    size_t count;
};

struct route_address {
    uint8_t octets[16];
    bool six;
};

/* The address that a text names which host_is_ipv4() or host_is_ipv6() has seen. */
struct route_address route_literal(struct bytes text);

struct route_host {
    struct bytes name;
    uint16_t preference;
    struct bytes canonical;    /* where its aliases lead; empty when it is none */
    enum dns_status status[2]; /* of AAAA, of A */
    bool secure[2];            /* so were they told (DNSSEC) */
    struct route_address addresses[ROUTE_ADDRESSES_MAX];
    size_t address_count;
    bool arranged;             /* IPv6 and IPv4 stand in turns */
};

struct route {
    struct arena arena;
    struct bytes domain, self; /* self: our own host name, so that mail does not loop */
    bool no_mx;                /* a smarthost: its own addresses only */
    bool mx_secure;            /* DNSSEC vouches for which hosts these are */
    uint64_t random;           /* orders hosts of equal preference */
    enum dns_status mx;
    struct route_host hosts[ROUTE_HOSTS_MAX];
    size_t host_count, host_now, address_now;
    bool any_tried, any_unsure; /* an address was given; a look-up failed for now */
    bool best_is_self, null_mx;
};

/* `domain`: a name (A-labels) or an address literal with brackets. Texts are copied. */
void route_start(struct route *route, struct bytes domain, struct bytes self, bool no_mx, uint64_t random);
void route_free(struct route *route);

enum route_kind { ROUTE_ASK, ROUTE_TRY, ROUTE_END };
struct route_answer {
    enum route_kind kind;
    struct bytes name;           /* ASK: the name to look up; TRY: the host's name */
    enum dns_type type;          /* ASK */
    struct route_address address; /* TRY */
    bool final;                  /* END: nothing will change; else try again later */
    const char *enhanced, *reason; /* END without any address tried */
};
struct route_answer route_next(struct route *route);

/* What DNS says about the name and type that route_next() asked for. */
void route_learn(struct route *route, enum dns_type type, enum dns_status status, const struct dns_record *records, size_t count);
void route_learn_facts(struct route *route, enum dns_type type, const struct dns_facts *facts);

/* The host whose address route_next() gave last. */
const struct route_host *route_host_now(const struct route *route);
/* The address that route_next() gave last and those of its host that would
 * follow: a caller may try them side by side (RFC 8305 5), and then says that
 * number `i` of them answered, or that `count` of them were tried. */
const struct route_address *route_side_by_side(const struct route *route, size_t *count);
void route_took(struct route *route, size_t i);
void route_tried(struct route *route, size_t count);
/* None of the other addresses of that host. */
void route_leave_host(struct route *route);

/* Begins again with the first address. */
void route_rewind(struct route *route);

/* "192.0.2.1" or "2001:db8::1" */
void route_address_text(struct buffer *out, const struct route_address *address);

#endif
