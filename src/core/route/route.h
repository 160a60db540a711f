/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: where mail for a domain goes, decided from facts of DNS alone, and
 * of our own addresses (RFC 5321 5.1, RFC 7505, RFC 8305).
 *
 * The caller starts a route, then asks route_next() again and again: the
 * answer is an address to try, the one fact that is lacking (which it learns
 * by route_learn() before it asks again), or the end with a reason. Hosts
 * are looked up only when it comes to them.
 *
 * Mail never comes back to us: where our own name is among the MX hosts only
 * those of better preference are tried (RFC 5321 5.1), and an address of this
 * machine, or one that no server can have, is passed over: route_reach().
 *
 * What a domain may make us do is bounded: ROUTE_HOSTS_MAX hosts are looked
 * up, with two questions each, and ROUTE_ADDRESSES_MAX addresses tried, or
 * two of each host where that is more. Where there are more, the best by
 * preference are taken; which of equals, chance decides for each attempt
 * anew, so that later attempts reach others.
 */
#ifndef MAILBOAT_CORE_ROUTE_ROUTE_H
#define MAILBOAT_CORE_ROUTE_ROUTE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/dns/dns_answer.h"
#include "core/route/ip.h"
#include "core/smtp/address.h"

enum route_limit {
    ROUTE_HOSTS_MAX = 50,     /* of one domain's MX, the best of them; the rest is left out */
    ROUTE_ADDRESSES_MAX = 50, /* tried in one attempt, of all hosts together */
    ROUTE_ADDRESSES_EACH = 2, /* of each host even where there are more: one of each family */
};

struct route_host {
    struct bytes name;
    uint16_t preference;
    struct bytes canonical;    /* where its aliases lead; empty when it is none */
    enum dns_status status[2]; /* of AAAA, of A */
    bool secure[2];            /* so were they told (DNSSEC) */
    struct route_address *addresses;
    size_t address_count;
    bool arranged;  /* those that are tried are chosen, IPv6 and IPv4 in turns */
    uint64_t order; /* among those of equal preference: by chance */
};

struct route {
    struct arena arena;
    struct bytes domain, self;       /* self: our own host name, so that mail does not loop */
    const struct own_addresses *own; /* NULL: none are known */
    bool no_mx;      /* the configuration names the host: its own addresses, whatever they are */
    bool mx_secure;  /* DNSSEC vouches for which hosts these are */
    uint64_t random; /* orders hosts of equal preference */
    enum dns_status mx;
    struct route_host *hosts;
    size_t host_count, host_now, address_now;
    size_t given;               /* addresses of all hosts so far */
    bool any_tried, any_unsure; /* an address was given; a look-up failed for now */
    bool any_self, any_nobody;  /* an address was passed over */
    bool any_left_out;          /* there are more than ROUTE_HOSTS_MAX hosts */
    bool best_is_self, null_mx;
};

/* `domain`: a name (A-labels) or an address literal with brackets. Texts are copied. */
void route_start(struct route *route, struct bytes domain, struct bytes self, bool no_mx, uint64_t random);
/* Before the first route_next(): the addresses of this machine. Borrowed; the
 * list may change between two calls. */
void route_know_own(struct route *route, const struct own_addresses *own);
void route_free(struct route *route);

enum route_kind { ROUTE_ASK, ROUTE_TRY, ROUTE_END };
struct route_answer {
    enum route_kind kind;
    struct bytes name;             /* ASK: the name to look up; TRY: the host's name */
    enum dns_type type;            /* ASK */
    struct route_address address;  /* TRY */
    bool final;                    /* END: nothing will change; else try again later */
    const char *enhanced, *reason; /* END without any address tried */
};
struct route_answer route_next(struct route *route);

/* What DNS says about the name and type that route_next() asked for. */
void route_learn(struct route *route, enum dns_type type, enum dns_status status,
                 const struct dns_record *records, size_t count);
void route_learn_answer(struct route *route, enum dns_type type, const struct dns_answer *answer);

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

#endif
