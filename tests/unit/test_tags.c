/* SPDX-License-Identifier: Apache-2.0 */
/* Tag lists (RFC 6376 3.2): what is a tag, what makes a list invalid, white space, limits. */
#include <stdio.h>

#include "core/trust/tags.h"
#include "unit.h"

static struct tags tags;

static enum tags_fault parse(const char *text)
{
    return tags_parse(&tags, bytes_of_text(text), TAGS_STRICT);
}

static enum tags_fault skim(const char *text)
{
    return tags_parse(&tags, bytes_of_text(text), TAGS_SKIP_MALFORMED);
}

static void test_a_list_has_its_tags_in_order(void **state)
{
    assert_int_equal(parse(" v = DKIM1 ;\r\n\tp=ab\r\n cd ; x_1=;"), TAGS_FINE);
    assert_int_equal(tags.count, 3);
    assert_text(tags.list[0].name, "v");
    assert_text(tags_value(&tags, "v"), "DKIM1");
    assert_text(tags_find(&tags, "p")->value, "ab\r\n cd");
    assert_text(tags_find(&tags, "p")->raw, "ab\r\n cd ");
    assert_text(tags_value(&tags, "x_1"), "");
    assert_non_null(tags_value(&tags, "x_1").at);
    assert_null(tags_find(&tags, "V"));
    assert_null(tags_value(&tags, "q").at);
}

static void test_a_value_may_hold_equals_and_utf8(void **state)
{
    assert_int_equal(parse("bh=ab==; i=@m\xc3\xbcller.example"), TAGS_FINE);
    assert_text(tags_value(&tags, "bh"), "ab==");
    assert_text(tags_value(&tags, "i"), "@m\xc3\xbcller.example");
    assert_int_equal(parse("i=@m\xfc"), TAGS_MALFORMED);
}

static void test_one_piece_that_is_not_a_tag_spoils_a_strict_list(void **state)
{
    const char *const malformed[] = {
        "",     " ",     ";",     "a",    "a=1; b",  "a=1;;b=2",   "a=1; ;;",    ";a=1",        "=1",
        "1a=1", "a-b=1", "a b=1", "_a=1", "a=1\x01", "a=1\x7f; b", "a=1 = 2; c", "a\r\n b=c; d"};
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        assert_int_equal(parse(malformed[i]), TAGS_MALFORMED);
        assert_int_equal(tags.count, 0);
    }
    assert_int_equal(tags_parse(&tags, BYTES("a=1\0"), TAGS_STRICT), TAGS_MALFORMED);
}

static void test_a_name_twice_spoils_any_list(void **state)
{
    assert_int_equal(parse("a=1; b=2; a=1"), TAGS_DUPLICATE);
    assert_int_equal(parse("a=1; A=2"), TAGS_FINE);
    assert_int_equal(skim("p=none; P=reject"), TAGS_DUPLICATE);
    assert_int_equal(tags.count, 0);
}

static void test_the_other_reading_skips_and_folds(void **state)
{
    assert_int_equal(skim("V=DMARC1;; P=reject; tagonly; =value; a b=1;"), TAGS_FINE);
    assert_int_equal(tags.count, 2);
    assert_int_equal(tags.skipped, 3);
    assert_text(tags_value(&tags, "v"), "DMARC1");
    assert_text(tags_value(&tags, "p"), "reject");
    assert_int_equal(skim(""), TAGS_FINE);
    assert_int_equal(tags.count, 0);
}

static void test_the_limits(void **state)
{
    struct buffer text = {0};
    for (size_t i = 0; i < TAGS_MAX; i++)
        buffer_add_format(&text, "a%zu=1;", i);
    assert_int_equal(tags_parse(&tags, buffer_bytes(&text), TAGS_STRICT), TAGS_FINE);
    assert_int_equal(tags.count, TAGS_MAX);
    buffer_add_text(&text, "b=1");
    assert_int_equal(tags_parse(&tags, buffer_bytes(&text), TAGS_STRICT), TAGS_TOO_MANY);
    assert_int_equal(tags_parse(&tags, buffer_bytes(&text), TAGS_SKIP_MALFORMED), TAGS_TOO_MANY);
    buffer_clear(&text);
    buffer_add_text(&text, "p=");
    while (text.length < TAGS_OCTETS_MAX)
        buffer_add_octet(&text, 'A');
    assert_int_equal(tags_parse(&tags, buffer_bytes(&text), TAGS_STRICT), TAGS_FINE);
    buffer_add_octet(&text, 'A');
    assert_int_equal(tags_parse(&tags, buffer_bytes(&text), TAGS_STRICT), TAGS_TOO_LONG);
    assert_string_equal(tags_fault_reason(TAGS_TOO_LONG), "tag list too long");
    buffer_free(&text);
}

static void test_lists_within_a_value(void **state)
{
    struct bytes item, rest = BYTES("from : to:\r\n subject::date ");
    const char *const wanted[] = {"from", "to", "subject", "", "date"};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_true(tags_next_item(&rest, ':', &item));
        assert_text(item, wanted[i]);
    }
    assert_false(tags_next_item(&rest, ':', &item));
    rest = bytes_none();
    assert_false(tags_next_item(&rest, ':', &item));
    rest = BYTES("a:");
    assert_true(tags_next_item(&rest, ':', &item) && tags_next_item(&rest, ':', &item));
    assert_text(item, "");
    assert_false(tags_next_item(&rest, ':', &item));
}

static void test_white_space_is_removed(void **state)
{
    struct buffer out = {0};
    tags_add_compact(&out, BYTES(" a b\r\n\tcd "));
    assert_text(buffer_bytes(&out), "abcd");
    buffer_clear(&out);
    tags_add_compact(&out, bytes_none());
    assert_int_equal(out.length, 0);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_has_its_tags_in_order),
        cmocka_unit_test(test_a_value_may_hold_equals_and_utf8),
        cmocka_unit_test(test_one_piece_that_is_not_a_tag_spoils_a_strict_list),
        cmocka_unit_test(test_a_name_twice_spoils_any_list),
        cmocka_unit_test(test_the_other_reading_skips_and_folds),
        cmocka_unit_test(test_the_limits),
        cmocka_unit_test(test_lists_within_a_value),
        cmocka_unit_test(test_white_space_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
