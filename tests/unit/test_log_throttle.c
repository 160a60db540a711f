/* SPDX-License-Identifier: Apache-2.0 */
/* What fails again and again is told once, each minute, and when it is over. */
#include "unit.h"

#include "io/log_throttle.h"

static void it_is_told_when_it_begins_and_each_minute(void **state)
{
    struct trouble trouble = {0};
    unsigned told = 0;
    for (uint64_t now_ms = 1000; now_ms < 1000 + 2 * TROUBLE_TOLD_MS; now_ms += 200)
        told += trouble_met(&trouble, now_ms);
    assert_int_equal(told, 2);
    assert_int_equal(trouble.times, 2 * TROUBLE_TOLD_MS / 200);
    assert_true(trouble_met(&trouble, 1000 + 2 * TROUBLE_TOLD_MS));
}

static void it_is_over_once_it_was_calm(void **state)
{
    struct trouble trouble = {0};
    assert_false(trouble_is_over(&trouble, 1000));
    assert_true(trouble_met(&trouble, 1000));
    assert_false(trouble_is_over(&trouble, 1000 + TROUBLE_CALM_MS - 1)); /* it may flutter */
    assert_false(trouble_met(&trouble, 1000 + TROUBLE_CALM_MS - 1));
    assert_false(trouble_is_over(&trouble, 1000 + TROUBLE_CALM_MS));
    assert_true(trouble_is_over(&trouble, 1000 + 2 * TROUBLE_CALM_MS - 1));
    assert_int_equal(trouble.times, 2);
    assert_false(trouble_is_over(&trouble, 1000 + 3 * TROUBLE_CALM_MS));
    assert_true(trouble_met(&trouble, 1000 + 3 * TROUBLE_CALM_MS));
    assert_int_equal(trouble.times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_told_when_it_begins_and_each_minute), cmocka_unit_test(it_is_over_once_it_was_calm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
