/* SPDX-License-Identifier: Apache-2.0 */
/* Events are kept with their batch, numbered without a gap, and bounded: asked of every kind of store. */
#include "ground.h"

static enum store_stream stream = STORE_EVENTS; /* under test */

static void put(struct ground *ground, uint64_t count, const char *octets)
{
    store_events_put(ground->store, stream, count, bytes_of_text(octets));
}

static size_t read_after(struct ground *ground, uint64_t cursor, struct store_events *found)
{
    return store_events_after(ground->store, stream, cursor, STORE_READ_MAX, &ground->arena, found);
}

static void events_are_there_with_their_batch(void **state)
{
    struct ground *ground = *state;
    struct store_events found[STORE_READ_MAX];
    assert_int_equal(read_after(ground, 0, found), 0);
    assert_false(store_is_changed(ground->store));
    put(ground, 2, "ab");
    assert_true(store_is_changed(ground->store));
    commit(ground);
    put(ground, 1, "lost");
    crash(ground);
    assert_int_equal(read_after(ground, 0, found), 1);
    assert_true(found[0].first == 1 && found[0].count == 2 && bytes_is(found[0].octets, "ab"));
    put(ground, 3, "cde");
    commit(ground);
    crash(ground);
    assert_int_equal(read_after(ground, 0, found), 2);
    assert_true(found[1].first == 3 && found[1].count == 3 && bytes_is(found[1].octets, "cde"));
}

static void a_cursor_stands_anywhere(void **state)
{
    struct ground *ground = *state;
    struct store_events found[STORE_READ_MAX];
    put(ground, 2, "ab");
    commit(ground);
    put(ground, 3, "cde");
    commit(ground);
    assert_int_equal(read_after(ground, 1, found), 2); /* in the middle of a row */
    assert_int_equal(found[0].first, 1);
    assert_int_equal(read_after(ground, 2, found), 1);
    assert_int_equal(found[0].first, 3);
    assert_int_equal(read_after(ground, 4, found), 1);
    assert_int_equal(found[0].first, 3);
    assert_int_equal(read_after(ground, 5, found), 0);
    assert_int_equal(read_after(ground, 1000, found), 0);
    assert_int_equal(store_events_after(ground->store, stream, 0, 1, &ground->arena, found), 1);
}

static void what_was_read_goes_and_no_number_is_used_again(void **state)
{
    struct ground *ground = *state;
    struct store_events found[STORE_READ_MAX];
    for (int i = 0; i < 3; i++) {
        put(ground, 2, "ab");
        commit(ground);
    }
    store_events_drop(ground->store, stream, 3); /* the second row has one that is not read */
    crash(ground);
    assert_int_equal(read_after(ground, 0, found), 3); /* that was not committed */
    store_events_drop(ground->store, stream, 3);
    commit(ground);
    assert_int_equal(read_after(ground, 0, found), 2);
    assert_int_equal(found[0].first, 3);
    store_events_drop(ground->store, stream, 1000);
    commit(ground);
    crash(ground);
    assert_int_equal(read_after(ground, 0, found), 1); /* the newest stays, for its number */
    put(ground, 1, "c");
    commit(ground);
    assert_int_equal(read_after(ground, 6, found), 1);
    assert_int_equal(found[0].first, 7);
}

/* Each row has a thousandth of what is kept. */
static void put_rows(struct ground *ground, size_t rows)
{
    static const char octets[STORE_EVENTS_MAX / 1000];
    for (size_t i = 0; i < rows; i++)
        store_events_put(ground->store, stream, sizeof octets, bytes_of(octets, sizeof octets));
    commit(ground);
}

/* The numbers of one say nothing about the other. */
static void streams_do_not_know_each_other(void **state)
{
    struct ground *ground = *state;
    struct store_events found[STORE_READ_MAX];
    store_events_put(ground->store, STORE_EVENTS, 2, BYTES("ab"));
    store_events_put(ground->store, STORE_JUDGEMENTS, 1, BYTES("j"));
    commit(ground);
    store_events_drop(ground->store, STORE_EVENTS, 2);
    store_events_put(ground->store, STORE_JUDGEMENTS, 1, BYTES("lost"));
    crash(ground);
    assert_int_equal(store_events_after(ground->store, STORE_EVENTS, 0, 9, &ground->arena, found), 1);
    assert_true(found[0].first == 1 && bytes_is(found[0].octets, "ab"));
    assert_int_equal(store_events_after(ground->store, STORE_JUDGEMENTS, 0, 9, &ground->arena, found), 1);
    assert_true(found[0].first == 1 && bytes_is(found[0].octets, "j"));
}

static void a_reader_that_is_too_slow_sees_the_gap(void **state)
{
    enum { ROW = STORE_EVENTS_MAX / 1000, OVER = STORE_EVENTS_TRIM_EVERY };
    struct ground *ground = *state;
    struct store_events found[STORE_READ_MAX];
    put_rows(ground, 1000);
    assert_true(read_after(ground, 0, found) > 0 && found[0].first == 1); /* at the limit all are there */
    put_rows(ground, 2 * OVER);
    assert_true(read_after(ground, 0, found) > 0);
    assert_true(found[0].first > 1 && found[0].first <= 2 * OVER * ROW + 1);
    assert_int_equal(found[0].first % ROW, 1);
    uint64_t last = 0, first = found[0].first;
    for (size_t count; (count = read_after(ground, last, found)) > 0; arena_clear(&ground->arena))
        last = found[count - 1].first + found[count - 1].count - 1;
    assert_int_equal(last, (1000 + 2 * OVER) * ROW);
    assert_true(last - first + 1 >= STORE_EVENTS_MAX && last - first + 1 <= STORE_EVENTS_MAX + OVER * ROW);
}

#define CONTRACT(set_up)                                                                     \
    BOTH(set_up, events_are_there_with_their_batch), BOTH(set_up, a_cursor_stands_anywhere), \
        BOTH(set_up, what_was_read_goes_and_no_number_is_used_again),                        \
        BOTH(set_up, a_reader_that_is_too_slow_sees_the_gap)

int main(void)
{
    const struct CMUnitTest sqlite[] = {CONTRACT(set_up_sqlite), ON(sqlite, streams_do_not_know_each_other)};
    const struct CMUnitTest memory[] = {CONTRACT(set_up_memory), ON(memory, streams_do_not_know_each_other)};
    int failed = 0;
    for (int i = 0; i < STORE_STREAMS; i++) {
        stream = (enum store_stream)i;
        failed += cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
        failed += cmocka_run_group_tests_name("memory", memory, NULL, NULL);
    }
    return failed;
}
