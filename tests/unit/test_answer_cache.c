/* SPDX-License-Identifier: Apache-2.0 */
/* What the process trust remembers of DNS, and for how long; and what smtpd tells it of bodies. */
#include <stdio.h>

#include "service/trust/answer_cache.h"
#include "service/trust_digests.h"
#include "unit.h"

static struct answer_cache cache;

static int start(void **state)
{
    answer_cache_start(&cache, 1);
    return 0;
}

static int finish(void **state)
{
    answer_cache_free(&cache);
    return 0;
}

static struct dns_fact_key key(const char *name)
{
    return (struct dns_fact_key){.type = DNS_TXT, .name = bytes_of_text(name), .prefix = "v=spf1"};
}

static void put(const char *name, enum dns_status status, uint32_t ttl_s, uint64_t now_ms)
{
    struct dns_record record = {.data = bytes_of_text("v=spf1 -all")};
    struct dns_answer answer = {
        .status = status, .ttl_s = ttl_s, .records = &record, .count = status == DNS_FOUND ? 1 : 0};
    answer_cache_put(&cache, key(name), now_ms, &answer);
}

static bool has(const char *name, uint64_t now_ms)
{
    struct dns_answer answer;
    return answer_cache_get(&cache, key(name), now_ms, &answer);
}

static void an_answer_is_a_copy_and_known_by_all_of_its_question(void **state)
{
    struct dns_answer answer;
    char name[] = "example.org";
    put(name, DNS_FOUND, 300, 0);
    memset(name, 'x', sizeof name - 1);
    assert_true(answer_cache_get(&cache, key("example.org"), 0, &answer));
    assert_int_equal(answer.count, 1);
    assert_text(answer.records[0].data, "v=spf1 -all");
    struct dns_fact_key all = {.type = DNS_TXT, .name = BYTES("example.org")};
    assert_false(answer_cache_get(&cache, all, 0, &answer));
    struct dns_fact_key mx = {.type = DNS_MX, .name = BYTES("example.org"), .prefix = "v=spf1"};
    assert_false(answer_cache_get(&cache, mx, 0, &answer));
}

static void its_ttl_counts_within_a_minute_and_a_day(void **state)
{
    static const struct {
        enum dns_status status;
        uint32_t ttl_s, kept_s;
    } rows[] = {
        {DNS_FOUND, 0, 60},    {DNS_FOUND, 300, 300},     {DNS_FOUND, 10 * 86400, 86400},
        {DNS_NXDOMAIN, 0, 60}, {DNS_NXDOMAIN, 3600, 300}, {DNS_NO_DATA, 3600, 300},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        put("example.org", rows[i].status, rows[i].ttl_s, 5);
        assert_true(has("example.org", 5 + 1000ULL * rows[i].kept_s - 1));
        assert_false(has("example.org", 5 + 1000ULL * rows[i].kept_s));
    }
    assert_int_equal(cache.count, 1);
}

static void a_failure_is_not_kept(void **state)
{
    put("a.example", DNS_SERVER_FAILURE, 300, 0);
    put("b.example", DNS_BOGUS, 300, 0);
    assert_false(has("a.example", 0) || has("b.example", 0));
    assert_int_equal(cache.count, 0);
}

static void a_full_cache_keeps_what_is_used(void **state)
{
    char name[32];
    put("used.example", DNS_FOUND, 300, 0);
    for (int i = 0; i < 3 * ANSWER_CACHE_MAX; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        put(name, DNS_FOUND, 300, 0);
        assert_true(has("used.example", 0));
        assert_true(cache.count <= ANSWER_CACHE_MAX);
    }
    assert_int_equal(cache.count, ANSWER_CACHE_MAX);
    assert_false(has("n0.example", 0));
    assert_true(has(name, 0));
}

static void large_answers_have_bounds(void **state)
{
    enum { LARGE = ANSWER_CACHE_ENTRY_MAX - 2048 };
    static char text[2 * ANSWER_CACHE_ENTRY_MAX];
    char name[32];
    struct dns_record record = {.data = bytes_of(text, sizeof text)};
    struct dns_answer answer = {.status = DNS_FOUND, .ttl_s = 300, .records = &record, .count = 1};
    answer_cache_put(&cache, key("huge.example"), 0, &answer);
    assert_false(has("huge.example", 0));
    record.data = bytes_of(text, LARGE);
    for (int i = 0; i < 2 * ANSWER_CACHE_OCTETS_MAX / LARGE; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        answer_cache_put(&cache, key(name), 0, &answer);
    }
    assert_true(has(name, 0));
    assert_true(cache.octets <= ANSWER_CACHE_OCTETS_MAX && cache.octets > ANSWER_CACHE_OCTETS_MAX / 2);
}

static void digests_are_read_as_they_were_written(void **state)
{
    struct dkim_body_fact written[3] = {{{1}, 5}, {{2}, 0}, {{3}, UINT64_MAX}}, read[3];
    struct buffer out = {0};
    trust_digests_add(&out, written, 3);
    assert_true(trust_digests_read(buffer_bytes(&out), read, 3));
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(read[i].digest, written[i].digest, DKIM_DIGEST);
        assert_int_equal(read[i].length, written[i].length);
    }
    assert_false(trust_digests_read(buffer_bytes(&out), read, 2));
    assert_false(trust_digests_read(bytes_first(buffer_bytes(&out), out.length - 1), read, 3));
    assert_true(trust_digests_read(bytes_none(), read, 0));
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_is_a_copy_and_known_by_all_of_its_question, start, finish),
        cmocka_unit_test_setup_teardown(its_ttl_counts_within_a_minute_and_a_day, start, finish),
        cmocka_unit_test_setup_teardown(a_failure_is_not_kept, start, finish),
        cmocka_unit_test_setup_teardown(a_full_cache_keeps_what_is_used, start, finish),
        cmocka_unit_test_setup_teardown(large_answers_have_bounds, start, finish),
        cmocka_unit_test(digests_are_read_as_they_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
