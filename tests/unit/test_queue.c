/* SPDX-License-Identifier: Apache-2.0 */
/* The queue over the memory store, with time as an argument. */
#include "unit.h"

#include "client/session.h"
#include "log.h"
#include "queue/queue.h"

#include <stdio.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

struct ground {
    struct store *store;
    struct queue queue;
    struct queue_options options;
    uint64_t now_ms, last_id;
    struct ipc_deliver deliver;
    char told[65536]; /* content of the last delivery */
};
static struct ground g;

static int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    g = (struct ground){.now_ms = 1000 * 1000, .store = store_memory_open()};
    g.options = (struct queue_options){.hostname = BYTES("mx.example.org"), .retry = {.first_ms = 300 * 1000, .max_ms = 4 * HOUR_MS, .factor = 2}, .expire_ms = UINT64_C(5) * DAY_MS};
    queue_start(&g.queue, g.store, &g.options, 1, g.now_ms);
    return 0;
}

static int clean_up(void **state)
{
    queue_free(&g.queue);
    store_close(g.store);
    return 0;
}

static void restart(void)
{
    queue_free(&g.queue);
    queue_start(&g.queue, g.store, &g.options, 1, g.now_ms);
    queue_wake(&g.queue, g.now_ms);
}

static void commit(void)
{
    struct error error;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_DONE);
}

static uint64_t accept(const char *const *addresses, size_t count)
{
    static struct recipient recipients[2000];
    for (size_t i = 0; i < count; i++)
        recipients[i] = (struct recipient){.address = bytes_of_text(addresses[i]), .local = strstr(addresses[i], "@here.org") != NULL};
    struct store_message m = {.id = ++g.last_id, .envelope = {.sender = BYTES("ada@here.org"), .recipients = recipients, .recipient_count = count}, .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    return g.last_id;
}

static uint64_t accept_one(const char *address)
{
    return accept(&address, 1);
}

static bool next(enum schedule_way way)
{
    int content;
    if (!queue_next(&g.queue, way, g.now_ms, &g.deliver, &content))
        return false;
    snprintf(g.told, sizeof g.told, "%.*s", BYTES_ARG(g.deliver.content));
    return true;
}

/* All recipients of the last delivery have this fate. */
static void fate_of(uint64_t delivery, size_t count, enum client_outcome outcome, enum client_step step)
{
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    for (size_t i = 0; i < count; i++)
        results[i] = (struct delivery_result){.outcome = outcome, .step = step, .code = step >= STEP_MAIL ? (outcome == OUTCOME_DELIVERED ? 250 : outcome == OUTCOME_FAILED ? 550 : 451) : 0,
                                              .enhanced = BYTES("4.0.0"), .text = BYTES("as it goes")};
    struct ipc_deliver_answer answer = {.delivery = delivery, .peer = BYTES("mx[192.0.2.1]:25"), .results = results, .result_count = count};
    queue_delivered(&g.queue, &answer, g.now_ms);
}

static void fate(enum client_outcome outcome, enum client_step step)
{
    fate_of(g.deliver.delivery, g.deliver.envelope.recipient_count, outcome, step);
}

static size_t waiting(void)
{
    uint64_t ids[STORE_READ_MAX];
    return store_ids(g.store, 0, STORE_READ_MAX, ids, NULL);
}

/* Time passes until something is to do; false when nothing ever is. */
static bool sleep_until_woken(void)
{
    uint64_t wake_ms = queue_wake_ms(&g.queue);
    if (wake_ms == 0)
        return false;
    if (wake_ms > g.now_ms)
        g.now_ms = wake_ms;
    queue_wake(&g.queue, g.now_ms);
    commit();
    return true;
}

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
    queue_looked_up(&g.queue, &(struct ipc_recipient_answer){.request = g.deliver.delivery, .verdict = RECIPIENT_KNOWN, .targets = &ada, .target_count = 1}, g.now_ms);
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
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 1); /* while it is under way: not twice */
    commit();
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(queue_control(&g.queue, CONTROL_REMOVE, id, g.now_ms), 1);
    fate(OUTCOME_FAILED, STEP_RCPT); /* nobody is told of what was removed */
    commit();
    assert_int_equal(waiting(), 0);
    assert_int_equal(queue_control(&g.queue, CONTROL_RETRY, id, g.now_ms), 0);
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

static void a_lost_way_is_tried_again_at_once(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    uint64_t lost = g.deliver.delivery;
    queue_way_lost(&g.queue, SCHEDULE_AWAY, g.now_ms);
    assert_true(next(SCHEDULE_AWAY));
    fate_of(lost, 1, OUTCOME_FAILED, STEP_RCPT); /* a late answer of the dead one means nothing */
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
    store_memory_limit(g.store, 1);
    fate(OUTCOME_FAILED, STEP_RCPT); /* its report does not fit */
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_FULL);
    assert_false(next(SCHEDULE_AWAY)); /* not once more */
    g.now_ms += STUCK_RETRY_MS;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_FULL);
    store_memory_limit(g.store, 0);
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
    for (int rounds = 0; rounds < 5000 && delivered < ACTIVE_MAX + 50; rounds++) {
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

static void mail_follows_a_change_of_the_route(void **state)
{
    accept_one("bob@there.net");
    commit();
    g.options.smarthost = true;
    restart();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "@smarthost");
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(what_is_accepted_is_delivered_and_gone), TESTED(recipients_at_one_place_share_a_transaction_and_others_do_not), TESTED(many_recipients_go_in_transactions_of_a_hundred),
        TESTED(a_deferred_one_comes_again_later_and_later), TESTED(what_expires_is_reported_to_its_sender), TESTED(a_dead_destination_delays_nobody_and_is_not_tried_for_each_message),
        TESTED(destinations_take_turns), TESTED(a_destination_has_its_limit), TESTED(nothing_leaves_while_it_is_held), TESTED(a_person_holds_releases_retries_and_removes),
        TESTED(who_is_told_to_retry_all_forgets_a_dead_destination), TESTED(a_lost_way_is_tried_again_at_once), TESTED(results_survive_a_full_disk),
        TESTED(more_destinations_than_fit_in_memory_have_their_turn), TESTED(mail_follows_a_change_of_the_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
