/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol's headers, whole, in pieces and malformed; and lists of networks. */
#include "core/route/ip_network.h"
#include "core/route/proxy_header.h"
#include "unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

static const struct {
    struct bytes input;
    const char *client; /* NULL: the connection's own */
    uint16_t port;
} complete[] = {
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), "192.0.2.1", 56324},
    {TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255", 65535},
    {TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0", 0},
    {TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 4 25\r\n"), "2001:db8::1", 4},
    {TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
          "65535\r\n"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
    {TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::1 4 25\r\n"), "192.0.2.1", 4},
    {TEXT("PROXY UNKNOWN\r\n"), NULL, 0},
    {TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "65535 65535\r\n"),
     NULL, 0},
    {TEXT("PROXY UNKNOWN anything at all\r\n"), NULL, 0},
    /* LOCAL: whatever follows is skipped */
    {TEXT(SIGNATURE "\x20\x00\x00\x00"), NULL, 0},
    {TEXT(SIGNATURE "\x20\x11\x00\x03"
                    "abc"),
     NULL, 0},
    {TEXT(SIGNATURE "\x20\xff\x00\x00"), NULL, 0},
    /* PROXY: UNSPEC, TCP4, TCP6, UNIX */
    {TEXT(SIGNATURE "\x21\x00\x00\x00"), NULL, 0},
    {TEXT(SIGNATURE "\x21\x00\x00\x02"
                    "\xff\xff"),
     NULL, 0},
    {TEXT(SIGNATURE "\x21\x11\x00\x0c"
                    "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"),
     "192.0.2.1", 56324},
    {TEXT(SIGNATURE "\x21\x11\x00\x0f"
                    "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
                    "\x04\x00\x00"),
     "192.0.2.1", 56324},
    {TEXT(SIGNATURE "\x21\x11\x00\x14"
                    "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
                    "\x01\x00\x02h2"
                    "\xee\x00\x00"),
     "192.0.2.1", 56324},
    {TEXT(SIGNATURE "\x21\x21\x00\x24"
                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
                    "\x00\x04\x00\x19"),
     "2001:db8::1", 4},
    {TEXT(SIGNATURE "\x21\x21\x00\x24"
                    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
                    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                    "\x00\x04\x00\x19"),
     "192.0.2.1", 4},
};

static const struct {
    struct bytes input;
    const char *why; /* in the sentence */
} malformed[] = {
    {TEXT("EHLO here\r\n"), "begin"},
    {TEXT("proxy TCP4"), "begin"},
    {TEXT("PROXX"), "begin"},
    {TEXT("\n"), "begin"},
    {TEXT("\r\n\r\n\r"), "begin"},
    {TEXT("\x16\x03\x01"), "begin"},
    {TEXT("PROXY \r\n"), "protocol"},
    {TEXT("PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n"), "protocol"},
    {TEXT("PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n"), "protocol"},
    {TEXT("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n"), "protocol"},
    {TEXT("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"), "protocol"},
    {TEXT("PROXY TCP4\r\n"), "addresses"},
    {TEXT("PROXY TCP4 1.2.3.4\r\n"), "addresses"},
    {TEXT("PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP4 ::1 ::1 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP6 1.2.3.4 ::1 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP6 ::1 1.2.3.4 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n"), "addresses"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n"), "ports"},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n"), "CR LF"},
    {TEXT("PROXY \n"), "CR LF"},
    {TEXT("PROXY TCP4 1.2.3.4\r 1.2.3.4 1 1\r\n"), "CR LF"},
    {TEXT("PROXY UNKNOWN "
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
     "107"},
    {TEXT(SIGNATURE "\x11"), "version"},
    {TEXT(SIGNATURE "\x31\x11\x00\x00"), "version"},
    {TEXT(SIGNATURE "\x22\x11\x00\x00"), "command"},
    {TEXT(SIGNATURE "\x2f\x11\x00\x00"), "command"},
    {TEXT(SIGNATURE "\x21\x11\x0f\xf1"), "4096"},
    {TEXT(SIGNATURE "\x21\x11\xff\xff"), "4096"},
    {TEXT(SIGNATURE "\x20\x00\xff\xff"), "4096"},
    {TEXT(SIGNATURE "\x21\x12\x00\x0c"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"),
     "family"},
    {TEXT(SIGNATURE "\x21\x22\x00\x00"), "family"},
    {TEXT(SIGNATURE "\x21\x32\x00\x00"), "family"},
    {TEXT(SIGNATURE "\x21\x41\x00\x00"), "family"},
    {TEXT(SIGNATURE "\x21\x10\x00\x00"), "family"},
    {TEXT(SIGNATURE "\x21\x01\x00\x00"), "family"},
    {TEXT(SIGNATURE "\x21\x11\x00\x0b"
                    "\1\2\3\4\1\2\3\4\0\1\0"),
     "too short"},
    {TEXT(SIGNATURE "\x21\x21\x00\x0c"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"),
     "too short"},
    {TEXT(SIGNATURE "\x21\x31\x00\x0c"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"),
     "too short"},
    {TEXT(SIGNATURE "\x21\x11\x00\x0d"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"
                    "\x04"),
     "TLV"},
    {TEXT(SIGNATURE "\x21\x11\x00\x0f"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"
                    "\x04\x00\x01"),
     "TLV"},
    {TEXT(SIGNATURE "\x21\x11\x00\x0f"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"
                    "\x04\xff\xff"),
     "TLV"},
    {TEXT(SIGNATURE "\x21\x11\x00\x13"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"
                    "\x03\x00\x04"
                    "\0\0\0\0"),
     "checksum"},
    {TEXT(SIGNATURE "\x21\x11\x00\x12"
                    "\1\2\3\4\1\2\3\4\0\1\0\1"
                    "\x03\x00\x03"
                    "\0\0\0"),
     "checksum"},
};

static void test_complete(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(complete); i++) {
        struct proxy_header header;
        struct buffer text = {0}, more = {0};
        assert_true(proxy_header_begins(complete[i].input));
        for (size_t length = 0; length < complete[i].input.length; length++)
            assert_int_equal(proxy_header_parse(bytes_first(complete[i].input, length), &header), PROXY_MORE);
        buffer_add(&more, complete[i].input);
        buffer_add_text(&more, "PROXY EHLO");
        assert_int_equal(proxy_header_parse(buffer_bytes(&more), &header), PROXY_COMPLETE);
        assert_int_equal(header.octets, complete[i].input.length);
        assert_int_equal(header.has_client, complete[i].client != NULL);
        if (header.has_client)
            route_address_text(&text, &header.client);
        assert_string_equal(buffer_text(&text), complete[i].client == NULL ? "" : complete[i].client);
        assert_int_equal(header.port, complete[i].port);
        buffer_free(&text);
        buffer_free(&more);
    }
}

static void test_malformed(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        struct proxy_header header;
        assert_int_equal(proxy_header_parse(malformed[i].input, &header), PROXY_MALFORMED);
        if (strstr(header.why, malformed[i].why) == NULL)
            fail_msg("%zu: %s", i, header.why);
    }
}

/* The longest lines and headers, and one octet more. */
static void test_limits(void **state)
{
    struct proxy_header header;
    struct buffer line = {0}, big = {0};
    buffer_add_text(&line, "PROXY UNKNOWN ");
    while (line.length < PROXY_V1_MAX - 2)
        buffer_add_octet(&line, 'x');
    assert_int_equal(proxy_header_parse(buffer_bytes(&line), &header), PROXY_MORE);
    buffer_add_text(&line, "\r\n");
    assert_int_equal(proxy_header_parse(buffer_bytes(&line), &header), PROXY_COMPLETE);
    assert_int_equal(header.octets, PROXY_V1_MAX);
    buffer_add(&big, bytes_of(SIGNATURE "\x20\x00\x0f\xf0", 16));
    while (big.length < PROXY_HEADER_MAX)
        buffer_add_octet(&big, 'x');
    assert_int_equal(proxy_header_parse(bytes_first(buffer_bytes(&big), PROXY_HEADER_MAX - 1), &header),
                     PROXY_MORE);
    assert_int_equal(proxy_header_parse(buffer_bytes(&big), &header), PROXY_COMPLETE);
    assert_int_equal(header.octets, PROXY_HEADER_MAX);
    buffer_free(&line);
    buffer_free(&big);
}

/* "123456789" has the CRC-32C e3069283 (RFC 3720 B.4); here one of a header, computed by haproxy's rules. */
static void test_checksum(void **state)
{
    char octets[] = SIGNATURE "\x21\x11\x00\x13"
                              "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
                              "\x03\x00\x04"
                              "\0\0\0\0";
    const struct bytes input = {octets, sizeof octets - 1};
    struct proxy_header header;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < input.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t low = (crc ^ (uint32_t)((unsigned char)octets[i] >> bit)) & 1;
            crc = crc >> 1 ^ (low != 0 ? 0x82f63b78U : 0);
        }
    crc = ~crc;
    for (unsigned i = 0; i < 4; i++)
        octets[input.length - 4 + i] = (char)(crc >> (24 - 8 * i));
    assert_int_equal(proxy_header_parse(input, &header), PROXY_COMPLETE);
    octets[20] ^= 1;
    assert_int_equal(proxy_header_parse(input, &header), PROXY_MALFORMED);
}

static void test_what_is_no_header(void **state)
{
    static const char *const others[] = {"", "EHLO x\r\n", "PROXY", "PROXIED ", "\r\n\r\n", "QUIT\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(proxy_header_begins(bytes_of_text(others[i])));
}

static const struct {
    const char *network, *address;
    bool has;
} networks[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1/32", "192.0.2.1", true},
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"10.0.0.0/8", "10.255.0.1", true},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "::1", false},
    {"::1", "::1", true},
    {"fd00::/8", "fdff::1", true},
    {"fd00::/8", "fe00::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"2001:db8::/33", "2001:db8:7fff::", true},
    {"2001:db8::/33", "2001:db8:8000::", false},
    /* as in Postfix's mynetworks */
    {"[::1]/128", "::1", true},
    {"[fd00::]/8", "fdff::1", true},
    {"[::ffff:127.0.0.0]/104", "127.9.9.9", true},
    {"[::ffff:127.0.0.0]/104", "128.0.0.0", false},
    {"::ffff:192.0.2.0/120", "192.0.2.255", true},
    {"::ffff:192.0.2.0/120", "192.0.3.0", false},
    {"::ffff:192.0.2.1", "192.0.2.1", true},
    /* all of it is this machine */
    {"127.0.0.1/8", "127.255.0.1", true},
    {"127.0.0.1/8", "126.255.255.255", false},
    {"127.1.2.3/16", "127.1.255.255", true},
    {"127.1.2.3/16", "127.2.0.0", false},
};

static void test_networks(void **state)
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "10.0.0.0/33",
                                        "10.0.0.0/",
                                        "10.0.0.0/-1",
                                        "10.0.0.0/8/8",
                                        "10.0.0.1/8",
                                        "10.0.0/8",
                                        "::/129",
                                        "fd00::1/8",
                                        "localhost",
                                        "10.0.0.0 /8",
                                        "10.0.0.0/08x",
                                        "[::1",
                                        "::1]",
                                        "[]",
                                        "[[::1]]",
                                        "127.0.0.1/7",
                                        "::ffff:192.0.2.1/120",
                                        "::ffff:0.0.0.0/95",
                                        "192.0.2.1:25"};
    struct ip_network network;
    const char *why = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(networks); i++) {
        struct route_address address = route_literal(bytes_of_text(networks[i].address));
        assert_int_equal(ip_network_list_has(&networks[i].network, 1, &address), networks[i].has);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(ip_network_parse(bytes_of_text(wrong[i]), &network, &why));
    assert_false(ip_network_list_has(NULL, 0, &(struct route_address){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_complete),
                                       cmocka_unit_test(test_malformed),
                                       cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_checksum),
                                       cmocka_unit_test(test_what_is_no_header),
                                       cmocka_unit_test(test_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
