/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DKIM's judgement by facts made by hand: which signatures are looked at, what is lacked when, limits at and
 * past them, and that the order of facts never changes a result. Real signatures: test_signature, and the
 * tables of trust-tables.
 */
#include <stdio.h>

#include "core/trust/dkim.h"
#include "unit.h"

#define KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ZERO_DIGEST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define TAIL "a=ed25519-sha256; h=from; bh=" ZERO_DIGEST "; b=AAAA\r\n"

static struct arena arena;
static struct dns_facts dns;
static struct signature_facts signatures;
static struct dkim_facts facts;
static struct dkim dkim;
static struct buffer header;

static int prepare(void **state)
{
    dns_facts_start(&dns, &arena);
    signature_facts_start(&signatures, &arena);
    dkim_facts_start(&facts, &dns, &signatures);
    buffer_clear(&header);
    return 0;
}

static int finish(void **state)
{
    arena_clear(&arena);
    buffer_free(&header);
    return 0;
}

static void add_field(const char *tags)
{
    buffer_add_format(&header, "DKIM-Signature: v=1; %s; " TAIL, tags);
}

static void begin(const char *from)
{
    buffer_add_format(&header, "From: %s\r\nSubject: x\r\n\r\n", from);
    dkim_begin(&dkim, buffer_bytes(&header), &arena);
}

static void add_key(const char *name, const char *record)
{
    struct dns_record txt = {.data = bytes_of_text(record)};
    struct dns_answer answer = {.status = DNS_FOUND, .records = &txt, .count = 1};
    dns_facts_add(&dns, (struct dns_fact_key){.type = DNS_TXT, .name = bytes_of_text(name)}, &answer);
}

static void body_has_ended(uint64_t length)
{
    for (size_t i = 0; i < dkim.body_count; i++)
        facts.bodies[i].length = length;
    facts.bodies_are_known = true;
}

static void test_facts_are_lacked_as_early_as_can_be(void **state)
{
    add_field("d=example.org; s=s1");
    begin("ada@example.org");
    assert_int_equal(dkim.body_count, 1);
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dns.lacked_count, 1);
    assert_text(dns.lacked[0].name, "s1._domainkey.example.org");
    assert_int_equal(signatures.lacked_count, 0);
    add_key("s1._domainkey.example.org", KEY);
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dns.lacked_count, 0);
    assert_int_equal(signatures.lacked_count, 1); /* before the body has ended */
    assert_text(signatures.lacked[0].input,
                "From: ada@example.org\r\nDKIM-Signature: v=1; d=example.org; s=s1; "
                "a=ed25519-sha256; h=from; bh=" ZERO_DIGEST "; b=");
    signature_facts_add(&signatures, signatures.lacked[0].number, true);
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(signatures.lacked_count, 0);
    body_has_ended(10);
    assert_true(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dkim.signatures[0].result, DKIM_PASS);
    assert_null(dkim.signatures[0].reason);
}

/* Every order of the three kinds of facts leads to the same results. */
static void test_the_order_of_facts_does_not_matter(void **state)
{
    for (unsigned wrong = 0; wrong < 8; wrong++) { /* no key, another body, a bad signature */
        enum dkim_result first = DKIM_PENDING;
        for (unsigned order = 0; order < 6; order++) {
            static const char *const orders[] = {"kbs", "ksb", "bks", "bsk", "skb", "sbk"};
            prepare(NULL);
            add_field("d=example.org; s=s1");
            begin("ada@example.org");
            for (const char *step = orders[order]; *step != '\0'; step++) {
                if (*step == 'k')
                    add_key("s1._domainkey.example.org", wrong & 1 ? "v=DKIM1; p=" : KEY);
                if (*step == 'b')
                    body_has_ended(3);
                facts.bodies[0].digest[0] = wrong & 2 ? 1 : 0;
                if (*step == 's')
                    signature_facts_add(&signatures, 0, !(wrong & 4));
                bool settled = dkim_judge(&dkim, &facts, 0);
                assert_int_equal(settled, dkim.signatures[0].result != DKIM_PENDING);
            }
            assert_int_not_equal(dkim.signatures[0].result, DKIM_PENDING);
            assert_true(order == 0 || dkim.signatures[0].result == first);
            first = dkim.signatures[0].result;
        }
    }
}

static void test_aligned_signatures_are_looked_at_first(void **state)
{
    char tags[64];
    for (unsigned i = 0; i < DKIM_LOOKED_AT_MAX + 1; i++) {
        snprintf(tags, sizeof(tags), "d=other%u.example; s=s1", i);
        add_field(tags);
    }
    add_field("d=mail.Example.ORG; s=s1");
    begin("Ada <ada@news.example.org>");
    assert_int_equal(dkim.count, DKIM_LOOKED_AT_MAX + 2);
    assert_true(dkim.signatures[DKIM_LOOKED_AT_MAX + 1].looked_at);
    assert_true(dkim.signatures[DKIM_LOOKED_AT_MAX - 2].looked_at);
    assert_false(dkim.signatures[DKIM_LOOKED_AT_MAX - 1].looked_at);
    assert_int_equal(dkim.signatures[DKIM_LOOKED_AT_MAX].result, DKIM_POLICY);
    assert_string_equal(dkim.signatures[DKIM_LOOKED_AT_MAX].reason, "not looked at: too many signatures");
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dns.lacked_count, DKIM_LOOKED_AT_MAX);
}

/* Of From with very many authors, the first ten decide which signatures are looked at first. */
static void test_so_many_author_domains(void **state)
{
    char tags[64];
    for (unsigned author = 10; author <= 11; author++) {
        struct buffer from = {0};
        prepare(NULL);
        for (unsigned i = 0; i < DKIM_LOOKED_AT_MAX; i++) {
            snprintf(tags, sizeof(tags), "d=other%u.example; s=s1", i);
            add_field(tags);
        }
        add_field("d=aligned.test; s=s1");
        for (unsigned i = 1; i < author; i++)
            buffer_add_format(&from, "a@a%u.invalid, ", i);
        buffer_add_text(&from, "a@aligned.test");
        begin(buffer_text(&from));
        assert_int_equal(dkim.author_domain_count, 10);
        assert_int_equal(dkim.signatures[DKIM_LOOKED_AT_MAX].looked_at, author == 10);
        buffer_free(&from);
    }
}

/* Of several keys at one name, four are tried. */
static void test_so_many_keys_of_a_name(void **state)
{
    for (size_t keys = 4; keys <= 5; keys++) {
        struct dns_record records[5] = {{0}};
        for (size_t i = 0; i < keys; i++)
            records[i].data = BYTES(KEY);
        struct dns_answer answer = {.status = DNS_FOUND, .records = records, .count = keys};
        prepare(NULL);
        add_field("d=example.org; s=s1");
        begin("ada@example.org");
        dns_facts_add(&dns,
                      (struct dns_fact_key){.type = DNS_TXT, .name = BYTES("s1._domainkey.example.org")},
                      &answer);
        body_has_ended(1);
        size_t tried = 0;
        for (; !dkim_judge(&dkim, &facts, 0); tried++) {
            assert_int_equal(signatures.lacked_count, 1);
            signature_facts_add(&signatures, signatures.lacked[0].number, false);
        }
        assert_int_equal(tried, 4);
        assert_int_equal(dkim.signatures[0].result, DKIM_FAIL);
        /* the same where the others are not usable */
        for (size_t i = 0; i + 1 < keys; i++)
            records[i].data = BYTES("v=DKIM1; p=");
        prepare(NULL);
        add_field("d=example.org; s=s1");
        begin("ada@example.org");
        dns_facts_add(&dns,
                      (struct dns_fact_key){.type = DNS_TXT, .name = BYTES("s1._domainkey.example.org")},
                      &answer);
        body_has_ended(1);
        signature_facts_add(&signatures, 0, true);
        assert_true(dkim_judge(&dkim, &facts, 0));
        assert_int_equal(dkim.signatures[0].result, keys == 4 ? DKIM_PASS : DKIM_PERMERROR);
    }
}

static void test_at_most_four_forms_of_the_body(void **state)
{
    char tags[64];
    for (unsigned i = 0; i < DKIM_BODIES_MAX + 1; i++) {
        snprintf(tags, sizeof(tags), "d=example.org; s=s1; l=%u", i);
        add_field(tags);
    }
    add_field("d=example.org; s=s2; l=1");
    begin("ada@example.org");
    assert_int_equal(dkim.body_count, DKIM_BODIES_MAX);
    assert_int_equal(dkim.signatures[DKIM_BODIES_MAX].result, DKIM_POLICY);
    assert_int_equal(dkim.signatures[DKIM_BODIES_MAX + 1].result, DKIM_PENDING);
    assert_int_equal(dkim.signatures[DKIM_BODIES_MAX + 1].body, 1);
}

static enum dkim_result judge_one(const char *tags, const char *key, uint64_t now_s, uint64_t length)
{
    prepare(NULL);
    add_field(tags);
    begin("ada@example.org");
    add_key("s1._domainkey.example.org", key);
    signature_facts_add(&signatures, 0, true);
    body_has_ended(length);
    assert_true(dkim_judge(&dkim, &facts, now_s));
    return dkim.signatures[0].result;
}

static void test_expiry_has_a_grace(void **state)
{
    const char *tags = "d=example.org; s=s1; t=1000; x=2000";
    assert_int_equal(judge_one(tags, KEY, 2000 + DKIM_EXPIRY_GRACE_S, 1), DKIM_PASS);
    assert_int_equal(judge_one(tags, KEY, 2001 + DKIM_EXPIRY_GRACE_S, 1), DKIM_POLICY);
    assert_int_equal(judge_one("d=example.org; s=s1; t=2000; x=2000", KEY, 0, 1), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; x=999999999999", KEY, 0, 1), DKIM_PASS);
    assert_int_equal(judge_one("d=example.org; s=s1; x=1000000000000", KEY, 0, 1), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; x=-1", KEY, 0, 1), DKIM_PERMERROR);
}

static void test_a_part_of_the_body_is_not_enough(void **state)
{
    assert_int_equal(judge_one("d=example.org; s=s1; l=17", KEY, 0, 17), DKIM_PASS);
    assert_int_equal(judge_one("d=example.org; s=s1; l=17", KEY, 0, 43), DKIM_POLICY);
    assert_int_equal(dkim.signatures[0].covered, 17);
    assert_int_equal(dkim.signatures[0].body_length, 43);
    assert_int_equal(judge_one("d=example.org; s=s1; l=17", KEY, 0, 16), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; l=99999999999999999999999", KEY, 0, 16), DKIM_PERMERROR);
}

static void test_identities(void **state)
{
    const char *strict = "v=DKIM1; k=ed25519; t=s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_int_equal(judge_one("d=example.org; s=s1; i=a@Example.org", strict, 0, 1), DKIM_PASS);
    assert_int_equal(judge_one("d=example.org; s=s1; i=@a.example.org", KEY, 0, 1), DKIM_PASS);
    assert_int_equal(judge_one("d=example.org; s=s1; i=@a.example.org", strict, 0, 1), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; i=@aexample.org", KEY, 0, 1), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; i=@org", KEY, 0, 1), DKIM_PERMERROR);
    assert_int_equal(judge_one("d=example.org; s=s1; i=example.org", KEY, 0, 1), DKIM_PERMERROR);
}

static void test_keys(void **state)
{
    assert_int_equal(judge_one("d=example.org; s=s1", "v=DKIM1; p=", 0, 1), DKIM_PERMERROR);
    assert_string_equal(dkim.signatures[0].reason, "key is of another algorithm");
    assert_int_equal(judge_one("d=example.org; s=s1", "v=DKIM1; k=ed25519; p=", 0, 1), DKIM_PERMERROR);
    assert_string_equal(dkim.signatures[0].reason, "key revoked");
    for (enum dns_status status = DNS_NO_DATA; status <= DNS_BOGUS; status++) {
        prepare(NULL);
        add_field("d=example.org; s=s1");
        begin("ada@example.org");
        dns_facts_add(&dns,
                      (struct dns_fact_key){.type = DNS_TXT, .name = BYTES("s1._domainkey.example.org")},
                      &(struct dns_answer){.status = status});
        assert_true(dkim_judge(&dkim, &facts, 0));
        assert_int_equal(dkim.signatures[0].result,
                         status < DNS_SERVER_FAILURE ? DKIM_PERMERROR : DKIM_TEMPERROR);
    }
}

static void test_several_keys_are_tried(void **state)
{
    struct dns_record txt[] = {{.data = BYTES("junk")}, {.data = BYTES(KEY)}, {.data = BYTES(KEY "; t=y")}};
    struct dns_answer answer = {.status = DNS_FOUND, .records = txt, .count = 3};
    add_field("d=example.org; s=s1");
    begin("ada@example.org");
    dns_facts_add(&dns, (struct dns_fact_key){.type = DNS_TXT, .name = BYTES("s1._domainkey.example.org")},
                  &answer);
    body_has_ended(1);
    assert_false(dkim_judge(&dkim, &facts, 0));
    signature_facts_add(&signatures, signatures.lacked[0].number, false);
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(signatures.lacked_count, 1);
    signature_facts_add(&signatures, signatures.lacked[0].number, true);
    assert_true(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dkim.signatures[0].result, DKIM_PASS);
    assert_true(dkim.signatures[0].testing);
}

static void test_fields_are_chosen_from_the_bottom(void **state)
{
    struct buffer out = {0};
    struct field_index index;
    field_index_start(&index, BYTES("A: 1\r\nnot a field\r\nB: 2\r\na : 3\r\n 4\r\nC: 5\r\n\r\nA: body\r\n"));
    assert_int_equal(index.count, 4);
    field_index_select(&index, BYTES("a:A:a:x:B:b"), FIELD_INDEX_NONE, CANON_RELAXED, &out);
    assert_text(buffer_bytes(&out), "a:3 4\r\na:1\r\nb:2\r\n");
    buffer_clear(&out);
    field_index_select(&index, BYTES("a:a:c"), 2, CANON_SIMPLE, &out); /* without the third field */
    assert_text(buffer_bytes(&out), "A: 1\r\nC: 5\r\n");
    buffer_free(&out);
}

static void test_the_limits_of_a_header(void **state)
{
    for (size_t extra = 0; extra < 2; extra++) {
        prepare(NULL);
        add_field("d=example.org; s=s1");
        for (size_t i = 0; i < FIELD_INDEX_MAX - 3 + extra; i++)
            buffer_add_text(&header, "X: y\r\n");
        begin("ada@example.org");
        assert_int_equal(dkim.signatures[0].result, extra ? DKIM_POLICY : DKIM_PENDING);
        prepare(NULL);
        add_field("d=example.org; s=s1");
        buffer_add_text(&header, "X: ");
        while (header.length < FIELD_INDEX_OCTETS_MAX + extra - strlen("\r\nFrom: a@b\r\nSubject: x\r\n\r\n"))
            buffer_add_octet(&header, 'x');
        buffer_add_text(&header, "\r\n");
        begin("a@b");
        assert_int_equal(dkim.signatures[0].result, extra ? DKIM_POLICY : DKIM_PENDING);
    }
}

static void test_signatures_without_number(void **state)
{
    for (size_t i = 0; i < 10000; i++)
        add_field("d=example.org; s=s1");
    begin("ada@example.org");
    assert_int_equal(dkim.count, DKIM_SIGNATURES_MAX);
    assert_int_equal(dkim.count + dkim.unseen, FIELD_INDEX_MAX);
    assert_true(dkim_judge(&dkim, &facts, 0)); /* none is looked at, no question is asked */
    assert_int_equal(dns.lacked_count, 0);
    prepare(NULL);
    for (size_t i = 0; i < DKIM_SIGNATURES_MAX + 1; i++)
        add_field("d=example.org; s=s1");
    begin("ada@example.org");
    assert_int_equal(dkim.unseen, 1);
    assert_false(dkim_judge(&dkim, &facts, 0));
    assert_int_equal(dns.lacked_count, 1);
}

static void test_a_header_of_ten_megabytes_takes_no_more_than_its_limit(void **state)
{
    size_t before = arena.used;
    add_field("d=example.org; s=s1");
    for (size_t i = 0; header.length < 10 * 1024 * 1024; i++)
        buffer_add_format(&header, "X-%zu: %0200zu\r\n", i, i);
    begin("ada@example.org");
    assert_int_equal(dkim.index.count, FIELD_INDEX_MAX);
    assert_true(dkim_judge(&dkim, &facts, 0));
    assert_true(arena.used - before < 4096);
}

/* Sixteen signatures are lacked at a time. */
static void test_so_many_signatures_are_lacked(void **state)
{
    signature_facts_begin(&signatures);
    for (size_t i = 0; i < 16; i++) {
        assert_true(signature_facts_have_room(&signatures));
        signature_facts_lack(&signatures, &(struct signature_check){.number = i});
    }
    assert_int_equal(signatures.lacked_count, 16);
    assert_false(signature_facts_have_room(&signatures));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_facts_are_lacked_as_early_as_can_be, prepare),
        cmocka_unit_test_setup(test_the_order_of_facts_does_not_matter, prepare),
        cmocka_unit_test_setup(test_aligned_signatures_are_looked_at_first, prepare),
        cmocka_unit_test_setup(test_at_most_four_forms_of_the_body, prepare),
        cmocka_unit_test_setup(test_so_many_author_domains, prepare),
        cmocka_unit_test_setup(test_so_many_keys_of_a_name, prepare),
        cmocka_unit_test_setup(test_so_many_signatures_are_lacked, prepare),
        cmocka_unit_test_setup(test_expiry_has_a_grace, prepare),
        cmocka_unit_test_setup(test_a_part_of_the_body_is_not_enough, prepare),
        cmocka_unit_test_setup(test_identities, prepare),
        cmocka_unit_test_setup(test_keys, prepare),
        cmocka_unit_test_setup(test_several_keys_are_tried, prepare),
        cmocka_unit_test_setup(test_fields_are_chosen_from_the_bottom, prepare),
        cmocka_unit_test_setup(test_the_limits_of_a_header, prepare),
        cmocka_unit_test_setup(test_signatures_without_number, prepare),
        cmocka_unit_test_setup(test_a_header_of_ten_megabytes_takes_no_more_than_its_limit, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
