/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical forms: the example of RFC 6376 3.4.5, ends of bodies, l=, cuts, and memory that stays bounded. */
#include "core/trust/canon.h"
#include "unit.h"

static struct buffer out;

static int clear_out(void **state)
{
    buffer_free(&out);
    return 0;
}

/* The canonical body of `text`, fed in pieces of `piece` octets. */
static struct bytes body_of(enum canon_form form, struct bytes text, size_t piece, uint64_t limit,
                            uint64_t *length)
{
    struct canon_body body;
    char block[CANON_ROOM_MIN + 3];
    size_t count;
    buffer_clear(&out);
    canon_body_start(&body, form, limit);
    while (text.length > 0) {
        struct bytes some = bytes_first(text, piece);
        text = bytes_from(text, some.length);
        while ((count = canon_body_fill(&body, &some, block, sizeof(block))) > 0)
            buffer_add(&out, bytes_of(block, count));
        assert_int_equal(some.length, 0);
    }
    while ((count = canon_body_finish(&body, block, sizeof(block))) > 0)
        buffer_add(&out, bytes_of(block, count));
    *length = body.length;
    return buffer_bytes(&out);
}

struct body_row {
    const char *text, *simple, *relaxed;
};

static const struct body_row rows[] = {
    {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, /* RFC 6376 3.4.5 */
    {"", "\r\n", ""},
    {"\r\n", "\r\n", ""},
    {"\r\n\r\n\r\n", "\r\n", ""},
    {" ", " \r\n", ""},
    {" \t\r\n \r\n", " \t\r\n \r\n", ""},
    {"a", "a\r\n", "a\r\n"},
    {"a ", "a \r\n", "a\r\n"},
    {"a\r\n \t", "a\r\n \t\r\n", "a\r\n"},
    {"\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
    {"a\r", "a\r\r\n", "a\r\r\n"},
    {"a \r\r\n", "a \r\r\n", "a \r\r\n"},
    {"a\r\n\r\n\r", "a\r\n\r\n\r\r\n", "a\r\n\r\n\r\r\n"},
    {"a\n\n", "a\n\n\r\n", "a\n\n\r\n"},
    {"a \nb", "a \nb\r\n", "a \nb\r\n"},
    {"\ta\t\tb  c d\r\n.\r\n", "\ta\t\tb  c d\r\n.\r\n", " a b c d\r\n.\r\n"},
    {"1234567  90123456  \t  x        y\r\n", "1234567  90123456  \t  x        y\r\n",
     "1234567 90123456 x y\r\n"},
};

static void test_bodies_in_any_pieces(void **state)
{
    uint64_t length;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct bytes text = bytes_of_text(rows[i].text);
            assert_text(body_of(CANON_SIMPLE, text, piece, CANON_WHOLE, &length), rows[i].simple);
            assert_int_equal(length, strlen(rows[i].simple));
            assert_text(body_of(CANON_RELAXED, text, piece, CANON_WHOLE, &length), rows[i].relaxed);
            assert_int_equal(length, strlen(rows[i].relaxed));
        }
}

static void test_a_limit_cuts_and_the_length_is_of_all(void **state)
{
    uint64_t length;
    assert_text(body_of(CANON_RELAXED, BYTES("Hello  you\r\nmore\r\n"), 3, 7, &length), "Hello y");
    assert_int_equal(length, 17);
    assert_text(body_of(CANON_SIMPLE, BYTES("a"), 1, 0, &length), "");
    assert_int_equal(length, 3);
    assert_text(body_of(CANON_SIMPLE, BYTES("a"), 1, 99, &length), "a\r\n");
}

static void test_line_ends_that_are_held_back_come_out_in_blocks(void **state)
{
    struct buffer text = {0};
    uint64_t length;
    for (size_t i = 0; i < 100000; i++)
        buffer_add_text(&text, "\r\n");
    assert_text(body_of(CANON_RELAXED, buffer_bytes(&text), 1000, CANON_WHOLE, &length), "");
    assert_text(body_of(CANON_SIMPLE, buffer_bytes(&text), 1001, CANON_WHOLE, &length), "\r\n");
    buffer_add_text(&text, "x");
    for (enum canon_form form = CANON_SIMPLE; form <= CANON_RELAXED; form++) {
        struct bytes whole = body_of(form, buffer_bytes(&text), 4096, CANON_WHOLE, &length);
        assert_int_equal(whole.length, text.length + 2);
        assert_memory_equal(whole.at, text.at, text.length);
    }
    buffer_free(&text);
}

static struct bytes field_of(const char *text, enum canon_form form)
{
    buffer_clear(&out);
    canon_field(&out, bytes_of_text(text), form);
    return buffer_bytes(&out);
}

static void test_fields(void **state)
{
    assert_text(field_of("A: X\r\n", CANON_RELAXED), "a:X\r\n"); /* RFC 6376 3.4.5 */
    assert_text(field_of("B : Y\t\r\n\tZ  \r\n", CANON_RELAXED), "b:Y Z\r\n");
    assert_text(field_of("B : Y\t\r\n\tZ  \r\n", CANON_SIMPLE), "B : Y\t\r\n\tZ  \r\n");
    assert_text(field_of("SUBJect:", CANON_RELAXED), "subject:\r\n");
    assert_text(field_of("Subject:  \r\n \r\n", CANON_RELAXED), "subject:\r\n");
    assert_text(field_of("Subject: a", CANON_SIMPLE), "Subject: a\r\n");
    assert_text(field_of("X: a\rb: c\n", CANON_RELAXED), "x:a\rb: c\n\r\n");
}

static void test_a_signature_is_taken_out_of_its_field(void **state)
{
    struct bytes field = BYTES("DKIM-Signature: v=1; b= ab\r\n cd ; d=x\r\n");
    struct bytes hole = bytes_of(field.at + bytes_search(field, BYTES(" ab")), 9);
    buffer_clear(&out);
    canon_signature_field(&out, field, hole, CANON_RELAXED);
    assert_text(buffer_bytes(&out), "dkim-signature:v=1; b=; d=x");
    buffer_clear(&out);
    canon_signature_field(&out, field, hole, CANON_SIMPLE);
    assert_text(buffer_bytes(&out), "DKIM-Signature: v=1; b=; d=x");
    buffer_clear(&out);
    canon_signature_field(&out, BYTES("A: b=\r\n"), bytes_none(), CANON_SIMPLE);
    assert_text(buffer_bytes(&out), "A: b=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_in_any_pieces),
        cmocka_unit_test(test_a_limit_cuts_and_the_length_is_of_all),
        cmocka_unit_test(test_line_ends_that_are_held_back_come_out_in_blocks),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_a_signature_is_taken_out_of_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, clear_out);
}
