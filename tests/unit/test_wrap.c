/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that fit a terminal, without losing a word. */
#include "core/text/wrap.h"
#include "unit.h"

static void assert_wrapped(const char *text, size_t indent, size_t width, const char *wanted)
{
    struct buffer out = {0};
    wrap_add(&out, bytes_of_text(text), indent, width);
    assert_text(buffer_bytes(&out), wanted);
    buffer_free(&out);
}

static void lines_break_at_spaces(void **state)
{
    assert_wrapped("", 2, 20, "\n");
    assert_wrapped("one two three", 2, 0, "one two three\n");
    assert_wrapped("one two three", 2, 13, "one two three\n");
    assert_wrapped("one two three", 2, 12, "one two\n  three\n");
    assert_wrapped("    one two three", 4, 11, "    one two\n    three\n");
    assert_wrapped("one  two   three", 0, 8, "one  two\nthree\n");
}

static void a_long_word_is_cut(void **state)
{
    assert_wrapped("abcdefghij", 0, 4, "abcd\nefgh\nij\n");
    assert_wrapped("ab cdefghij", 2, 6, "ab\n  cdef\n  ghij\n");
    assert_wrapped("abcdefgh", 5, 4, "abcd\nefgh\n"); /* no room for the indent */
    assert_wrapped("ab", 0, 1, "a\nb\n");
}

static void colours_and_wide_characters_are_counted(void **state)
{
    assert_int_equal(wrap_columns(BYTES("\033[31mred\033[0m")), 3);
    assert_int_equal(wrap_columns(BYTES("gr\xc3\xbc\xc3\x9f")), 4);
    assert_int_equal(wrap_columns(BYTES("\xe9\x83\xb5\xe4\xbb\xb6")), 4);
    assert_int_equal(wrap_columns(BYTES("\xff\xc3")), 2);
    assert_wrapped("\033[31mone two\033[0m", 0, 3, "\033[31mone\ntwo\033[0m\n");
    assert_wrapped("\xe9\x83\xb5\xe4\xbb\xb6", 0, 3, "\xe9\x83\xb5\n\xe4\xbb\xb6\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_at_spaces),
        cmocka_unit_test(a_long_word_is_cut),
        cmocka_unit_test(colours_and_wide_characters_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
