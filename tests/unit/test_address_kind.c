/* SPDX-License-Identifier: Apache-2.0 */
/* Where an address belongs. */
#include "core/diagnosis/address_kind.h"
#include "unit.h"

static const struct {
    const char *text;
    enum fact_address_kind kind;
} cases[] = {
    {"9.255.255.255", ADDRESS_PUBLIC},
    {"10.0.0.0", ADDRESS_PRIVATE},
    {"10.255.255.255", ADDRESS_PRIVATE},
    {"11.0.0.0", ADDRESS_PUBLIC},
    {"0.0.0.0", ADDRESS_UNSPECIFIED},
    {"0.1.2.3", ADDRESS_UNSPECIFIED},
    {"100.63.255.255", ADDRESS_PUBLIC},
    {"100.64.0.0", ADDRESS_SHARED},
    {"100.127.255.255", ADDRESS_SHARED},
    {"100.128.0.0", ADDRESS_PUBLIC},
    {"127.0.0.1", ADDRESS_LOOPBACK},
    {"127.255.255.255", ADDRESS_LOOPBACK},
    {"169.254.169.254", ADDRESS_LINK_LOCAL},
    {"172.15.255.255", ADDRESS_PUBLIC},
    {"172.16.0.0", ADDRESS_PRIVATE},
    {"172.31.255.255", ADDRESS_PRIVATE},
    {"172.32.0.0", ADDRESS_PUBLIC},
    {"172.64.0.0", ADDRESS_CLOUDFLARE},
    {"172.71.255.255", ADDRESS_CLOUDFLARE},
    {"172.72.0.0", ADDRESS_PUBLIC},
    {"192.0.0.8", ADDRESS_PRIVATE},
    {"192.0.0.9", ADDRESS_PUBLIC},
    {"192.0.0.171", ADDRESS_NAT64},
    {"192.0.2.1", ADDRESS_DOCUMENTATION},
    {"192.168.1.1", ADDRESS_PRIVATE},
    {"192.169.0.0", ADDRESS_PUBLIC},
    {"198.17.255.255", ADDRESS_PUBLIC},
    {"198.18.0.1", ADDRESS_BENCHMARK},
    {"198.19.255.255", ADDRESS_BENCHMARK},
    {"198.20.0.0", ADDRESS_PUBLIC},
    {"198.51.100.7", ADDRESS_DOCUMENTATION},
    {"203.0.113.7", ADDRESS_DOCUMENTATION},
    {"224.0.0.1", ADDRESS_MULTICAST},
    {"233.252.0.1", ADDRESS_DOCUMENTATION},
    {"239.255.255.255", ADDRESS_MULTICAST},
    {"240.0.0.0", ADDRESS_UNSPECIFIED},
    {"255.255.255.255", ADDRESS_UNSPECIFIED},
    {"104.15.255.255", ADDRESS_PUBLIC},
    {"104.16.0.0", ADDRESS_CLOUDFLARE},
    {"104.27.255.255", ADDRESS_CLOUDFLARE},
    {"104.28.0.0", ADDRESS_PUBLIC},
    {"::", ADDRESS_UNSPECIFIED},
    {"::1", ADDRESS_LOOPBACK},
    {"::2", ADDRESS_UNSPECIFIED},
    {"::ffff:10.0.0.1", ADDRESS_PRIVATE},
    {"::ffff:8.8.8.8", ADDRESS_PUBLIC},
    {"64:ff9b::808:808", ADDRESS_NAT64},
    {"64:ff9b:1::1", ADDRESS_NAT64},
    {"64:ff9b:2::1", ADDRESS_PUBLIC},
    {"100::1", ADDRESS_UNSPECIFIED},
    {"2001:2::1", ADDRESS_BENCHMARK},
    {"2001:db8::1", ADDRESS_DOCUMENTATION},
    {"3fff:fff::1", ADDRESS_DOCUMENTATION},
    {"2a00:1450:4001:80b::200e", ADDRESS_PUBLIC},
    {"fc00::1", ADDRESS_PRIVATE},
    {"fdff::1", ADDRESS_PRIVATE},
    {"fe80::1", ADDRESS_LINK_LOCAL},
    {"fec0::1", ADDRESS_PRIVATE},
    {"ff02::1", ADDRESS_MULTICAST},
    {"2606:4700::6810:84e5", ADDRESS_CLOUDFLARE},
    {"2606:4701::1", ADDRESS_PUBLIC},
    {"2a06:98c7::1", ADDRESS_CLOUDFLARE},
    {"2a06:98c8::1", ADDRESS_PUBLIC},
    {"", ADDRESS_UNKNOWN},
    {"mail.example.org", ADDRESS_UNKNOWN},
    {"10.0.0", ADDRESS_UNKNOWN},
};

static void each_range_ends_where_it_should(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (address_kind_of_text(bytes_of_text(cases[i].text)) != cases[i].kind)
            fail_msg("%s is %d", cases[i].text, (int)address_kind_of_text(bytes_of_text(cases[i].text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_range_ends_where_it_should)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
