/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARC chains that we seal verify, up to the largest; one set more, altered sets and forged ones do not; a
 * broken chain gets one set that says so;
 * hostile chains are bounded. The suites of others: trust-tables.
 */
#include <stdio.h>

#include "core/trust/arc_seal.h"
#include "core/trust/authres.h"
#include "io/signature.h"
#include "unit.h"

static const char HEADER[] = "From: Ada <ada@example.org>\r\nTo: ben@example.net\r\nSubject: A boat\r\n\r\n";
static const char BODY[] = "Hello  Ben \r\n";

static struct arena arena;
static struct signing_key key;
static struct buffer header, record;
static struct field_index index_of_header;
static struct arc arc;
static struct dns_facts dns;
static struct signature_facts signatures;

static int prepare(void **state)
{
    struct error error;
    assert_true(signature_key_make(&key, DKIM_ED25519_SHA256, 0, &error));
    buffer_add_text(&record, "k=ed25519; p=");
    signature_key_publish(&key, &record);
    return 0;
}

static int finish(void **state)
{
    signature_key_free(&key);
    arena_clear(&arena);
    buffer_free(&header);
    buffer_free(&record);
    return 0;
}

static int begin(void **state)
{
    buffer_clear(&header);
    buffer_add_text(&header, HEADER);
    arena_clear(&arena);
    return 0;
}

static struct dkim_body_fact body_fact(const char *body, const struct dkim_body *form)
{
    struct body_hashes hashes;
    struct dkim_body_fact fact;
    signature_hash_start(&hashes, form, 1);
    signature_hash_add(&hashes, bytes_of_text(body));
    signature_hash_finish(&hashes, &fact);
    return fact;
}

static enum arc_result judge(const char *body)
{
    struct arc_facts facts;
    field_index_start(&index_of_header, buffer_bytes(&header));
    arc_begin(&arc, &index_of_header, &arena);
    dns_facts_start(&dns, &arena);
    signature_facts_start(&signatures, &arena);
    arc_facts_start(&facts, &dns, &signatures);
    if (arc.needs_body)
        facts.body = body_fact(body, &arc.body);
    facts.body_is_known = true;
    while (!arc_judge(&arc, &facts, 1796000000)) {
        struct dns_answer answer = {
            .status = DNS_FOUND, .records = &(struct dns_record){.data = buffer_bytes(&record)}, .count = 1};
        assert_true(dns.lacked_count <= DNS_LACKED_MAX);
        for (size_t i = 0; i < dns.lacked_count; i++)
            dns_facts_add(&dns, dns.lacked[i], &answer);
        signature_answer(&signatures);
    }
    return arc.result;
}

/* Seals the message as it is; false if its chain is not to be continued. */
static bool seal_message(const char *domain)
{
    struct arc_seal seal;
    struct buffer names = {0}, input = {0}, made = {0}, set = {0};
    struct dkim_body_fact fact = body_fact(BODY, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE});
    judge(BODY);
    assert_true(arc_seal_names(&index_of_header, &names));
    struct arc_seal_request request = {
        .algorithm = key.algorithm,
        .domain = bytes_of_text(domain),
        .selector = BYTES("s1"),
        .time_s = 1796000000,
        .names = buffer_bytes(&names),
        .results = BYTES("mx.example.org;\r\n\tspf=pass smtp.mailfrom=a@b\r\n"),
        .body_digest = bytes_of(fact.digest, DKIM_DIGEST),
        .folds_values = true};
    bool started = arc_seal_start(&seal, &arc, &request);
    if (started) {
        arc_seal_message_input(&seal, &input);
        signature_sign(&key, buffer_bytes(&input), &made);
        arc_seal_message(&seal, buffer_bytes(&made));
        buffer_clear(&input);
        buffer_clear(&made);
        arc_seal_chain_input(&seal, &input);
        signature_sign(&key, buffer_bytes(&input), &made);
        arc_seal_finish(&seal, buffer_bytes(&made), &set);
        buffer_add(&set, buffer_bytes(&header));
        buffer_clear(&header);
        buffer_add(&header, buffer_bytes(&set));
    }
    arc_seal_free(&seal);
    buffer_free(&names);
    buffer_free(&input);
    buffer_free(&made);
    buffer_free(&set);
    return started;
}

static void test_a_message_without_a_chain(void **state)
{
    assert_int_equal(judge(BODY), ARC_NONE);
    assert_false(arc.needs_body);
}

static void test_chains_grow_to_fifty_sets(void **state)
{
    char domain[32];
    for (size_t i = 1; i <= ARC_INSTANCE_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%zu.example", i);
        assert_true(seal_message(domain));
        assert_int_equal(judge(BODY), ARC_PASS);
        assert_int_equal(arc.count, i);
    }
    struct authres authres;
    assert_true(authres_parse(&authres, arc_results_of(&arc, 1), &arena));
    assert_text(authres.id, "mx.example.org");
    assert_non_null(strstr(arc_seal_obstacle(&arc), "50 sets"));
    assert_false(seal_message("another.example"));
    assert_int_equal(judge("Hello Eve\r\n"), ARC_FAIL);
    assert_string_equal(arc.reason, "body hash did not verify");
}

static void test_what_is_altered_fails(void **state)
{
    static const char *const altered[] = {"A boat", "spf=pass", "t=1796", "h=from", "cv=none"};
    for (size_t i = 0; i < ARRAY_LENGTH(altered); i++) {
        begin(NULL);
        seal_message("one.example");
        seal_message("two.example");
        assert_int_equal(judge(BODY), ARC_PASS);
        strstr(header.at, altered[i])[3]++;
        assert_int_equal(judge(BODY), ARC_FAIL);
    }
}

/* The clocks of servers differ by up to 300 seconds. */
static void test_the_newest_signature_can_expire(void **state)
{
    for (unsigned late = 300; late <= 301; late++) {
        struct buffer changed = {0};
        begin(NULL);
        seal_message("one.example");
        size_t signature = bytes_search(buffer_bytes(&header), BYTES("ARC-Message-Signature"));
        size_t at = signature +
                    bytes_search(bytes_from(buffer_bytes(&header), signature), BYTES("t=1796000000"));
        buffer_add(&changed, bytes_first(buffer_bytes(&header), at));
        buffer_add_format(&changed, "t=1; x=%u", 1796000000 - late);
        buffer_add(&changed, bytes_from(buffer_bytes(&header), at + strlen("t=1796000000")));
        buffer_clear(&header);
        buffer_add(&header, buffer_bytes(&changed));
        assert_int_equal(judge(BODY), ARC_FAIL); /* it was changed in any case */
        assert_int_equal(strcmp(arc.reason, "signature expired") == 0, late == 301);
        buffer_free(&changed);
    }
}

static void test_an_older_signature_may_be_broken(void **state)
{
    seal_message("list.example");
    *strstr(header.at, "A boat") = 'B'; /* a list that alters Subject, and seals again without a check */
    assert_int_equal(judge(BODY), ARC_FAIL);
    assert_int_equal(arc.failed_instance, 1);
}

/* True if the ARC-Seal of the first set above the header verifies with the key, over its own set alone. */
static bool newest_seal_is_good(void)
{
    const struct arc_set *set = &arc.sets[arc.count - 1];
    struct buffer input = {0};
    canon_field(&input, arc.index->fields[set->results_at].whole, CANON_RELAXED);
    canon_field(&input, set->signature.whole, CANON_RELAXED);
    canon_signature_field(&input, set->seal.whole, set->seal.hole, CANON_RELAXED);
    struct buffer made = {0};
    signature_sign(&key, buffer_bytes(&input), &made); /* Ed25519: the same for the same octets */
    bool good = bytes_equal(buffer_bytes(&made), set->seal.signature);
    buffer_free(&input);
    buffer_free(&made);
    return good;
}

/* RFC 8617 5.1.2: that set covers itself alone; and no other follows it (5.1). */
static void test_a_broken_chain_gets_one_set_that_says_so(void **state)
{
    for (size_t sets = 1; sets <= ARC_INSTANCE_MAX; sets += ARC_INSTANCE_MAX - 2) {
        begin(NULL);
        for (size_t i = 0; i < sets; i++)
            assert_true(seal_message("one.example"));
        *strstr(header.at, "A boat") = 'B';
        assert_int_equal(judge(BODY), ARC_FAIL);
        assert_null(arc_seal_obstacle(&arc));
        assert_true(seal_message("two.example"));
        assert_int_equal(judge(BODY), ARC_FAIL);
        assert_int_equal(arc.count, sets + 1);
        assert_text(arc.sets[sets].seal.chain, "fail");
        assert_string_equal(arc.reason, "the sealer found the chain broken");
        assert_true(newest_seal_is_good());
        assert_non_null(arc_seal_obstacle(&arc));
        assert_false(seal_message("three.example"));
    }
    begin(NULL); /* a structure without a whole set */
    struct bytes rest = bytes_of(arena_text(&arena, buffer_bytes(&header)), header.length);
    buffer_clear(&header);
    buffer_add_text(&header, "ARC-Seal: i=3; a=rsa-sha256; cv=pass; d=a.example; s=s; b=AAAA\r\n");
    buffer_add(&header, rest);
    assert_true(seal_message("two.example"));
    assert_int_equal(judge(BODY), ARC_FAIL);
    assert_int_equal(arc.count, 4);
    assert_true(newest_seal_is_good());
}

static void test_chains_that_were_not_checked_are_left_alone(void **state)
{
    judge(BODY);
    arc.result = ARC_TEMPERROR;
    assert_non_null(arc_seal_obstacle(&arc));
    arc.result = ARC_PENDING;
    assert_non_null(arc_seal_obstacle(&arc));
}

static void test_signatures_are_signed_too(void **state)
{
    struct buffer names = {0};
    buffer_clear(&header);
    for (int i = 0; i < ARC_SEAL_SIGNATURES_MAX; i++)
        buffer_add_text(&header, "DKIM-Signature: v=1\r\n");
    buffer_add_text(&header, HEADER);
    seal_message("one.example");
    assert_int_equal(judge(BODY), ARC_PASS);
    *strstr(header.at, "v=1") = 'x'; /* the highest of eight */
    assert_int_equal(judge(BODY), ARC_FAIL);
    buffer_clear(&header);
    for (int i = 0; i <= ARC_SEAL_SIGNATURES_MAX; i++)
        buffer_add_text(&header, "DKIM-Signature: v=1\r\n");
    buffer_add_text(&header, HEADER);
    seal_message("one.example");
    *strstr(header.at, "v=1") = 'x'; /* the highest of nine */
    assert_int_equal(judge(BODY), ARC_PASS);
    field_index_start(&index_of_header, BYTES("DKIM-Signature: v=1\r\nTo: a\r\n"));
    assert_false(arc_seal_names(&index_of_header, &names));
    assert_int_equal(names.length, 0);
    buffer_free(&names);
}

static void test_a_set_that_is_not_whole_fails(void **state)
{
    static const char *const names[] = {"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        begin(NULL);
        seal_message("one.example");
        *strstr(header.at, names[i]) = 'X';
        assert_int_equal(judge(BODY), ARC_FAIL);
        assert_int_equal(dns.known_count, 0); /* nothing is asked for it */
    }
    begin(NULL);
    seal_message("one.example");
    struct bytes once = bytes_of(arena_text(&arena, buffer_bytes(&header)), header.length);
    buffer_clear(&header);
    buffer_add(&header, bytes_first(once, bytes_search(once, BYTES("From:"))));
    buffer_add(&header, once); /* the same set twice */
    assert_int_equal(judge(BODY), ARC_FAIL);
}

static void test_hostile_chains_are_bounded(void **state)
{
    buffer_clear(&header);
    for (size_t i = 0; i < 10000; i++)
        buffer_add_format(&header, "ARC-Seal: i=%zu; a=rsa-sha256; cv=pass; d=a%zu.example; s=s; b=AAAA\r\n",
                          i % 50 + 1, i);
    buffer_add_text(&header, HEADER);
    assert_int_equal(judge(BODY), ARC_FAIL);
    assert_true(arena.used < 64 * 1024);
    begin(NULL);
    buffer_clear(&header);
    buffer_add_text(&header, "ARC-Authentication-Results: i=51; a; none\r\n");
    buffer_add_text(&header, HEADER);
    assert_int_equal(judge(BODY), ARC_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_message_without_a_chain, begin),
        cmocka_unit_test_setup(test_chains_grow_to_fifty_sets, begin),
        cmocka_unit_test_setup(test_what_is_altered_fails, begin),
        cmocka_unit_test_setup(test_the_newest_signature_can_expire, begin),
        cmocka_unit_test_setup(test_an_older_signature_may_be_broken, begin),
        cmocka_unit_test_setup(test_a_broken_chain_gets_one_set_that_says_so, begin),
        cmocka_unit_test_setup(test_chains_that_were_not_checked_are_left_alone, begin),
        cmocka_unit_test_setup(test_signatures_are_signed_too, begin),
        cmocka_unit_test_setup(test_a_set_that_is_not_whole_fails, begin),
        cmocka_unit_test_setup(test_hostile_chains_are_bounded, begin),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
