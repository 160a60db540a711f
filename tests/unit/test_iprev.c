/* SPDX-License-Identifier: Apache-2.0 */
/* Reverse names: how many are looked at, together, and what an IPv4-mapped client is asked. The table in
 * tests/suites/trust has the verdicts. */
#include <stdio.h>

#include "core/dns/host.h"
#include "core/trust/iprev.h"
#include "unit.h"

static struct arena arena;
static struct dns_facts facts;

static int prepare(void **state)
{
    dns_facts_start(&facts, &arena);
    return 0;
}

static int finish(void **state)
{
    arena_clear(&arena);
    return 0;
}

static struct iprev_verdict judge(const char *client)
{
    struct route_address address = route_literal(bytes_of_text(client));
    dns_facts_begin(&facts);
    return iprev_judge(&address, &facts);
}

static void test_ten_names_are_looked_at_together(void **state)
{
    struct dns_record records[CLIENT_NAMES_MAX + 1] = {0};
    char names[CLIENT_NAMES_MAX + 1][16];
    judge("192.0.2.1");
    assert_int_equal(facts.lacked_count, 1);
    assert_text(facts.lacked[0].name, "1.2.0.192.in-addr.arpa");
    for (size_t i = 0; i < ARRAY_LENGTH(records); i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu.example", i);
        records[i].name = bytes_of_text(names[i]);
    }
    struct dns_answer answer = {.status = DNS_FOUND, .records = records, .count = ARRAY_LENGTH(records)};
    dns_facts_add(&facts, facts.lacked[0], &answer);
    judge("192.0.2.1");
    assert_int_equal(facts.lacked_count, CLIENT_NAMES_MAX);
    struct dns_record last = {.address = {192, 0, 2, 1}};
    for (size_t i = 0; i < CLIENT_NAMES_MAX; i++) {
        struct dns_answer found = {
            .status = i == 9 ? DNS_FOUND : DNS_NXDOMAIN, .records = &last, .count = i == 9};
        dns_facts_add(&facts, facts.lacked[i], &found);
    }
    struct iprev_verdict verdict = judge("192.0.2.1");
    assert_int_equal(facts.lacked_count, 0);
    assert_int_equal(verdict.result, IPREV_PASS);
    assert_text(verdict.name, "n9.example");
}

static void test_an_ipv4_mapped_client_is_an_ipv4_client(void **state)
{
    judge("::ffff:192.0.2.1");
    assert_text(facts.lacked[0].name, "1.2.0.192.in-addr.arpa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ten_names_are_looked_at_together, prepare, finish),
        cmocka_unit_test_setup_teardown(test_an_ipv4_mapped_client_is_an_ipv4_client, prepare, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
