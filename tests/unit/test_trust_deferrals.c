/* SPDX-License-Identifier: Apache-2.0 */
/* Since when a client's mail is deferred because DNS does not say whether it is forged. */
#include "service/smtpd/trust_deferrals.h"
#include "unit.h"

enum { COUNT = 64, DAY = TRUST_DEFERRALS_DAY_MIN, FORGET = TRUST_DEFERRALS_FORGET_MIN, NOW = 7 };

static uint64_t words[COUNT];
static struct slots table;

static int start(void **state)
{
    memset(words, 0, sizeof words);
    table = trust_deferrals_table(words, COUNT);
    return 0;
}

static uint64_t key_of(unsigned number)
{
    return bytes_hash(bytes_of((const char *)&number, sizeof number), 1);
}

static void it_is_accepted_after_a_day(void **state)
{
    assert_false(trust_deferrals_has_enough(&table, key_of(1), NOW));
    trust_deferrals_add(&table, key_of(1), NOW);
    assert_false(trust_deferrals_has_enough(&table, key_of(1), NOW + DAY - 1));
    assert_true(trust_deferrals_has_enough(&table, key_of(1), NOW + DAY));
    assert_false(trust_deferrals_has_enough(&table, key_of(2), NOW + DAY));
}

static void each_try_leaves_the_first_as_it_is(void **state)
{
    for (uint32_t minute = 0; minute < DAY; minute += 30)
        trust_deferrals_add(&table, key_of(1), NOW + minute);
    assert_true(trust_deferrals_has_enough(&table, key_of(1), NOW + DAY));
}

static void after_five_days_it_begins_anew(void **state)
{
    trust_deferrals_add(&table, key_of(1), NOW);
    assert_true(trust_deferrals_has_enough(&table, key_of(1), NOW + FORGET - 1));
    assert_false(trust_deferrals_has_enough(&table, key_of(1), NOW + FORGET));
    trust_deferrals_add(&table, key_of(1), NOW + FORGET);
    assert_false(trust_deferrals_has_enough(&table, key_of(1), NOW + FORGET + DAY - 1));
    assert_true(trust_deferrals_has_enough(&table, key_of(1), NOW + FORGET + DAY));
}

static void the_clock_may_wrap(void **state)
{
    uint32_t late = (1u << 20) - 10;
    trust_deferrals_add(&table, key_of(1), late);
    assert_false(trust_deferrals_has_enough(&table, key_of(1), (late + DAY - 1) & 0xfffff));
    assert_true(trust_deferrals_has_enough(&table, key_of(1), (late + DAY) & 0xfffff));
}

/* A flood of others takes places, but the table does not grow. */
static void a_full_table_forgets_the_oldest(void **state)
{
    for (unsigned i = 0; i < 100 * COUNT; i++)
        trust_deferrals_add(&table, key_of(i), NOW + i / COUNT);
    size_t known = 0;
    for (unsigned i = 0; i < 100 * COUNT; i++)
        known += trust_deferrals_has_enough(&table, key_of(i), NOW + 100 + DAY) ? 1 : 0;
    assert_true(known > 0 && known <= COUNT);
    assert_false(trust_deferrals_has_enough(&table, key_of(0), NOW + 100 + DAY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_accepted_after_a_day, start),
        cmocka_unit_test_setup(each_try_leaves_the_first_as_it_is, start),
        cmocka_unit_test_setup(after_five_days_it_begins_anew, start),
        cmocka_unit_test_setup(the_clock_may_wrap, start),
        cmocka_unit_test_setup(a_full_table_forgets_the_oldest, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
