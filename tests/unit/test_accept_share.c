/* SPDX-License-Identifier: Apache-2.0 */
/* Two smtpd processes that share what they publish, and the memory that is returned. */
#include <stdlib.h>
#include <time.h>

#include "service/smtpd/smtpd.h"
#include "unit.h"

static struct shared_metrics *metrics;
static struct child children[2];
static struct smtpd processes[2];

static void have(size_t process, size_t connections)
{
    processes[process].connection_count = connections;
    accept_share_publish(&processes[process]);
}

static int start(void **state)
{
    metrics = memory_new(sizeof *metrics);
    for (uint32_t i = 0; i < 2; i++) {
        children[i].number = i;
        processes[i] = (struct smtpd){.child = &children[i], .metrics = metrics};
        have(i, 0);
    }
    return 0;
}

static int end(void **state)
{
    free(metrics);
    return 0;
}

static void the_one_that_is_ahead_leaves_the_next_client(void **state)
{
    have(0, ACCEPT_SHARE_SLACK);
    assert_false(accept_share_leaves(&processes[0]));
    have(0, ACCEPT_SHARE_SLACK + 1);
    assert_true(accept_share_leaves(&processes[0]));
    assert_false(accept_share_leaves(&processes[1]));
    have(0, 100);
    have(1, 80);
    assert_false(accept_share_leaves(&processes[0])); /* a quarter */
    have(1, 70);
    assert_true(accept_share_leaves(&processes[0]));
}

static void it_waits_for_a_busy_one_only_briefly(void **state)
{
    have(0, 10);
    uint64_t turns = 0;
    while (accept_share_leaves(&processes[0]))
        turns++;
    assert_true(turns > 0);
    for (int i = 1; i < ACCEPT_SHARE_BUSY; i++)
        assert_false(accept_share_leaves(&processes[0]));
    assert_true(accept_share_leaves(&processes[0])); /* once more, with the next ones */
}

static void nobody_waits_for_one_that_accepts_no_more(void **state)
{
    have(0, 10);
    assert_true(accept_share_leaves(&processes[0]));
    accept_share_end(&processes[1]);
    assert_false(accept_share_leaves(&processes[0]));
    have(1, 0); /* a connection of it ends while it drains */
    assert_false(accept_share_leaves(&processes[0]));
    metrics->accepting[1] = 1; /* a successor came, and died */
    assert_true(accept_share_leaves(&processes[0]));
    smtpd_metrics.forget(metrics, 1);
    assert_false(accept_share_leaves(&processes[0]));
}

/* Ends are counted by the clock: a window that begins meanwhile still counts the one before. */
static void where_clients_come_and_go_nobody_waits(void **state)
{
    have(0, 10);
    for (int i = 0; i < 2 * ACCEPT_SHARE_ENDS_MAX; i++)
        accept_share_count_end(&processes[0], ACCEPT_SHARE_WINDOW_MS);
    assert_true(accept_share_leaves(&processes[0])); /* those stayed for a while */
    for (int i = 0; i < ACCEPT_SHARE_ENDS_MAX; i++)
        accept_share_count_end(&processes[0], ACCEPT_SHARE_WINDOW_MS - 1);
    assert_false(accept_share_leaves(&processes[0]));
    const struct timespec later = {.tv_nsec = (2 * ACCEPT_SHARE_WINDOW_MS + 1) * 1000L * 1000};
    nanosleep(&later, NULL);
    assert_true(accept_share_leaves(&processes[0]));
}

/* ---- memory ---- */

static void stop(void *owner)
{
    loop_stop(owner);
}

/* Runs the loop until after the time at which memory is returned. */
static void run(struct loop *loop)
{
    struct timer ending;
    timer_start(&ending, loop, stop, loop);
    timer_set(&ending, MEMORY_TRIM_AFTER_MS + 1);
    loop_run(loop);
}

static void memory_is_returned_once_when_many_have_ended(void **state)
{
    struct loop loop;
    struct memory_trim trim;
    assert_true(loop_start(&loop, NULL));
    memory_trim_start(&trim, &loop);
    memory_trim_count(&trim, 2 * MEMORY_TRIM_CONNECTIONS_MIN - 1);
    memory_trim_count(&trim, MEMORY_TRIM_CONNECTIONS_MIN);
    assert_false(trim.waits); /* too few */
    memory_trim_count(&trim, 2 * MEMORY_TRIM_CONNECTIONS_MIN);
    memory_trim_count(&trim, MEMORY_TRIM_CONNECTIONS_MIN);
    assert_true(trim.waits);
    memory_trim_count(&trim, MEMORY_TRIM_CONNECTIONS_MIN + 1); /* they come again */
    run(&loop);
    assert_int_equal(trim.returns, 0);
    memory_trim_count(&trim, 0);
    run(&loop);
    assert_int_equal(trim.returns, 1);
    memory_trim_count(&trim, 1);
    memory_trim_count(&trim, 0);
    assert_false(trim.waits);
    timer_cancel(&trim.timer);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_one_that_is_ahead_leaves_the_next_client, start, end),
        cmocka_unit_test_setup_teardown(it_waits_for_a_busy_one_only_briefly, start, end),
        cmocka_unit_test_setup_teardown(nobody_waits_for_one_that_accepts_no_more, start, end),
        cmocka_unit_test_setup_teardown(where_clients_come_and_go_nobody_waits, start, end),
        cmocka_unit_test(memory_is_returned_once_when_many_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
