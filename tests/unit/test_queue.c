/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: deliveries, retries and reports; the turns of destinations; what a restart and a full disk
 * leave. */
#include "queue_ground.h"

static void what_is_accepted_is_delivered_and_gone(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "there.net");
    assert_string_equal(g.told, "Subject: hi\r\n\r\nx\r\n");
    assert_int_equal(g.deliver.attempt, 1);
    assert_false(next(SCHEDULE_AWAY));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

static void recipients_at_one_place_share_a_transaction_and_others_do_not(void **state)
{
    const char *addresses[] = {"a@there.net", "b@There.NET", "c@far.net", "u@here.org", "v@here.org"};
    accept(addresses, ARRAY_LENGTH(addresses));
    commit();
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.envelope.recipient_count, 2);
    assert_true(next(SCHEDULE_AWAY));
    size_t first = g.deliver.envelope.recipient_count;
    assert_true(next(SCHEDULE_AWAY));
    assert_int_equal(first + g.deliver.envelope.recipient_count, 3);
    assert_false(next(SCHEDULE_AWAY));
}

static void many_recipients_go_in_transactions_of_a_hundred(void **state)
{
    static char room[1000][32];
    static const char *addresses[1000];
    for (size_t i = 0; i < 1000; i++) {
        snprintf(room[i], sizeof room[i], "r%zu@there.net", i);
        addresses[i] = room[i];
    }
    accept(addresses, 1000);
    commit();
    size_t seen = 0, deliveries = 0;
    while (seen < 1000 && next(SCHEDULE_AWAY)) {
        assert_true(g.deliver.envelope.recipient_count <= DELIVERY_RECIPIENTS_MAX);
        seen += g.deliver.envelope.recipient_count;
        deliveries++;
        fate(OUTCOME_DELIVERED, STEP_DATA);
        commit();
    }
    assert_int_equal(seen, 1000);
    assert_true(deliveries <= 20);
    assert_int_equal(waiting(), 0);
}

static void a_deferred_one_comes_again_later_and_later(void **state)
{
    accept_one("bob@there.net");
    commit();
    uint64_t before_ms = g.now_ms, waited_ms = 0;
    for (int i = 1; i <= 5; i++) {
        while (!next(SCHEDULE_AWAY))
            assert_true(sleep_until_woken());
        assert_int_equal(g.deliver.attempt, i);
        if (i > 1)
            assert_true(g.now_ms - before_ms > waited_ms);
        waited_ms = i > 1 ? g.now_ms - before_ms : 0;
        before_ms = g.now_ms;
        fate(OUTCOME_DEFERRED, STEP_RCPT);
        commit();
    }
}

/* Defers the message until its age is `until_ms`; returns the reports made meanwhile. */
static size_t reports_while_deferred(uint64_t until_ms)
{
    size_t before = waiting();
    while (g.now_ms < 1000 * 1000 + until_ms && sleep_until_woken())
        while (next(SCHEDULE_AWAY)) {
            fate(OUTCOME_DEFERRED, STEP_RCPT);
            commit();
        }
    return waiting() - before;
}

static size_t reports_after_delivery(bool peer_reports)
{
    struct recipient bob = {.address = BYTES("bob@there.net"), .notify = NOTIFY_SUCCESS};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = &bob, .recipient_count = 1},
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    size_t before = waiting();
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    struct delivery_result result = {.outcome = OUTCOME_DELIVERED,
                                     .step = STEP_DATA,
                                     .code = 250,
                                     .enhanced = BYTES("2.0.0"),
                                     .peer_reports = peer_reports};
    struct ipc_deliver_answer answer = {
        .delivery = g.deliver.delivery, .results = &result, .result_count = 1};
    queue_delivered(&g.queue, &answer, g.now_ms);
    commit();
    return waiting() - before;
}

static void relayed_is_said_only_where_the_next_server_reports_nothing(void **state)
{
    assert_int_equal(reports_after_delivery(true), 0);
    assert_int_equal(reports_after_delivery(false), 1);
}

static void a_sender_is_warned_once_that_the_mail_is_delayed(void **state)
{
    g.options.warn_after_ms = 4 * HOUR_MS;
    restart();
    accept_one("bob@there.net");
    commit();
    assert_int_equal(reports_while_deferred(3 * HOUR_MS), 0);
    assert_int_equal(reports_while_deferred(DAY_MS), 1);
    restart();
    assert_int_equal(reports_while_deferred(2 * DAY_MS), 0);
}

static void what_expires_is_reported_to_its_sender(void **state)
{
    accept_one("bob@there.net");
    commit();
    int attempts = 0;
    while (true) {
        if (next(SCHEDULE_AWAY)) {
            attempts++;
            fate(OUTCOME_DEFERRED, STEP_CONNECT);
            commit();
        } else if (next(SCHEDULE_LOOKUP)) {
            break;
        } else {
            assert_true(sleep_until_woken());
            assert_true(g.now_ms < 1000 * 1000 + UINT64_C(6) * DAY_MS);
        }
    }
    assert_true(attempts > 10 && g.now_ms >= 1000 * 1000 + g.options.expire_ms);
    assert_text(g.deliver.envelope.recipients[0].address, "ada@here.org");
    struct recipient ada = {.address = BYTES("ada@here.org"), .local = true};
    queue_looked_up(
        &g.queue,
        &(struct ipc_recipient_answer){
            .request = g.deliver.delivery, .verdict = RECIPIENT_KNOWN, .targets = &ada, .target_count = 1},
        g.now_ms);
    commit();
    assert_true(next(SCHEDULE_LOCAL));
    assert_non_null(strstr(g.told, "Final-Recipient: rfc822; bob@there.net"));
    assert_int_equal(g.deliver.envelope.sender.length, 0);
    fate(OUTCOME_FAILED, STEP_RCPT); /* a report that fails ends there */
    commit();
    assert_int_equal(waiting(), 0);
}

static void a_dead_destination_delays_nobody_and_is_not_tried_for_each_message(void **state)
{
    for (int i = 0; i < 100; i++)
        accept_one("x@dead.net");
    accept_one("bob@there.net");
    commit();
    int tried = 0;
    bool bob = false;
    while (next(SCHEDULE_AWAY)) {
        bool dead = bytes_is(g.deliver.destination, "dead.net");
        tried += dead;
        bob = bob || !dead;
        fate(dead ? OUTCOME_DEFERRED : OUTCOME_DELIVERED, dead ? STEP_CONNECT : STEP_DATA);
        commit();
    }
    assert_true(bob);
    assert_int_equal(tried, SCHEDULE_FAILURES_MAX);
    accept_one("y@dead.net"); /* a newcomer waits with the others */
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_true(sleep_until_woken());
}

static void destinations_take_turns(void **state)
{
    for (int i = 0; i < 50; i++)
        accept_one("x@big.net");
    accept_one("bob@small.net");
    commit();
    bool small = false;
    for (int i = 0; i < 3 && !small; i++) {
        assert_true(next(SCHEDULE_AWAY));
        small = bytes_is(g.deliver.destination, "small.net");
    }
    assert_true(small);
}

static void a_destination_has_its_limit(void **state)
{
    int started = 0;
    for (int i = 0; i < 50; i++)
        accept_one("x@big.net");
    commit();
    while (next(SCHEDULE_AWAY))
        started++;
    assert_int_equal(started, SCHEDULE_CONCURRENCY_FIRST);
}

static void a_lost_way_is_tried_again_at_once(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    uint64_t lost = g.deliver.delivery;
    queue_transport_lost(&g.queue, SCHEDULE_AWAY, g.now_ms);
    assert_true(next(SCHEDULE_AWAY));
    fate_of(lost, 1, OUTCOME_FAILED, STEP_RCPT); /* a late answer of the dead one has no effect */
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

static void results_survive_a_full_disk(void **state)
{
    struct error error;
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    memory_store_limit(g.store, 1);
    fate(OUTCOME_FAILED, STEP_RCPT); /* its report does not fit */
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_FULL);
    assert_false(next(SCHEDULE_AWAY)); /* not once more */
    g.now_ms += STUCK_RETRY_MS;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_FULL);
    memory_store_limit(g.store, 0);
    g.now_ms += STUCK_RETRY_MS;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_DONE);
    assert_false(next(SCHEDULE_AWAY));
    assert_true(next(SCHEDULE_LOOKUP)); /* the report */
}

static void more_destinations_than_fit_in_memory_have_their_turn(void **state)
{
    char address[40];
    for (int i = 0; i < ACTIVE_MAX + 50; i++) {
        snprintf(address, sizeof address, "x@d%d.net", i);
        accept_one(address);
        commit();
    }
    int delivered = 0;
    for (int rounds = 0; rounds < 5 * ACTIVE_MAX && delivered < ACTIVE_MAX + 50; rounds++) {
        if (next(SCHEDULE_AWAY)) {
            delivered++;
            fate(OUTCOME_DELIVERED, STEP_DATA);
            commit();
        } else {
            queue_wake(&g.queue, g.now_ms);
        }
    }
    assert_int_equal(delivered, ACTIVE_MAX + 50);
    assert_int_equal(waiting(), 0);
}

/* Deliveries in progress stay due until examined: more of them than one turn examines hide no others. */
static void many_that_are_under_way_hide_nobody(void **state)
{
    char address[40];
    for (int i = 0; i < 2 * LOOKS_A_TURN_MAX; i++) {
        snprintf(address, sizeof address, "x@d%d.net", i);
        accept_one(address);
    }
    commit();
    for (int i = 0; i < 2 * LOOKS_A_TURN_MAX; i++)
        assert_true(next(SCHEDULE_AWAY));
    accept_one("y@late.net");
    commit();
    assert_false(next(SCHEDULE_AWAY));
    while (queue_looks_on(&g.queue, SCHEDULE_AWAY) && !next(SCHEDULE_AWAY))
        ;
    assert_text(g.deliver.envelope.recipients[0].address, "y@late.net");
    while (queue_looks_on(&g.queue, SCHEDULE_AWAY)) /* and it ends */
        assert_false(next(SCHEDULE_AWAY));
}

static void mail_follows_a_change_of_the_route(void **state)
{
    accept_one("bob@there.net");
    commit();
    g.options.routes.via = RELAY_SMARTHOST;
    restart();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "@smarthost");
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

static void rules_lead_and_limit(void **state)
{
    static const struct route_rule rules[] = {{.domain = "by.net", .via = RELAY_SMARTHOST},
                                              {.domain = "slow.net", .rate = 60, .connections = 2}};
    g.options.routes = (struct route_rules){.rules = rules, .count = ARRAY_LENGTH(rules)};
    restart();
    accept_one("a@by.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "@smarthost");
    fate(OUTCOME_DELIVERED, STEP_DATA);
    for (int i = 0; i < 3; i++)
        accept_one("b@Slow.net");
    commit();
    uint64_t started_ms = g.now_ms;
    for (int sent = 0; sent < 3; g.now_ms++) {
        assert_true(g.now_ms - started_ms <= 2000);
        queue_wake(&g.queue, g.now_ms);
        if (!next(SCHEDULE_AWAY))
            continue;
        assert_text(g.deliver.destination, "slow.net");
        assert_int_equal(g.now_ms - started_ms, 1000 * sent++);
        assert_true(queue_wake_ms(&g.queue) == g.now_ms + 1000);
        fate(OUTCOME_DELIVERED, STEP_DATA);
        commit();
    }
    assert_int_equal(waiting(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(what_is_accepted_is_delivered_and_gone),
        TESTED(recipients_at_one_place_share_a_transaction_and_others_do_not),
        TESTED(many_recipients_go_in_transactions_of_a_hundred),
        TESTED(a_deferred_one_comes_again_later_and_later),
        TESTED(relayed_is_said_only_where_the_next_server_reports_nothing),
        TESTED(a_sender_is_warned_once_that_the_mail_is_delayed),
        TESTED(what_expires_is_reported_to_its_sender),
        TESTED(a_dead_destination_delays_nobody_and_is_not_tried_for_each_message),
        TESTED(destinations_take_turns),
        TESTED(a_destination_has_its_limit),
        TESTED(a_lost_way_is_tried_again_at_once),
        TESTED(results_survive_a_full_disk),
        TESTED(more_destinations_than_fit_in_memory_have_their_turn),
        TESTED(many_that_are_under_way_hide_nobody),
        TESTED(mail_follows_a_change_of_the_route),
        TESTED(rules_lead_and_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
