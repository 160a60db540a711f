/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding and encoding of content: the same result for every split of the input. */
#include "core/client/encoder.h"
#include "core/server/content.h"
#include "core/server/server_session.h"
#include "unit.h"

struct reading {
    struct buffer stored;
    struct content content;
    size_t used;
    bool ended;
};

/* Feeds input[0..first), then the rest of it. */
static struct reading read_split(struct bytes input, size_t first, bool fix)
{
    struct reading reading = {.used = 0};
    struct content_run run;
    struct buffer changed = {0};
    content_start(&reading.content, UINT64_MAX, false, fix);
    for (size_t there = first;; there = input.length) {
        while (!reading.ended) {
            size_t used = content_feed_data(
                &reading.content, bytes_of(input.at + reading.used, there - reading.used), &changed, &run);
            buffer_add(&reading.stored, run.octets);
            reading.used += used;
            reading.ended = run.ended;
            if (used == 0)
                break;
        }
        if (there == input.length)
            break;
    }
    buffer_free(&changed);
    return reading;
}

static void data_reads_the_same_at_every_split(void **state)
{
    static const struct {
        const char *text;
        size_t rest;
        bool fix;
        enum content_fault fault;
        const char *stored;
    } cases[] = {
        {"a\r\n.\r\n", 0, false, CONTENT_FINE, "a\r\n"},
        {".\r\n", 0, false, CONTENT_FINE, ""},
        {"..\r\n...\r\n.x\r\n.\r\nQUIT\r\n", 6, false, CONTENT_FINE, ".\r\n..\r\nx\r\n"},
        {"a\n.\r\nb\r\n.\r\n", 0, false, CONTENT_BARE_NEWLINE, NULL},
        {"a\r.\r\nb\r\n.\r\n", 0, false, CONTENT_BARE_NEWLINE, NULL},
        {"\rx\r\n.\r\n", 0, false, CONTENT_BARE_NEWLINE, NULL},
        {"a\r\r\n.\r\n", 0, false, CONTENT_BARE_NEWLINE, NULL},
        {".\n.\r\n\r\n.\r\n", 0, false, CONTENT_BARE_NEWLINE, NULL},
        {"a\nb\n.\n.\r\n\r\n.\r\n", 0, true, CONTENT_FINE, "a\r\nb\r\n.\r\n.\r\n\r\n"},
        {"a\n.\r\n.\r\n", 0, true, CONTENT_FINE, "a\r\n.\r\n"},
        {"a\rb\n\r\n.\r\n", 0, true, CONTENT_BARE_NEWLINE, NULL},
        {"..\r\n\r\n..\r\n..a\r\nb\r\n.c\r\n.\r\n", 0, false, CONTENT_FINE, ".\r\n\r\n.\r\n.a\r\nb\r\nc\r\n"},
        {".a\n..b\n\n.\r\n..\n\r\n.\r\n", 0, true, CONTENT_FINE, "a\r\n..b\r\n\r\n.\r\n.\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes input = bytes_of_text(cases[i].text);
        for (size_t first = 0; first <= input.length; first++) {
            struct reading reading = read_split(input, first, cases[i].fix);
            assert_true(reading.ended);
            assert_int_equal(input.length - reading.used, cases[i].rest);
            assert_int_equal(reading.content.fault, cases[i].fault);
            if (cases[i].stored != NULL) {
                assert_text(buffer_bytes(&reading.stored), cases[i].stored);
                assert_int_equal(reading.content.size, strlen(cases[i].stored));
            }
            buffer_free(&reading.stored);
        }
    }
}

static void chunks_read_the_same_at_every_split(void **state)
{
    static const struct {
        const char *text;
        bool binary;
        enum content_fault fault;
    } cases[] = {
        {"a\r\nb\r\n", false, CONTENT_FINE},     {"a\r\n.\r\nb", false, CONTENT_FINE},
        {"\r\n\r\n", false, CONTENT_FINE},       {"a\nb", false, CONTENT_BARE_NEWLINE},
        {"a\rb", false, CONTENT_BARE_NEWLINE},   {"a\r", false, CONTENT_BARE_NEWLINE},
        {"\r\r\n", false, CONTENT_BARE_NEWLINE}, {"\r\n\r\r\r\n", true, CONTENT_FINE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes input = bytes_of_text(cases[i].text);
        for (size_t first = 0; first <= input.length; first++) {
            struct content content;
            struct content_run run;
            content_start(&content, UINT64_MAX, cases[i].binary, false);
            content_feed_chunk(&content, bytes_first(input, first), false, &run);
            content_feed_chunk(&content, bytes_from(input, first), true, &run);
            assert_true(run.ended);
            assert_int_equal(content.fault, cases[i].fault);
            assert_int_equal(content.size, input.length);
        }
    }
}

/* A line of `length` octets with its CRLF. */
static enum content_fault fault_of_line(size_t length, bool by_chunk)
{
    struct buffer input = {0};
    struct content content;
    struct content_run run;
    struct buffer changed = {0};
    size_t used = 0;
    memset(buffer_reserve(&input, length), 'x', length - 2);
    buffer_written(&input, length - 2);
    buffer_add_text(&input, "\r\n");
    content_start(&content, UINT64_MAX, false, false);
    if (by_chunk)
        content_feed_chunk(&content, buffer_bytes(&input), true, &run);
    else
        while (used < input.length)
            used += content_feed_data(&content, bytes_from(buffer_bytes(&input), used), &changed, &run);
    buffer_free(&input);
    buffer_free(&changed);
    return content.fault;
}

static void lines_have_a_limit(void **state)
{
    assert_int_equal(fault_of_line(DATA_LINE_MAX, false), CONTENT_FINE);
    assert_int_equal(fault_of_line(DATA_LINE_MAX + 1, false), CONTENT_LINE_TOO_LONG);
    assert_int_equal(fault_of_line(DATA_LINE_MAX, true), CONTENT_FINE);
    assert_int_equal(fault_of_line(DATA_LINE_MAX + 3, true), CONTENT_LINE_TOO_LONG);
}

static void sizes_have_a_limit(void **state)
{
    for (uint64_t max = 2; max <= 5; max++) {
        struct content content;
        struct content_run run;
        struct buffer changed = {0};
        content_start(&content, max, false, false);
        assert_int_equal(content_feed_data(&content, BYTES("ab\r\n"), &changed, &run), 4);
        assert_int_equal(content.fault, max < 4 ? CONTENT_TOO_LARGE : CONTENT_FINE);
        assert_int_equal(run.octets.length, max < 4 ? 0 : 4); /* no content is returned above the limit */
        assert_int_equal(content_feed_data(&content, BYTES(".\r\n"), &changed, &run), 3);
        assert_true(run.ended);
    }
}

/* The cost of a run is independent of its lines: one run per call, all of the input. */
static void a_call_gives_one_run_whatever_the_lines_are(void **state)
{
    static const struct {
        const char *line;
        size_t stored;
        bool fix;
    } cases[] = {
        {"..\r\n", 3, false}, {".a\r\n", 3, false}, {"...\r\n", 4, false},
        {"\r\n", 2, false},   {"x\r\n", 3, false},  {"..\r\na\r\n", 6, false},
        {"\n", 2, true},      {"x\n", 3, true},     {"b\n\r\n..\r\n", 8, true},
    };
    enum { LINES = 5000 };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer input = {0}, changed = {0};
        struct content content;
        struct content_run run;
        for (int line = 0; line < LINES; line++)
            buffer_add_text(&input, cases[i].line);
        buffer_add_text(&input, "end\r\n");
        content_start(&content, UINT64_MAX, false, cases[i].fix);
        assert_int_equal(content_feed_data(&content, buffer_bytes(&input), &changed, &run), input.length);
        assert_int_equal(content.fault, CONTENT_FINE);
        assert_int_equal(run.octets.length, LINES * cases[i].stored + 5);
        assert_int_equal(content.size, run.octets.length);
        buffer_free(&input);
        buffer_free(&changed);
    }
}

/* Correct input is not copied. */
static void what_needs_no_change_is_the_input_itself(void **state)
{
    struct buffer changed = {0};
    struct bytes input = BYTES("a\r\nb.\r\n");
    struct content content;
    struct content_run run;
    content_start(&content, UINT64_MAX, false, true);
    assert_int_equal(content_feed_data(&content, input, &changed, &run), input.length);
    assert_ptr_equal(run.octets.at, input.at);
    assert_null(changed.at);
}

static void nul_is_a_fault_but_in_a_binary_body(void **state)
{
    static const struct {
        struct bytes text;
        bool by_chunk, binary;
        enum content_fault fault;
    } cases[] = {
        {BYTES("a\r\n\r\nb\0c\r\n"), false, false, CONTENT_NUL},
        {BYTES("a\0\r\n\r\nb\r\n"), false, false, CONTENT_NUL},
        {BYTES("a\r\n\r\nb\0c\r\n"), true, false, CONTENT_NUL},
        {BYTES("a\r\n\r\nb\0c\r\n"), true, true, CONTENT_FINE},
        {BYTES("a\0\r\n\r\nb\r\n"), true, true, CONTENT_NUL},
        {BYTES("\0\n\r\n"), false, false, CONTENT_BARE_NEWLINE},
        {BYTES("\r\0\n\r\n"), true, false, CONTENT_BARE_NEWLINE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t first = 0; first <= cases[i].text.length; first++) {
            struct buffer changed = {0};
            struct content content;
            struct content_run run;
            struct bytes parts[] = {bytes_first(cases[i].text, first), bytes_from(cases[i].text, first)};
            content_start(&content, UINT64_MAX, cases[i].binary, false);
            for (size_t p = 0; p < 2; p++) {
                if (cases[i].by_chunk)
                    content_feed_chunk(&content, parts[p], p == 1, &run);
                else if (p == 1 && first > 0 && parts[0].at[first - 1] == '\r') /* it waited */
                    content_feed_data(&content, bytes_from(cases[i].text, first - 1), &changed, &run);
                else
                    content_feed_data(&content, parts[p], &changed, &run);
            }
            assert_int_equal(content.fault, cases[i].fault);
            buffer_free(&changed);
        }
}

/* ---- encoding ---- */

static void content_is_encoded_the_same_at_every_split(void **state)
{
    static const char *const cases[][2] = {
        {"", ".\r\n"},
        {"a\r\n", "a\r\n.\r\n"},
        {"a", "a\r\n.\r\n"},
        {".", "..\r\n.\r\n"},
        {".\r\n..\r\n", "..\r\n...\r\n.\r\n"},
        {"a\nb", "a\r\nb\r\n.\r\n"},
        {"a\rb", "a\r\nb\r\n.\r\n"},
        {"a\r", "a\r\n.\r\n"},
        {"\n.\n", "\r\n..\r\n.\r\n"},
        {"\r.\r", "\r\n..\r\n.\r\n"},
        {"\r\r\n", "\r\n\r\n.\r\n"},
        {"\r\n\r\n", "\r\n\r\n.\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes input = bytes_of_text(cases[i][0]);
        for (size_t first = 0; first <= input.length; first++) {
            struct buffer out = {0};
            struct encoder encoder = {0};
            encoder_add(&encoder, &out, bytes_first(input, first));
            encoder_add(&encoder, &out, bytes_from(input, first));
            encoder_end(&encoder, &out);
            assert_text(buffer_bytes(&out), cases[i][1]);
            buffer_free(&out);
        }
    }
}

/* For BDAT: dots stay, newlines are whole, and what is clean may leave uncopied. */
static void chunks_are_encoded_the_same_at_every_split(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a\r\n", "a\r\n"},
        {"a", "a"},
        {".", "."},
        {"\r\n.\r\n", "\r\n.\r\n"},
        {"a\nb", "a\r\nb"},
        {"a\rb", "a\r\nb"},
        {"a\r", "a\r\n"},
        {"\n.\n", "\r\n.\r\n"},
        {"\r\r\n", "\r\n\r\n"},
        {"\n", "\r\n"},
        {"a\r\n\nb", "a\r\n\r\nb"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes input = bytes_of_text(cases[i][0]);
        for (size_t first = 0; first <= input.length; first++) {
            struct buffer out = {0};
            struct encoder encoder = {.chunks = true};
            struct bytes parts[] = {bytes_first(input, first), bytes_from(input, first)};
            for (size_t p = 0; p < 2; p++) {
                if (encoder_is_clean(&encoder, parts[p]))
                    buffer_add(&out, parts[p]);
                else
                    encoder_add(&encoder, &out, parts[p]);
            }
            encoder_end(&encoder, &out);
            assert_text(buffer_bytes(&out), cases[i][1]);
            buffer_free(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_reads_the_same_at_every_split),
        cmocka_unit_test(chunks_read_the_same_at_every_split),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(sizes_have_a_limit),
        cmocka_unit_test(a_call_gives_one_run_whatever_the_lines_are),
        cmocka_unit_test(what_needs_no_change_is_the_input_itself),
        cmocka_unit_test(nul_is_a_fault_but_in_a_binary_body),
        cmocka_unit_test(content_is_encoded_the_same_at_every_split),
        cmocka_unit_test(chunks_are_encoded_the_same_at_every_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
