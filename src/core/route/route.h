/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: finds the servers for a domain's mail, from DNS facts and the addresses of this machine alone
 * (RFC 5321 5.1, RFC 7505, RFC 8305).
 *
 * The caller starts a route, then calls route_next() repeatedly: it returns an address to try, the one
 * missing fact (passed to route_learn() before the next call), or the end with a reason. Hosts are looked
 * up only when needed.
 *
 * Mail is never sent to this machine: if its own name is among the MX hosts, only hosts of better
 * preference are tried (RFC 5321 5.1), and an address of this machine, or one that no server can have, is
 * skipped: route_reach().
 *
 * The work that a domain can cause is bounded: ROUTE_HOSTS_MAX hosts are looked up, with two queries each,
 * and ROUTE_ADDRESSES_MAX addresses tried, or two of each host if that is more. Beyond the limit the best
 * by preference are used; among equals the choice is random per attempt, so that later attempts reach
 * others.
 */
#ifndef MAILBOAT_CORE_ROUTE_ROUTE_H
#define MAILBOAT_CORE_ROUTE_ROUTE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/dns/dns_answer.h"
#include "core/route/ip.h"
#include "core/smtp/address.h"

enum route_limit {
    ROUTE_HOSTS_MAX = 50,     /* of one domain's MX, the most preferred; the rest is ignored */
    ROUTE_ADDRESSES_MAX = 50, /* tried in one attempt, over all hosts */
    ROUTE_ADDRESSES_EACH = 2, /* of each host even beyond the limit: one of each family */
};

struct route_host {
    struct bytes name;
    uint16_t preference;
    struct bytes canonical;    /* the target of its aliases; empty if it is none */
    enum dns_status status[2]; /* of AAAA, of A */
    bool secure[2];            /* validated by DNSSEC */
    struct route_address *addresses;
    size_t address_count;
    bool arranged;  /* addresses to try are chosen, IPv6 and IPv4 interleaved */
    uint64_t order; /* random order among equal preferences */
};

struct route {
    struct arena arena;
    struct bytes domain, self;       /* self: this server's host name, to avoid loops */
    const struct own_addresses *own; /* NULL: unknown */
    bool no_mx;                      /* a configured host: its own addresses, whatever they are */
    bool mx_secure;                  /* the list of hosts is validated by DNSSEC */
    uint64_t random;                 /* orders hosts of equal preference */
    enum dns_status mx;
    struct route_host *hosts;
    size_t host_count, host_now, address_now;
    size_t given;               /* addresses returned, over all hosts */
    bool any_tried, any_unsure; /* an address was returned; a lookup failed temporarily */
    bool unanswered;            /* a lookup failed since no resolver of this machine answers */
    bool any_self, any_nobody;  /* an address was skipped */
    bool any_left_out;          /* there are more than ROUTE_HOSTS_MAX hosts */
    bool best_is_self, null_mx;
};

/* `domain`: a name (A-labels) or an address literal with brackets. Texts are copied. */
void route_start(struct route *route, struct bytes domain, struct bytes self, bool no_mx, uint64_t random);
/* Before the first route_next(): sets the addresses of this machine. Borrowed; the list may change between
 * two calls. */
void route_know_own(struct route *route, const struct own_addresses *own);
void route_free(struct route *route);

enum route_kind { ROUTE_ASK, ROUTE_TRY, ROUTE_END };
struct route_answer {
    enum route_kind kind;
    struct bytes name;             /* ASK: the name to look up; TRY: the host's name */
    enum dns_type type;            /* ASK */
    struct route_address address;  /* TRY */
    bool final;                    /* END: permanent; else try again later */
    const char *enhanced, *reason; /* END without any address tried */
};
struct route_answer route_next(struct route *route);

/* Passes the DNS answer for the name and type that route_next() asked for. */
void route_learn(struct route *route, enum dns_type type, enum dns_status status,
                 const struct dns_record *records, size_t count);
void route_learn_answer(struct route *route, enum dns_type type, const struct dns_answer *answer);

/* Returns the host of the last address from route_next(). */
const struct route_host *route_host_now(const struct route *route);
/* Returns the last address from route_next() and those of its host that would follow, for concurrent
 * attempts (RFC 8305 5); the caller then reports that number `i` of them answered, or that `count` of them
 * were tried. */
const struct route_address *route_side_by_side(const struct route *route, size_t *count);
void route_took(struct route *route, size_t i);
void route_tried(struct route *route, size_t count);
/* Skips the other addresses of that host. */
void route_leave_host(struct route *route);

/* Starts again with the first address. */
void route_rewind(struct route *route);

#endif
