/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's time, across processes. */
#include <stdio.h>
#include <sysexits.h>

#include "io/clock.h"
#include "queue/queue_clock.h"
#include "store/queue/memory.h"
#include "unit.h"

static uint64_t resume(const char *note, const char *boot_id, uint64_t boot_ms, uint64_t wall_ms)
{
    struct queue_clock_moment now = {.boot_ms = boot_ms, .wall_ms = wall_ms};
    snprintf(now.boot_id, sizeof now.boot_id, "%s", boot_id);
    return queue_clock_resume_ms(bytes_of_text(note), &now);
}

static const char note[] = "first 1000 500000 700000"; /* the wall clock was 200 s ahead */

static void the_machine_counts_while_it_runs(void **state)
{
    assert_true(resume(note, "first", 4000, 703000) == 503000);
    assert_true(resume(note, "first", 4000, 999999999) == 503000); /* the wall clock jumped ahead */
    assert_true(resume(note, "first", 4000, 1) == 503000);         /* or back */
    assert_true(resume(note, "first", 1000, 700000) == 500000);
}

static void the_wall_clock_counts_across_a_restart_of_the_machine(void **state)
{
    assert_true(resume(note, "second", 10, 760000) == 560000);
    assert_true(resume(note, "second", 10, 700000) == 500000);
    assert_true(resume(note, "second", 10, 699999) == 500000); /* it never runs back */
    assert_true(resume(note, "", 4000, 703000) == 503000);     /* a kernel that tells no id */
    assert_true(resume(note, "first", 999, 760000) == 560000); /* an id that cannot be right */
}

static void without_a_note_it_is_the_wall_clock(void **state)
{
    static const char *const notes[] = {"",
                                        "first",
                                        "first 1000",
                                        "first 1000 500000",
                                        "first x 500000 700000",
                                        "first -1 500000 700000",
                                        "first 1000 500000 99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(notes); i++)
        assert_true(resume(notes[i], "first", 4000, 703000) == 703000);
}

static void the_next_process_goes_on(void **state)
{
    struct store *store = memory_store_open();
    struct queue_clock queue_clock, next;
    struct error error;
    queue_clock_open(&queue_clock);
    assert_true(queue_clock_start(&queue_clock, store, &error));
    assert_int_equal(store_commit(store, &error), STORE_DONE);
    uint64_t now_ms = clock_epoch_ms();
    assert_in_range(queue_clock_now_ms(&queue_clock), now_ms - 60000, now_ms + 60000);
    uint64_t before_ms = queue_clock_now_ms(&queue_clock); /* a compiler reads arguments in any order */
    assert_in_range(queue_clock_read_ms(store), before_ms, before_ms + 60000);
    queue_clock_look(&queue_clock, store);
    assert_false(store_is_changed(store)); /* nothing new, and nobody commits */
    /* a wall clock that was years ahead */
    store_note_put(store, "time", BYTES("another 1 5 99999999999999"));
    queue_clock_open(&next);
    assert_true(queue_clock_start(&next, store, &error));
    assert_in_range(queue_clock_now_ms(&next), 5, 5 + 60000);
    assert_true(queue_clock_ahead_ms(&next) > 1000);
    store_close(store);
}

/* Not the wall clock's: mail would expire early, or never. */
static void without_an_answer_no_time_is_known(void **state)
{
    struct store *store = memory_store_open();
    struct queue_clock queue_clock;
    struct error error = {0};
    memory_store_away(store, true);
    queue_clock_open(&queue_clock);
    assert_false(queue_clock_start(&queue_clock, store, &error));
    assert_int_equal(error.exit_code, EX_TEMPFAIL);
    assert_int_equal(store_commit(store, &error), STORE_UNREACHABLE);
    memory_store_away(store, false);
    assert_true(queue_clock_start(&queue_clock, store, &error));
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_counts_while_it_runs),
        cmocka_unit_test(the_wall_clock_counts_across_a_restart_of_the_machine),
        cmocka_unit_test(without_a_note_it_is_the_wall_clock),
        cmocka_unit_test(the_next_process_goes_on),
        cmocka_unit_test(without_an_answer_no_time_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
