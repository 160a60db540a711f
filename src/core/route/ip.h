/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip: IP addresses, as text, and whether mail may be sent to one.
 *
 * The addresses of a mail server are what a stranger's DNS says. One of this
 * machine would have us talk with ourselves and bounce our own answer, or
 * with a service that trusts whoever comes from here; one that no server can
 * have costs time for nothing. route.h passes both over, service/relay/sts_policies.c
 * too. Private addresses (10.0.0.0/8, 192.168.0.0/16, fc00::/7) are those of
 * inner networks: they are called, as Postfix and Exim do.
 */
#ifndef MAILBOAT_CORE_ROUTE_IP_H
#define MAILBOAT_CORE_ROUTE_IP_H

#include "base/buffer.h"

struct route_address {
    uint8_t octets[16];
    bool six;
};

/* The address that a text names which host_is_ipv4() or host_is_ipv6() has seen. */
struct route_address route_literal(struct bytes text);
/* "192.0.2.1" or "2001:db8::1" (RFC 5952) */
void route_address_text(struct buffer *out, const struct route_address *address);

/* Addresses of this machine at which it takes mail, as the shell knows them. */
struct own_addresses {
    const struct route_address *addresses;
    size_t count;
};

enum route_reach {
    REACH_SERVER, /* another machine, as far as the address tells */
    REACH_SELF,   /* this machine: loopback, 0.0.0.0/8, ::, one of our own */
    REACH_NOBODY, /* no server: link-local, multicast, reserved, broadcast */
};
/* Whom mail to this address would reach; an IPv6 address that stands for an
 * IPv4 address (mapped, NAT64, 6to4 ...) as that. `own`: NULL when unknown. */
enum route_reach route_reach(const struct route_address *address, const struct own_addresses *own);

#endif
