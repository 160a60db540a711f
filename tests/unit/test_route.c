/* SPDX-License-Identifier: Apache-2.0 */
/* The next hop, from facts of DNS alone. */
#include "unit.h"

#include "route/direct.h"
#include "route/route.h"
#include "route/rules.h"

#include <stdio.h>
#include <stdlib.h>

static struct dns_record mx(uint16_t preference, const char *name)
{
    return (struct dns_record){.preference = preference, .name = bytes_of_text(name)};
}

static struct dns_record four(uint8_t last) { return (struct dns_record){.address = {192, 0, 2, last}}; }
static struct dns_record six(uint8_t last) { return (struct dns_record){.address = {0x20, 1, 0xd, 0xb8, [15] = last}}; }

static void expect_ask(struct route *route, enum dns_type type, const char *name)
{
    struct route_answer answer = route_next(route);
    assert_int_equal(answer.kind, ROUTE_ASK);
    assert_int_equal(answer.type, type);
    assert_text(answer.name, name);
}

static void expect_try(struct route *route, const char *name, const char *address)
{
    struct route_answer answer = route_next(route);
    struct buffer text = {0};
    assert_int_equal(answer.kind, ROUTE_TRY);
    assert_text(answer.name, name);
    route_address_text(&text, &answer.address);
    assert_text(buffer_bytes(&text), address);
    buffer_free(&text);
}

static void expect_end(struct route *route, bool final, const char *enhanced)
{
    struct route_answer answer = route_next(route);
    assert_int_equal(answer.kind, ROUTE_END);
    assert_int_equal(answer.final, final);
    if (enhanced == NULL)
        assert_null(answer.reason);
    else
        assert_string_equal(answer.enhanced, enhanced);
    route_free(route);
}

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
    static const struct { enum dns_status status; bool final; const char *enhanced; } cases[] = {
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
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1); /* RFC 7505 3: only where it stands alone */
    route_learn(&route, DNS_MX, DNS_FOUND, both, 2);
    expect_ask(&route, DNS_AAAA, "a.example.org");
    route_free(&route);
}

static void mail_never_comes_back_to_us(void **state)
{
    struct route route;
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(20, "SELF.example.net"), mx(20, "b.example.org"), mx(30, "c.example.org")};
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
    static const struct { enum dns_status six, four; bool final; const char *enhanced; } cases[] = {
        {DNS_NO_DATA, DNS_NO_DATA, true, "5.4.4"}, {DNS_NXDOMAIN, DNS_NXDOMAIN, true, "5.4.4"}, {DNS_NO_DATA, DNS_SERVER_FAILURE, false, "4.4.3"},
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
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(10, "b.example.org"), mx(10, "c.example.org")};
    for (uint64_t random = 0; random < 600; random++) {
        struct route route;
        route_start(&route, BYTES("example.org"), BYTES("self"), false, random * UINT64_C(0x9e3779b97f4a7c15));
        route_learn(&route, DNS_MX, DNS_FOUND, hosts, 3);
        first[route.hosts[0].name.at[0] - 'a']++;
        route_free(&route);
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(first[i], 100, 400);
}

/* ---- how much a domain may make us do ---- */

enum { MANY = 1000 };

/* Names h000.example ... with these preferences; each looked up has one address, its number. */
struct many {
    struct dns_record records[MANY];
    char names[MANY][16];
};

static struct many *many_hosts(size_t count, uint16_t preference, uint16_t step)
{
    static struct many many;
    for (size_t i = 0; i < count; i++) {
        snprintf(many.names[i], sizeof many.names[i], "h%03zu.example", i);
        many.records[i] = mx((uint16_t)(preference + i * step), many.names[i]);
    }
    return &many;
}

/* All that is tried, as the numbers in the names; how many they are. */
static size_t try_all(struct route *route, size_t *tried, size_t tried_max)
{
    size_t count = 0, asked = 0;
    for (;;) {
        struct route_answer answer = route_next(route);
        if (answer.kind == ROUTE_END)
            return count;
        if (answer.kind == ROUTE_ASK) {
            const struct dns_record address = four(9);
            assert_true(++asked <= 2 * ROUTE_HOSTS_MAX);
            route_learn(route, answer.type, answer.type == DNS_A ? DNS_FOUND : DNS_NO_DATA, &address, answer.type == DNS_A ? 1 : 0);
            continue;
        }
        assert_true(count < tried_max);
        tried[count++] = (size_t)strtoul(answer.name.at + 1, NULL, 10);
    }
}

static void of_many_hosts_the_best_are_tried(void **state)
{
    static const size_t counts[] = {16, 17, ROUTE_HOSTS_MAX - 1, ROUTE_HOSTS_MAX, ROUTE_HOSTS_MAX + 1, MANY};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct route route;
        size_t tried[ROUTE_HOSTS_MAX], wanted = counts[i] < ROUTE_HOSTS_MAX ? counts[i] : ROUTE_HOSTS_MAX;
        struct many *many = many_hosts(counts[i], 10, 1);
        for (size_t k = 0; k < counts[i] / 2; k++) { /* the best comes last */
            struct dns_record other = many->records[k];
            many->records[k] = many->records[counts[i] - 1 - k];
            many->records[counts[i] - 1 - k] = other;
        }
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        expect_ask(&route, DNS_MX, "example.org");
        route_learn(&route, DNS_MX, DNS_FOUND, many->records, counts[i]);
        assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), wanted);
        for (size_t k = 0; k < wanted; k++)
            assert_int_equal(tried[k], k);
        expect_end(&route, false, NULL);
    }
}

static void of_many_equals_each_has_its_turn_in_some_attempt(void **state)
{
    static unsigned turns[MANY];
    struct many *many = many_hosts(MANY, 10, 0);
    for (uint64_t attempt = 0; attempt < 1000; attempt++) {
        struct route route;
        size_t tried[ROUTE_HOSTS_MAX];
        route_start(&route, BYTES("example.org"), BYTES("self"), false, attempt * UINT64_C(0x9e3779b97f4a7c15));
        route_learn(&route, DNS_MX, DNS_FOUND, many->records, MANY);
        assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), ROUTE_HOSTS_MAX);
        for (size_t k = 0; k < ROUTE_HOSTS_MAX; k++)
            turns[tried[k]]++;
        route_free(&route);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_in_range(turns[i], 15, 110); /* 50 on average */
}

/* What fifty of them are says nothing of the others: the message waits. */
static void none_of_too_many_is_not_the_end(void **state)
{
    static const struct { size_t count; bool final; const char *enhanced; } cases[] = {
        {ROUTE_HOSTS_MAX, true, "5.4.4"}, {ROUTE_HOSTS_MAX + 1, false, "4.4.4"}, {MANY, false, "4.4.4"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route route;
        struct many *many = many_hosts(cases[i].count, 10, (uint16_t)(i % 2));
        route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
        route_learn(&route, DNS_MX, DNS_FOUND, many->records, cases[i].count);
        for (size_t asked = 0; asked < 2 * ROUTE_HOSTS_MAX; asked++) {
            struct route_answer answer = route_next(&route);
            assert_int_equal(answer.kind, ROUTE_ASK);
            route_learn(&route, answer.type, DNS_NXDOMAIN, NULL, 0);
        }
        expect_end(&route, cases[i].final, cases[i].enhanced);
    }
}

static void a_host_named_twice_is_tried_once(void **state)
{
    struct route route;
    size_t tried[ROUTE_HOSTS_MAX];
    struct many *many = many_hosts(MANY, 10, 1);
    for (size_t i = 0; i < MANY - 1; i++) /* does not crowd the last one out */
        many->records[i].name = BYTES("h000.example");
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, many->records, MANY);
    assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), 2);
    assert_int_equal(tried[0], 0);
    assert_int_equal(tried[1], MANY - 1);
    route_free(&route);
}

/* The addresses of one host that are tried, of so many that DNS tells. */
static size_t try_addresses(struct route *route, size_t sixes, size_t fours, uint64_t random, bool *seen, size_t *six_count)
{
    static struct dns_record records[2][MANY];
    const struct dns_record host = mx(10, "a.example.org");
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        records[0][i] = (struct dns_record){.address = {0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(i >> 8), (uint8_t)i}};
        records[1][i] = (struct dns_record){.address = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
    }
    *six_count = 0;
    route_start(route, BYTES("example.org"), BYTES("self"), false, random);
    route_learn(route, DNS_MX, DNS_FOUND, &host, 1);
    expect_ask(route, DNS_AAAA, "a.example.org");
    route_learn(route, DNS_AAAA, sixes > 0 ? DNS_FOUND : DNS_NO_DATA, records[0], sixes);
    route_learn(route, DNS_A, fours > 0 ? DNS_FOUND : DNS_NO_DATA, records[1], fours);
    for (struct route_answer answer; (answer = route_next(route)).kind == ROUTE_TRY; count++) {
        const uint8_t *last = answer.address.octets + (answer.address.six ? 14 : 2);
        *six_count += answer.address.six ? 1 : 0;
        if (!answer.address.six)
            seen[last[0] << 8 | last[1]] = true;
    }
    return count;
}

static void of_many_addresses_both_families_are_tried(void **state)
{
    static const struct { size_t sixes, fours, tried, tried_six; } cases[] = {
        {0, 16, 16, 0}, {0, 17, 17, 0}, {0, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX, 0}, {0, ROUTE_ADDRESSES_MAX + 1, ROUTE_ADDRESSES_MAX, 0},
        {0, MANY, ROUTE_ADDRESSES_MAX, 0}, {MANY, 0, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX}, {MANY, MANY, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX / 2},
        {1, MANY, ROUTE_ADDRESSES_MAX, 1}, {MANY, 1, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX - 1}, {20, 30, 50, 20}, {30, 20, 50, 30}, {26, 25, 50, 25}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route route;
        static bool seen[MANY];
        size_t sixes;
        assert_int_equal(try_addresses(&route, cases[i].sixes, cases[i].fours, i, seen, &sixes), cases[i].tried);
        assert_int_equal(sixes, cases[i].tried_six);
        route_free(&route);
    }
}

static void of_many_addresses_each_is_tried_in_some_attempt(void **state)
{
    bool seen[MANY] = {false};
    struct route route;
    size_t sixes;
    for (uint64_t attempt = 0; attempt < 1000; attempt++) {
        try_addresses(&route, 3, MANY, attempt * UINT64_C(0x9e3779b97f4a7c15), seen, &sixes);
        route_free(&route);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_true(seen[i]);
}

static void each_host_has_its_share_of_the_addresses(void **state)
{
    struct route route;
    struct many *many = many_hosts(ROUTE_HOSTS_MAX, 10, 1);
    static struct dns_record addresses[MANY];
    size_t tried[ROUTE_HOSTS_MAX] = {0};
    for (size_t i = 0; i < MANY; i++)
        addresses[i] = (struct dns_record){.address = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, many->records, ROUTE_HOSTS_MAX);
    for (struct route_answer answer; (answer = route_next(&route)).kind != ROUTE_END;) {
        if (answer.kind == ROUTE_ASK)
            route_learn(&route, answer.type, DNS_FOUND, addresses, MANY);
        else
            tried[strtoul(answer.name.at + 1, NULL, 10)]++;
    }
    assert_int_equal(tried[0], ROUTE_ADDRESSES_MAX);
    for (size_t i = 1; i < ROUTE_HOSTS_MAX; i++)
        assert_int_equal(tried[i], ROUTE_ADDRESSES_EACH);
    route_free(&route);
}

/* ---- mail that would come back to us, or go nowhere ---- */

static void an_address_tells_whom_it_reaches(void **state)
{
    static const struct { const char *text; enum route_reach reach; } cases[] = {
        {"192.0.2.1", REACH_SERVER}, {"10.0.0.1", REACH_SERVER}, {"172.16.0.1", REACH_SERVER}, {"192.168.1.1", REACH_SERVER}, {"100.64.0.1", REACH_SERVER},
        {"1.0.0.0", REACH_SERVER}, {"126.255.255.255", REACH_SERVER}, {"128.0.0.0", REACH_SERVER}, {"169.253.255.255", REACH_SERVER}, {"169.255.0.0", REACH_SERVER},
        {"223.255.255.255", REACH_SERVER}, {"2001:db8::1", REACH_SERVER}, {"fc00::1", REACH_SERVER}, {"fd12:3456::1", REACH_SERVER}, {"fec0::1", REACH_SERVER},
        {"::ffff:192.0.2.1", REACH_SERVER}, {"64:ff9b::192.0.2.1", REACH_SERVER}, {"64:ff9b:1:c000:2:100::", REACH_SERVER}, {"2002:c000:201::1", REACH_SERVER},
        {"127.0.0.1", REACH_SELF}, {"127.255.255.255", REACH_SELF}, {"127.1.2.3", REACH_SELF}, {"0.0.0.0", REACH_SELF}, {"0.1.2.3", REACH_SELF},
        {"::", REACH_SELF}, {"::1", REACH_SELF}, {"::127.0.0.1", REACH_SELF}, {"::ffff:127.0.0.1", REACH_SELF}, {"::ffff:7f01:203", REACH_SELF}, {"::ffff:0.0.0.0", REACH_SELF},
        {"::ffff:0:127.0.0.1", REACH_SELF}, {"64:ff9b::127.0.0.1", REACH_SELF}, {"64:ff9b:1::127.0.0.1", REACH_SELF}, {"64:ff9b::", REACH_SELF},
        {"2002:7f00:1::", REACH_SELF}, {"2002:7f00:1::1", REACH_SELF}, {"2001::80ff:fffe", REACH_SELF},
        {"198.51.100.7", REACH_SELF}, {"2001:db8::7", REACH_SELF}, {"::ffff:198.51.100.7", REACH_SELF}, {"64:ff9b::198.51.100.7", REACH_SELF}, {"2002:c633:6407::1", REACH_SELF},
        {"198.51.100.8", REACH_SERVER}, {"2001:db8::8", REACH_SERVER},
        {"169.254.0.0", REACH_NOBODY}, {"169.254.169.254", REACH_NOBODY}, {"::ffff:169.254.169.254", REACH_NOBODY}, {"fe80::1", REACH_NOBODY}, {"febf::1", REACH_NOBODY},
        {"224.0.0.1", REACH_NOBODY}, {"239.255.255.255", REACH_NOBODY}, {"240.0.0.1", REACH_NOBODY}, {"255.255.255.255", REACH_NOBODY}, {"ff02::1", REACH_NOBODY},
        {"ff00::", REACH_NOBODY}, {"64:ff9b::224.0.0.1", REACH_NOBODY}, {"2002:f000:1::1", REACH_NOBODY},
    };
    const struct route_address ours[] = {route_literal(BYTES("198.51.100.7")), route_literal(BYTES("2001:db8::7"))};
    const struct own_addresses own = {ours, ARRAY_LENGTH(ours)};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route_address address = route_literal(bytes_of_text(cases[i].text));
        if (route_reach(&address, &own) != cases[i].reach)
            fail_msg("%s is %d", cases[i].text, route_reach(&address, &own));
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
        route_learn(route, six ? DNS_AAAA : DNS_A, count[six] > 0 ? DNS_FOUND : DNS_NO_DATA, records[six], count[six]);
    }
}

static void our_own_addresses_are_passed_over(void **state)
{
    static const struct { const char *addresses[5], *enhanced; } alone[] = {
        {{"127.0.0.1"}, "5.4.6"}, {{"0.0.0.0"}, "5.4.6"}, {{"::1"}, "5.4.6"}, {{"::"}, "5.4.6"}, {{"::ffff:127.0.0.1"}, "5.4.6"}, {{"198.51.100.7"}, "5.4.6"},
        {{"127.0.0.1", "224.0.0.1", "fe80::1"}, "5.4.6"}, {{"169.254.1.1"}, "5.4.4"}, {{"ff02::1", "255.255.255.255"}, "5.4.4"}};
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
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1); /* the others of the host, and the next host */
    route_know_own(&route, &own);
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    learn_texts(&route, (const char *const[]){"127.0.0.1", "192.0.2.1", "198.51.100.7", "::1", NULL});
    expect_try(&route, "a.example.org", "192.0.2.1");
    learn_texts(&route, (const char *const[]){"192.0.2.2", NULL});
    expect_try(&route, "b.example.org", "192.0.2.2");
    expect_end(&route, false, NULL);
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1); /* one that cannot be looked up now may be the right one */
    route_learn(&route, DNS_MX, DNS_FOUND, hosts, 2);
    learn_texts(&route, (const char *const[]){"127.0.0.1", NULL});
    for (int i = 0; i < 2; i++)
        route_learn(&route, route_next(&route).type, DNS_SERVER_FAILURE, NULL, 0);
    expect_end(&route, false, "4.4.3");
}

static void every_form_of_the_way_back_is_passed_over(void **state)
{
    static const char *const literals[] = {"[127.0.0.1]", "[IPv6:::1]", "[0.0.0.0]", "[IPv6:::ffff:127.0.0.1]", "127.0.0.1", "::1"};
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
    route_start(&route, BYTES("smtp.example.net"), BYTES("self"), true, 1); /* the configuration knows what it says */
    learn_texts(&route, (const char *const[]){"127.0.0.1", NULL});
    expect_try(&route, "smtp.example.net", "127.0.0.1");
    expect_end(&route, false, NULL);
}

/* ---- names ---- */

static void names_are_taken_as_postfix_takes_them(void **state)
{
    static const char *const taken[] = {"_dc-mx.0123abcd.example.com", "my_host.example.com", "mail_relay", "mx1", "MX_1.Example.Com"};
    static const char *const passed_over[] = {"a b.example", "a/b.example", "a..example", "-a.example", "1.2.3", "222.501.285.45", "a\n.example", "b\xc3\xbc" "cher.example"};
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
    route_start(&route, BYTES("example.org"), BYTES("self"), false, 1); /* wrong, and it works with everybody */
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

static void our_own_name_counts_beyond_the_limit_too(void **state)
{
    struct route route;
    size_t tried[ROUTE_HOSTS_MAX];
    struct many *many = many_hosts(MANY, 10, 0);
    many->records[MANY - 1] = mx(10, "Self.example"); /* equals of ours may not be tried, whichever chance picks */
    many->records[MANY - 2] = mx(5, "h007.example");
    route_start(&route, BYTES("example.org"), BYTES("self.example"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, many->records, MANY);
    assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), 1);
    assert_int_equal(tried[0], 7);
    route_free(&route);
}

/* ---- does 25 work from here? ---- */

static void silent_servers_in_a_row_tell_a_block(void **state)
{
    struct direct direct = {0};
    struct direct_server servers[] = {{{192, 0, 2, 1}, false}, {{192, 0, 2, 2}, false}, {{0x20, 1, 0x0d, 0xb8, [15] = 1}, true}};
    assert_false(direct_was_silent(&direct, &servers[0], 1000));
    assert_false(direct_was_silent(&direct, &servers[0], 2000)); /* the same again proves nothing */
    assert_false(direct_was_silent(&direct, &servers[1], 3000));
    assert_false(direct_reached(&direct)); /* somebody answers: it is they who are silent */
    for (size_t i = 0; i < 2; i++)
        assert_false(direct_was_silent(&direct, &servers[i], 4000));
    assert_null(direct_probe(&direct, 4000));
    assert_true(direct_was_silent(&direct, &servers[2], 5000));
    assert_true(direct.blocked);
    assert_false(direct_was_silent(&direct, &servers[2], 6000)); /* told once */
    assert_null(direct_probe(&direct, 5000 + DIRECT_PROBE_MS - 1));
    const struct direct_server *first = direct_probe(&direct, 5000 + DIRECT_PROBE_MS);
    assert_non_null(first);
    assert_null(direct_probe(&direct, 5000 + DIRECT_PROBE_MS + 1)); /* one look at a time */
    assert_ptr_not_equal(direct_probe(&direct, 5000 + 2 * DIRECT_PROBE_MS), first); /* and not at one server alone */
    assert_true(direct_reached(&direct));
    assert_false(direct.blocked || direct_reached(&direct));
}

static void addresses_of_a_host_may_be_tried_side_by_side(void **state)
{
    struct route route;
    const struct dns_record hosts[] = {mx(10, "a.example.org"), mx(20, "b.example.org")}, fours[] = {four(1), four(2), four(3), four(4)};
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
    expect_try(&route, "a.example.org", "192.0.2.4"); /* the one not tried yet, before those that were silent */
    route_side_by_side(&route, &count);
    assert_int_equal(count, 3);
    route_tried(&route, 3);
    expect_ask(&route, DNS_AAAA, "b.example.org");
    route_free(&route);
}

static void the_most_exact_rule_holds(void **state)
{
    const struct route_rule list[] = {
        {.domain = "*", .via = RELAY_SMARTHOST}, {.domain = "*.example.net", .rate = 1}, {.domain = "*.deep.example.net", .rate = 2},
        {.domain = "a.deep.example.net", .rate = 3}, {.domain = "example.com", .via = RELAY_HOST, .host = "mx.inside.example"}};
    static const struct { const char *domain; size_t rule; } cases[] = {
        {"example.com", 4}, {"www.example.com", 0}, {"example.net", 0}, {"a.example.net", 1}, {"badexample.net", 0}, {"a.b.example.net", 1}, {"deep.example.net", 1},
        {"b.deep.example.net", 2}, {"a.deep.example.net", 3}, {"b.a.deep.example.net", 2}, {"[192.0.2.1]", 0}, {".example.net", 0}};
    struct route_rules rules = {.via = RELAY_MX, .rules = list, .count = ARRAY_LENGTH(list)};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_ptr_equal(rules_find(&rules, bytes_of_text(cases[i].domain)), &list[cases[i].rule]);
    assert_int_equal(rules_via(&rules, BYTES("example.com")), RELAY_HOST);
    rules.rules++; /* without the one for all others */
    rules.count--;
    assert_null(rules_find(&rules, BYTES("example.org")));
    assert_int_equal(rules_via(&rules, BYTES("example.org")), RELAY_MX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_servers_in_a_row_tell_a_block), cmocka_unit_test(the_most_exact_rule_holds), cmocka_unit_test(addresses_of_a_host_may_be_tried_side_by_side),
        cmocka_unit_test(hosts_are_tried_by_preference_and_looked_up_one_by_one), cmocka_unit_test(without_mx_the_domain_itself_is_the_host),
        cmocka_unit_test(what_dns_says_of_the_domain_may_end_it), cmocka_unit_test(a_null_mx_takes_no_mail), cmocka_unit_test(mail_never_comes_back_to_us),
        cmocka_unit_test(hosts_without_an_address), cmocka_unit_test(literals_and_smarthosts_need_no_mx),
        cmocka_unit_test(equals_are_tried_in_an_order_that_chance_gives), cmocka_unit_test(of_many_hosts_the_best_are_tried), cmocka_unit_test(of_many_equals_each_has_its_turn_in_some_attempt),
        cmocka_unit_test(a_host_named_twice_is_tried_once), cmocka_unit_test(none_of_too_many_is_not_the_end), cmocka_unit_test(of_many_addresses_both_families_are_tried),
        cmocka_unit_test(of_many_addresses_each_is_tried_in_some_attempt), cmocka_unit_test(each_host_has_its_share_of_the_addresses),
        cmocka_unit_test(an_address_tells_whom_it_reaches), cmocka_unit_test(our_own_addresses_are_passed_over),
        cmocka_unit_test(every_form_of_the_way_back_is_passed_over), cmocka_unit_test(names_are_taken_as_postfix_takes_them),
        cmocka_unit_test(our_own_name_counts_beyond_the_limit_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
