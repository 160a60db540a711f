/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_lookup: resolves a host to addresses, IPv6 and IPv4 interleaved (RFC 8305 4). Both lookups run
 * concurrently; once IPv4 is known, IPv6 gets a short time more.
 */
#ifndef MAILBOAT_DIAL_HOST_LOOKUP_H
#define MAILBOAT_DIAL_HOST_LOOKUP_H

#include "core/route/ip.h"
#include "io/dns.h"
#include "io/timer.h"

enum {
    HOST_LOOKUP_DELAY_MS = 50,       /* for IPv6 once IPv4 is known (RFC 8305 3) */
    HOST_LOOKUP_LIMIT_MS = 5 * 1000, /* for both, or the remaining time if less */
    HOST_LOOKUP_ADDRESSES_MAX = 8,   /* four of each kind if both exist */
    HOST_LOOKUP_FIRST_MAX = 4,       /* used to connect; a random selection of more */
};

struct host_lookup {
    struct dns_question questions[2]; /* AAAA, A */
    enum dns_status status[2];
    struct route_address found[2][HOST_LOOKUP_ADDRESSES_MAX];
    size_t count[2];
    struct timer limit;
    bool started, done;
    struct route_address addresses[HOST_LOOKUP_ADDRESSES_MAX]; /* the result */
    size_t address_count;
    enum resolver_state resolver; /* where there is no address: what the resolvers do */
    char resolver_text[RESOLVER_LIST_MAX * RESOLVER_TEXT_MAX]; /* "192.0.2.1, 2001:db8::1" */
    void (*on_resolved)(void *owner);                          /* from the loop, once, unless cancelled */
    void *owner;
};

/* `host`: a name, or an address, which needs no DNS. */
void host_lookup_start(struct host_lookup *lookup, struct loop *loop, struct dns *dns, const char *host,
                       uint32_t limit_ms, void (*on_resolved)(void *owner), void *owner);
void host_lookup_cancel(struct host_lookup *lookup);
/* If the resolvers do not answer, or refuse to, reports that nothing can be resolved, `name` among it, and
 * names them; `where` has their list ("/etc/resolv.conf"). True if so. */
bool host_lookup_explain_resolver(enum resolver_state state, const char *asked, const char *name,
                                  const char *where, struct error *error);
/* Reports why there is no address: a sentence and an exit code. Returns false. */
bool host_lookup_explain(const struct host_lookup *lookup, const char *host, struct error *error);
/* Parses an IPv4 or IPv6 address; false for other text. */
bool host_lookup_read_address(const char *text, struct route_address *address);
bool host_lookup_is_loopback(const struct route_address *address);

#endif
