/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that would cause a loop, or reach no server: their classes, and a route's decision. */
#include "route_steps.h"

static const struct {
    const char *text;
    enum route_reach reach;
} reaches[] = {
    {"192.0.2.1", REACH_SERVER},
    {"10.0.0.1", REACH_SERVER},
    {"172.16.0.1", REACH_SERVER},
    {"192.168.1.1", REACH_SERVER},
    {"100.64.0.1", REACH_SERVER},
    {"1.0.0.0", REACH_SERVER},
    {"126.255.255.255", REACH_SERVER},
    {"128.0.0.0", REACH_SERVER},
    {"169.253.255.255", REACH_SERVER},
    {"169.255.0.0", REACH_SERVER},
    {"223.255.255.255", REACH_SERVER},
    {"2001:db8::1", REACH_SERVER},
    {"fc00::1", REACH_SERVER},
    {"fd12:3456::1", REACH_SERVER},
    {"fec0::1", REACH_SERVER},
    {"::ffff:192.0.2.1", REACH_SERVER},
    {"64:ff9b::192.0.2.1", REACH_SERVER},
    {"64:ff9b:1:c000:2:100::", REACH_SERVER},
    {"2002:c000:201::1", REACH_SERVER},
    {"127.0.0.1", REACH_SELF},
    {"127.255.255.255", REACH_SELF},
    {"127.1.2.3", REACH_SELF},
    {"0.0.0.0", REACH_SELF},
    {"0.1.2.3", REACH_SELF},
    {"::", REACH_SELF},
    {"::1", REACH_SELF},
    {"::127.0.0.1", REACH_SELF},
    {"::ffff:127.0.0.1", REACH_SELF},
    {"::ffff:7f01:203", REACH_SELF},
    {"::ffff:0.0.0.0", REACH_SELF},
    {"::ffff:0:127.0.0.1", REACH_SELF},
    {"64:ff9b::127.0.0.1", REACH_SELF},
    {"64:ff9b:1::127.0.0.1", REACH_SELF},
    {"64:ff9b::", REACH_SELF},
    {"2002:7f00:1::", REACH_SELF},
    {"2002:7f00:1::1", REACH_SELF},
    {"2001::80ff:fffe", REACH_SELF},
    {"198.51.100.7", REACH_SELF},
    {"2001:db8::7", REACH_SELF},
    {"::ffff:198.51.100.7", REACH_SELF},
    {"64:ff9b::198.51.100.7", REACH_SELF},
    {"2002:c633:6407::1", REACH_SELF},
    {"198.51.100.8", REACH_SERVER},
    {"2001:db8::8", REACH_SERVER},
    {"169.254.0.0", REACH_NOBODY},
    {"169.254.169.254", REACH_NOBODY},
    {"::ffff:169.254.169.254", REACH_NOBODY},
    {"fe80::1", REACH_NOBODY},
    {"febf::1", REACH_NOBODY},
    {"224.0.0.1", REACH_NOBODY},
    {"239.255.255.255", REACH_NOBODY},
    {"240.0.0.1", REACH_NOBODY},
    {"255.255.255.255", REACH_NOBODY},
    {"ff02::1", REACH_NOBODY},
    {"ff00::", REACH_NOBODY},
    {"64:ff9b::224.0.0.1", REACH_NOBODY},
    {"2002:f000:1::1", REACH_NOBODY},
};

static void an_address_tells_whom_it_reaches(void **state)
{
    const struct route_address ours[] = {route_literal(BYTES("198.51.100.7")),
                                         route_literal(BYTES("2001:db8::7"))};
    const struct own_addresses own = {ours, ARRAY_LENGTH(ours)};
    for (size_t i = 0; i < ARRAY_LENGTH(reaches); i++) {
        struct route_address address = route_literal(bytes_of_text(reaches[i].text));
        if (route_reach(&address, &own) != reaches[i].reach)
            fail_msg("%s is %d", reaches[i].text, route_reach(&address, &own));
    }
    assert_int_equal(route_reach(&ours[0], NULL), REACH_SERVER);
}

/* A host with these addresses, as texts; NULL ends them. */
static void learn_texts(struct route *route, const char *const *texts)
{
    struct dns_record records[2][8];
    size_t count[2] = {0, 0};
    for (; *texts != NULL; texts++) {
        struct route_address address = route_literal(bytes_of_text(*texts));
        memcpy(records[address.six][count[address.six]++].address, address.octets, 16);
    }
    for (int six = 1; six >= 0; six--) {
        assert_int_equal(route_next(route).kind, ROUTE_ASK);
        route_learn(route, six ? DNS_AAAA : DNS_A, count[six] > 0 ? DNS_FOUND : DNS_NO_DATA, records[six],
                    count[six]);
    }
}

static void our_own_addresses_are_passed_over(void **state)
{
    static const struct {
        const char *addresses[5], *enhanced;
    } alone[] = {{{"127.0.0.1"}, "5.4.6"},
                 {{"0.0.0.0"}, "5.4.6"},
                 {{"::1"}, "5.4.6"},
                 {{"::"}, "5.4.6"},
                 {{"::ffff:127.0.0.1"}, "5.4.6"},
                 {{"198.51.100.7"}, "5.4.6"},
                 {{"127.0.0.1", "224.0.0.1", "fe80::1"}, "5.4.6"},
                 {{"169.254.1.1"}, "5.4.4"},
                 {{"ff02::1", "255.255.255.255"}, "5.4.4"}};
    const struct route_address ours[] = {route_literal(BYTES("198.51.100.7"))};
    const struct own_addresses own = {ours, ARRAY_LENGTH(ours)};
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(20, "b.example.org")};
    struct route route;
    for (size_t i = 0; i < ARRAY_LENGTH(alone); i++) {
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        route_know_own(&route, &own);
        route_learn(&route, DNS_MX, DNS_FOUND, hosts, 1);
        learn_texts(&route, alone[i].addresses);
        expect_end(&route, true, alone[i].enhanced);
    }
    /* the others of the host, and the next host */
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_know_own(&route, &own);
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    learn_texts(&route, (const char *const[]){"127.0.0.1", "192.0.2.1", "198.51.100.7", "::1", NULL});
    expect_try(&route, "a.example.org", "192.0.2.1");
    learn_texts(&route, (const char *const[]){"192.0.2.2", NULL});
    expect_try(&route, "b.example.org", "192.0.2.2");
    expect_end(&route, false, NULL);
    /* one that cannot be looked up now may be the right one */
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    learn_texts(&route, (const char *const[]){"127.0.0.1", NULL});
    for (int i = 0; i < 2; i++)
        route_learn(&route, route_next(&route).type, DNS_SERVER_FAILURE, NULL, 0);
    expect_end(&route, false, "4.4.3");
}

static void every_form_of_the_way_back_is_passed_over(void **state)
{
    static const char *const literals[] = {
        "[127.0.0.1]", "[IPv6:::1]", "[0.0.0.0]", "[IPv6:::ffff:127.0.0.1]", "127.0.0.1", "::1"};
    static const char *const names[] = {"127.0.0.1", "::1", "0.0.0.0"};
    struct route route;
    for (size_t i = 0; i < ARRAY_LENGTH(literals); i++) { /* in the recipient's address */
        route_start(&route, bytes_of_text(literals[i]), BYTES("self"), false, 1);
        expect_end(&route, true, "5.4.6");
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) { /* as the MX itself */
        const struct dns_record host = mx(10, names[i]);
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        route_learn(&route, DNS_MX, DNS_FOUND, &host, 1);
        expect_end(&route, true, "5.4.6");
    }
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1); /* without MX */
    route_learn(&route, DNS_MX, DNS_NO_DATA, NULL, 0);
    learn_texts(&route, (const char *const[]){"127.0.0.1", NULL});
    expect_end(&route, true, "5.4.6");
    /* the configuration knows what it says */
    route_start(&route, BYTES("smtp.example.net"), BYTES("self"), true, 1);
    learn_texts(&route, (const char *const[]){"127.0.0.1", NULL});
    expect_try(&route, "smtp.example.net", "127.0.0.1");
    expect_end(&route, false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_tells_whom_it_reaches),
        cmocka_unit_test(our_own_addresses_are_passed_over),
        cmocka_unit_test(every_form_of_the_way_back_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
