/* SPDX-License-Identifier: Apache-2.0 */
/* MTA-STS: untrusted TXT records and policy files (RFC 8461). */
#include "core/route/sts.h"
#include "unit.h"

static struct dns_record txt(const char *text)
{
    return (struct dns_record){.data = bytes_of_text(text)};
}

static void exactly_one_record_counts(void **state)
{
    static const struct {
        const char *first, *second, *id;
    } cases[] = {
        {"v=STSv1; id=20160831085700Z;", NULL, "20160831085700Z"},
        {"v=STSv1;id=1", NULL, "1"},
        {"v=STSv1 ;\t id = 1 ; more=2;", NULL, "1"},
        {"v=STSv1; more=2; id=1", "v=spf1 -all", "1"},
        {"v=STSv1; id=1; id=2", NULL, "1"},
        {"v=STSv1; id=1; a1234567890123456789012345678901=x", NULL, "1"},
        {"v=STSv1; id=1; a12345678901234567890123456789012=x", NULL, NULL},
        {"v=STSv1; id=1; more=", NULL, NULL},
        {"v=STSv1; id=1; more", NULL, NULL},
        {"v=STSv1; id=1;;", NULL, NULL},
        {"v=STSv1; id=1; ", NULL, "1"},
        {"v=STSv1; id=1;", "v=STSv1; id=2;", NULL},
        {"v=STSv2; id=1;", NULL, NULL},
        {"v=STSv10; id=1;", NULL, NULL},
        {"V=STSv1; id=1;", NULL, NULL},
        {" v=STSv1; id=1;", NULL, NULL},
        {"v=STSv1;", NULL, NULL},
        {"v=STSv1; id=;", NULL, NULL},
        {"v=STSv1; id=not-alnum;", NULL, NULL},
        /* STS_ID_MAX */
        {"v=STSv1; id=12345678901234567890123456789012;", NULL, "12345678901234567890123456789012"},
        /* and one past it */
        {"v=STSv1; id=123456789012345678901234567890123;", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct dns_record records[] = {txt(cases[i].first), txt(cases[i].second)};
        struct bytes id = bytes_none();
        bool found = sts_read_records(records, cases[i].second == NULL ? 1 : 2, &id);
        assert_int_equal(found, cases[i].id != NULL);
        if (found)
            assert_text(id, cases[i].id);
    }
    assert_false(sts_read_records(NULL, 0, &(struct bytes){0}));
}

static void a_policy_is_read(void **state)
{
    struct sts_policy policy;
    assert_true(sts_read_policy(BYTES("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: "
                                      "*.example.net\r\nmax_age: 604800\r\n"),
                                &policy));
    assert_int_equal(policy.mode, STS_ENFORCE);
    assert_int_equal(policy.max_age_s, 604800);
    assert_int_equal(policy.pattern_count, 2);
    /* LF alone, no end of the last line, keys nobody knows, the first of two counts, a year at most */
    assert_true(sts_read_policy(
        BYTES("mode:testing\nversion:STSv1\nfuture: x\n\nmx:\ta.example\nmode: enforce\nmax_age: 9999999999"),
        &policy));
    assert_int_equal(policy.mode, STS_TESTING);
    assert_int_equal(policy.max_age_s, STS_AGE_MAX_S);
    assert_true(sts_read_policy(BYTES("version: STSv1\nmode: none\nmax_age: 0\n"), &policy));
}

static void what_is_no_policy_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "<html>",
        "mode: enforce\nmx: a.example\nmax_age: 1\n",
        "version: STSv2\nmode: enforce\nmx: a.example\nmax_age: 1\n",
        "version: STSv1\nmx: a.example\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmx: a.example\n",
        "version: STSv1\nmode: enforce\nmax_age: 1\n",
        "version: STSv1\nmode: strict\nmx: a.example\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1\n",
        "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 12345678901\n",
        "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n",
        "version: STSv1\nmode: none\nmax_age: 1\nmore:\n",
        "version: STSv1\nmode: none\nmax_age: 1\nmore\n",
        "version: STSv1\nmode: none\nmax_age: 1\n1%: x\n",
        "version: STSv1\nmode: none\nmax_age: 1\nmore: a\001b\n",
        "version: STSv1\nmode: none\nmax_age: 1\na12345678901234567890123456789012: x\n",
    };
    struct sts_policy policy;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (sts_read_policy(bytes_of_text(texts[i]), &policy))
            fail_msg("taken for a policy: %s", texts[i]);
}

static void limits_hold(void **state)
{
    struct sts_policy policy;
    struct buffer text = {0};
    buffer_add_text(&text, "version: STSv1\nmode: enforce\nmax_age: 1\n");
    for (int i = 0; i < STS_PATTERNS_MAX; i++)
        buffer_add_format(&text, "mx: m%d.example\n", i);
    assert_true(sts_read_policy(buffer_bytes(&text), &policy));
    buffer_add_text(&text, "mx: one.more.example\n");
    assert_false(sts_read_policy(buffer_bytes(&text), &policy));
    buffer_clear(&text);
    buffer_add_text(&text, "version: STSv1\nmode: none\nmax_age: 1\n");
    while (text.length < STS_POLICY_MAX)
        buffer_add_octet(&text, '\n');
    assert_true(sts_read_policy(buffer_bytes(&text), &policy));
    buffer_add_octet(&text, '\n');
    assert_false(sts_read_policy(buffer_bytes(&text), &policy));
    buffer_free(&text);
}

static void a_star_stands_for_one_label(void **state)
{
    struct sts_policy policy = {.patterns = {BYTES("mail.example.com"), BYTES("*.example.net")},
                                .pattern_count = 2};
    static const struct {
        const char *host;
        bool listed;
    } cases[] = {{"mail.example.com", true},    {"MAIL.example.COM", true}, {"a.example.net", true},
                 {"a.b.example.net", false},    {"example.net", false},     {".example.net", false},
                 {"a.mail.example.com", false}, {"aexample.net", false},    {"", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(sts_lists(&policy, bytes_of_text(cases[i].host)), cases[i].listed);
}

static void a_policy_is_kept_as_a_line(void **state)
{
    struct sts_cache_entry kept = {.domain = BYTES("example.com"),
                                   .id = BYTES("42"),
                                   .fetched_ms = 1700000000000,
                                   .policy = {.mode = STS_ENFORCE,
                                              .max_age_s = 86400,
                                              .patterns = {BYTES("a.example"), BYTES("*.b.example")},
                                              .pattern_count = 2}};
    struct sts_cache_entry back;
    struct buffer line = {0};
    sts_cache_write(&line, &kept);
    assert_text(buffer_bytes(&line),
                "sts example.com 42 1700000000000 86400 enforce a.example *.b.example end");
    assert_true(sts_cache_read(buffer_bytes(&line), &back));
    assert_text(back.domain, "example.com");
    assert_int_equal(back.policy.pattern_count, 2);
    assert_text(back.policy.patterns[1], "*.b.example");
    for (size_t length = 0; length < line.length; length++) /* torn anywhere */
        assert_false(sts_cache_read(bytes_first(buffer_bytes(&line), length), &back));
    buffer_free(&line);
}

static void what_is_kept_holds_for_its_time(void **state)
{
    enum { DAY_S = 86400, DAY_MS = DAY_S * 1000 };
    const struct sts_cache_entry kept = {
        .id = BYTES("1"), .fetched_ms = 0, .policy = {.mode = STS_ENFORCE, .max_age_s = 10 * DAY_S}};
    assert_int_equal(sts_next(NULL, bytes_none(), 0), STS_STEP_NOTHING);
    assert_int_equal(sts_next(NULL, BYTES("1"), 0), STS_STEP_FETCH);
    assert_int_equal(sts_next(&kept, BYTES("1"), DAY_MS), STS_STEP_USE);
    assert_int_equal(sts_next(&kept, BYTES("1"), DAY_MS + 1), STS_STEP_REFRESH);
    assert_int_equal(sts_next(&kept, BYTES("2"), 1), STS_STEP_FETCH);
    /* a record that is hidden */
    assert_int_equal(sts_next(&kept, bytes_none(), (uint64_t)10 * DAY_MS - 1), STS_STEP_USE);
    assert_int_equal(sts_next(&kept, bytes_none(), (uint64_t)10 * DAY_MS), STS_STEP_NOTHING);
    assert_int_equal(sts_next(&kept, BYTES("1"), (uint64_t)10 * DAY_MS), STS_STEP_FETCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_record_counts),      cmocka_unit_test(a_policy_is_read),
        cmocka_unit_test(what_is_no_policy_is_refused),   cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_star_stands_for_one_label),    cmocka_unit_test(a_policy_is_kept_as_a_line),
        cmocka_unit_test(what_is_kept_holds_for_its_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
