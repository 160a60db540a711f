/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_network: addresses and networks that a configuration lists: "192.0.2.1", "10.0.0.0/8", "::1", also as
 * Postfix writes them: "[::1]/128", "[::ffff:127.0.0.0]/104" (mapped, the same as IPv4).
 */
#ifndef MAILBOAT_CORE_ROUTE_IP_NETWORK_H
#define MAILBOAT_CORE_ROUTE_IP_NETWORK_H

#include "core/route/ip.h"

struct ip_network {
    struct route_address address;
    unsigned bits; /* of the prefix: 0 to 32, or 128 */
};

/* False with *why (a clause, as "has bits beyond its prefix") if the text is none. */
bool ip_network_parse(struct bytes text, struct ip_network *network, const char **why);
bool ip_network_has(const struct ip_network *network, const struct route_address *address);
/* True if one of these texts, which ip_network_parse() accepts, has the address. */
bool ip_network_list_has(const char *const *texts, size_t count, const struct route_address *address);

#endif
