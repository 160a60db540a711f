/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of unknown recipients that several processes write at the same time. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/smtpd/harvest_entry.h"
#include "unit.h"

enum { PROCESSES = 4, EACH = 400, FADES = 200, ROWS = 2, MINUTE = 1000, FREE = HARVEST_FREE_MAX };

/* All begin together: a process waits until each is there, and leaves the processor to those that are not. */
static struct shared {
    struct harvest_slot slots[ROWS * HARVEST_ROW];
    _Atomic int ready;
    _Atomic unsigned told, blocked;
} * shared;

static struct slots table(void)
{
    return harvest_entry_table(shared->slots, ROWS * HARVEST_ROW);
}

static int prepare(void **state)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared != MAP_FAILED ? 0 : -1;
}

static int clean_up(void **state)
{
    return munmap(shared, sizeof *shared);
}

static void in_processes(void (*act)(unsigned process))
{
    for (unsigned process = 0; process < PROCESSES; process++)
        if (fork() == 0) {
            for (shared->ready++; shared->ready < PROCESSES;)
                sched_yield();
            act(process);
            _exit(0);
        }
    for (int ended = 0, status; ended < PROCESSES; ended++)
        assert_true(wait(&status) > 0 && status == 0);
    shared->ready = 0;
}

static void refuse(uint64_t mark, uint32_t free, uint32_t minute)
{
    struct slots slots = table();
    struct harvest after;
    shared->blocked += harvest_entry_refused(&slots, mark, free, 0, minute, &after) == HARVEST_BLOCKED;
    shared->told += harvest_blocked_min(&after, minute) == 0;
}

static struct harvest entry(uint64_t mark, uint32_t minute)
{
    struct slots slots = table();
    return harvest_entry_read(&slots, mark, minute);
}

static const uint64_t marks[] = {UINT64_C(0x1234567800000000), UINT64_C(0x9abcdef000000000)};

static void count_refusals(unsigned process)
{
    for (unsigned i = 0; i < EACH; i++)
        refuse(marks[i % 2], FREE, MINUTE);
}

static void no_count_is_lost(void **state)
{
    in_processes(count_refusals);
    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++)
        assert_int_equal(entry(marks[i], MINUTE).bad, PROCESSES * EACH / 2 * HARVEST_PART);
    assert_int_equal(shared->told, PROCESSES * EACH);
}

static void count_both(unsigned process)
{
    struct slots slots = table();
    for (unsigned i = 0; i < EACH; i++)
        if (process % 2 == 0)
            refuse(marks[0], FREE, MINUTE);
        else
            harvest_entry_accepted(&slots, marks[0], FREE, 1, 0, MINUTE);
}

static void mail_and_refusals_are_counted_side_by_side(void **state)
{
    in_processes(count_both);
    assert_int_equal(entry(marks[0], MINUTE).bad, PROCESSES / 2 * EACH * HARVEST_PART);
    assert_int_equal(entry(marks[0], MINUTE).good, PROCESSES / 2 * EACH * HARVEST_PART);
}

/* Each process meets the new minute by itself: the counts fade once, and what comes beside that is kept. */
static void count_while_it_fades(unsigned process)
{
    for (unsigned round = 1; round <= FADES; round++) {
        for (shared->ready++; shared->ready < PROCESSES * (int)(round + 1);) /* in_processes() was the first
                                                                              */
            sched_yield();
        for (unsigned i = 0; i < 2; i++)
            refuse(marks[0], FREE, MINUTE + round * HARVEST_HALF_LIFE_MIN);
    }
}

static void counts_fade_once(void **state)
{
    in_processes(count_refusals);
    uint32_t expected = entry(marks[0], MINUTE).bad;
    in_processes(count_while_it_fades);
    for (unsigned round = 1; round <= FADES; round++)
        expected = expected / 2 + PROCESSES * 2 * HARVEST_PART;
    assert_int_equal(entry(marks[0], MINUTE + FADES * HARVEST_HALF_LIFE_MIN).bad, expected);
}

static void guess(unsigned process)
{
    for (unsigned i = 0; i < EACH; i++)
        refuse(marks[1], 10, MINUTE);
}

/* At most twice the free number is told, whichever processes are asked. */
static void a_client_is_blocked_once_at_the_limit(void **state)
{
    for (int round = 0; round < 50; round++) {
        memset(shared, 0, sizeof *shared);
        in_processes(guess);
        assert_in_range(shared->told, 20 - PROCESSES, 20); /* one that counts while another blocks is blocked
                                                            */
        assert_int_equal(shared->blocked, 1);
        assert_int_equal(entry(marks[1], MINUTE).offences, 1);
    }
}

/* More clients than slots of a row: entries go, and none is another's. */
static void crowd(unsigned process)
{
    for (unsigned i = 0; i < 20 * EACH; i++)
        refuse(((uint64_t)(1 + i % 16) << 40) | ((uint64_t)(1 + i % 16) << 56), FREE, MINUTE);
}

static void a_full_row_mixes_no_owners(void **state)
{
    in_processes(crowd);
    for (uint64_t i = 17; i < 64; i++)
        assert_int_equal(entry(i << 40 | i << 56, MINUTE).bad, 0);
    assert_int_equal(shared->blocked, 0);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        ON(no_count_is_lost),           ON(mail_and_refusals_are_counted_side_by_side),
        ON(counts_fade_once),           ON(a_client_is_blocked_once_at_the_limit),
        ON(a_full_row_mixes_no_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
