/* SPDX-License-Identifier: Apache-2.0 */
/* DNS answers about a domain: compared by meaning, and safe to print. */
#include "core/domain/dns_records.h"
#include "unit.h"

static const uint8_t digest[TLSA_KEY_DIGEST] = {1, 2, 3};
static const struct domain_facts facts = {
    .domain = BYTES("example.org"),
    .hostname = BYTES("mx.example.org"),
    .addresses = {{{192, 0, 2, 1}, false}, {{0x20, 1, 0xd, 0xb8}, true}},
    .address_count = 2,
    .starttls = {587},
    .implicit = {465},
    .imaps = 993,
    .key_digest = digest};
static struct arena arena;

static struct domain_finding judged(enum domain_subject subject, const struct dns_answer *said)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    size_t count = domain_records(&facts, &arena, records);
    for (size_t i = 0; i < count; i++)
        if (records[i].subject == subject)
            return domain_compare(&facts, &records[i], said, &arena);
    fail();
    return (struct domain_finding){0};
}

static struct domain_finding text_judged(enum domain_subject subject, const char *first, const char *second)
{
    struct dns_record records[] = {{.data = bytes_of_text(first)},
                                   {.data = bytes_of_text(second == NULL ? "" : second)}};
    struct dns_answer said = {.status = DNS_FOUND, .records = records, .count = second == NULL ? 1 : 2};
    return judged(subject, &said);
}

static int cleared(void **state)
{
    arena_clear(&arena);
    return 0;
}

/* ---- texts ---- */

static void spf_is_right_where_it_lets_us_send(void **state)
{
    static const struct {
        const char *text;
        enum domain_verdict verdict;
    } cases[] = {
        {"v=spf1 mx -all", RECORD_RIGHT},
        {"v=spf1 a:MX.example.org -all", RECORD_RIGHT},
        {"v=spf1 +all", RECORD_RIGHT},
        {"v=spf1 ip4:192.0.2.0/24 -all", RECORD_RIGHT},
        {"v=spf1 ip4:192.0.2.1 -all", RECORD_RIGHT},
        {"v=spf1 ip6:2001:db8::/32 -all", RECORD_RIGHT},
        {"V=SPF1 ip4:0.0.0.0/0 -all", RECORD_RIGHT},
        {"v=spf1 -all", RECORD_DIFFERENT},
        {"v=spf1 ip4:192.0.2.2 -all", RECORD_DIFFERENT},
        {"v=spf1 ip4:192.0.2.0/33 -all", RECORD_DIFFERENT},
        {"v=spf1 ip4:192.0.2 -all", RECORD_DIFFERENT},
        {"v=spf1 ip6:192.0.2.1 -all", RECORD_DIFFERENT},
        {"v=spf1 ip6:2001:db9::/32 -all", RECORD_DIFFERENT},
        {"v=spf1 -mx +all", RECORD_DIFFERENT},
        {"v=spf1", RECORD_DIFFERENT},
        {"v=spf1 include:_spf.example.net -all", RECORD_UNSURE},
        {"v=spf1 redirect=_spf.example.net", RECORD_UNSURE},
        {"v=spf1 a -all", RECORD_UNSURE},
        {"v=spf2 mx", RECORD_MISSING},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (text_judged(SUBJECT_SPF, cases[i].text, NULL).verdict != cases[i].verdict)
            fail_msg("%s is %s", cases[i].text,
                     domain_verdict_name(text_judged(SUBJECT_SPF, cases[i].text, NULL).verdict));
}

static void of_two_records_none_counts(void **state)
{
    assert_int_equal(text_judged(SUBJECT_SPF, "v=spf1 mx", "v=spf1 -all").verdict, RECORD_DIFFERENT);
    assert_int_equal(text_judged(SUBJECT_DMARC, "v=DMARC1; p=none", "v=DMARC1; p=reject").verdict,
                     RECORD_DIFFERENT);
    assert_int_equal(text_judged(SUBJECT_DMARC, "v=DMARC1; p=none", "something else").verdict, RECORD_RIGHT);
    assert_int_equal(text_judged(SUBJECT_MTA_STS, "v=STSv1; id=1", NULL).verdict, RECORD_RIGHT);
}

/* ---- what is shown ---- */

static void strangers_do_not_write_on_the_terminal(void **state)
{
    assert_text(text_judged(SUBJECT_SPF, "v=spf1 \x1b[31m\x9b -all", NULL).found, "\"v=spf1 ?[31m? -all\"");
    assert_text(text_judged(SUBJECT_SPF,
                            "v=spf1 \xc2\x9b"
                            "31m \xe2\x80\xae \xc3\xa9 -all",
                            NULL)
                    .found,
                "\"v=spf1 ?31m ? \xc3\xa9 -all\"");
}

static void an_answer_that_cannot_be_believed_is_none(void **state)
{
    static const enum dns_status statuses[] = {DNS_BOGUS, DNS_SERVER_FAILURE, DNS_UNKNOWN};
    struct dns_answer said = {.status = DNS_NXDOMAIN};
    assert_int_equal(judged(SUBJECT_MX, &said).verdict, RECORD_MISSING);
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        said.status = statuses[i];
        assert_int_equal(judged(SUBJECT_MX, &said).verdict, RECORD_UNKNOWN);
    }
}

static void hosts_keys_and_ports_are_compared(void **state)
{
    struct dns_record record = {.name = BYTES("MX.example.org"),
                                .port = 587,
                                .usage = 3,
                                .selector = 1,
                                .matching = 1,
                                .data = bytes_of(digest, sizeof digest),
                                .address = {192, 0, 2, 1}};
    struct dns_answer said = {.status = DNS_FOUND, .records = &record, .count = 1};
    static const enum domain_subject subjects[] = {SUBJECT_ADDRESS, SUBJECT_PTR, SUBJECT_MX, SUBJECT_SRV,
                                                   SUBJECT_TLSA};
    for (size_t i = 0; i < ARRAY_LENGTH(subjects); i++)
        assert_int_equal(judged(subjects[i], &said).verdict, RECORD_RIGHT);
    assert_true(judged(SUBJECT_TLSA, &said).hint.length > 0); /* without DNSSEC */
    record = (struct dns_record){.name = BYTES("mx.example.net"), .port = 587, .data = BYTES("x")};
    assert_int_equal(judged(SUBJECT_ADDRESS, &said).verdict, RECORD_UNSURE);
    for (size_t i = 1; i < ARRAY_LENGTH(subjects); i++)
        assert_int_equal(judged(subjects[i], &said).verdict, RECORD_DIFFERENT);
    record = (struct dns_record){.name = BYTES("mx.example.org"), .port = 25};
    assert_int_equal(judged(SUBJECT_SRV, &said).verdict, RECORD_DIFFERENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(spf_is_right_where_it_lets_us_send, cleared),
        cmocka_unit_test_teardown(of_two_records_none_counts, cleared),
        cmocka_unit_test_teardown(strangers_do_not_write_on_the_terminal, cleared),
        cmocka_unit_test_teardown(an_answer_that_cannot_be_believed_is_none, cleared),
        cmocka_unit_test_teardown(hosts_keys_and_ports_are_compared, cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
