/* SPDX-License-Identifier: Apache-2.0 */
/* DMARC's limits at and past them, and what is asked together. The tables in tests/suites/trust have the
 * rest. */
#include <stdio.h>

#include "core/trust/dmarc.h"
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

/* Answers all that is lacked with "no such name". */
static void answer_rest(void)
{
    for (size_t i = 0; i < facts.lacked_count; i++)
        dns_facts_add(&facts, facts.lacked[i], &(struct dns_answer){.status = DNS_NXDOMAIN});
    dns_facts_begin(&facts);
}

static void test_ten_addresses_of_a_record_are_read(void **state)
{
    struct buffer text = {0};
    struct dmarc_record record;
    buffer_add_text(&text, "v=DMARC1; p=none; rua=mailto:a@example.org");
    for (int i = 1; i < REPORT_URIS_MAX; i++)
        buffer_add_format(&text, ",mailto:a%d@example.org", i);
    assert_true(dmarc_record_read(buffer_bytes(&text), &record));
    assert_int_equal(record.rua.count, REPORT_URIS_MAX);
    buffer_add_text(&text, ",mailto:more@example.org");
    assert_true(dmarc_record_read(buffer_bytes(&text), &record));
    assert_int_equal(record.rua.count, REPORT_URIS_MAX);
    assert_text(record.rua.uris[9], "mailto:a9@example.org");
    buffer_free(&text);
}

static void test_a_report_address_is_one_mail_address(void **state)
{
    struct buffer address = {0};
    assert_true(report_uri_address(BYTES("mailto:a%2Bb@example.org?subject=x"), &address));
    assert_text(buffer_bytes(&address), "a+b@example.org");
    buffer_clear(&address);
    assert_false(report_uri_address(BYTES("mailto:a@example.org,b@example.org"), &address));
    assert_false(report_uri_address(BYTES("mailto:a%0D%0A@example.org"), &address));
    assert_false(report_uri_address(BYTES("mailto://example.org"), &address));
    assert_false(report_uri_address(BYTES("https://example.org/"), &address));
    assert_int_equal(address.length, 0);
    buffer_free(&address);
}

static void test_ten_author_domains_are_read(void **state)
{
    struct buffer field = {0};
    struct dmarc_from from;
    for (int i = 0; i < DMARC_FROM_DOMAINS_MAX; i++)
        buffer_add_format(&field, "a@d%d.example, b@D%d.example, ", i, i);
    dmarc_from_read(buffer_bytes(&field), &arena, &from);
    assert_int_equal(from.count, DMARC_FROM_DOMAINS_MAX);
    assert_false(from.malformed);
    buffer_add_text(&field, "a@other.example");
    dmarc_from_read(buffer_bytes(&field), &arena, &from);
    assert_int_equal(from.count, DMARC_FROM_DOMAINS_MAX);
    assert_true(from.malformed);
    buffer_free(&field);
}

static void test_a_walk_has_at_most_eight_names_and_asks_them_together(void **state)
{
    struct dmarc_from from = {.domains = {BYTES("1.2.3.4.5.6.7.8.9.10.11.12.example.org")}, .count = 1};
    struct dmarc_question question = {.from = &from};
    dns_facts_begin(&facts);
    dmarc_judge(&question, &facts);
    assert_int_equal(facts.lacked_count, DMARC_WALK_MAX);
    assert_text(facts.lacked[0].name, "_dmarc.1.2.3.4.5.6.7.8.9.10.11.12.example.org");
    assert_text(facts.lacked[1].name, "_dmarc.8.9.10.11.12.example.org");
    answer_rest();
    assert_int_equal(dmarc_judge(&question, &facts).result, DMARC_NONE);
    assert_int_equal(facts.lacked_count, 0);
}

static void test_identifiers_are_asked_with_the_author_domain(void **state)
{
    struct dmarc_from from = {.domains = {BYTES("example.org")}, .count = 1};
    struct dmarc_question question = {.from = &from, .dkim_count = 2};
    question.dkim[0] = (struct dmarc_identifier){DMARC_OUTCOME_PASS, BYTES("news.example.org")};
    question.dkim[1] = (struct dmarc_identifier){DMARC_OUTCOME_PASS, BYTES("sender.example.net")};
    add_text("_dmarc.example.org", "v=DMARC1; p=reject");
    dns_facts_begin(&facts);
    dmarc_judge(&question, &facts);
    assert_int_equal(facts.lacked_count, 2); /* org and news.example.org; nothing of example.net */
    answer_rest();
    struct dmarc_verdict verdict = dmarc_judge(&question, &facts);
    assert_int_equal(facts.lacked_count, 0);
    assert_int_equal(verdict.result, DMARC_PASS);
    assert_true(verdict.dkim_aligned[0]);
    assert_false(verdict.dkim_aligned[1]);
}

static void test_a_suffix_below_skipped_names_has_organizations_one_label_below(void **state)
{
    struct dmarc_walk walk;
    add_text("_dmarc.5.6.7.8.9.example.org", "v=DMARC1; p=none; psd=y");
    do {
        answer_rest();
        dmarc_walk_from(BYTES("1.2.3.4.5.6.7.8.9.example.org"), &facts, &walk);
    } while (facts.lacked_count > 0);
    assert_text(walk.organization, "4.5.6.7.8.9.example.org");
}

static void test_several_author_domains_have_no_policy(void **state)
{
    struct dmarc_from from;
    struct dmarc_question question = {.from = &from};
    dmarc_from_read(BYTES("a@example.org, b@example.net"), &arena, &from);
    assert_int_equal(dmarc_judge(&question, &facts).result, DMARC_PERMERROR);
    dmarc_from_read(BYTES("root"), &arena, &from);
    assert_int_equal(dmarc_judge(&question, &facts).result, DMARC_PERMERROR);
    assert_int_equal(facts.lacked_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ten_addresses_of_a_record_are_read, prepare, finish),
        cmocka_unit_test_setup_teardown(test_a_report_address_is_one_mail_address, prepare, finish),
        cmocka_unit_test_setup_teardown(test_ten_author_domains_are_read, prepare, finish),
        cmocka_unit_test_setup_teardown(test_a_walk_has_at_most_eight_names_and_asks_them_together, prepare,
                                        finish),
        cmocka_unit_test_setup_teardown(test_identifiers_are_asked_with_the_author_domain, prepare, finish),
        cmocka_unit_test_setup_teardown(test_a_suffix_below_skipped_names_has_organizations_one_label_below,
                                        prepare, finish),
        cmocka_unit_test_setup_teardown(test_several_author_domains_have_no_policy, prepare, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
