/* SPDX-License-Identifier: Apache-2.0 */
/* Harvest attacks against mailing lists with some dead addresses, in simulated time. */
#include "core/server/harvest.h"
#include "unit.h"

enum { FREE = 50, HOUR = 60 };

static void addresses_are_not_read_out(void **state)
{
    struct harvest harvest = {.minute = 1};
    enum harvest_news news = HARVEST_NOTHING_NEW;
    uint32_t told = 0, slowed_at = 0, delay_ms = 0;
    while (news != HARVEST_BLOCKED && told < 10000) {
        news = harvest_refused(&harvest, FREE, 0, 1);
        told++;
        if (news == HARVEST_SLOWED)
            slowed_at = told;
        uint32_t next_ms = harvest_delay_ms(&harvest, FREE, 0);
        assert_true(news == HARVEST_BLOCKED || next_ms >= delay_ms);
        delay_ms = next_ms;
    }
    assert_int_equal(slowed_at, FREE + 1);
    assert_int_equal(told, 2 * FREE + 1);
    assert_int_equal(harvest_blocked_min(&harvest, 1), HARVEST_BLOCK_FIRST_MIN);
    assert_int_equal(harvest_blocked_min(&harvest, HARVEST_BLOCK_FIRST_MIN), 1);
    assert_int_equal(harvest_blocked_min(&harvest, 1 + HARVEST_BLOCK_FIRST_MIN), 0);
}

/* Guesses as fast as allowed; returns what a day reveals. */
static void a_day_of_guessing_tells_little(void **state)
{
    struct harvest harvest = {.minute = 1};
    uint32_t told = 0;
    for (uint32_t minute = 1; minute <= 24 * HOUR; minute++)
        for (int i = 0; i < 2000 && harvest_blocked_min(&harvest, minute) == 0; i++) {
            harvest_refused(&harvest, FREE, 0, minute);
            told++;
        }
    assert_in_range(told, 2 * FREE, 1000);
    assert_in_range(harvest.offences, 5, HARVEST_OFFENCES_MAX);
    harvest_fade(&harvest, 3 * 24 * HOUR);
    assert_int_equal(harvest.offences, 0);
}

/* Good ones and bad ones of an hour, for a day, well mixed. */
static uint32_t slowest_of_a_day(uint32_t good, uint32_t bad)
{
    struct harvest harvest = {.minute = 1};
    uint32_t slowest_ms = 0, all = good + bad;
    uint64_t bad_owed = 0;
    for (uint64_t i = 0; i < 24ull * all; i++) {
        uint32_t minute = (uint32_t)(1 + i * HOUR / all);
        bad_owed += bad;
        if (bad_owed < all) {
            harvest_accepted(&harvest, FREE, 1, 0, minute);
            continue;
        }
        bad_owed -= all;
        assert_int_not_equal(harvest_refused(&harvest, FREE, 0, minute), HARVEST_BLOCKED);
        uint32_t delay_ms = harvest_delay_ms(&harvest, FREE, 0);
        slowest_ms = delay_ms > slowest_ms ? delay_ms : slowest_ms;
    }
    return slowest_ms;
}

static void real_senders_are_never_slow(void **state)
{
    assert_int_equal(slowest_of_a_day(95, 5), 0);
    assert_int_equal(slowest_of_a_day(9500, 500), 0);
    assert_int_equal(slowest_of_a_day(5000, 500), 0);     /* a large provider */
    assert_int_equal(slowest_of_a_day(100000, 20000), 0); /* a larger one */
    assert_int_equal(slowest_of_a_day(0, 20), 0);         /* old newsletters and nothing else */
    assert_int_equal(slowest_of_a_day(100, 60), 0);
    assert_true(slowest_of_a_day(10, 45) > 0);
}

/* A list of a thousand in one message, five of a hundred dead, and those first. */
static void a_list_with_stale_addresses_is_not_slow(void **state)
{
    struct harvest harvest = {.minute = 1};
    for (uint32_t i = 0; i < FREE; i++)
        assert_int_equal(harvest_refused(&harvest, FREE, 0, 1), HARVEST_NOTHING_NEW);
    assert_int_equal(harvest_delay_ms(&harvest, FREE, 0), 0);
    harvest = (struct harvest){.minute = 1};
    for (uint32_t fresh = 0; fresh < 1000; fresh++) /* mixed, even one of four */
        if (fresh % 3 == 2)
            assert_int_equal(harvest_refused(&harvest, FREE, fresh, 1), HARVEST_NOTHING_NEW);
}

/* Sends two messages to the one known address for each guess, as fast as possible. */
static void mail_to_one_address_does_not_pay_for_all_others(void **state)
{
    struct harvest harvest = {.minute = 1};
    uint32_t told = 0;
    while (harvest_blocked_min(&harvest, 1) == 0 && told < 10000) {
        harvest_accepted(&harvest, FREE, told == 0, 2, 1);
        harvest_refused(&harvest, FREE, 0, 1);
        told++;
    }
    assert_int_equal(told, FREE * (HARVEST_REPEATS_EXCUSE + 2) + 1);
    harvest = (struct harvest){.minute = 1};
    harvest_accepted(&harvest, FREE, 1, 1000, 1);
    assert_true(harvest_is_good(&harvest)); /* few guesses, and mail */
    assert_false(harvest_is_hopeless(&harvest, FREE));
    for (uint32_t i = 0; i <= FREE * (HARVEST_REPEATS_EXCUSE + HARVEST_HOPELESS); i++) {
        assert_false(harvest_is_hopeless(&harvest, FREE));
        harvest.blocked_until_min = 10; /* others of its network were many */
        harvest_refused(&harvest, FREE, 0, 1);
    }
    assert_true(harvest_is_hopeless(&harvest, FREE));
}

/* Nor does it lower the count of mail to different recipients. */
static void repeats_never_lower_the_count(void **state)
{
    struct harvest harvest = {.minute = 1};
    harvest_accepted(&harvest, FREE, 2000, 0, 1);
    uint16_t before = harvest.good;
    harvest_accepted(&harvest, FREE, 0, 500, 1);
    assert_int_equal(harvest.good, before);
}

static void counts_never_overflow(void **state)
{
    struct harvest harvest = {.minute = 1};
    for (int i = 0; i < 100000; i++)
        harvest_accepted(&harvest, HARVEST_FREE_MAX, i % 7 == 0 ? UINT32_MAX : 1000, 1000, 1);
    assert_in_range(harvest.good, HARVEST_COUNT_MAX / 4, HARVEST_COUNT_MAX);
    assert_true(harvest_is_good(&harvest));
    for (int i = 0; i < 5000; i++)
        harvest_refused(&harvest, HARVEST_FREE_MAX, 0, 1);
    assert_false(harvest_is_good(&harvest));
    harvest = (struct harvest){.minute = 1};
    uint32_t told = 1;
    while (harvest_refused(&harvest, HARVEST_FREE_MAX, 0, 1) != HARVEST_BLOCKED)
        told++;
    assert_int_equal(told, 2 * HARVEST_FREE_MAX + 1);
    assert_in_range(harvest_delay_ms(&harvest, 1, 0), HARVEST_DELAY_MAX_MS, HARVEST_DELAY_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_not_read_out),
        cmocka_unit_test(a_day_of_guessing_tells_little),
        cmocka_unit_test(real_senders_are_never_slow),
        cmocka_unit_test(a_list_with_stale_addresses_is_not_slow),
        cmocka_unit_test(mail_to_one_address_does_not_pay_for_all_others),
        cmocka_unit_test(repeats_never_lower_the_count),
        cmocka_unit_test(counts_never_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
