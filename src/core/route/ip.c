/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/ip.h"

#include "core/dns/host.h"

/* ---- as text ---- */

static uint8_t hex_value(char c)
{
    return (uint8_t)(ascii_is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10);
}

static void read_ipv4(struct bytes text, uint8_t *octets)
{
    for (int i = 0; i < 4; i++) {
        uint64_t value = 0;
        bytes_to_u64(bytes_split(&text, '.'), 255, &value);
        octets[i] = (uint8_t)value;
    }
}

/* Parses the groups of a run into `octets`; returns the number of octets. */
static size_t read_groups(struct bytes run, uint8_t *octets)
{
    size_t length = 0;
    while (run.length > 0) {
        struct bytes group = bytes_split(&run, ':');
        if (bytes_find(group, '.') != SIZE_MAX) {
            read_ipv4(group, octets + length);
            length += 4;
            continue;
        }
        unsigned value = 0;
        for (size_t i = 0; i < group.length; i++)
            value = value << 4 | hex_value(group.at[i]);
        octets[length++] = (uint8_t)(value >> 8);
        octets[length++] = (uint8_t)value;
    }
    return length;
}

struct route_address route_literal(struct bytes text)
{
    struct route_address address = {.six = bytes_find(text, ':') != SIZE_MAX};
    if (!address.six) {
        read_ipv4(text, address.octets);
        return address;
    }
    uint8_t tail[16];
    size_t gap = bytes_search(text, BYTES("::"));
    read_groups(bytes_first(text, gap), address.octets);
    if (gap != SIZE_MAX) {
        size_t length = read_groups(bytes_from(text, gap + 2), tail);
        memcpy(address.octets + 16 - length, tail, length);
    }
    return address;
}

void route_address_text(struct buffer *out, const struct route_address *address)
{
    const uint8_t *o = address->octets;
    if (!address->six) {
        buffer_add_format(out, "%u.%u.%u.%u", o[0], o[1], o[2], o[3]);
        return;
    }
    /* RFC 5952: the longest run of zero groups becomes "::". */
    int best = -1, best_length = 1;
    for (int i = 0; i < 8; i++) {
        int k = i;
        while (k < 8 && o[2 * k] == 0 && o[2 * k + 1] == 0)
            k++;
        if (k - i > best_length) {
            best = i;
            best_length = k - i;
        }
        i = k > i ? k - 1 : i;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            buffer_add_text(out, i == 0 ? "::" : ":");
            i += best_length - 1;
            continue;
        }
        buffer_add_format(out, "%x%s", (unsigned)o[2 * i] << 8 | o[2 * i + 1], i == 7 ? "" : ":");
    }
}

struct bytes route_reverse_name(const struct route_address *address, struct arena *arena)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *o = address->octets;
    char nibbles[65];
    if (!address->six)
        return bytes_of_text(arena_format(arena, "%u.%u.%u.%u.in-addr.arpa", o[3], o[2], o[1], o[0]));
    for (size_t i = 0; i < 16; i++) {
        nibbles[4 * i] = digits[o[15 - i] & 15];
        nibbles[4 * i + 2] = digits[o[15 - i] >> 4];
        nibbles[4 * i + 1] = nibbles[4 * i + 3] = '.';
    }
    nibbles[64] = '\0';
    return bytes_of_text(arena_format(arena, "%sip6.arpa", nibbles));
}

/* ---- reachability ---- */

/* IPv6 address formats that embed an IPv4 address, which a translator or the kernel contacts instead. */
static const struct embedding {
    uint8_t prefix[12];
    uint8_t prefix_length; /* octets */
    uint8_t at;            /* of the IPv4 address */
    uint8_t mask;          /* its octets are XORed with this */
    bool zero_is_none;     /* 0.0.0.0 there: no IPv4 address is embedded */
} embeddings[] = {
    {{0}, 12, 12, 0, false},                       /* IPv4-compatible (RFC 4291 2.5.5.1); :: and ::1 too */
    {{[10] = 0xff, 0xff}, 12, 12, 0, false},       /* IPv4-mapped (RFC 4291 2.5.5.2) */
    {{[8] = 0xff, 0xff}, 12, 12, 0, false},        /* IPv4-translated (RFC 2765 2.1) */
    {{0, 0x64, 0xff, 0x9b}, 12, 12, 0, false},     /* NAT64 (RFC 6052 2.1) */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, 12, 0, true}, /* NAT64 of a network (RFC 8215) */
    {{0x20, 0x02}, 2, 2, 0, false},                /* 6to4 (RFC 3056 2) */
    {{0x20, 0x01, 0, 0}, 4, 12, 0xff, false},      /* Teredo (RFC 4380 4) */
};

/* Returns the IPv4 address that it is, or embeds. */
static bool four_of(const struct route_address *address, uint8_t four[4])
{
    static const uint8_t zero[4];
    if (!address->six) {
        memcpy(four, address->octets, 4);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(embeddings); i++) {
        const struct embedding *form = &embeddings[i];
        if (memcmp(address->octets, form->prefix, form->prefix_length) != 0)
            continue;
        for (size_t k = 0; k < 4; k++)
            four[k] = address->octets[form->at + k] ^ form->mask;
        return !form->zero_is_none || memcmp(four, zero, sizeof zero) != 0;
    }
    return false;
}

static enum route_reach reach_of_four(const uint8_t four[4])
{
    if (four[0] == 0 || four[0] == 127) /* Linux treats 0.0.0.0 as this machine */
        return REACH_SELF;
    if (four[0] >= 224 || (four[0] == 169 && four[1] == 254))
        return REACH_NOBODY;
    return REACH_SERVER;
}

static bool is_own(const struct route_address *address, const uint8_t *four, const struct own_addresses *own)
{
    for (size_t i = 0; own != NULL && i < own->count; i++) {
        const struct route_address *one = &own->addresses[i];
        bool same_six = one->six && address->six && memcmp(one->octets, address->octets, 16) == 0;
        if (same_six || (!one->six && four != NULL && memcmp(one->octets, four, 4) == 0))
            return true;
    }
    return false;
}

enum route_reach route_reach(const struct route_address *address, const struct own_addresses *own)
{
    uint8_t four[4];
    bool has_four = four_of(address, four);
    enum route_reach reach = has_four ? reach_of_four(four) : REACH_SERVER;
    if (reach != REACH_SERVER)
        return reach;
    bool link_local = address->six && address->octets[0] == 0xfe && (address->octets[1] & 0xc0) == 0x80;
    if (link_local || (address->six && address->octets[0] == 0xff))
        return REACH_NOBODY;
    return is_own(address, has_four ? four : NULL, own) ? REACH_SELF : REACH_SERVER;
}
