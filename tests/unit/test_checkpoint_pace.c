/* SPDX-License-Identifier: Apache-2.0 */
/* When the log of the queue's database is moved, and by whom. */
#include "store/queue/checkpoint_pace.h"
#include "unit.h"

static struct checkpoint_pace pace;

/* After a commit of one page that makes the log so long. */
static enum checkpoint_step step(uint32_t length)
{
    if (length > pace.length + 1)
        checkpoint_pace_commit(&pace, length - 1);
    checkpoint_pace_commit(&pace, length);
    return checkpoint_pace_step(&pace);
}

static int prepare(void **state)
{
    checkpoint_pace_start(&pace, CHECKPOINT_START);
    return 0;
}

static void a_short_log_stays(void **state)
{
    assert_int_equal(step(CHECKPOINT_START - 1), CHECKPOINT_NONE);
    assert_int_equal(step(CHECKPOINT_START), CHECKPOINT_BESIDE);
}

static void passes_follow_until_the_rest_is_small(void **state)
{
    step(2000);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2010); /* ten came before the pass began */
    assert_int_equal(step(2010 + CHECKPOINT_REST + 3), CHECKPOINT_BESIDE);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2080);
    assert_int_equal(step(2080 + CHECKPOINT_REST + 2), CHECKPOINT_HERE);
    checkpoint_pace_moved(&pace, CHECKPOINT_HERE, 2080 + CHECKPOINT_REST + 2);
    assert_int_equal(step(8), CHECKPOINT_NONE); /* it began anew */
    assert_int_equal(step(CHECKPOINT_START), CHECKPOINT_BESIDE);
}

/* The rest may be twice a commit: else a log of large commits would never come to its end. */
static void the_rest_is_measured_by_the_commits(void **state)
{
    checkpoint_pace_commit(&pace, 2000);
    assert_int_equal(checkpoint_pace_step(&pace), CHECKPOINT_BESIDE);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2000);
    checkpoint_pace_commit(&pace, 2200);
    checkpoint_pace_commit(&pace, 2400);
    checkpoint_pace_commit(&pace, 2600);
    assert_int_equal(checkpoint_pace_step(&pace), CHECKPOINT_BESIDE);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2400);
    checkpoint_pace_commit(&pace, 2800);
    assert_int_equal(checkpoint_pace_step(&pace), CHECKPOINT_HERE);
}

static void nothing_is_left_when_all_was_moved_beside(void **state)
{
    step(2000);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2000);
    assert_int_equal(step(2000), CHECKPOINT_NONE);
    assert_int_equal(step(5), CHECKPOINT_NONE);
}

/* A reader (queue list) may keep the log from its beginning for long: then each commit must not pay. */
static void a_log_that_a_reader_holds_is_moved_in_steps(void **state)
{
    step(2000);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2000);
    assert_int_equal(step(2010), CHECKPOINT_HERE);
    checkpoint_pace_moved(&pace, CHECKPOINT_HERE, 2010);
    assert_int_equal(step(2010 + CHECKPOINT_STEP - 1), CHECKPOINT_NONE);
    assert_int_equal(step(2010 + CHECKPOINT_STEP), CHECKPOINT_BESIDE);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 2010); /* an older reader: nothing could be moved */
    assert_int_equal(step(2010 + 2 * CHECKPOINT_STEP - 1), CHECKPOINT_NONE);
    assert_int_equal(step(2010 + 2 * CHECKPOINT_STEP), CHECKPOINT_BESIDE);
}

static void a_very_long_log_is_moved_here(void **state)
{
    assert_int_equal(step(CHECKPOINT_LONG - 1), CHECKPOINT_BESIDE);
    checkpoint_pace_moved(&pace, CHECKPOINT_BESIDE, 1);
    assert_int_equal(step(CHECKPOINT_LONG), CHECKPOINT_BESIDE);
    assert_int_equal(step(CHECKPOINT_LONG + 1), CHECKPOINT_HERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_short_log_stays, prepare),
        cmocka_unit_test_setup(passes_follow_until_the_rest_is_small, prepare),
        cmocka_unit_test_setup(the_rest_is_measured_by_the_commits, prepare),
        cmocka_unit_test_setup(nothing_is_left_when_all_was_moved_beside, prepare),
        cmocka_unit_test_setup(a_log_that_a_reader_holds_is_moved_in_steps, prepare),
        cmocka_unit_test_setup(a_very_long_log_is_moved_here, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
