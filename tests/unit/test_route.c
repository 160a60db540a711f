/* SPDX-License-Identifier: Apache-2.0 */
/* The next hop, from facts of DNS alone. */
#include "core/route/port25_monitor.h"
#include "core/route/route_rules.h"
#include "route_steps.h"

static void hosts_are_tried_by_preference_and_looked_up_one_by_one(void **state)
{
    struct route route;
    const struct dns_record hosts[] = {mx(20, "b.example.org"), mx(10, "a.example.org")};
    const struct dns_record sixes[] = {six(1), six(2)}, fours[] = {four(1), four(2)};
    route_start(&route, BYTES("example.org"), BYTES("self.example.net"), false, 1);
    expect_ask(&route, DNS_MX, "example.org");
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    expect_ask(&route, DNS_AAAA, "a.example.org");
    route_learn(&route, DNS_AAAA, DNS_FOUND, sixes, 2);
    expect_ask(&route, DNS_A, "a.example.org");
    route_learn(&route, DNS_A, DNS_FOUND, fours, 2);
    expect_try(&route, "a.example.org", "2001:db8::1"); /* families in turns (RFC 8305 4) */
    expect_try(&route, "a.example.org", "192.0.2.1");
    expect_try(&route, "a.example.org", "2001:db8::2");
    expect_try(&route, "a.example.org", "192.0.2.2");
    expect_ask(&route, DNS_AAAA, "b.example.org");
    route_learn(&route, DNS_AAAA, DNS_NO_DATA, NULL, 0);
    expect_ask(&route, DNS_A, "b.example.org");
    route_learn(&route, DNS_A, DNS_FOUND, fours, 1);
    expect_try(&route, "b.example.org", "192.0.2.1");
    assert_int_equal(route_next(&route).kind, ROUTE_END);
    route_rewind(&route); /* for another port: nothing is asked again */
    expect_try(&route, "a.example.org", "2001:db8::1");
    for (int i = 0; i < 4; i++)
        assert_int_equal(route_next(&route).kind, ROUTE_TRY);
    expect_end(&route, false, NULL);
}

static void without_mx_the_domain_itself_is_the_host(void **state)
{
    struct route route;
    const struct dns_record address = four(9);
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    expect_ask(&route, DNS_MX, "example.org");
    route_learn(&route, DNS_MX, DNS_NO_DATA, NULL, 0);
    expect_ask(&route, DNS_AAAA, "example.org");
    route_learn(&route, DNS_AAAA, DNS_NO_DATA, NULL, 0);
    expect_ask(&route, DNS_A, "example.org");
    route_learn(&route, DNS_A, DNS_FOUND, &address, 1);
    expect_try(&route, "example.org", "192.0.2.9");
    expect_end(&route, false, NULL);
}

static void what_dns_says_of_the_domain_may_end_it(void **state)
{
    static const struct {
        enum dns_status status;
        bool final;
        const char *enhanced;
    } cases[] = {
        {DNS_NXDOMAIN, true, "5.1.2"}, {DNS_SERVER_FAILURE, false, "4.4.3"}, {DNS_BOGUS, false, "4.4.3"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route route;
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        expect_ask(&route, DNS_MX, "example.org");
        route_learn(&route, DNS_MX, cases[i].status, NULL, 0);
        expect_end(&route, cases[i].final, cases[i].enhanced);
    }
}

static void a_null_mx_takes_no_mail(void **state)
{
    struct route route;
    const struct dns_record null = mx(0, ""), both[] = {mx(0, ""), mx(10, "a.example.org")};
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, &null, 1);
    expect_end(&route, true, "5.1.10");
    /* RFC 7505 3: only where it stands alone */
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, both, 2);
    expect_ask(&route, DNS_AAAA, "a.example.org");
    route_free(&route);
}

static void mail_never_comes_back_to_us(void **state)
{
    struct route route;
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(20, "SELF.example.net"),
                                       mx(20, "b.example.org"), mx(30, "c.example.org")};
    const struct dns_record best = mx(5, "self.example.net");
    route_start(&route, BYTES("example.org"), BYTES("self.example.net"), false, 7);
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 4);
    assert_int_equal(route.host_count, 1); /* only those better than we are (RFC 5321 5.1) */
    assert_text(route.hosts[0].name, "a.example.org");
    route_free(&route);
    route_start(&route, BYTES("example.org"), BYTES("self.example.net"), false, 7);
    route_learn(&route, DNS_MX, DNS_FOUND, &best, 1);
    expect_end(&route, true, "5.4.6");
    route_start(&route, BYTES("self.example.net"), BYTES("self.example.net"), false, 7);
    route_learn(&route, DNS_MX, DNS_NO_DATA, NULL, 0);
    expect_end(&route, true, "5.4.6");
}

static void hosts_without_an_address(void **state)
{
    static const struct {
        enum dns_status six, four;
        bool final;
        const char *enhanced;
    } cases[] = {{DNS_NO_DATA, DNS_NO_DATA, true, "5.4.4"},
                 {DNS_NXDOMAIN, DNS_NXDOMAIN, true, "5.4.4"},
                 {DNS_NO_DATA, DNS_SERVER_FAILURE, false, "4.4.3"},
                 {DNS_BOGUS, DNS_NO_DATA, false, "4.4.3"}};
    const struct dns_record host = mx(10, "a.example.org");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route route;
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        route_learn(&route, DNS_MX, DNS_FOUND, &host, 1);
        expect_ask(&route, DNS_AAAA, "a.example.org");
        route_learn(&route, DNS_AAAA, cases[i].six, NULL, 0);
        expect_ask(&route, DNS_A, "a.example.org");
        route_learn(&route, DNS_A, cases[i].four, NULL, 0);
        expect_end(&route, cases[i].final, cases[i].enhanced);
    }
}

static void literals_and_smarthosts_need_no_mx(void **state)
{
    struct route route;
    const struct dns_record address = four(1);
    route_start(&route, BYTES("[192.0.2.7]"), BYTES("self"), false, 1);
    expect_try(&route, "192.0.2.7", "192.0.2.7");
    expect_end(&route, false, NULL);
    route_start(&route, BYTES("[IPv6:2001:DB8:0:0:1::1]"), BYTES("self"), false, 1);
    expect_try(&route, "2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"); /* RFC 5952 4.2.3: the first of equals */
    expect_end(&route, false, NULL);
    route_start(&route, BYTES("smtp.example.net"), BYTES("smtp.example.net"), true, 1);
    expect_ask(&route, DNS_AAAA, "smtp.example.net");
    route_learn(&route, DNS_AAAA, DNS_SERVER_FAILURE, NULL, 0);
    expect_ask(&route, DNS_A, "smtp.example.net");
    route_learn(&route, DNS_A, DNS_FOUND, &address, 1);
    expect_try(&route, "smtp.example.net", "192.0.2.1");
    expect_end(&route, false, NULL);
    route_start(&route, BYTES("127.0.0.1"), BYTES("self"), true, 1);
    expect_try(&route, "127.0.0.1", "127.0.0.1");
    expect_end(&route, false, NULL);
}

static void equals_are_tried_in_an_order_that_chance_gives(void **state)
{
    unsigned first[3] = {0};
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(10, "b.example.org"),
                                       mx(10, "c.example.org")};
    for (uint64_t random = 0; random < 600; random++) {
        struct route route;
        route_start(&route, BYTES("example.org"), BYTES("self"), false,
                    random * UINT64_C(0x9e3779b97f4a7c15));
        route_learn(&route, DNS_MX, DNS_FOUND, hosts, 3);
        first[route.hosts[0].name.at[0] - 'a']++;
        route_free(&route);
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(first[i], 100, 400);
}

/* ---- names ---- */

static void names_are_taken_as_postfix_takes_them(void **state)
{
    static const char *const taken[] = {"_dc-mx.0123abcd.example.com", "my_host.example.com", "mail_relay",
                                        "mx1", "MX_1.Example.Com"};
    static const char *const passed_over[] = {"a b.example",
                                              "a/b.example",
                                              "a..example",
                                              "-a.example",
                                              "1.2.3",
                                              "222.501.285.45",
                                              "a\n.example",
                                              ("b\xc3\xbc"
                                               "cher.example")};
    struct route route;
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
        const struct dns_record host = mx(10, taken[i]);
        route_start(&route, BYTES("my_domain.example"), BYTES("self"), false, 1);
        expect_ask(&route, DNS_MX, "my_domain.example");
        route_learn(&route, DNS_MX, DNS_FOUND, &host, 1);
        expect_ask(&route, DNS_AAAA, taken[i]);
        route_free(&route);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(passed_over); i++) {
        const struct dns_record hosts[] = {mx(10, passed_over[i]), mx(20, "b.example.org")};
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
        expect_ask(&route, DNS_AAAA, "b.example.org");
        route_free(&route);
    }
    const struct dns_record address = mx(10, "192.0.2.5");
    /* wrong, and it works with everybody */
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, &address, 1);
    expect_try(&route, "192.0.2.5", "192.0.2.5");
    expect_end(&route, false, NULL);
    char name[LABEL_MAX + 1];
    memset(name, 'a', sizeof name);
    const struct dns_record too_long = {.preference = 10, .name = bytes_of(name, sizeof name)};
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, &too_long, 1);
    expect_end(&route, true, "5.4.4");
}

/* ---- does 25 work from here? ---- */

static void silent_servers_in_a_row_tell_a_block(void **state)
{
    struct port25_monitor direct = {0};
    struct port25_server servers[] = {
        {{192, 0, 2, 1}, false}, {{192, 0, 2, 2}, false}, {{0x20, 1, 0x0d, 0xb8, [15] = 1}, true}};
    assert_false(port25_monitor_was_silent(&direct, &servers[0], 1000));
    assert_false(port25_monitor_was_silent(&direct, &servers[0], 2000)); /* the same again proves nothing */
    assert_false(port25_monitor_was_silent(&direct, &servers[1], 3000));
    assert_false(port25_monitor_reached(&direct)); /* somebody answers: it is they who are silent */
    for (size_t i = 0; i < 2; i++)
        assert_false(port25_monitor_was_silent(&direct, &servers[i], 4000));
    assert_null(port25_monitor_probe(&direct, 4000));
    assert_true(port25_monitor_was_silent(&direct, &servers[2], 5000));
    assert_true(direct.blocked);
    assert_false(port25_monitor_was_silent(&direct, &servers[2], 6000)); /* told once */
    assert_null(port25_monitor_probe(&direct, 5000 + PORT25_MONITOR_PROBE_MS - 1));
    const struct port25_server *first = port25_monitor_probe(&direct, 5000 + PORT25_MONITOR_PROBE_MS);
    assert_non_null(first);
    assert_null(port25_monitor_probe(&direct, 5000 + PORT25_MONITOR_PROBE_MS + 1)); /* one look at a time */
    /* and not at one server alone */
    assert_ptr_not_equal(port25_monitor_probe(&direct, 5000 + 2 * PORT25_MONITOR_PROBE_MS), first);
    assert_true(port25_monitor_reached(&direct));
    assert_false(direct.blocked || port25_monitor_reached(&direct));
}

static void addresses_of_a_host_may_be_tried_side_by_side(void **state)
{
    struct route route;
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(20, "b.example.org")},
                            fours[] = {four(1), four(2), four(3), four(4)};
    size_t count;
    route_start(&route, BYTES("example.org"), BYTES("self.example.net"), false, 1);
    route_next(&route);
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    expect_ask(&route, DNS_AAAA, "a.example.org");
    route_learn(&route, DNS_AAAA, DNS_NO_DATA, NULL, 0);
    expect_ask(&route, DNS_A, "a.example.org");
    route_learn(&route, DNS_A, DNS_FOUND, fours, 4);
    expect_try(&route, "a.example.org", "192.0.2.1");
    assert_int_equal(route_side_by_side(&route, &count)[3].octets[3], 4);
    assert_int_equal(count, 4);
    route_took(&route, 2);
    assert_int_equal(route_side_by_side(&route, &count)[0].octets[3], 3);
    /* the one not tried yet, before those that were silent */
    expect_try(&route, "a.example.org", "192.0.2.4");
    route_side_by_side(&route, &count);
    assert_int_equal(count, 3);
    route_tried(&route, 3);
    expect_ask(&route, DNS_AAAA, "b.example.org");
    route_free(&route);
}

static void the_most_exact_rule_holds(void **state)
{
    const struct route_rule list[] = {
        {.domain = "*", .via = RELAY_SMARTHOST},
        {.domain = "*.example.net", .rate = 1},
        {.domain = "*.deep.example.net", .rate = 2},
        {.domain = "a.deep.example.net", .rate = 3},
        {.domain = "example.com", .via = RELAY_HOST, .host = "mx.inside.example"}};
    static const struct {
        const char *domain;
        size_t rule;
    } cases[] = {{"example.com", 4},          {"www.example.com", 0},    {"example.net", 0},
                 {"a.example.net", 1},        {"badexample.net", 0},     {"a.b.example.net", 1},
                 {"deep.example.net", 1},     {"b.deep.example.net", 2}, {"a.deep.example.net", 3},
                 {"b.a.deep.example.net", 2}, {"[192.0.2.1]", 0},        {".example.net", 0}};
    struct route_rules rules = {.via = RELAY_MX, .rules = list, .count = ARRAY_LENGTH(list)};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_ptr_equal(route_rules_find(&rules, bytes_of_text(cases[i].domain)), &list[cases[i].rule]);
    rules.rules++; /* without the one for all others */
    rules.count--;
    assert_null(route_rules_find(&rules, BYTES("example.org")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_servers_in_a_row_tell_a_block),
        cmocka_unit_test(the_most_exact_rule_holds),
        cmocka_unit_test(addresses_of_a_host_may_be_tried_side_by_side),
        cmocka_unit_test(hosts_are_tried_by_preference_and_looked_up_one_by_one),
        cmocka_unit_test(without_mx_the_domain_itself_is_the_host),
        cmocka_unit_test(what_dns_says_of_the_domain_may_end_it),
        cmocka_unit_test(a_null_mx_takes_no_mail),
        cmocka_unit_test(mail_never_comes_back_to_us),
        cmocka_unit_test(hosts_without_an_address),
        cmocka_unit_test(literals_and_smarthosts_need_no_mx),
        cmocka_unit_test(equals_are_tried_in_an_order_that_chance_gives),
        cmocka_unit_test(names_are_taken_as_postfix_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
