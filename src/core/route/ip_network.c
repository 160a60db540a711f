/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/ip_network.h"

#include <assert.h>

#include "core/dns/host.h"

static bool bit_of(const struct route_address *address, unsigned bit)
{
    return (address->octets[bit / 8] & (0x80U >> bit % 8)) != 0;
}

/* Lists copied from Postfix's mynetworks have IPv6 addresses in brackets: "[::1]/128". */
static struct bytes without_brackets(struct bytes address)
{
    bool bracketed = address.length > 2 && address.at[0] == '[' && address.at[address.length - 1] == ']';
    return bracketed ? bytes_of(address.at + 1, address.length - 2) : address;
}

/* Clients that a socket for both families shows as mapped count as IPv4 everywhere. */
static void unmap(struct ip_network *network)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct route_address four = {0};
    if (!network->address.six || network->bits < 96 ||
        memcmp(network->address.octets, mapped, sizeof mapped) != 0)
        return;
    memcpy(four.octets, network->address.octets + sizeof mapped, 4);
    *network = (struct ip_network){.address = four, .bits = network->bits - 96};
}

/* "127.0.0.1/8" can only mean this machine; elsewhere such bits may be a mistake in the prefix. */
static void settle_loopback(struct ip_network *network)
{
    if (network->address.six || network->address.octets[0] != 127 || network->bits < 8)
        return;
    for (unsigned bit = network->bits; bit < 32; bit++)
        network->address.octets[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
}

bool ip_network_parse(struct bytes text, struct ip_network *network, const char **why)
{
    struct bytes rest = text, before = bytes_split(&rest, '/'), address = without_brackets(before);
    bool has_prefix = before.length < text.length;
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
    unmap(network);
    settle_loopback(network);
    all = network->address.six ? 128 : 32;
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
