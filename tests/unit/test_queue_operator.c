/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do with the queue: hold, release, retry, remove, and see. */
#include "queue_ground.h"

static void nothing_leaves_while_it_is_held(void **state)
{
    g.options.hold = true;
    restart();
    accept_one("bob@there.net");
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_wake_ms(&g.queue), 0);
    g.options.hold = false;
    restart();
    assert_true(next(SCHEDULE_AWAY));
}

static void a_person_holds_releases_retries_and_removes(void **state)
{
    uint64_t id = accept_one("bob@there.net");
    commit();
    assert_int_equal(queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms), 1);
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control(&g.queue, CONTROL_RELEASE, id, g.now_ms), 1);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_DEFERRED, STEP_RCPT);
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 1);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    /* while it is under way: not twice */
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 1);
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control(&g.queue, CONTROL_REMOVE, id, g.now_ms), 1);
    fate(OUTCOME_FAILED, STEP_RCPT); /* nobody is told of what was removed */
    commit();
    assert_int_equal(waiting(), 0);
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 0);
}

/* A week passes, and the sweep with it. */
static void sleep_a_week(void)
{
    g.now_ms += UINT64_C(7) * DAY_MS;
    for (int i = 0; i < 3; i++) {
        queue_wake(&g.queue, g.now_ms);
        commit();
        g.now_ms += EXPIRY_SWEEP_MS;
    }
}

static void what_is_held_stays_and_has_an_attempt_once_it_is_released(void **state)
{
    uint64_t id = accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_DEFERRED, STEP_RCPT);
    queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms);
    commit();
    sleep_a_week();
    restart();
    commit();
    sleep_a_week();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(waiting(), 1);
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 0); /* first it must be released */
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control(&g.queue, CONTROL_RELEASE, id, g.now_ms), 1);
    commit();
    queue_wake(&g.queue, g.now_ms);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_false(next(SCHEDULE_LOOKUP));
    fate(OUTCOME_DEFERRED, STEP_RCPT); /* then its time is over, as anybody's */
    commit();
    assert_true(next(SCHEDULE_LOOKUP));
}

static void what_is_released_and_cannot_be_tried_expires(void **state)
{
    uint64_t id = accept_one("bob@there.net"), other = accept_one("eve@there.net");
    queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms);
    queue_control(&g.queue, CONTROL_HOLD, other, g.now_ms);
    commit();
    sleep_a_week();
    sleep_a_week();
    queue_control(&g.queue, CONTROL_RELEASE, id, g.now_ms);
    commit();
    uint64_t released_ms = g.now_ms;
    while (g.now_ms < released_ms + SCHEDULE_GRACE_MS) { /* no way is open */
        assert_false(next(SCHEDULE_LOOKUP));
        assert_true(sleep_until_woken());
    }
    for (int i = 0; i < 2; i++)
        assert_true(sleep_until_woken());
    assert_true(next(SCHEDULE_LOOKUP));
    assert_int_equal(waiting(), 2); /* the other one, and the report */
}

static void who_retries_again_and_again_puts_no_end_off(void **state)
{
    uint64_t id = accept_one("bob@there.net"), accepted_ms = g.now_ms;
    commit();
    /* no way is open; the report ends it */
    for (; !next(SCHEDULE_LOOKUP); g.now_ms += SCHEDULE_GRACE_MS / 4) {
        assert_true(g.now_ms < accepted_ms + g.options.expire_ms + 2 * SCHEDULE_GRACE_MS);
        queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms);
        queue_wake(&g.queue, g.now_ms);
        commit();
    }
    assert_true(g.now_ms >= accepted_ms + g.options.expire_ms + SCHEDULE_GRACE_MS);
}

static void what_is_held_while_under_way_is_kept_though_its_time_is_over(void **state)
{
    uint64_t id = accept_one("bob@there.net");
    commit();
    g.now_ms += g.options.expire_ms - 1;
    assert_true(next(SCHEDULE_AWAY));
    queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms);
    commit();
    g.now_ms += 2;
    fate(OUTCOME_DEFERRED, STEP_RCPT);
    commit();
    assert_int_equal(waiting(), 1);
    assert_false(next(SCHEDULE_LOOKUP));
    queue_control(&g.queue, CONTROL_RELEASE, id, g.now_ms);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

static void a_held_report_waits_until_it_is_released(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_FAILED, STEP_RCPT);
    commit();
    assert_true(next(SCHEDULE_LOOKUP));
    uint64_t id = g.deliver.id, asked = g.deliver.delivery;
    queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms);
    commit();
    queue_looked_up(&g.queue, &(struct ipc_recipient_answer){.request = asked, .verdict = RECIPIENT_FOREIGN},
                    g.now_ms);
    commit();
    assert_false(next(SCHEDULE_AWAY) || next(SCHEDULE_LOOKUP));
    queue_control(&g.queue, CONTROL_RELEASE, id, g.now_ms);
    commit();
    assert_true(next(SCHEDULE_LOOKUP));
}

static void a_report_whose_way_is_never_known_ends(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_FAILED, STEP_RCPT);
    commit();
    for (uint64_t end_ms = g.now_ms + UINT64_C(6) * DAY_MS; waiting() > 0 && g.now_ms < end_ms;) {
        if (next(SCHEDULE_LOOKUP))
            queue_looked_up(&g.queue,
                            &(struct ipc_recipient_answer){.request = g.deliver.delivery,
                                                           .verdict = RECIPIENT_UNAVAILABLE},
                            g.now_ms);
        else
            assert_true(sleep_until_woken());
        commit();
    }
    assert_int_equal(waiting(), 0);
}

static void a_person_chooses_recipients(void **state)
{
    const char *addresses[] = {"bob@there.net", "eve@far.net", "mal@far.net"};
    uint64_t id = accept(addresses, 3), other = accept_one("bob@there.net");
    struct store_recipient found[4];
    struct arena arena = {0};
    const struct chosen hold[] = {{id, 1}, {other, 0}, {other, 7}, {12345, 0}},
                        removed[] = {{id, 0}, {id, 2}, {other, 0}};
    commit();
    assert_int_equal(queue_control_chosen(&g.queue, CONTROL_HOLD, hold, ARRAY_LENGTH(hold), g.now_ms), 2);
    /* they are */
    assert_int_equal(queue_control_chosen(&g.queue, CONTROL_HOLD, hold, ARRAY_LENGTH(hold), g.now_ms), 0);
    assert_int_equal(queue_control_chosen(&g.queue, CONTROL_REMOVE, removed, ARRAY_LENGTH(removed), g.now_ms),
                     3);
    commit();
    assert_int_equal(waiting(), 1);
    assert_int_equal(store_recipients(g.store, id, 0, 4, &arena, found), 1);
    assert_true(found[0].number == 1 && found[0].held);
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control_chosen(&g.queue, CONTROL_RELEASE, hold, 1, g.now_ms), 1);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.envelope.recipients[0].address, "eve@far.net");
    arena_clear(&arena);
}

static void nobody_is_told_of_a_recipient_that_was_removed_while_under_way(void **state)
{
    const char *addresses[] = {"bob@there.net", "eve@there.net"};
    uint64_t id = accept(addresses, 2);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    queue_control_chosen(&g.queue, CONTROL_REMOVE, &(struct chosen){id, 1}, 1, g.now_ms);
    commit();
    fate(OUTCOME_FAILED, STEP_RCPT);
    commit();
    assert_int_equal(waiting(), 1); /* the report on the other one */
    struct store_message report;
    struct arena arena = {0};
    uint64_t report_id;
    store_ids(g.store, 0, 1, &report_id, NULL);
    assert_true(store_read(g.store, report_id, true, &arena, &report));
    assert_true(bytes_search(report.content, BYTES("bob@there.net")) != SIZE_MAX);
    assert_true(bytes_search(report.content, BYTES("eve@there.net")) == SIZE_MAX);
    arena_clear(&arena);
}

static const struct destination_status *status_of(const struct ipc_status_answer *said, const char *name)
{
    for (size_t i = 0; i < said->destination_count; i++)
        if (bytes_is(said->destinations[i].name, name))
            return &said->destinations[i];
    return NULL;
}

static void people_see_what_goes_on(void **state)
{
    struct ipc_status_answer said = {.request = 9};
    struct arena arena = {0};
    const char *addresses[] = {"bob@there.net", "eve@there.net"};
    uint64_t id = accept(addresses, 2);
    for (int i = 0; i < SCHEDULE_FAILURES_MAX; i++)
        accept_one("x@dead.net");
    commit();
    uint64_t there = 0;
    for (int i = 0; i <= SCHEDULE_FAILURES_MAX; i++) {
        assert_true(next(SCHEDULE_AWAY));
        if (bytes_is(g.deliver.destination, "there.net"))
            there = g.deliver.delivery;
        else
            fate(OUTCOME_DEFERRED, STEP_CONNECT);
    }
    commit();
    queue_status(&g.queue, true, g.now_ms, &arena, &said);
    assert_true(said.request == 9 && said.accepted == 1 + SCHEDULE_FAILURES_MAX && said.delivered == 0 &&
                said.deferred == SCHEDULE_FAILURES_MAX);
    assert_int_equal(said.deliveries, 1);
    assert_int_equal(said.in_progress_count, 2);
    assert_true(said.in_progress[0].id == id && said.in_progress[1].id == id &&
                said.in_progress[1].number == 1);
    const struct destination_status *busy = status_of(&said, "there.net"),
                                    *dead = status_of(&said, "dead.net");
    assert_int_equal(said.destination_count, 2);
    assert_true(busy == said.destinations && busy->deliveries == 1 && busy->until_ms == 0 &&
                busy->reason.length == 0);
    assert_true(dead->deliveries == 0 && dead->until_ms > g.now_ms &&
                dead->failures == SCHEDULE_FAILURES_MAX && dead->deferred_ms == g.now_ms);
    assert_text(dead->reason, "4.0.0 as it goes");
    fate_of(there, 2, OUTCOME_DELIVERED, STEP_DATA);
    commit();
    queue_status(&g.queue, true, g.now_ms, &arena, &said);
    assert_true(said.delivered == 2 && said.deliveries == 0 && said.in_progress_count == 0);
    assert_null(status_of(&said, "there.net"));
    arena_clear(&arena);
}

static void people_see_the_busiest_destinations_and_the_latest_reasons(void **state)
{
    struct ipc_status_answer said = {0};
    struct arena arena = {0};
    char address[40];
    for (int i = 0; i < QUEUE_STATS_DESTINATIONS_MAX + 1; i++) { /* one more than are shown */
        snprintf(address, sizeof address, "x@d%d.net", i);
        accept_one(address);
    }
    accept_one("x@d7.net");
    commit();
    queue_status(&g.queue, false, g.now_ms, &arena, &said);
    assert_int_equal(said.destination_count, QUEUE_STATS_DESTINATIONS_MAX);
    while (next(SCHEDULE_AWAY))
        continue;
    queue_status(&g.queue, false, g.now_ms, &arena, &said);
    assert_int_equal(said.destination_count, QUEUE_STATS_DESTINATIONS_MAX);
    assert_text(said.destinations[0].name, "d7.net");
    assert_true(said.destinations[0].deliveries == 2 && said.in_progress_count == 0);
    for (uint64_t number = 1; number <= QUEUE_STATS_DESTINATIONS_MAX + 2; number++) {
        fate_of(number, 1, OUTCOME_DEFERRED, STEP_RCPT);
        g.now_ms++;
    }
    commit();
    queue_status(&g.queue, false, g.now_ms, &arena, &said);
    assert_int_equal(said.destination_count, QUEUE_STATS_REASONS_MAX);
    arena_clear(&arena);
}

static void who_is_told_to_retry_all_forgets_a_dead_destination(void **state)
{
    for (int i = 0; i < 10; i++)
        accept_one("x@dead.net");
    commit();
    while (next(SCHEDULE_AWAY)) {
        fate(OUTCOME_DEFERRED, STEP_CONNECT);
        commit();
    }
    uint64_t after = 0;
    size_t touched = 0;
    do
        touched += queue_control_some(&g.queue, CONTROL_RETRY, &after, g.now_ms);
    while (after != 0);
    commit();
    assert_int_equal(touched, 10);
    assert_true(next(SCHEDULE_AWAY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(nothing_leaves_while_it_is_held),
        TESTED(a_person_holds_releases_retries_and_removes),
        TESTED(what_is_held_stays_and_has_an_attempt_once_it_is_released),
        TESTED(what_is_released_and_cannot_be_tried_expires),
        TESTED(who_retries_again_and_again_puts_no_end_off),
        TESTED(what_is_held_while_under_way_is_kept_though_its_time_is_over),
        TESTED(a_held_report_waits_until_it_is_released),
        TESTED(a_report_whose_way_is_never_known_ends),
        TESTED(a_person_chooses_recipients),
        TESTED(nobody_is_told_of_a_recipient_that_was_removed_while_under_way),
        TESTED(people_see_what_goes_on),
        TESTED(people_see_the_busiest_destinations_and_the_latest_reasons),
        TESTED(who_is_told_to_retry_all_forgets_a_dead_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
