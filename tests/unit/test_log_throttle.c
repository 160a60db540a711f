/* SPDX-License-Identifier: Apache-2.0 */
/* A persistent failure is logged once, then each minute, then its recovery. */
#include "io/log_throttle.h"
#include "unit.h"

static void it_is_told_when_it_begins_and_each_minute(void **state)
{
    struct log_throttle throttle = {0};
    unsigned told = 0;
    for (uint64_t now_ms = 1000; now_ms < 1000 + 2 * LOG_THROTTLE_REPEAT_MS; now_ms += 200)
        told += log_throttle_is_due(&throttle, now_ms);
    assert_int_equal(told, 2);
    assert_int_equal(throttle.times, 2 * LOG_THROTTLE_REPEAT_MS / 200);
    assert_true(log_throttle_is_due(&throttle, 1000 + 2 * LOG_THROTTLE_REPEAT_MS));
}

static void it_is_over_once_it_was_calm(void **state)
{
    struct log_throttle throttle = {0};
    assert_false(log_throttle_recovered(&throttle, 1000));
    assert_true(log_throttle_is_due(&throttle, 1000));
    assert_false(log_throttle_recovered(&throttle, 1000 + LOG_THROTTLE_CALM_MS - 1)); /* it may flutter */
    assert_false(log_throttle_is_due(&throttle, 1000 + LOG_THROTTLE_CALM_MS - 1));
    assert_false(log_throttle_recovered(&throttle, 1000 + LOG_THROTTLE_CALM_MS));
    assert_true(log_throttle_recovered(&throttle, 1000 + 2 * LOG_THROTTLE_CALM_MS - 1));
    assert_int_equal(throttle.times, 2);
    assert_false(log_throttle_recovered(&throttle, 1000 + 3 * LOG_THROTTLE_CALM_MS));
    assert_true(log_throttle_is_due(&throttle, 1000 + 3 * LOG_THROTTLE_CALM_MS));
    assert_int_equal(throttle.times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_told_when_it_begins_and_each_minute),
                                       cmocka_unit_test(it_is_over_once_it_was_calm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
