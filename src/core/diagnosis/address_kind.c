/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/address_kind.h"

#include <assert.h>

#include "core/dns/host.h"

struct address_range {
    uint8_t octets[16];
    uint8_t bits;
    bool six;
    enum fact_address_kind kind;
};

#define FOUR(a, b, c, d, bits, kind)    \
    {                                   \
        {a, b, c, d}, bits, false, kind \
    }
/* The first 64 bits; of all ranges the rest is zero, but where it is written out. */
#define SIX(a, b, c, d, bits, kind)                                                                    \
    {                                                                                                  \
        {(a) >> 8, (a)&255, (b) >> 8, (b)&255, (c) >> 8, (c)&255, (d) >> 8, (d)&255}, bits, true, kind \
    }

/* Of those that hold an address the longest prefix wins. */
static const struct address_range ranges[] = {
    /* the IANA IPv4 special-purpose registry (RFC 6890 2.2.2) */
    FOUR(0, 0, 0, 0, 8, ADDRESS_UNSPECIFIED),
    FOUR(10, 0, 0, 0, 8, ADDRESS_PRIVATE),
    FOUR(100, 64, 0, 0, 10, ADDRESS_SHARED), /* RFC 6598 */
    FOUR(127, 0, 0, 0, 8, ADDRESS_LOOPBACK),
    FOUR(169, 254, 0, 0, 16, ADDRESS_LINK_LOCAL),
    FOUR(172, 16, 0, 0, 12, ADDRESS_PRIVATE),
    FOUR(192, 0, 0, 0, 24, ADDRESS_PRIVATE), /* protocol assignments: DS-Lite and the like */
    FOUR(192, 0, 0, 9, 32, ADDRESS_PUBLIC),  /* PCP anycast, RFC 7723 */
    FOUR(192, 0, 0, 10, 32, ADDRESS_PUBLIC), /* TURN anycast, RFC 8155 */
    FOUR(192, 0, 0, 170, 31, ADDRESS_NAT64), /* NAT64 discovery, RFC 7050 */
    FOUR(192, 0, 2, 0, 24, ADDRESS_DOCUMENTATION),
    FOUR(192, 168, 0, 0, 16, ADDRESS_PRIVATE),
    FOUR(198, 18, 0, 0, 15, ADDRESS_BENCHMARK), /* RFC 2544; fake-IP proxies use it */
    FOUR(198, 51, 100, 0, 24, ADDRESS_DOCUMENTATION),
    FOUR(203, 0, 113, 0, 24, ADDRESS_DOCUMENTATION),
    FOUR(224, 0, 0, 0, 4, ADDRESS_MULTICAST),
    FOUR(233, 252, 0, 0, 24, ADDRESS_DOCUMENTATION), /* RFC 6676 */
    FOUR(240, 0, 0, 0, 4, ADDRESS_UNSPECIFIED),      /* reserved, broadcast */
    /* the IANA IPv6 special-purpose registry (RFC 6890 2.2.3) */
    SIX(0, 0, 0, 0, 96, ADDRESS_UNSPECIFIED), /* ::, and IPv4-compatible ones, which are no more (RFC 4291) */
    {{[15] = 1}, 128, true, ADDRESS_LOOPBACK},
    SIX(0x64, 0xff9b, 0, 0, 96, ADDRESS_NAT64),       /* RFC 6052 */
    SIX(0x64, 0xff9b, 1, 0, 48, ADDRESS_NAT64),       /* RFC 8215 */
    SIX(0x100, 0, 0, 0, 64, ADDRESS_UNSPECIFIED),     /* discarded, RFC 6666 */
    SIX(0x2001, 2, 0, 0, 48, ADDRESS_BENCHMARK),      /* RFC 5180 */
    SIX(0x2001, 0x10, 0, 0, 28, ADDRESS_UNSPECIFIED), /* ORCHID, RFC 4843 */
    SIX(0x2001, 0x20, 0, 0, 28, ADDRESS_UNSPECIFIED), /* ORCHIDv2, RFC 7343 */
    SIX(0x2001, 0xdb8, 0, 0, 32, ADDRESS_DOCUMENTATION),
    SIX(0x3fff, 0, 0, 0, 20, ADDRESS_DOCUMENTATION), /* RFC 9637 */
    SIX(0xfc00, 0, 0, 0, 7, ADDRESS_PRIVATE),        /* unique local, RFC 4193 */
    SIX(0xfe80, 0, 0, 0, 10, ADDRESS_LINK_LOCAL),
    SIX(0xfec0, 0, 0, 0, 10, ADDRESS_PRIVATE), /* site-local, RFC 3879 */
    SIX(0xff00, 0, 0, 0, 8, ADDRESS_MULTICAST),
    /* Cloudflare's proxies: https://www.cloudflare.com/ips/ */
    FOUR(103, 21, 244, 0, 22, ADDRESS_CLOUDFLARE),
    FOUR(103, 22, 200, 0, 22, ADDRESS_CLOUDFLARE),
    FOUR(103, 31, 4, 0, 22, ADDRESS_CLOUDFLARE),
    FOUR(104, 16, 0, 0, 13, ADDRESS_CLOUDFLARE),
    FOUR(104, 24, 0, 0, 14, ADDRESS_CLOUDFLARE),
    FOUR(108, 162, 192, 0, 18, ADDRESS_CLOUDFLARE),
    FOUR(131, 0, 72, 0, 22, ADDRESS_CLOUDFLARE),
    FOUR(141, 101, 64, 0, 18, ADDRESS_CLOUDFLARE),
    FOUR(162, 158, 0, 0, 15, ADDRESS_CLOUDFLARE),
    FOUR(172, 64, 0, 0, 13, ADDRESS_CLOUDFLARE),
    FOUR(173, 245, 48, 0, 20, ADDRESS_CLOUDFLARE),
    FOUR(188, 114, 96, 0, 20, ADDRESS_CLOUDFLARE),
    FOUR(190, 93, 240, 0, 20, ADDRESS_CLOUDFLARE),
    FOUR(197, 234, 240, 0, 22, ADDRESS_CLOUDFLARE),
    FOUR(198, 41, 128, 0, 17, ADDRESS_CLOUDFLARE),
    SIX(0x2400, 0xcb00, 0, 0, 32, ADDRESS_CLOUDFLARE),
    SIX(0x2405, 0x8100, 0, 0, 32, ADDRESS_CLOUDFLARE),
    SIX(0x2405, 0xb500, 0, 0, 32, ADDRESS_CLOUDFLARE),
    SIX(0x2606, 0x4700, 0, 0, 32, ADDRESS_CLOUDFLARE),
    SIX(0x2803, 0xf800, 0, 0, 32, ADDRESS_CLOUDFLARE),
    SIX(0x2a06, 0x98c0, 0, 0, 29, ADDRESS_CLOUDFLARE),
    SIX(0x2c0f, 0xf248, 0, 0, 32, ADDRESS_CLOUDFLARE),
};

static bool has(const struct address_range *range, const struct route_address *address)
{
    assert(range->bits <= (range->six ? 128 : 32));
    if (range->six != address->six)
        return false;
    for (unsigned bit = 0; bit < range->bits; bit++)
        if (((range->octets[bit / 8] ^ address->octets[bit / 8]) & (0x80U >> bit % 8)) != 0)
            return false;
    return true;
}

static bool is_mapped(const struct route_address *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return address->six && memcmp(address->octets, prefix, sizeof prefix) == 0;
}

enum fact_address_kind address_kind(const struct route_address *address)
{
    struct route_address plain = *address;
    enum fact_address_kind kind = ADDRESS_PUBLIC;
    unsigned longest = 0;
    if (is_mapped(address)) {
        plain = (struct route_address){0};
        memcpy(plain.octets, address->octets + 12, 4);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++)
        if (ranges[i].bits > longest && has(&ranges[i], &plain)) {
            kind = ranges[i].kind;
            longest = ranges[i].bits;
        }
    return kind;
}

enum fact_address_kind address_kind_of_text(struct bytes text)
{
    if (!host_is_ipv4(text) && !host_is_ipv6(text))
        return ADDRESS_UNKNOWN;
    struct route_address address = route_literal(text);
    return address_kind(&address);
}
