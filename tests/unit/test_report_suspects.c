/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that end the process that reads them are not read for ever. */
#include "service/report/report_suspects.h"
#include "unit.h"

static struct report_suspects suspects;

/* The process ends while it reads this message; its successor starts. */
static void crash(uint64_t id)
{
    suspects.reading = id;
    report_suspects_take(&suspects);
    assert_int_equal(suspects.reading, 0);
}

static void a_message_is_read_until_it_has_ended_the_process_too_often(void **state)
{
    for (unsigned i = 1; i <= REPORT_CRASHES_MAX; i++) {
        assert_false(report_suspects_has(&suspects, 7));
        crash(7);
    }
    assert_true(report_suspects_has(&suspects, 7));
    assert_false(report_suspects_has(&suspects, 8));
    crash(0); /* it ended for another reason */
    assert_false(report_suspects_has(&suspects, 0));
}

static void the_last_ones_are_remembered(void **state)
{
    for (uint64_t id = 1; id <= REPORT_SUSPECTS_MAX; id++)
        for (unsigned i = 0; i < REPORT_CRASHES_MAX; i++)
            crash(id);
    for (uint64_t id = 1; id <= REPORT_SUSPECTS_MAX; id++)
        assert_true(report_suspects_has(&suspects, id));
    crash(99);
    assert_false(report_suspects_has(&suspects, 1) || report_suspects_has(&suspects, 99));
    assert_true(report_suspects_has(&suspects, 2));
}

static int clear(void **state)
{
    suspects = (struct report_suspects){.reading = 0};
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_message_is_read_until_it_has_ended_the_process_too_often, clear),
        cmocka_unit_test_teardown(the_last_ones_are_remembered, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
