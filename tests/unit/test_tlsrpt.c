/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of TLS-RPT's record, and what its look-up asks. The tables in tests/suites/trust have the rest.
 */
#include "core/trust/tlsrpt.h"
#include "unit.h"

static void test_ten_addresses_are_read(void **state)
{
    struct buffer text = {0};
    struct report_uris rua;
    buffer_add_text(&text, "v=TLSRPTv1; rua=mailto:a@example.org");
    for (int i = 1; i < REPORT_URIS_MAX; i++)
        buffer_add_format(&text, ",mailto:a%d@example.org", i);
    assert_true(tlsrpt_read(buffer_bytes(&text), &rua));
    assert_int_equal(rua.count, REPORT_URIS_MAX);
    buffer_add_text(&text, "; rua=https://example.org/");
    assert_true(tlsrpt_read(buffer_bytes(&text), &rua));
    assert_int_equal(rua.count, REPORT_URIS_MAX);
    buffer_free(&text);
}

static void test_a_record_has_a_longest_length(void **state)
{
    struct buffer text = {0};
    struct report_uris rua;
    buffer_add_text(&text, "v=TLSRPTv1; rua=mailto:a@example.org; more=");
    while (text.length < TLSRPT_RECORD_MAX)
        buffer_add_octet(&text, 'x');
    assert_true(tlsrpt_read(buffer_bytes(&text), &rua));
    buffer_add_octet(&text, 'x');
    assert_false(tlsrpt_read(buffer_bytes(&text), &rua));
    buffer_free(&text);
}

static void test_a_look_up_asks_one_name(void **state)
{
    struct arena arena = {0};
    struct dns_facts *facts = ARENA_NEW(&arena, struct dns_facts);
    struct report_uris rua;
    dns_facts_start(facts, &arena);
    assert_int_equal(tlsrpt_look_up(BYTES("Example.ORG"), facts, &rua), TLSRPT_TEMPERROR);
    assert_int_equal(facts->lacked_count, 1);
    assert_text(facts->lacked[0].name, "_smtp._tls.example.org");
    dns_facts_add(facts, facts->lacked[0], &(struct dns_answer){.status = DNS_NXDOMAIN});
    assert_int_equal(tlsrpt_look_up(BYTES("example.org"), facts, &rua), TLSRPT_NONE);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_addresses_are_read),
        cmocka_unit_test(test_a_record_has_a_longest_length),
        cmocka_unit_test(test_a_look_up_asks_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
