/* SPDX-License-Identifier: Apache-2.0 */
/* Content off the wire and onto it: the same at every split of the input. */
#include "unit.h"

#include "client/encode.h"
#include "server/content.h"
#include "server/session.h"

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
    content_start(&reading.content, UINT64_MAX, false, fix);
    for (size_t there = first;; there = input.length) {
        while (!reading.ended) {
            size_t used = content_feed_data(&reading.content, bytes_of(input.at + reading.used, there - reading.used), &run);
            buffer_add(&reading.stored, run.octets);
            buffer_add_text(&reading.stored, run.newline ? "\r\n" : "");
            reading.used += used;
            reading.ended = run.ended;
            if (used == 0)
                break;
        }
        if (there == input.length)
            return reading;
    }
}

static void data_reads_the_same_at_every_split(void **state)
{
    static const struct { const char *text; size_t rest; bool fix; enum content_fault fault; const char *stored; } cases[] = {
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
    static const struct { const char *text; bool binary; enum content_fault fault; } cases[] = {
        {"a\r\nb\r\n", false, CONTENT_FINE}, {"a\r\n.\r\nb", false, CONTENT_FINE}, {"\r\n\r\n", false, CONTENT_FINE}, {"a\nb", false, CONTENT_BARE_NEWLINE},
        {"a\rb", false, CONTENT_BARE_NEWLINE}, {"a\r", false, CONTENT_BARE_NEWLINE}, {"\r\r\n", false, CONTENT_BARE_NEWLINE}, {"\r\n\r\r\r\n", true, CONTENT_FINE},
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
    size_t used = 0;
    memset(buffer_reserve(&input, length), 'x', length - 2);
    buffer_written(&input, length - 2);
    buffer_add_text(&input, "\r\n");
    content_start(&content, UINT64_MAX, false, false);
    if (by_chunk)
        content_feed_chunk(&content, buffer_bytes(&input), true, &run);
    else
        while (used < input.length)
            used += content_feed_data(&content, bytes_from(buffer_bytes(&input), used), &run);
    buffer_free(&input);
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
        content_start(&content, max, false, false);
        assert_int_equal(content_feed_data(&content, BYTES("ab\r\n"), &run), 4);
        assert_int_equal(content.fault, max < 4 ? CONTENT_TOO_LARGE : CONTENT_FINE);
        assert_int_equal(run.octets.length, max < 4 ? 0 : 4); /* nothing is given of what is too large */
        assert_int_equal(content_feed_data(&content, BYTES(".\r\n"), &run), 3);
        assert_true(run.ended);
    }
}

/* ---- encoding ---- */

static void content_is_encoded_the_same_at_every_split(void **state)
{
    static const char *const cases[][2] = {
        {"", ".\r\n"}, {"a\r\n", "a\r\n.\r\n"}, {"a", "a\r\n.\r\n"}, {".", "..\r\n.\r\n"}, {".\r\n..\r\n", "..\r\n...\r\n.\r\n"},
        {"a\nb", "a\r\nb\r\n.\r\n"}, {"a\rb", "a\r\nb\r\n.\r\n"}, {"a\r", "a\r\n.\r\n"}, {"\n.\n", "\r\n..\r\n.\r\n"}, {"\r.\r", "\r\n..\r\n.\r\n"},
        {"\r\r\n", "\r\n\r\n.\r\n"}, {"\r\n\r\n", "\r\n\r\n.\r\n"},
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
        {"", ""}, {"a\r\n", "a\r\n"}, {"a", "a"}, {".", "."}, {"\r\n.\r\n", "\r\n.\r\n"}, {"a\nb", "a\r\nb"}, {"a\rb", "a\r\nb"},
        {"a\r", "a\r\n"}, {"\n.\n", "\r\n.\r\n"}, {"\r\r\n", "\r\n\r\n"}, {"\n", "\r\n"}, {"a\r\n\nb", "a\r\n\r\nb"},
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
        cmocka_unit_test(data_reads_the_same_at_every_split), cmocka_unit_test(chunks_read_the_same_at_every_split), cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(sizes_have_a_limit), cmocka_unit_test(content_is_encoded_the_same_at_every_split),
        cmocka_unit_test(chunks_are_encoded_the_same_at_every_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
