/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/ip_network.h"

#include <assert.h>

#include "core/dns/host.h"

static bool bit_of(const struct route_address *address, unsigned bit)
{
    return (address->octets[bit / 8] & (0x80U >> bit % 8)) != 0;
}

bool ip_network_parse(struct bytes text, struct ip_network *network, const char **why)
{
    struct bytes rest = text, address = bytes_split(&rest, '/');
    bool has_prefix = address.length < text.length;
    uint64_t bits;
    if (!host_is_ipv4(address) && !host_is_ipv6(address)) {
        *why = "is not an IP address or network";
        return false;
    }
    *network = (struct ip_network){.address = route_literal(address)};
    unsigned all = network->address.six ? 128 : 32;
    bits = all;
    if (has_prefix && !bytes_to_u64(rest, all, &bits)) {
        *why = network->address.six ? "has a prefix that is not 0 to 128"
                                    : "has a prefix that is not 0 to 32";
        return false;
    }
    network->bits = (unsigned)bits;
    for (unsigned bit = network->bits; bit < all; bit++)
        if (bit_of(&network->address, bit)) {
            *why = "has bits beyond its prefix";
            return false;
        }
    return true;
}

bool ip_network_has(const struct ip_network *network, const struct route_address *address)
{
    assert(network->bits <= (network->address.six ? 128 : 32));
    if (network->address.six != address->six)
        return false;
    for (unsigned bit = 0; bit < network->bits; bit++)
        if (bit_of(&network->address, bit) != bit_of(address, bit))
            return false;
    return true;
}

bool ip_network_list_has(const char *const *texts, size_t count, const struct route_address *address)
{
    const char *why;
    for (size_t i = 0; i < count; i++) {
        struct ip_network network;
        if (ip_network_parse(bytes_of_text(texts[i]), &network, &why) && ip_network_has(&network, address))
            return true;
    }
    return false;
}
