/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of DNS of one judgement: what is lacked is noted once, what is known is found, limits hold. */
#include <stdio.h>

#include "core/trust/dns_facts.h"
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

static void add_text(const char *name, const char *text)
{
    struct dns_record record = {.data = bytes_of_text(text)};
    struct dns_answer answer = {.status = DNS_FOUND, .records = &record, .count = 1};
    dns_facts_add(&facts, (struct dns_fact_key){.type = DNS_TXT, .name = bytes_of_text(name)}, &answer);
}

static enum dns_status status_of(enum dns_type type, const char *name)
{
    return dns_facts_look_up(&facts, type, bytes_of_text(name))->status;
}

static void test_an_unknown_name_is_lacked_once_in_lower_case(void **state)
{
    assert_int_equal(status_of(DNS_TXT, "Example.ORG."), DNS_UNKNOWN);
    assert_int_equal(status_of(DNS_TXT, "example.org"), DNS_UNKNOWN);
    assert_int_equal(status_of(DNS_MX, "example.org"), DNS_UNKNOWN);
    assert_int_equal(facts.lacked_count, 2);
    assert_text(facts.lacked[0].name, "example.org");
    dns_facts_begin(&facts);
    assert_int_equal(facts.lacked_count, 0);
}

static void test_an_answer_is_found_in_any_case_and_the_first_stands(void **state)
{
    add_text("Example.org", "one");
    add_text("example.ORG.", "two");
    const struct dns_answer *answer = dns_facts_look_up(&facts, DNS_TXT, BYTES("EXAMPLE.org"));
    assert_int_equal(answer->status, DNS_FOUND);
    assert_int_equal(answer->count, 1);
    assert_text(answer->records[0].data, "one");
    assert_int_equal(facts.lacked_count, 0);
    assert_int_equal(status_of(DNS_A, "example.org"), DNS_UNKNOWN);
}

static void test_all_text_of_a_name_has_what_begins_so(void **state)
{
    assert_int_equal(dns_facts_look_up_text(&facts, BYTES("example.org"), "v=spf1")->status, DNS_UNKNOWN);
    assert_int_equal(dns_facts_look_up_text(&facts, BYTES("example.org"), "v=DMARC1")->status, DNS_UNKNOWN);
    assert_int_equal(facts.lacked_count, 2);
    dns_facts_add(&facts, facts.lacked[0], &(struct dns_answer){.status = DNS_NO_DATA});
    assert_int_equal(dns_facts_look_up_text(&facts, BYTES("example.org"), "v=spf1")->status, DNS_NO_DATA);
    assert_int_equal(dns_facts_look_up_text(&facts, BYTES("example.org"), "v=DMARC1")->status, DNS_UNKNOWN);
    assert_int_equal(status_of(DNS_TXT, "example.org"), DNS_UNKNOWN);
    add_text("example.org", "v=DMARC1");
    assert_int_equal(dns_facts_look_up_text(&facts, BYTES("example.org"), "v=DMARC1")->status, DNS_FOUND);
    assert_int_equal(status_of(DNS_TXT, "example.org"), DNS_FOUND);
}

static void test_an_answer_is_a_copy(void **state)
{
    char name[] = "example.org", text[] = "v=spf1 -all";
    add_text(name, text);
    memset(name, 'x', sizeof(name) - 1);
    memset(text, 'x', sizeof(text) - 1);
    assert_text(dns_facts_look_up(&facts, DNS_TXT, BYTES("example.org"))->records[0].data, "v=spf1 -all");
}

static void test_a_question_without_answer_has_failed(void **state)
{
    dns_facts_add(&facts, (struct dns_fact_key){.type = DNS_TXT, .name = BYTES("example.org")},
                  &(struct dns_answer){0});
    assert_int_equal(status_of(DNS_TXT, "example.org"), DNS_SERVER_FAILURE);
}

static void test_a_name_that_dns_cannot_have_is_not_asked(void **state)
{
    char label[65], name[256];
    memset(label, 'a', sizeof(label));
    label[64] = '\0';
    assert_int_equal(status_of(DNS_TXT, label), DNS_NXDOMAIN);
    assert_int_equal(status_of(DNS_TXT, ""), DNS_NXDOMAIN);
    assert_int_equal(status_of(DNS_TXT, "."), DNS_NXDOMAIN);
    assert_int_equal(status_of(DNS_TXT, "a..b"), DNS_NXDOMAIN);
    assert_int_equal(status_of(DNS_TXT, ".a"), DNS_NXDOMAIN);
    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < 254; i += 51)
        name[i] = '.';
    name[254] = '\0';
    assert_int_equal(status_of(DNS_TXT, name), DNS_NXDOMAIN); /* 254 octets */
    assert_int_equal(facts.lacked_count, 0);
    assert_int_equal(status_of(DNS_TXT, label + 1), DNS_UNKNOWN); /* 63 */
    assert_int_equal(status_of(DNS_TXT, name + 1), DNS_UNKNOWN);  /* 253 */
    assert_int_equal(facts.lacked_count, 2);
}

static void test_open_questions_and_answers_are_bounded(void **state)
{
    char name[32];
    for (int i = 0; i <= DNS_LACKED_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        assert_int_equal(status_of(DNS_A, name), DNS_UNKNOWN);
    }
    assert_int_equal(facts.lacked_count, DNS_LACKED_MAX);
    for (int i = 0; i <= DNS_FACTS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        add_text(name, "x");
    }
    assert_int_equal(facts.known_count, DNS_FACTS_MAX);
    dns_facts_begin(&facts);
    assert_int_equal(status_of(DNS_TXT, name), DNS_SERVER_FAILURE);
    assert_int_equal(facts.lacked_count, 0);
}

static void add_large(const char *name, size_t octets)
{
    static char text[DNS_FACTS_LARGE_OCTETS];
    struct dns_record record = {.data = bytes_of(text, octets - sizeof record)};
    struct dns_answer answer = {.status = DNS_FOUND, .records = &record, .count = 1};
    dns_facts_add(&facts, (struct dns_fact_key){.type = DNS_TXT, .name = bytes_of_text(name)}, &answer);
}

/* Large answers have a bound together; small ones are kept beside them, whoever fills it. */
static void test_large_answers_are_bounded_and_small_ones_always_fit(void **state)
{
    enum { LARGE = DNS_FACTS_LARGE_OCTETS / 4 };
    char name[32];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "l%d.example", i);
        add_large(name, LARGE);
        assert_int_equal(status_of(DNS_TXT, name), DNS_FOUND);
    }
    add_large("past.example", LARGE + 1);
    assert_int_equal(status_of(DNS_TXT, "past.example"), DNS_SERVER_FAILURE);
    add_large("l3.example", LARGE);
    assert_int_equal(status_of(DNS_TXT, "l3.example"), DNS_FOUND);
    add_large("large.example", DNS_FACT_SMALL_OCTETS + 1);
    assert_int_equal(status_of(DNS_TXT, "large.example"), DNS_SERVER_FAILURE);
    while (facts.known_count < DNS_FACTS_MAX) {
        snprintf(name, sizeof(name), "s%zu.example", facts.known_count);
        add_large(name, DNS_FACT_SMALL_OCTETS);
        assert_int_equal(status_of(DNS_TXT, name), DNS_FOUND);
    }
    assert_true(arena.used < DNS_FACTS_LARGE_OCTETS + DNS_FACTS_MAX * (DNS_FACT_SMALL_OCTETS + 1024));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_unknown_name_is_lacked_once_in_lower_case, prepare, finish),
        cmocka_unit_test_setup_teardown(test_an_answer_is_found_in_any_case_and_the_first_stands, prepare,
                                        finish),
        cmocka_unit_test_setup_teardown(test_all_text_of_a_name_has_what_begins_so, prepare, finish),
        cmocka_unit_test_setup_teardown(test_an_answer_is_a_copy, prepare, finish),
        cmocka_unit_test_setup_teardown(test_a_question_without_answer_has_failed, prepare, finish),
        cmocka_unit_test_setup_teardown(test_a_name_that_dns_cannot_have_is_not_asked, prepare, finish),
        cmocka_unit_test_setup_teardown(test_open_questions_and_answers_are_bounded, prepare, finish),
        cmocka_unit_test_setup_teardown(test_large_answers_are_bounded_and_small_ones_always_fit, prepare,
                                        finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
