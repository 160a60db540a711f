/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_lookup: the addresses of a host, IPv6 and IPv4 in turns (RFC 8305 4).
 * Both kinds are asked for at once; when IPv4 is known, IPv6 is waited for a
 * moment longer and no more.
 */
#ifndef MAILBOAT_DIAL_HOST_LOOKUP_H
#define MAILBOAT_DIAL_HOST_LOOKUP_H

#include "io/dns.h"

enum {
    RESOLVING_DELAY_MS = 50,       /* for IPv6 once IPv4 is known (RFC 8305 3) */
    RESOLVING_LIMIT_MS = 5 * 1000, /* for both, unless less is left */
    RESOLVING_ADDRESSES_MAX = 4,   /* two of each kind where there are both; of more, some by chance */
};

struct resolving {
    struct dns_question questions[2]; /* AAAA, A */
    enum dns_status status[2];
    struct route_address found[2][RESOLVING_ADDRESSES_MAX];
    size_t count[2];
    struct timer limit;
    bool started, done;
    struct route_address addresses[RESOLVING_ADDRESSES_MAX]; /* the outcome */
    size_t address_count;
    void (*on_resolved)(void *owner); /* from the loop, once, unless it is cancelled */
    void *owner;
};

/* `host`: a name, or an address, which needs no DNS. */
void resolving_start(struct resolving *resolving, struct loop *loop, struct dns *dns, const char *host, uint32_t limit_ms,
                     void (*on_resolved)(void *owner), void *owner);
void resolving_cancel(struct resolving *resolving);
/* Why there is no address: a sentence and an exit code. Returns false. */
bool resolving_tell(const struct resolving *resolving, const char *host, struct error *error);
/* Is the text an IPv4 or IPv6 address? */
bool resolving_read_address(const char *text, struct route_address *address);
bool route_address_is_loopback(const struct route_address *address);

#endif
