/* SPDX-License-Identifier: Apache-2.0 */
/* The base types: bytes, buffer, arena, map, error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/count.h"
#include "base/error.h"
#include "base/map.h"
#include "base/white_space.h"

static void numbers_are_read_strictly(void **state)
{
    uint64_t value = 7;
    assert_true(bytes_to_u64(BYTES("0"), 10, &value));
    assert_int_equal(value, 0);
    assert_true(bytes_to_u64(BYTES("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    static const char *const wrong[] = {"",   "18446744073709551616", "-1", "+1", " 1", "1 ",
                                        "1x", "000000000000000000001"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(bytes_to_u64(bytes_of_text(wrong[i]), UINT64_MAX, &value));
    assert_true(bytes_to_u64(BYTES("10"), 10, &value));
    assert_false(bytes_to_u64(BYTES("11"), 10, &value));
}

static void utf8_is_checked_by_rfc_3629(void **state)
{
    static const char *const right[] = {
        "", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xac", "\xf4\x8f\xbf\xbf"};
    static const char *const wrong[] = {"\x80",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xc3",
                                        "\xe2\x82",
                                        "\xf0\x9f\x93",
                                        "\xc3("};
    for (size_t i = 0; i < ARRAY_LENGTH(right); i++)
        assert_true(bytes_is_utf8(bytes_of_text(right[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(bytes_is_utf8(bytes_of_text(wrong[i])));
}

static void text_is_split_trimmed_and_found(void **state)
{
    struct bytes rest = BYTES("a, b,c");
    assert_true(bytes_is(bytes_split(&rest, ','), "a"));
    assert_true(bytes_is(bytes_trim(bytes_split(&rest, ',')), "b"));
    assert_true(bytes_is(bytes_split(&rest, ','), "c"));
    assert_true(bytes_is(bytes_trim(BYTES("\r b \t")), "\r b"));
    assert_true(bytes_is(white_space_trim(BYTES("\r\n\t b\n c \r\n")), "b\n c"));
    assert_int_equal(white_space_trim(BYTES(" \r\n")).length, 0);
    assert_int_equal(white_space_trim(bytes_none()).length, 0);
    assert_int_equal(rest.length, 0);
    assert_true(bytes_equal_nocase(BYTES("Mail"), BYTES("mAIL")));
    assert_false(bytes_equal_nocase(BYTES("\xc3\x84"), BYTES("\xc3\xa4"))); /* ASCII only */
    assert_true(bytes_ends_nocase(BYTES("x.ORG"), ".org"));
    assert_true(bytes_find(BYTES("abc"), 'd') == SIZE_MAX);
    assert_int_equal(bytes_search(BYTES("one two"), BYTES("two")), 4);
    assert_true(bytes_compare(BYTES("a"), BYTES("ab")) < 0);
}

static void a_buffer_grows_and_is_used_up(void **state)
{
    struct buffer buffer = {0};
    assert_string_equal(buffer_text(&buffer), "");
    for (int i = 0; i < 1000; i++)
        buffer_add_format(&buffer, "%d,", i);
    size_t length = buffer.length;
    buffer_consume(&buffer, 2);
    assert_true(bytes_starts_nocase(buffer_bytes(&buffer), "1,2,3,"));
    assert_int_equal(buffer.length, length - 2);
    buffer_consume(&buffer, buffer.length);
    buffer_add_text(&buffer, "again");
    assert_string_equal(buffer_text(&buffer), "again");
    buffer_free(&buffer);
}

static void an_arena_keeps_what_it_gave(void **state)
{
    struct arena arena = {0};
    struct bytes kept[500];
    for (int i = 0; i < 500; i++)
        kept[i] = bytes_of_text(arena_format(&arena, "text %d", i));
    char *large = arena_take(&arena, 1000000);
    assert_int_equal(large[999999], 0);
    assert_true(bytes_is(kept[0], "text 0"));
    assert_true(bytes_is(kept[499], "text 499"));
    arena_clear(&arena);
    assert_int_equal(arena.used, 0);
}

static void a_map_finds_replaces_and_removes(void **state)
{
    struct map map;
    static int values[5000];
    map_start(&map, 42);
    for (uint64_t i = 0; i < 5000; i++)
        map_put_u64(&map, i, &values[i]);
    for (uint64_t i = 0; i < 5000; i += 2)
        assert_ptr_equal(map_remove_u64(&map, i), &values[i]);
    assert_int_equal(map.count, 2500);
    for (uint64_t i = 0; i < 5000; i++)
        assert_ptr_equal(map_get_u64(&map, i), i % 2 == 0 ? NULL : &values[i]);
    map_put(&map, BYTES("a key longer than eight"), &values[0]);
    map_put(&map, BYTES("a key longer than eight"), &values[1]);
    assert_ptr_equal(map_get(&map, BYTES("a key longer than eight")), &values[1]);
    size_t position = 0, seen = 0;
    void *value;
    while (map_next(&map, &position, NULL, &value))
        seen++;
    assert_int_equal(seen, 2501);
    for (int round = 0; round < 100000; round++) { /* churn does not fill it with the removed */
        map_put_u64(&map, 1u << 20, &values[0]);
        map_remove_u64(&map, 1u << 20);
    }
    assert_true(map.capacity <= 16384);
    map_free(&map);
}

static void an_error_is_one_line(void **state)
{
    struct error error;
    assert_false(error_set(&error, 78, "bad\r\nvalue %s", "x\ny"));
    assert_string_equal(error.text, "bad??value x?y");
    error_prefix(&error, "%s:%d", "file", 3);
    assert_string_equal(error.text, "file:3: bad??value x?y");
    assert_int_equal(error.exit_code, 78);
}

static void what_others_wrote_acts_on_nothing(void **state)
{
    static const struct {
        const char *text, *clean, *ascii;
    } cases[] = {
        {"a b", "a b", "a b"},
        {"a\r\nb\t\x1b[2J\x7f", "a??b??[2J?", "a??b??[2J?"},
        {"M\xc3\xbcller \xe2\x82\xac", "M\xc3\xbcller \xe2\x82\xac", "M??ller ???"},
        {"\xc2\x85"
         "a\xc2\x9b"
         "2J",
         "?a?2J", "??a??2J"}, /* NEL, CSI */
        /* a space that does not break */
        {"\xc2\xa0"
         "a",
         "\xc2\xa0"
         "a",
         "??a"},
        /* line and paragraph separators */
        {"a\xe2\x80\xa8"
         "b\xe2\x80\xa9",
         "a?b?", "a???b???"},
        {"\xe2\x80\xae"
         "gpj.exe\xe2\x81\xa9",
         "?gpj.exe?", "???gpj.exe???"}, /* direction */
        /* the neighbours of those */
        {"\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5", "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5", "?????????"},
        {"\xc2", "?", "?"},
        {"\xe2\x80", "??", "??"},
        {"\xff"
         "a",
         "?a", "?a"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer out = {0};
        buffer_add_clean(&out, bytes_of_text(cases[i].text), true);
        assert_string_equal(buffer_text(&out), cases[i].clean);
        assert_int_equal(bytes_has_control_character(bytes_of_text(cases[i].text)) &&
                             bytes_is_utf8(bytes_of_text(cases[i].text)),
                         strchr(cases[i].clean, '?') != NULL && bytes_is_utf8(bytes_of_text(cases[i].text)));
        buffer_clear(&out);
        buffer_add_clean(&out, bytes_of_text(cases[i].text), false);
        assert_string_equal(buffer_text(&out), cases[i].ascii);
        buffer_free(&out);
    }
    assert_true(bytes_has_control_character(bytes_of("a\0b", 3)));
}

static void counts_have_the_noun_that_fits(void **state)
{
    static const struct {
        uint64_t count;
        const char *noun, *text;
    } rows[] = {{0, "message", "0 messages"},
                {1, "message", "1 message"},
                {2, "message", "2 messages"},
                {1, "delivery", "1 delivery"},
                {2, "delivery", "2 deliveries"},
                {2, "day", "2 days"},
                {3, "y", "3 ys"},
                {1, "address", "1 address"},
                {0, "address", "0 addresses"},
                {5, "mailbox", "5 mailboxes"},
                {2, "match", "2 matches"},
                {1, "more day", "1 more day"},
                {UINT64_MAX, "abcdefghijklmnopqrstuvwxyzabcdefghijklmn",
                 "18446744073709551615 abcdefghijklmnopqrstuvwxyzabcdefghijklmns"}};
    char text[COUNT_SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_string_equal(count_text(rows[i].count, rows[i].noun, text), rows[i].text);
        assert_string_equal(COUNT_OF(rows[i].count, rows[i].noun), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_the_noun_that_fits),
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(utf8_is_checked_by_rfc_3629),
        cmocka_unit_test(text_is_split_trimmed_and_found),
        cmocka_unit_test(a_buffer_grows_and_is_used_up),
        cmocka_unit_test(an_arena_keeps_what_it_gave),
        cmocka_unit_test(a_map_finds_replaces_and_removes),
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(what_others_wrote_acts_on_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
