/* SPDX-License-Identifier: Apache-2.0 */
/* Records of signing keys as people publish them, and what DNS shows in their place. */
#include <string.h>

#include "core/trust/key_record.h"
#include "unit.h"

#define START                                                                                    \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyuABp03+eIOTmgZQdb0g1ypogrq1EJPgDGq1FD0b5Qbnuu" \
    "dM1sVx3HsM0ZOZf6XD0A2B/fhblXWnK8JC9NPa2LckgnZCCsFwqqYksDSQ785R9dxGDJFJAGQqjqWu4zhZfmlcdvyn" \
    "vT/i8Yexc0SRNna8Ma8KbLnDUEDa0czrkE/bli8ZMMjT2oUTvcWIF7WCA"
#define REST                                                                                     \
    "fCSQVJPh7SDJMLAznrFJHH3haVxB87RyR6hKkfvUxt9Uj7Wap9/kaj24T9KREnNftWD0JluR+j9pJ8UBu4gVAkyw4G" \
    "FB8I7tjpKN9MmxC3gzfP6ccb3Hu4RKIybDsmnsh05ktD11GETiOj3mwHz8QIDAQAB"
#define OTHER                                                                                    \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqw9YRzU00NilHdOD5lvnx46pPmVWQXPARRxnvEdapPMjTZ" \
    "FHY0/KPJXA/Qn1UWnT2DmqAcTsYoEgSRvKY+w4nafOFdJvGvBp7nemsi6x7X8HVFFhWj5PzoZHBypIZfHwci/f9T6r" \
    "9YbxEM2DNeSU9Be+60suOi0FOGD4aI5V2OgmQ6ZEp/rCBbvgvDwZDFF7ciinf947iuzQOxsdWKVQa0iukb5iIyJLGw" \
    "U44phrGvVU+9JKj9FTBWbGH2dkaITr5T5lwmYH6TU5S1eYCvgW5rsnMLApxU/VnBn71+l7nl0uOzG91nWfe7ZZDe5N" \
    "vhkTKUTJwI4KEo7X374iLKYsxwIDAQAB"
#define EDWARDS "5PQ1FvV5/vd6oVZxFTBmlRhoVOXZB68qXqQdIH+Ywv8="

static const struct key_record rsa = {BYTES("example.org"), BYTES("s1"), DKIM_RSA_SHA256, BYTES(START REST)};
static const struct key_record edwards = {BYTES("example.org"), BYTES("s2"), DKIM_ED25519_SHA256,
                                          BYTES(EDWARDS)};

static void test_a_record_is_written_in_three_forms(void **state)
{
    struct buffer out = {0}, value = {0};
    key_record_name(&rsa, &out);
    assert_text(buffer_bytes(&out), "s1._domainkey.example.org");
    key_record_value(&rsa, &value);
    assert_text(buffer_bytes(&value), "v=DKIM1; k=rsa; p=" START REST);
    buffer_clear(&out);
    key_record_strings(buffer_bytes(&value), &out);
    assert_text(buffer_bytes(&out), "\"v=DKIM1; k=rsa; p=" START "\" \"" REST "\"");
    buffer_clear(&value);
    key_record_value(&edwards, &value);
    assert_text(buffer_bytes(&value), "v=DKIM1; k=ed25519; p=" EDWARDS);
    buffer_clear(&out);
    key_record_strings(buffer_bytes(&value), &out);
    assert_text(buffer_bytes(&out), "\"v=DKIM1; k=ed25519; p=" EDWARDS "\"");
    buffer_free(&out);
    buffer_free(&value);
}

static void test_a_string_has_255_octets_at_most(void **state)
{
    static const struct {
        size_t length, quotes;
    } table[] = {{0, 2}, {1, 2}, {254, 2}, {255, 2}, {256, 4}, {510, 4}, {511, 6}};
    char text[600];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buffer out = {0};
        size_t quotes = 0;
        key_record_strings(bytes_of(text, table[i].length), &out);
        for (size_t at = 0; at < out.length; at++)
            quotes += buffer_text(&out)[at] == '"' ? 1 : 0;
        assert_int_equal(quotes, table[i].quotes);
        assert_int_equal(out.length, table[i].length + quotes + quotes / 2 - 1);
        buffer_free(&out);
    }
}

/* ---- what DNS shows ---- */

static enum key_seen compare(const struct key_record *record, const char *text)
{
    const struct dns_record one = {.data = bytes_of_text(text)};
    return key_record_compare(record, &(struct dns_answer){.status = DNS_FOUND, .records = &one, .count = 1});
}

static void test_a_record_is_compared_by_meaning(void **state)
{
    static const struct {
        const char *text;
        enum key_seen seen;
    } table[] = {
        {"v=DKIM1; k=rsa; p=" START REST, KEY_SEEN_OURS},
        {"p=" START REST, KEY_SEEN_OURS},
        {"v=DKIM1;t=y;p=" START " " REST ";n=hello", KEY_SEEN_OURS},
        {"v=DKIM1; k=rsa; p=" START, KEY_SEEN_CUT},
        {"v=DKIM1; k=rsa; p=MIIBIjAN", KEY_SEEN_CUT},
        {"v=DKIM1; k=rsa; p=MIIBIjA", KEY_SEEN_BROKEN},
        {"v=DKIM1; k=rsa; p=", KEY_SEEN_REVOKED},
        {"v=DKIM1; p=", KEY_SEEN_REVOKED},
        {"v=DKIM1; k=rsa; p=" OTHER, KEY_SEEN_OTHER},
        {"v=DKIM1; k=ed25519; p=" EDWARDS, KEY_SEEN_OTHER},
        {"\"v=DKIM1; k=rsa; p=" START "\" \"" REST "\"", KEY_SEEN_QUOTED},
        {"v=spf1 -all", KEY_SEEN_BROKEN},
        {"", KEY_SEEN_BROKEN},
        {"v=DKIM2; p=" START REST, KEY_SEEN_BROKEN},
        {"v=DKIM1; h=sha1; p=" START REST, KEY_SEEN_BROKEN},
        {"v=DKIM1; s=tlsrpt; p=" START REST, KEY_SEEN_BROKEN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        enum key_seen seen = compare(&rsa, table[i].text);
        if (seen != table[i].seen) {
            print_error("%s: %s\n", table[i].text, key_seen_name(seen));
            fail();
        }
    }
    assert_int_equal(compare(&edwards, "v=DKIM1; k=ed25519; p=" EDWARDS), KEY_SEEN_OURS);
    assert_int_equal(compare(&edwards, "v=DKIM1; p=" EDWARDS), KEY_SEEN_OTHER); /* k=rsa is the default */
}

static void test_answers_without_one_record(void **state)
{
    static const struct {
        enum dns_status status;
        size_t count;
        enum key_seen seen;
    } table[] = {
        {DNS_UNKNOWN, 0, KEY_SEEN_UNKNOWN}, {DNS_SERVER_FAILURE, 0, KEY_SEEN_UNKNOWN},
        {DNS_BOGUS, 0, KEY_SEEN_UNKNOWN},   {DNS_NXDOMAIN, 0, KEY_SEEN_MISSING},
        {DNS_NO_DATA, 0, KEY_SEEN_MISSING}, {DNS_FOUND, 0, KEY_SEEN_MISSING},
        {DNS_FOUND, 2, KEY_SEEN_SEVERAL},
    };
    const struct dns_record two[] = {{.data = BYTES("p=" START REST)}, {.data = BYTES("p=" START REST)}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct dns_answer answer = {.status = table[i].status, .records = two, .count = table[i].count};
        assert_int_equal(key_record_compare(&rsa, &answer), table[i].seen);
    }
}

static void test_names_and_words(void **state)
{
    enum key_seen seen;
    enum dkim_algorithm algorithm;
    struct buffer out = {0};
    for (int i = 0; i < KEY_SEEN_KINDS; i++) {
        assert_true(key_seen_named(bytes_of_text(key_seen_name((enum key_seen)i)), &seen));
        assert_int_equal(seen, i);
        assert_true(strlen(key_seen_words((enum key_seen)i)) > 10);
        assert_int_equal(key_seen_is_wrong((enum key_seen)i), i > KEY_SEEN_OURS);
    }
    assert_false(key_seen_named(BYTES("Ours"), &seen));
    assert_true(key_record_algorithm_named(BYTES("ED25519"), &algorithm));
    assert_int_equal(algorithm, DKIM_ED25519_SHA256);
    assert_false(key_record_algorithm_named(BYTES("dsa"), &algorithm));
    key_record_selector(bytes_none(), DKIM_RSA_SHA256, 1795435200, 1, &out);
    assert_text(buffer_bytes(&out), "mb-rsa-202611");
    buffer_clear(&out);
    key_record_selector(BYTES("mail"), DKIM_ED25519_SHA256, 1795435200, 3, &out);
    assert_text(buffer_bytes(&out), "mail-3");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_written_in_three_forms),
        cmocka_unit_test(test_a_string_has_255_octets_at_most),
        cmocka_unit_test(test_a_record_is_compared_by_meaning),
        cmocka_unit_test(test_answers_without_one_record),
        cmocka_unit_test(test_names_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
