/* SPDX-License-Identifier: Apache-2.0 */
/* Times and sizes with their units. */
#include "core/text/quantity.h"
#include "unit.h"

static void durations_are_read_to_their_limit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } fine[] = {{"0s", 0},
                {"90s", 90000},
                {"30M", 1800000},
                {"2h", 7200000},
                {"5d", 432000000},
                {"1w", 604800000},
                {"250ms", 250},
                {"18446744073709551615ms", UINT64_MAX},
                {"213503982334d", 213503982334u * UINT64_C(86400000)}};
    static const char *const wrong[] = {
        "", "5", "s", "5 s", "-1s", "1.5h", "5y", "18446744073709551616ms", "213503982335d"};
    uint64_t ms;
    for (size_t i = 0; i < ARRAY_LENGTH(fine); i++) {
        assert_true(quantity_duration(bytes_of_text(fine[i].text), &ms));
        assert_int_equal(ms, fine[i].ms);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (quantity_duration(bytes_of_text(wrong[i]), &ms))
            fail_msg("%s", wrong[i]);
}

static void sizes_are_read_to_their_limit(void **state)
{
    static const struct {
        const char *text;
        uint64_t octets;
    } fine[] = {{"800000", 800000},
                {"50MiB", 52428800},
                {"50m", 52428800},
                {"50MB", 50000000},
                {"1GiB", 1073741824},
                {"1kb", 1000},
                {"16777215TiB", 16777215u * UINT64_C(1099511627776)}};
    static const char *const wrong[] = {"", "MiB", "1 MiB", "1PiB", "16777216TiB", "0x10"};
    uint64_t octets;
    for (size_t i = 0; i < ARRAY_LENGTH(fine); i++) {
        assert_true(quantity_size(bytes_of_text(fine[i].text), &octets));
        assert_int_equal(octets, fine[i].octets);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (quantity_size(bytes_of_text(wrong[i]), &octets))
            fail_msg("%s", wrong[i]);
}

static void ages_have_two_digits_or_more_of_a_unit(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {{0, "0s"},
                 {9, "9s"},
                 {119, "119s"},
                 {120, "2m"},
                 {7199, "119m"},
                 {7200, "2h"},
                 {48 * 3600 - 1, "47h"},
                 {48 * 3600, "2d"},
                 {86400 * 100, "100d"},
                 {UINT64_MAX / 1000, "213503982334d"}};
    char age[QUANTITY_AGE_SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_string_equal(quantity_age(0, cases[i].seconds * 1000, age), cases[i].text);
    assert_string_equal(quantity_age(1000, 0, age), "0s"); /* the clock was put back */
    assert_string_equal(quantity_age(5000, 6999, age), "1s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_to_their_limit),
        cmocka_unit_test(sizes_are_read_to_their_limit),
        cmocka_unit_test(ages_have_two_digits_or_more_of_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
