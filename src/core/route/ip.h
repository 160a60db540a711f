/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip: IP addresses, as text, and whether mail may be sent to one.
 *
 * The addresses of a mail server come from untrusted DNS. An address of this machine would cause a loop,
 * in which this server bounces its own replies, or reach a service that trusts local clients; an address
 * that no server can have wastes time. route.h skips both, and so does service/relay/sts_policies.c.
 * Private addresses (10.0.0.0/8, 192.168.0.0/16, fc00::/7) belong to internal networks: they are
 * contacted, as by Postfix and Exim.
 */
#ifndef MAILBOAT_CORE_ROUTE_IP_H
#define MAILBOAT_CORE_ROUTE_IP_H

#include "base/arena.h"
#include "base/buffer.h"

struct route_address {
    uint8_t octets[16];
    bool six;
};

/* Parses an address that host_is_ipv4() or host_is_ipv6() has accepted. */
struct route_address route_literal(struct bytes text);
/* Appends "192.0.2.1" or "2001:db8::1" (RFC 5952) */
void route_address_text(struct buffer *out, const struct route_address *address);
/* Returns the name for the reverse lookup of an address: "1.2.0.192.in-addr.arpa"; in `arena`. */
struct bytes route_reverse_name(const struct route_address *address, struct arena *arena);

/* Addresses on which this machine accepts mail, as known by the shell. */
struct own_addresses {
    const struct route_address *addresses;
    size_t count;
};

enum route_reach {
    REACH_SERVER, /* another machine, by its address */
    REACH_SELF,   /* this machine: loopback, 0.0.0.0/8, ::, one of its own addresses */
    REACH_NOBODY, /* not a server: link-local, multicast, reserved, broadcast */
};
/* Classifies an address; an IPv6 address that embeds an IPv4 address (mapped, NAT64, 6to4 ...) as the
 * latter. `own`: NULL if unknown. */
enum route_reach route_reach(const struct route_address *address, const struct own_addresses *own);

#endif
