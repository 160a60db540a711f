/* SPDX-License-Identifier: Apache-2.0 */
/* Retry times, and the turns of destinations. */
#include <stdio.h>

#include "core/queue/schedule.h"
#include "unit.h"

enum { MINUTE = 60 * 1000 };
static const struct schedule_retry retry = {.first_ms = 5 * MINUTE, .factor = 2, .max_ms = 240 * MINUTE};
static const uint64_t middle = UINT64_C(1) << 63; /* no jitter either way */

static void delays_grow_to_their_greatest(void **state)
{
    static const uint32_t minutes[] = {5, 10, 20, 40, 80, 160, 240, 240};
    for (uint32_t attempt = 1; attempt <= ARRAY_LENGTH(minutes); attempt++)
        assert_int_equal(schedule_delay_ms(&retry, attempt, middle), minutes[attempt - 1] * MINUTE);
    assert_int_equal(schedule_delay_ms(&retry, 0, middle), 5 * MINUTE);
    assert_int_equal(schedule_delay_ms(&retry, UINT32_MAX, middle), 240 * MINUTE);
    assert_in_range(schedule_delay_ms(&retry, 1, 0), 5 * MINUTE * 9 / 10 - 1, 5 * MINUTE * 9 / 10 + 1);
    assert_in_range(schedule_delay_ms(&retry, 1, UINT64_MAX), 5 * MINUTE * 11 / 10 - 1,
                    5 * MINUTE * 11 / 10 + 1);
    const struct schedule_retry none = {.first_ms = 0, .factor = 1, .max_ms = 0};
    assert_int_equal(schedule_delay_ms(&none, 3, middle), 1); /* never at once: that would be a loop */
}

static void the_last_attempt_is_made_at_the_expiry(void **state)
{
    assert_int_equal(schedule_due_ms(5 * MINUTE, 1000, 1000 + 5 * MINUTE), 1000 + 5 * MINUTE);
    assert_int_equal(schedule_due_ms(5 * MINUTE, 1000, 999 + 5 * MINUTE), 999 + 5 * MINUTE);
    assert_int_equal(schedule_due_ms(5 * MINUTE, 1000, 1000), 1000 + 5 * MINUTE); /* it is past */
}

static void a_recipient_is_given_up_after_its_last_attempt(void **state)
{
    assert_false(schedule_is_over(1000, 500, 1000 + SCHEDULE_GRACE_MS - 1));
    assert_true(schedule_is_over(1000, 500, 1000 + SCHEDULE_GRACE_MS));
    /* due behind the expiry: released or retried by a person */
    assert_false(schedule_is_over(1000, 9000, 1000 + SCHEDULE_GRACE_MS));
    assert_false(schedule_is_over(1000, 9000, 9000 + SCHEDULE_GRACE_MS - 1));
    assert_true(schedule_is_over(1000, 9000, 9000 + SCHEDULE_GRACE_MS));
}

static void why_it_waits_has_one_answer(void **state)
{
    static const struct {
        struct schedule_facts facts;
        enum schedule_wait why;
        uint64_t next_ms;
    } wanted[] = {
        {{.in_progress = true, .held = true}, WAIT_IN_PROGRESS, 0},
        {{.held = true, .due_ms = 900}, WAIT_HELD, 0},
        {{.all_held = true, .due_ms = 900}, WAIT_NO_SERVER, 0},
        {{.served = true, .all_held = true, .due_ms = 900}, WAIT_ALL_HELD, 0},
        {{.served = true, .due_ms = 900, .backoff_until_ms = 800}, WAIT_RETRY, 900},
        {{.served = true, .due_ms = 800, .backoff_until_ms = 900}, WAIT_BACKOFF, 900},
        {{.served = true, .due_ms = 100, .backoff_until_ms = 501}, WAIT_BACKOFF, 501},
        {{.served = true, .due_ms = 501}, WAIT_RETRY, 501},
        {{.served = true, .due_ms = 500, .backoff_until_ms = 500}, WAIT_TURN, 500},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        uint64_t next_ms = 1;
        assert_int_equal(schedule_wait_reason(&wanted[i].facts, 500, &next_ms), wanted[i].why);
        assert_int_equal(next_ms, wanted[i].next_ms);
    }
}

struct schedule_ground {
    struct schedule schedule;
    struct schedule_destination d[4];
};

static void enter(struct schedule_ground *ground, size_t i, enum schedule_transport transport,
                  uint32_t failures)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    schedule_enter(&ground->schedule, &ground->d[i], bytes_of_text(names[i]), transport, failures);
}

static int set_up(void **state)
{
    static struct schedule_ground ground;
    schedule_start(&ground.schedule, &retry, 1);
    *state = &ground;
    return 0;
}

static int tear_down(void **state)
{
    schedule_free(&((struct schedule_ground *)*state)->schedule);
    return 0;
}

/* Starts the next delivery; returns its index. */
static size_t start_next(struct schedule_ground *ground, enum schedule_transport transport)
{
    struct schedule_destination *next = schedule_next(&ground->schedule, transport);
    assert_non_null(next);
    schedule_started(&ground->schedule, next, 0);
    return (size_t)(next - ground->d);
}

static void destinations_take_turns(void **state)
{
    struct schedule_ground *ground = *state;
    for (size_t i = 0; i < 3; i++) {
        enter(ground, i, SCHEDULE_AWAY, 0);
        schedule_want(&ground->schedule, &ground->d[i], true);
    }
    for (size_t turn = 0; turn < 9; turn++)
        assert_int_equal(start_next(ground, SCHEDULE_AWAY), turn % 3);
    assert_null(schedule_next(&ground->schedule, SCHEDULE_LOCAL)); /* the ways do not mix */
    assert_ptr_equal(schedule_find(&ground->schedule, BYTES("b")), &ground->d[1]);
    assert_null(schedule_find(&ground->schedule, BYTES("x")));
    schedule_want(&ground->schedule, &ground->d[0], false);
    assert_int_equal(start_next(ground, SCHEDULE_AWAY), 1);
    assert_int_equal(start_next(ground, SCHEDULE_AWAY), 2);
    assert_int_equal(start_next(ground, SCHEDULE_AWAY), 1);
}

static void a_destination_has_so_many_under_way(void **state)
{
    struct schedule_ground *ground = *state;
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, &ground->d[0], true);
    for (int i = 0; i < SCHEDULE_CONCURRENCY_FIRST; i++)
        start_next(ground, SCHEDULE_AWAY);
    assert_false(schedule_may_start(&ground->schedule, &ground->d[0]));
    assert_null(schedule_next(&ground->schedule, SCHEDULE_AWAY));
    /* all goes well: it grows, to its greatest */
    for (int i = 0; i < 10 * SCHEDULE_CONCURRENCY_MAX * SCHEDULE_CONCURRENCY_MAX; i++) {
        schedule_ended(&ground->schedule, &ground->d[0], SCHEDULE_ANSWERED, 1, middle);
        while (schedule_may_start(&ground->schedule, &ground->d[0]))
            start_next(ground, SCHEDULE_AWAY);
    }
    assert_int_equal(ground->d[0].in_progress, SCHEDULE_CONCURRENCY_MAX);
}

static void all_together_have_so_many_under_way(void **state)
{
    static struct schedule_destination many[SCHEDULE_AWAY_MAX];
    static char names[SCHEDULE_AWAY_MAX][8];
    struct schedule_ground *ground = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        schedule_enter(&ground->schedule, &many[i], bytes_of_text(names[i]), SCHEDULE_AWAY, 0);
        schedule_want(&ground->schedule, &many[i], true);
    }
    for (int i = 0; i < SCHEDULE_AWAY_MAX; i++)
        schedule_started(&ground->schedule, schedule_next(&ground->schedule, SCHEDULE_AWAY), 0);
    assert_null(schedule_next(&ground->schedule, SCHEDULE_AWAY));
    assert_false(schedule_may_start(&ground->schedule, &many[0]));
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        assert_int_equal(many[i].turns, 1); /* and each had its turn */
    schedule_ended(&ground->schedule, &many[7], SCHEDULE_ANSWERED, 1, middle);
    assert_non_null(schedule_next(&ground->schedule, SCHEDULE_AWAY));
}

static void a_destination_that_does_not_answer_is_put_off(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, d, true);
    for (int i = 1; i < SCHEDULE_FAILURES_MAX; i++) {
        start_next(ground, SCHEDULE_AWAY);
        assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_UNREACHABLE, 1000, middle));
    }
    start_next(ground, SCHEDULE_AWAY);
    assert_true(schedule_ended(&ground->schedule, d, SCHEDULE_UNREACHABLE, 1000, middle));
    assert_int_equal(d->until_ms, 1000 + 5 * MINUTE);
    assert_int_equal(d->limit, 1);
    assert_null(schedule_next(&ground->schedule, SCHEDULE_AWAY));
    assert_false(schedule_may_start(&ground->schedule, d));
    schedule_reset_failures(&ground->schedule, d); /* a person says try */
    assert_int_equal(start_next(ground, SCHEDULE_AWAY), 0);
    assert_int_equal(d->limit, SCHEDULE_CONCURRENCY_FIRST);
}

static void one_answer_forgives_all_failures(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, d, true);
    for (int i = 0; i < 5 * SCHEDULE_FAILURES_MAX; i++) {
        start_next(ground, SCHEDULE_AWAY);
        assert_false(schedule_ended(&ground->schedule, d,
                                    i % 2 == 0 ? SCHEDULE_UNREACHABLE : SCHEDULE_ANSWERED, 1000, middle));
    }
    start_next(ground, SCHEDULE_AWAY);
    schedule_ended(&ground->schedule, d, SCHEDULE_UNKNOWN, 1000, middle); /* our own fault is nobody's */
    assert_true(d->failures <= 1 && d->until_ms == 0);
}

static void one_put_off_before_begins_carefully(void **state)
{
    struct schedule_ground *ground = *state;
    enter(ground, 0, SCHEDULE_AWAY, SCHEDULE_FAILURES_MAX);
    schedule_want(&ground->schedule, &ground->d[0], true);
    start_next(ground, SCHEDULE_AWAY);
    assert_false(schedule_may_start(&ground->schedule, &ground->d[0]));
    /* one is enough */
    assert_true(schedule_ended(&ground->schedule, &ground->d[0], SCHEDULE_UNREACHABLE, 0, middle));
    assert_int_equal(ground->d[0].until_ms, 10 * MINUTE); /* and longer than the last time */
    enter(ground, 1, SCHEDULE_LOCAL, 99);                 /* mailboxes of ours are never put off */
    schedule_want(&ground->schedule, &ground->d[1], true);
    for (int i = 0; i < SCHEDULE_LOCAL_MAX; i++)
        start_next(ground, SCHEDULE_LOCAL);
    assert_null(schedule_next(&ground->schedule, SCHEDULE_LOCAL));
    for (int i = 0; i < SCHEDULE_LOCAL_MAX; i++)
        assert_false(schedule_ended(&ground->schedule, &ground->d[1], SCHEDULE_UNREACHABLE, 0, middle));
    schedule_leave(&ground->schedule, &ground->d[1]);
    assert_null(schedule_find(&ground->schedule, BYTES("b")));
    assert_null(schedule_next(&ground->schedule, SCHEDULE_LOCAL));
}

static void a_busy_destination_gets_half_once_for_all_under_way(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, d, true);
    d->limit = 16;
    for (int i = 0; i < 16; i++)
        start_next(ground, SCHEDULE_AWAY);
    for (int i = 0; i < 8; i++)
        assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_BUSY, 0, middle));
    assert_int_equal(d->limit, 8);
    for (int i = 0; i < 8; i++)
        assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_ANSWERED, 0, middle));
    assert_int_equal(d->failures, 0);
    start_next(ground, SCHEDULE_AWAY);
    assert_int_equal(d->limit, 9); /* all went well in between */
    start_next(ground, SCHEDULE_AWAY);
    assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_BUSY, 0, middle));
    assert_int_equal(d->limit, 4); /* these began later */
    assert_int_equal(d->failures, 0);
    schedule_ended(&ground->schedule, d, SCHEDULE_ANSWERED, 0, middle);
    for (int i = 1; i < SCHEDULE_FAILURES_MAX; i++) { /* busy though nothing else of ours is there */
        start_next(ground, SCHEDULE_AWAY);
        assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_BUSY, 0, middle));
    }
    start_next(ground, SCHEDULE_AWAY);
    assert_true(schedule_ended(&ground->schedule, d, SCHEDULE_BUSY, 0, middle));
}

static void a_destination_keeps_to_its_limits(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_limit(&ground->schedule, d, 2, 0);
    schedule_want(&ground->schedule, d, true);
    for (int i = 0; i < 100; i++) {
        start_next(ground, SCHEDULE_AWAY);
        schedule_ended(&ground->schedule, d, SCHEDULE_ANSWERED, 0, middle);
    }
    start_next(ground, SCHEDULE_AWAY);
    start_next(ground, SCHEDULE_AWAY);
    assert_null(schedule_next(&ground->schedule, SCHEDULE_AWAY));
    enter(ground, 1, SCHEDULE_AWAY, 0);
    schedule_limit(&ground->schedule, &ground->d[1], 100, 0);
    schedule_want(&ground->schedule, &ground->d[1], true);
    for (int i = 0; i < 100 * 100; i++) {
        start_next(ground, SCHEDULE_AWAY);
        schedule_ended(&ground->schedule, &ground->d[1], SCHEDULE_ANSWERED, 0, middle);
    }
    assert_int_equal(ground->d[1].limit, 100); /* and more than is usual, where that is said */
}

/* Starts deliveries as they become allowed; returns their number. */
static size_t run_for(struct schedule_ground *ground, size_t i, uint64_t from_ms, uint64_t to_ms)
{
    size_t count = 0;
    for (uint64_t now_ms = from_ms; now_ms < to_ms; now_ms++) {
        schedule_wake(&ground->schedule, now_ms);
        while (schedule_next(&ground->schedule, SCHEDULE_AWAY) != NULL) {
            schedule_started(&ground->schedule, &ground->d[i], now_ms);
            schedule_ended(&ground->schedule, &ground->d[i], SCHEDULE_ANSWERED, now_ms, middle);
            count++;
        }
    }
    return count;
}

static void a_rate_is_kept_and_reached(void **state)
{
    struct schedule_ground *ground = *state;
    static const uint32_t rates[] = {1, 7, 60, 600, 60000};
    for (size_t i = 0; i < ARRAY_LENGTH(rates); i++) {
        enter(ground, 0, SCHEDULE_AWAY, 0);
        schedule_limit(&ground->schedule, &ground->d[0], 0, rates[i]);
        schedule_want(&ground->schedule, &ground->d[0], true);
        size_t count = run_for(ground, 0, 1000, 1000 + 2 * MINUTE);
        assert_in_range(count, 2 * rates[i], 2 * rates[i] + 60);
        schedule_want(&ground->schedule, &ground->d[0], false);
        schedule_wake(&ground->schedule, 10 * MINUTE);
        schedule_want(&ground->schedule, &ground->d[0], true); /* what was not used is not saved up */
        assert_in_range(run_for(ground, 0, 10 * MINUTE, 11 * MINUTE), rates[i], rates[i] + 60);
        uint64_t wake_ms = schedule_wake_ms(&ground->schedule);
        assert_true(rates[i] == 60000 || wake_ms > 10 * MINUTE);
        schedule_leave(&ground->schedule, &ground->d[0]);
        assert_int_equal(schedule_wake_ms(&ground->schedule), 0);
    }
}

#define WITH_GROUND(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void a_reply_decides_the_next_attempt(void **state)
{
    static const struct {
        uint32_t attempts, code;
        const char *text;
        uint64_t delay_ms;
    } cases[] = {
        {1, 450, "4.2.0 Greylisted, see http://postgrey.example/help", SCHEDULE_GREYLIST_MS},
        {1, 451, "4.7.1 Greylisting in action, please come back in 00:02:00 minutes", SCHEDULE_GREYLIST_MS},
        {1, 451, "4.7.1 Please try again in 120 seconds", 125000},
        {1, 450, "try again later (300s)", 5 * MINUTE}, /* never later than without the time */
        {1, 450, "try again later (240s)", 245000},
        {1, 421, "4.7.0 try again in 4 minutes", 245000},
        {1, 451, "greylisted for 3 seconds", SCHEDULE_GREYLIST_MIN_MS + 5000},
        {1, 451, "4.7.1 come back in 3600 seconds", 60 * MINUTE},
        {5, 451, "4.7.1 come back in 3600 seconds", 80 * MINUTE},
        {1, 451, "come back in 99999 seconds", SCHEDULE_NAMED_MAX_MS},
        {1, 451, "come back in 9 hours", 540 * MINUTE},
        {2, 450, "greylisted", 10 * MINUTE}, /* the second time it is as any other */
        {1, 452, "4.2.2 mailbox full", 30 * MINUTE},
        {2, 452, "4.2.2 mailbox full", 60 * MINUTE},
        {4, 452, "4.2.2 mailbox full", 240 * MINUTE},
        {9, 452, "4.2.2 mailbox full", 240 * MINUTE},
        {1, 421, "4.7.28 unusual rate of unsolicited mail", 30 * MINUTE},
        {1, 0, "greylisted", 5 * MINUTE},
        {1, 451, "", 5 * MINUTE}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct reply_facts facts = {.code = cases[i].code, .text = bytes_of_text(cases[i].text)};
        struct schedule_reply reply = {reply_meaning_find(&facts), facts.text};
        uint64_t delay_ms = schedule_reply_delay_ms(&retry, cases[i].attempts, middle, &reply);
        if (delay_ms != cases[i].delay_ms)
            fail_msg("%s: %llu ms", cases[i].text, (unsigned long long)delay_ms);
    }
}

static void a_slow_delay_keeps_to_the_greatest(void **state)
{
    struct reply_facts facts = {.code = 452, .text = BYTES("mailbox full")};
    struct schedule_reply reply = {reply_meaning_find(&facts), facts.text};
    const struct schedule_retry quick = {.first_ms = 1000, .factor = 2, .max_ms = 4000},
                                none = {.first_ms = 0, .factor = 1, .max_ms = 0};
    assert_int_equal(schedule_reply_delay_ms(&quick, 1, middle, &reply), 4000);
    assert_int_equal(schedule_reply_delay_ms(&none, 1, middle, &reply), 1);
}

static void a_limited_destination_is_slowed_and_then_put_off(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, d, true);
    for (int i = 0; i < 4; i++)
        start_next(ground, SCHEDULE_AWAY);
    assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_LIMITED, 1000, middle));
    assert_int_equal(d->limit, 2);
    for (int i = 0; i < 3; i++) /* the same cause */
        assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_LIMITED, 1000, middle));
    assert_int_equal(d->limit, 2);
    for (int i = 0; i < SCHEDULE_SLOW_GROWTH - 1; i++) { /* it grows, and slowly */
        start_next(ground, SCHEDULE_AWAY);
        schedule_ended(&ground->schedule, d, SCHEDULE_ANSWERED, 1000, middle);
    }
    assert_int_equal(d->limit, 2);
    start_next(ground, SCHEDULE_AWAY);
    schedule_ended(&ground->schedule, d, SCHEDULE_ANSWERED, 1000, middle);
    assert_int_equal(d->limit, 3);
    start_next(ground, SCHEDULE_AWAY);
    assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_LIMITED, 1000, middle));
    assert_int_equal(d->limit, 1);
    start_next(ground, SCHEDULE_AWAY);
    assert_true(schedule_ended(&ground->schedule, d, SCHEDULE_LIMITED, 1000, middle));
    assert_int_equal(d->until_ms, 1000 + 5 * MINUTE);
    assert_int_equal(d->failures, SCHEDULE_FAILURES_MAX | SCHEDULE_REFUSED);
    assert_int_equal(schedule_failure_count(d->failures), SCHEDULE_FAILURES_MAX);
}

static void a_destination_that_rejects_is_put_off_and_probed(void **state)
{
    struct schedule_ground *ground = *state;
    struct schedule_destination *d = &ground->d[0];
    enter(ground, 0, SCHEDULE_AWAY, 0);
    schedule_want(&ground->schedule, d, true);
    start_next(ground, SCHEDULE_AWAY);
    start_next(ground, SCHEDULE_AWAY);
    assert_true(schedule_ended(&ground->schedule, d, SCHEDULE_REJECTED, 1000, middle));
    assert_int_equal(d->until_ms, 1000 + 30 * MINUTE);
    assert_false(schedule_ended(&ground->schedule, d, SCHEDULE_REJECTED, 2000, middle)); /* the same cause */
    assert_int_equal(d->until_ms, 1000 + 30 * MINUTE);
    uint32_t failures = d->failures;
    schedule_leave(&ground->schedule, d);
    for (int i = 0; i < 20; i++) { /* longer each time, and never longer than the greatest */
        enter(ground, 0, SCHEDULE_AWAY, failures);
        schedule_want(&ground->schedule, d, true);
        assert_int_equal(d->limit, 1);
        start_next(ground, SCHEDULE_AWAY);
        assert_true(schedule_ended(&ground->schedule, d, SCHEDULE_REJECTED, 0, middle));
        assert_int_equal(d->until_ms, (i == 0 ? 60 : i == 1 ? 120 : 240) * MINUTE);
        failures = d->failures;
        schedule_leave(&ground->schedule, d);
    }
    enter(ground, 1, SCHEDULE_LOCAL, 0); /* mailboxes of ours are never put off */
    schedule_want(&ground->schedule, &ground->d[1], true);
    start_next(ground, SCHEDULE_LOCAL);
    assert_false(schedule_ended(&ground->schedule, &ground->d[1], SCHEDULE_REJECTED, 0, middle));
    assert_int_equal(ground->d[1].limit, SCHEDULE_LOCAL_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_decides_the_next_attempt),
        cmocka_unit_test(a_slow_delay_keeps_to_the_greatest),
        WITH_GROUND(a_limited_destination_is_slowed_and_then_put_off),
        WITH_GROUND(a_destination_that_rejects_is_put_off_and_probed),
        cmocka_unit_test(delays_grow_to_their_greatest),
        cmocka_unit_test(the_last_attempt_is_made_at_the_expiry),
        cmocka_unit_test(a_recipient_is_given_up_after_its_last_attempt),
        cmocka_unit_test(why_it_waits_has_one_answer),
        WITH_GROUND(destinations_take_turns),
        WITH_GROUND(a_busy_destination_gets_half_once_for_all_under_way),
        WITH_GROUND(a_destination_keeps_to_its_limits),
        WITH_GROUND(a_rate_is_kept_and_reached),
        WITH_GROUND(a_destination_has_so_many_under_way),
        WITH_GROUND(all_together_have_so_many_under_way),
        WITH_GROUND(a_destination_that_does_not_answer_is_put_off),
        WITH_GROUND(one_answer_forgives_all_failures),
        WITH_GROUND(one_put_off_before_begins_carefully),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
