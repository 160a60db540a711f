/* SPDX-License-Identifier: Apache-2.0 */
/* A table that forgets: nobody is taken for another, and who goes is whom its user says. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slots.h"
#include "unit.h"

enum { ROW = 4, ROWS = 8, COUNT = ROW * ROWS, STAMP_BITS = 24 };

struct counted {
    uint64_t key, times, since;
};

static uint64_t words[COUNT];
static struct counted counts[COUNT];

static const struct slots stamps = {
    .at = words, .count = COUNT, .row = ROW, .size = sizeof *words, .value_bits = STAMP_BITS};
static const struct slots table = {.at = counts, .count = COUNT, .row = ROW, .size = sizeof *counts};

static int prepare(void **state)
{
    memset(words, 0, sizeof words);
    memset(counts, 0, sizeof counts);
    return 0;
}

/* The value is a time: the oldest goes. */
static uint64_t by_value(const struct slots *slots, const void *slot, const void *context)
{
    return slots_value(slots, slot);
}

static uint64_t by_times(const struct slots *slots, const void *slot, const void *context)
{
    return ((const struct counted *)slot)->times;
}

/* The nth key of a row. */
static uint64_t key_in(uint64_t row, uint64_t n)
{
    return (n + 1) << 32 | row;
}

static void put(uint64_t key, uint64_t stamp)
{
    slots_put(&stamps, slots_place(&stamps, key, by_value, NULL), key, stamp);
}

static bool has(uint64_t key)
{
    return slots_find(&stamps, key) != NULL;
}

static void a_row_holds_as_many_as_it_has_slots_and_then_the_oldest_goes(void **state)
{
    for (uint64_t n = 0; n < ROW; n++)
        put(key_in(3, n), 100 - n); /* the last is the oldest */
    for (uint64_t n = 0; n < ROW; n++)
        assert_true(has(key_in(3, n)));
    put(key_in(3, ROW), 101);
    assert_false(has(key_in(3, ROW - 1)));
    for (uint64_t n = 0; n <= ROW; n++)
        assert_int_equal(has(key_in(3, n)), n != ROW - 1);
    put(key_in(4, 0), 1); /* another row has room */
    assert_true(has(key_in(4, 0)));
    assert_int_equal(slots_value(&stamps, slots_find(&stamps, key_in(3, 0))), 100);
}

static void one_that_is_there_keeps_its_slot_whatever_it_weighs(void **state)
{
    for (uint64_t n = 0; n < ROW; n++)
        put(key_in(1, n), 10 + n);
    void *slot = slots_find(&stamps, key_in(1, 2));
    put(key_in(1, 2), 1);
    assert_ptr_equal(slots_find(&stamps, key_in(1, 2)), slot);
    assert_int_equal(slots_value(&stamps, slot), 1);
    put(key_in(1, ROW), 99);
    assert_false(has(key_in(1, 2))); /* now it is the oldest */
}

static void one_that_is_dropped_makes_room_before_any_other(void **state)
{
    for (uint64_t n = 0; n < ROW; n++)
        put(key_in(1, n), 10 + n);
    slots_drop(&stamps, slots_find(&stamps, key_in(1, ROW - 1)));
    put(key_in(1, ROW), 1);
    for (uint64_t n = 0; n <= ROW; n++)
        assert_int_equal(has(key_in(1, n)), n != ROW - 1);
    slots_clear(&stamps);
    for (uint64_t n = 0; n <= ROW; n++)
        assert_false(has(key_in(1, n)));
}

static void a_claimed_slot_is_clean_once_and_then_kept(void **state)
{
    for (uint64_t n = 0; n < ROW; n++) {
        struct counted *slot = slots_claim(&table, key_in(5, n), by_times, NULL);
        assert_true(slot->times == 0 && slot->since == 0);
        slot->times = 10 + n;
        slot->since = 7;
    }
    struct counted *again = slots_claim(&table, key_in(5, 1), by_times, NULL);
    assert_true(again->times == 11 && again->since == 7);
    struct counted *fresh = slots_claim(&table, key_in(5, ROW), by_times, NULL);
    assert_true(fresh->times == 0 && fresh->since == 0);
    assert_null(slots_find(&table, key_in(5, 0))); /* it had the fewest */
}

static void a_weight_of_nothing_goes_at_once(void **state)
{
    const uint64_t times[ROW] = {5, 0, 1, 0};
    for (uint64_t n = 0; n < ROW; n++)
        ((struct counted *)slots_claim(&table, key_in(2, n), by_times, NULL))->times = 9;
    for (uint64_t n = 0; n < ROW; n++)
        ((struct counted *)slots_find(&table, key_in(2, n)))->times = times[n];
    slots_claim(&table, key_in(2, ROW), by_times, NULL);
    assert_null(slots_find(&table, key_in(2, 1))); /* the first of them */
    assert_non_null(slots_find(&table, key_in(2, 3)));
}

/* A key whose upper bits are all zero, and 0 itself, are keys like others. */
static void no_key_is_nobody(void **state)
{
    assert_false(has(0));
    assert_null(slots_find(&table, 0));
    put(0, 0);
    assert_true(has(0));
    slots_claim(&table, 0, by_times, NULL);
    assert_non_null(slots_find(&table, 0));
}

static void of_a_value_only_its_bits_are_kept(void **state)
{
    put(key_in(0, 1), UINT64_MAX);
    assert_int_equal(slots_value(&stamps, slots_find(&stamps, key_in(0, 1))), (1 << STAMP_BITS) - 1);
    put(key_in(0, 1), 0);
    assert_true(has(key_in(0, 1)));
}

/* Against a plain model: rows of lists in which the least goes. */
static void random_keys_behave_as_the_model_says(void **state)
{
    struct {
        uint64_t key, stamp;
    } model[ROWS][ROW] = {0};
    srandom(4);
    for (uint64_t step = 1; step < 200000; step++) {
        uint64_t row = (uint64_t)random() % ROWS, key = key_in(row, (uint64_t)random() % (2 * ROW));
        size_t own = ROW, least = 0;
        for (size_t i = 0; i < ROW; i++) {
            own = model[row][i].key == key ? i : own;
            least = model[row][i].stamp < model[row][least].stamp ? i : least;
        }
        assert_int_equal(has(key), own < ROW);
        if (own < ROW && random() % 8 == 0) {
            slots_drop(&stamps, slots_find(&stamps, key));
            model[row][own].key = model[row][own].stamp = 0;
            continue;
        }
        size_t at = own < ROW ? own : least;
        put(key, step);
        model[row][at].key = key;
        model[row][at].stamp = step;
    }
}

/* Processes that write the same slots at once: each word is one that somebody wrote. */
static void words_are_shared_by_processes(void **state)
{
    enum { WRITERS = 3, TURNS = 100000 };
    uint64_t *shared = mmap(NULL, sizeof words, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct slots slots = stamps;
    assert_true(shared != MAP_FAILED);
    slots.at = shared;
    for (uint64_t writer = 0; writer < WRITERS; writer++)
        if (fork() == 0) {
            for (uint64_t turn = 0; turn < TURNS; turn++) {
                uint64_t key = key_in(turn % ROWS, turn % (2 * ROW));
                slots_put(&slots, slots_place(&slots, key, by_value, NULL), key, 1 + turn % 1000);
            }
            _exit(0);
        }
    for (int ended = 0, status; ended < WRITERS; ended++)
        assert_true(wait(&status) > 0 && status == 0);
    for (uint64_t row = 0; row < ROWS; row++)
        for (size_t i = 0; i < ROW; i++) {
            const uint64_t *slot = &shared[row * ROW + i];
            bool known = *slot == 0;
            for (uint64_t n = 0; n < 2 * ROW; n++)
                known = known || slots_is_of(&slots, slot, key_in(row, n));
            assert_true(known && slots_value(&slots, slot) <= 1000);
        }
    munmap(shared, sizeof words);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup(test, prepare)
    const struct CMUnitTest tests[] = {
        ON(a_row_holds_as_many_as_it_has_slots_and_then_the_oldest_goes),
        ON(one_that_is_there_keeps_its_slot_whatever_it_weighs),
        ON(one_that_is_dropped_makes_room_before_any_other),
        ON(a_claimed_slot_is_clean_once_and_then_kept),
        ON(a_weight_of_nothing_goes_at_once),
        ON(no_key_is_nobody),
        ON(of_a_value_only_its_bits_are_kept),
        ON(random_keys_behave_as_the_model_says),
        ON(words_are_shared_by_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
