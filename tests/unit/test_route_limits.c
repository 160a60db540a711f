/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the work that a domain can cause: hosts and addresses at, above, and far above them. */
#include <stdio.h>
#include <stdlib.h>

#include "route_steps.h"

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

/* Returns all hosts tried, by the numbers in their names, and their count. */
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
            route_learn(route, answer.type, answer.type == DNS_A ? DNS_FOUND : DNS_NO_DATA, &address,
                        answer.type == DNS_A ? 1 : 0);
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
        route_start(&route, BYTES("example.org"), BYTES("self"), false,
                    attempt * UINT64_C(0x9e3779b97f4a7c15));
        route_learn(&route, DNS_MX, DNS_FOUND, many->records, MANY);
        assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), ROUTE_HOSTS_MAX);
        for (size_t k = 0; k < ROUTE_HOSTS_MAX; k++)
            turns[tried[k]]++;
        route_free(&route);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_in_range(turns[i], 15, 110); /* 50 on average */
}

/* Failures of fifty of them say nothing about the others: the message waits. */
static void none_of_too_many_is_not_the_end(void **state)
{
    static const struct {
        size_t count;
        bool final;
        const char *enhanced;
    } cases[] = {
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

/* Returns the addresses tried of one host with so many. */
static size_t try_addresses(struct route *route, size_t sixes, size_t fours, uint64_t random, bool *seen,
                            size_t *six_count)
{
    static struct dns_record records[2][MANY];
    const struct dns_record host = mx(10, "a.example.org");
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        records[0][i] = (struct dns_record){
            .address = {0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(i >> 8), (uint8_t)i}};
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
    static const struct {
        size_t sixes, fours, tried, tried_six;
    } cases[] = {{0, 16, 16, 0},
                 {0, 17, 17, 0},
                 {0, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX, 0},
                 {0, ROUTE_ADDRESSES_MAX + 1, ROUTE_ADDRESSES_MAX, 0},
                 {0, MANY, ROUTE_ADDRESSES_MAX, 0},
                 {MANY, 0, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX},
                 {MANY, MANY, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX / 2},
                 {1, MANY, ROUTE_ADDRESSES_MAX, 1},
                 {MANY, 1, ROUTE_ADDRESSES_MAX, ROUTE_ADDRESSES_MAX - 1},
                 {20, 30, 50, 20},
                 {30, 20, 50, 30},
                 {26, 25, 50, 25}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct route route;
        static bool seen[MANY];
        size_t sixes;
        assert_int_equal(try_addresses(&route, cases[i].sixes, cases[i].fours, i, seen, &sixes),
                         cases[i].tried);
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

static void our_own_name_counts_beyond_the_limit_too(void **state)
{
    struct route route;
    size_t tried[ROUTE_HOSTS_MAX];
    struct many *many = many_hosts(MANY, 10, 0);
    /* equals of ours may not be tried, whichever chance picks */
    many->records[MANY - 1] = mx(10, "Self.example");
    many->records[MANY - 2] = mx(5, "h007.example");
    route_start(&route, BYTES("example.org"), BYTES("self.example"), false, 1);
    route_learn(&route, DNS_MX, DNS_FOUND, many->records, MANY);
    assert_int_equal(try_all(&route, tried, ROUTE_HOSTS_MAX), 1);
    assert_int_equal(tried[0], 7);
    route_free(&route);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_hosts_the_best_are_tried),
        cmocka_unit_test(of_many_equals_each_has_its_turn_in_some_attempt),
        cmocka_unit_test(none_of_too_many_is_not_the_end),
        cmocka_unit_test(a_host_named_twice_is_tried_once),
        cmocka_unit_test(of_many_addresses_both_families_are_tried),
        cmocka_unit_test(of_many_addresses_each_is_tried_in_some_attempt),
        cmocka_unit_test(each_host_has_its_share_of_the_addresses),
        cmocka_unit_test(our_own_name_counts_beyond_the_limit_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
