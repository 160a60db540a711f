/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/proxy_header.h"

#include <assert.h>

#include "core/dns/host.h"

static const struct bytes signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* In version 2: what the octets 13 and 14 hold. */
enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_UNSPECIFIED = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };
enum { TLV_CRC32C = 0x03, CRC_OCTETS = 4 };

static enum proxy_verdict malformed(struct proxy_header *header, const char *why)
{
    header->why = why;
    return PROXY_MALFORMED;
}

static void set_client(struct proxy_header *header, const struct route_address *address, uint16_t port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    header->has_client = true;
    header->port = port;
    header->client = *address;
    if (!address->six || memcmp(address->octets, mapped, sizeof mapped) != 0)
        return;
    header->client = (struct route_address){0};
    memcpy(header->client.octets, address->octets + sizeof mapped, 4);
}

/* ---- version 1 ---- */

static bool parse_port(struct bytes text, uint16_t *port)
{
    uint64_t value;
    if (text.length > 5 || (text.length > 1 && text.at[0] == '0') || !bytes_to_u64(text, 65535, &value))
        return false;
    *port = (uint16_t)value;
    return true;
}

/* The words after "PROXY ": "TCP4 SOURCE DESTINATION PORT PORT". */
static enum proxy_verdict parse_words(struct bytes line, struct proxy_header *header)
{
    struct bytes family = bytes_split(&line, ' ');
    bool six = bytes_is(family, "TCP6");
    uint16_t ports[2];
    if (bytes_is(family, "UNKNOWN")) /* whatever follows is ignored */
        return PROXY_COMPLETE;
    if (!six && !bytes_is(family, "TCP4"))
        return malformed(header, "its protocol is not TCP4, TCP6 or UNKNOWN");
    struct bytes source = bytes_split(&line, ' '), destination = bytes_split(&line, ' ');
    if (!(six ? host_is_ipv6(source) && host_is_ipv6(destination)
              : host_is_ipv4(source) && host_is_ipv4(destination)))
        return malformed(header, "its addresses are not of the protocol that it names");
    struct bytes source_port = bytes_split(&line, ' ');
    if (!parse_port(source_port, &ports[0]) || !parse_port(line, &ports[1]))
        return malformed(header, "its ports are not two numbers from 0 to 65535");
    struct route_address address = route_literal(source);
    set_client(header, &address, ports[0]);
    return PROXY_COMPLETE;
}

static enum proxy_verdict parse_v1(struct bytes input, struct proxy_header *header)
{
    struct bytes all = bytes_first(input, PROXY_V1_MAX);
    size_t end = bytes_find(all, '\n');
    if (end == SIZE_MAX)
        return all.length == PROXY_V1_MAX ? malformed(header, "its line is longer than 107 octets")
                                          : PROXY_MORE;
    struct bytes line = bytes_first(input, end);
    if (line.length == 0 || line.at[line.length - 1] != '\r')
        return malformed(header, "its line does not end with CR LF");
    line = bytes_from(bytes_first(line, line.length - 1), strlen("PROXY "));
    if (bytes_find(line, '\r') != SIZE_MAX)
        return malformed(header, "its line does not end with CR LF");
    header->octets = end + 1;
    return parse_words(line, header);
}

/* ---- version 2 ---- */

static unsigned octet_at(struct bytes b, size_t i)
{
    assert(i < b.length);
    return (unsigned char)b.at[i];
}

static size_t number_at(struct bytes b, size_t i)
{
    return (size_t)octet_at(b, i) << 8 | octet_at(b, i + 1);
}

/* CRC-32C of the header, whose checksum counts as zero (2.2.2). */
static uint32_t checksum(struct bytes header, size_t at)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < header.length; i++) {
        crc ^= i >= at && i < at + CRC_OCTETS ? 0 : octet_at(header, i);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
    }
    return ~crc;
}

/* The TLVs from `at` on must fill the header. */
static bool check_tlvs(struct bytes all, size_t at, struct proxy_header *header)
{
    while (at < all.length) {
        if (all.length - at < 3 || number_at(all, at + 1) > all.length - at - 3) {
            malformed(header, "a TLV is longer than the header");
            return false;
        }
        size_t length = number_at(all, at + 1), value = at + 3;
        if (octet_at(all, at) == TLV_CRC32C) {
            if (length != CRC_OCTETS || ((uint32_t)number_at(all, value) << 16 |
                                         (uint32_t)number_at(all, value + 2)) != checksum(all, value)) {
                malformed(header, "its checksum is wrong");
                return false;
            }
        }
        at = value + length;
    }
    return true;
}

static enum proxy_verdict parse_addresses(struct bytes all, struct proxy_header *header)
{
    unsigned family = octet_at(all, 13);
    size_t size = family == FAMILY_TCP4 ? 12 : family == FAMILY_TCP6 ? 36 : family == FAMILY_UNIX ? 216 : 0;
    if (family == FAMILY_UNSPECIFIED)
        return PROXY_COMPLETE; /* the rest is ignored (2.2) */
    if (size == 0)
        return malformed(header, "its family is not TCP over IPv4 or IPv6");
    if (all.length - PROXY_V2_HEAD < size)
        return malformed(header, "it is too short for its addresses");
    if (!check_tlvs(all, PROXY_V2_HEAD + size, header))
        return PROXY_MALFORMED;
    if (family == FAMILY_UNIX)
        return PROXY_COMPLETE;
    struct route_address address = {.six = family == FAMILY_TCP6};
    memcpy(address.octets, all.at + PROXY_V2_HEAD, address.six ? 16 : 4);
    set_client(header, &address, (uint16_t)number_at(all, PROXY_V2_HEAD + (address.six ? 32 : 8)));
    return PROXY_COMPLETE;
}

static enum proxy_verdict parse_v2(struct bytes input, struct proxy_header *header)
{
    if (input.length < PROXY_V2_HEAD)
        return input.length > 12 && octet_at(input, 12) >> 4 != 2 ? malformed(header, "its version is not 2")
                                                                  : PROXY_MORE;
    unsigned command = octet_at(input, 12);
    size_t octets = PROXY_V2_HEAD + number_at(input, 14);
    if (command >> 4 != 2)
        return malformed(header, "its version is not 2");
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return malformed(header, "its command is not LOCAL or PROXY");
    if (octets > PROXY_HEADER_MAX)
        return malformed(header, "it is longer than 4096 octets");
    if (input.length < octets)
        return PROXY_MORE;
    header->octets = octets;
    return command == COMMAND_LOCAL ? PROXY_COMPLETE : parse_addresses(bytes_first(input, octets), header);
}

/* ---- both ---- */

/* True if the input begins as `text`, as far as it has come. */
static bool may_begin(struct bytes input, struct bytes text)
{
    return bytes_equal(bytes_first(input, text.length), bytes_first(text, input.length));
}

enum proxy_verdict proxy_header_parse(struct bytes input, struct proxy_header *header)
{
    const struct bytes word = BYTES("PROXY ");
    enum proxy_verdict verdict = PROXY_MORE;
    *header = (struct proxy_header){0};
    if (input.length == 0)
        return PROXY_MORE;
    if (may_begin(input, word))
        verdict = input.length < word.length ? PROXY_MORE : parse_v1(input, header);
    else if (may_begin(input, signature))
        verdict = input.length < signature.length ? PROXY_MORE : parse_v2(input, header);
    else
        verdict = malformed(header, "it does not begin as one");
    assert(verdict != PROXY_COMPLETE || (header->octets > 0 && header->octets <= input.length));
    assert((verdict == PROXY_MALFORMED) == (header->why != NULL));
    return verdict;
}

bool proxy_header_begins(struct bytes input)
{
    const struct bytes word = BYTES("PROXY ");
    return bytes_equal(bytes_first(input, word.length), word) ||
           bytes_equal(bytes_first(input, signature.length), signature);
}
