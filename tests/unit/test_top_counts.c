/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by name in bounded memory. */
#include <stdio.h>

#include "core/text/top_counts.h"
#include "unit.h"

static void add(struct top_counts *tally, const char *name, unsigned kind, uint64_t first_ms, int times)
{
    for (int i = 0; i < times; i++)
        top_counts_add(tally, bytes_of_text(name), kind, first_ms);
}

static void names_are_counted_by_kind_and_sorted(void **state)
{
    struct top_counts tally;
    top_counts_start(&tally, 4);
    add(&tally, "b", 0, 0, 2);
    add(&tally, "a", 1, 90, 1);
    add(&tally, "a", TOP_COUNTS_KINDS - 1, 70, 1);
    add(&tally, "a", 1, 80, 0);
    add(&tally, "c", 0, 0, 3);
    add(&tally, "", 0, 0, 1);
    top_counts_sort(&tally);
    assert_int_equal(tally.count, 4); /* as many as there may be */
    assert_text(tally.entries[0]->name, "c");
    assert_text(tally.entries[1]->name, "a");
    assert_text(tally.entries[2]->name, "b");
    assert_int_equal(tally.entries[3]->name.length, 0);
    assert_true(tally.entries[1]->counts[1] == 1 && tally.entries[1]->counts[TOP_COUNTS_KINDS - 1] == 1 &&
                tally.entries[1]->total == 2);
    assert_true(tally.entries[1]->first_ms == 70 && tally.entries[0]->first_ms == 0);
    assert_true(tally.rest_names == 0 && tally.rest.total == 0);
    top_counts_free(&tally);
}

static void one_name_too_many_sums_the_least_half_up(void **state)
{
    struct top_counts tally;
    top_counts_start(&tally, 4);
    add(&tally, "great", 0, 0, 9);
    add(&tally, "small", 1, 50, 1);
    add(&tally, "less", 2, 40, 2);
    add(&tally, "more", 0, 0, 5);
    add(&tally, "late", 0, 0, 7);
    top_counts_sort(&tally);
    assert_int_equal(tally.count, 3);
    assert_text(tally.entries[0]->name, "great");
    assert_text(tally.entries[1]->name, "late");
    assert_text(tally.entries[2]->name, "more");
    assert_true(tally.rest_names == 2 && tally.rest.total == 3 && tally.rest.counts[1] == 1 &&
                tally.rest.counts[2] == 2 && tally.rest.first_ms == 40);
    add(&tally, "small", 1, 0, 1); /* it may come again */
    assert_int_equal(tally.count, 4);
    top_counts_free(&tally);
}

static void nothing_is_lost_of_many_names(void **state)
{
    struct top_counts tally;
    char name[20];
    top_counts_start(&tally, 64);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "n%d", i % 1000);
        add(&tally, name, 0, 0, 1);
        add(&tally, "great", 1, 0, 1);
    }
    top_counts_sort(&tally);
    assert_text(tally.entries[0]->name, "great");
    assert_int_equal(tally.entries[0]->total, 10000);
    uint64_t total = tally.rest.total;
    for (size_t i = 0; i < tally.count; i++)
        total += tally.entries[i]->total;
    assert_int_equal(total, 20000);
    assert_true(tally.count <= 64);
    top_counts_free(&tally);
}

static void assert_like(const char *text, size_t max, const char *wanted)
{
    struct buffer out = {0};
    buffer_add_text(&out, "450 ");
    top_counts_likeness(&out, bytes_of_text(text), max);
    assert_string_equal(buffer_text(&out) + 4, wanted);
    buffer_free(&out);
}

static void replies_that_differ_in_numbers_and_addresses_are_alike(void **state)
{
    assert_like("Greylisted for 300 seconds", 100, "Greylisted for # seconds");
    assert_like("<bob@example.net>: try again", 100, "<address> try again");
    assert_like("  try   again q7x-12 ", 100, "try again #");
    assert_like("", 100, "");
    assert_like("abcd", 4, "abcd");
    assert_like("abcde", 4, "abcd");
    assert_like("abc def", 4, "abc ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_counted_by_kind_and_sorted),
        cmocka_unit_test(one_name_too_many_sums_the_least_half_up),
        cmocka_unit_test(nothing_is_lost_of_many_names),
        cmocka_unit_test(replies_that_differ_in_numbers_and_addresses_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
