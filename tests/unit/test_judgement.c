/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement of one message: everything is asked at the same time, no order of answers changes the
 * verdict, and what DNS does not say in time is never a fail. */
#include <stdio.h>
#include <stdlib.h>

#include "core/trust/judgement.h"
#include "unit.h"

static struct arena arena;
static struct judgement judgement;

static const struct {
    enum dns_type type;
    const char *name, *text;
} zone[] = {
    {DNS_TXT, "bank.example", "v=spf1 include:_spf.bank.example -all"},
    {DNS_TXT, "_spf.bank.example", "v=spf1 ip4:192.0.2.0/28 -all"},
    {DNS_TXT, "_dmarc.bank.example", "v=DMARC1; p=reject"},
    {DNS_PTR, "1.2.0.192.in-addr.arpa", "mx.bank.example"},
};

#define LETTER "From: Ada <ada@bank.example>\r\nSubject: hello\r\n\r\n"

static void begin(const char *client, const char *header)
{
    const struct judgement_question question = {.client = route_literal(bytes_of_text(client)),
                                                .helo = BYTES("mx.bank.example"),
                                                .mail_from = BYTES("ada@bank.example"),
                                                .hostname = BYTES("mx.example.org")};
    judgement_end(&judgement);
    arena_clear(&arena);
    judgement_begin(&judgement, &question, bytes_of_text(header), &arena);
    judgement_give_bodies(&judgement, NULL);
}

static void answer(struct dns_fact_key key)
{
    struct dns_answer said = {.status = DNS_NXDOMAIN};
    struct dns_record record = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(zone); i++)
        if (zone[i].type == key.type && bytes_is(key.name, zone[i].name)) {
            record.data = record.name = bytes_of_text(zone[i].text);
            said = (struct dns_answer){.status = DNS_FOUND, .records = &record, .count = 1};
        }
    if (key.type == DNS_A && bytes_is(key.name, "mx.bank.example")) {
        memcpy(record.address, "\xc0\x00\x02\x01", 4);
        said = (struct dns_answer){.status = DNS_FOUND, .records = &record, .count = 1};
    }
    judgement_answer(&judgement, key, &said);
}

/* Answers all that is lacking in each round, or the one that the seed chooses; returns the rounds. */
static unsigned run(unsigned seed)
{
    struct dns_fact_key keys[JUDGEMENT_LACKED_MAX];
    unsigned rounds = 0;
    while (!judgement_run(&judgement, 1796000000)) {
        size_t count = judgement_lacked(&judgement, keys);
        assert_true(count > 0);
        rounds++;
        if (seed != 0)
            answer(keys[(seed = seed * 1103515245u + 12345u) / 65536 % count]);
        for (size_t i = 0; seed == 0 && i < count; i++)
            answer(keys[i]);
    }
    return rounds;
}

static void test_what_is_right_passes_in_the_depth_of_the_chain(void **state)
{
    begin("192.0.2.1", LETTER);
    assert_int_equal(run(0), 2); /* the include is the only second question, beside the client's address */
    assert_int_equal(judgement.spf.result, SPF_PASS);
    assert_int_equal(judgement.dmarc.result, DMARC_PASS);
    assert_int_equal(judgement.iprev.result, IPREV_PASS);
    assert_int_equal(judgement.verdict.disposition, DISPOSITION_DELIVER);
}

static void test_a_question_of_two_checks_is_asked_once(void **state)
{
    struct dns_fact_key keys[JUDGEMENT_LACKED_MAX];
    begin("192.0.2.1", LETTER);
    assert_false(judgement_run(&judgement, 1796000000));
    size_t count = judgement_lacked(&judgement, keys);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(keys[i].type == keys[k].type && bytes_equal(keys[i].name, keys[k].name));
}

static void test_what_is_forged_is_refused_in_any_order(void **state)
{
    begin("198.51.100.1", LETTER);
    run(0);
    struct verdict first = judgement.verdict;
    assert_int_equal(first.disposition, DISPOSITION_REJECT);
    assert_int_equal(first.code, 550);
    assert_string_equal(first.enhanced, "5.7.26");
    for (unsigned seed = 1; seed <= 200; seed++) {
        begin("198.51.100.1", LETTER);
        run(seed);
        assert_int_equal(judgement.verdict.finding, first.finding);
        assert_string_equal(judgement.verdict.text, first.text);
    }
}

static void test_without_dns_nothing_fails(void **state)
{
    begin("198.51.100.1", LETTER);
    judgement_give_up(&judgement);
    assert_true(judgement_run(&judgement, 1796000000));
    assert_int_equal(judgement.spf.result, SPF_TEMPERROR);
    assert_int_equal(judgement.dmarc.result, DMARC_TEMPERROR);
    assert_int_equal(judgement.iprev.result, IPREV_TEMPERROR);
    assert_int_equal(judgement.verdict.disposition, DISPOSITION_DELIVER);
}

static void test_without_the_rest_of_dns_what_is_known_counts(void **state)
{
    begin("198.51.100.1", LETTER);
    assert_false(judgement_run(&judgement, 1796000000));
    answer((struct dns_fact_key){.type = DNS_TXT, .name = BYTES("_dmarc.bank.example")});
    judgement_give_up(&judgement);
    assert_true(judgement_run(&judgement, 1796000000));
    assert_int_equal(judgement.dmarc.policy, DMARC_POLICY_REJECT);
    assert_int_equal(judgement.verdict.finding, FINDING_TEMPERROR_REJECT);
    assert_int_equal(judgement.verdict.code, 451);
}

static void test_a_header_that_two_readers_read_differently_is_refused(void **state)
{
    static const struct {
        const char *header;
        enum verdict_form form;
    } cases[] = {
        {LETTER, FORM_FINE},
        {"Subject: hello\r\n\r\n", FORM_NO_FROM},
        {"From: a@bank.example\r\nFROM : b@evil.example\r\n\r\n", FORM_SEVERAL_FROM},
        {"From: a@bank.example <b@evil.example\r\n\r\n", FORM_BAD_FROM},
        {"From: a@bank.example\r\nDate: x\r\nDate: y\r\n\r\n", FORM_SEVERAL_DATES},
        {"From: a@bank.example\r\nSubject: x\r\nsubject: y\r\n\r\n", FORM_SEVERAL_SUBJECTS},
        {"From: a@bank.example\r\nSender: x@y.z\r\nSender: z@y.x\r\n\r\n", FORM_SEVERAL_SENDERS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        begin("192.0.2.1", cases[i].header);
        run(0);
        if (judgement.form != cases[i].form)
            fail_msg("form %d: %s", judgement.form, cases[i].header);
        assert_int_equal(judgement.verdict.code == 550, cases[i].form != FORM_FINE);
    }
}

/* From can be below what was read: then it is not known that there is none. */
static void test_a_header_past_the_limit_is_refused_for_that(void **state)
{
    for (size_t extra = 0; extra <= 1; extra++) {
        struct buffer header = {0};
        for (size_t i = 0; i < FIELD_INDEX_MAX - 2 + extra; i++)
            buffer_add_text(&header, "X: y\r\n");
        buffer_add_text(&header, LETTER);
        begin("192.0.2.1", buffer_text(&header));
        run(0);
        assert_int_equal(judgement.form, extra == 0 ? FORM_FINE : FORM_TOO_LARGE);
        assert_int_equal(judgement.verdict.code == 550, extra == 1);
        buffer_free(&header);
    }
}

static void test_the_list_is_what_stands_in_brackets(void **state)
{
    begin("192.0.2.1", "List-Id: The \"<x>\" list <ships.harbour.example>\r\n" LETTER);
    assert_text(judgement.list, "ships.harbour.example");
    begin("192.0.2.1", "List-Id: nothing\r\n" LETTER);
    assert_int_equal(judgement.list.length, 0);
    begin("192.0.2.1", "List-Id: >x<\r\n" LETTER);
    assert_int_equal(judgement.list.length, 0);
}

static void test_the_field_says_all_of_it(void **state)
{
    struct buffer field = {0};
    begin("192.0.2.1", LETTER);
    run(0);
    judgement_write_results(&judgement, BYTES("mx.example.org"), &field);
    assert_text(buffer_bytes(&field), "Authentication-Results: mx.example.org;\r\n"
                                      "\tdmarc=pass header.from=bank.example policy.dmarc=reject;\r\n"
                                      "\tspf=pass smtp.mailfrom=ada@bank.example;\r\n"
                                      "\tdkim=none;\r\n"
                                      "\tiprev=pass policy.iprev=192.0.2.1\r\n");
    buffer_free(&field);
}

static int finish(void **state)
{
    judgement_end(&judgement);
    arena_clear(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_right_passes_in_the_depth_of_the_chain),
        cmocka_unit_test(test_a_question_of_two_checks_is_asked_once),
        cmocka_unit_test(test_what_is_forged_is_refused_in_any_order),
        cmocka_unit_test(test_without_dns_nothing_fails),
        cmocka_unit_test(test_without_the_rest_of_dns_what_is_known_counts),
        cmocka_unit_test(test_a_header_that_two_readers_read_differently_is_refused),
        cmocka_unit_test(test_a_header_past_the_limit_is_refused_for_that),
        cmocka_unit_test(test_the_list_is_what_stands_in_brackets),
        cmocka_unit_test(test_the_field_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
