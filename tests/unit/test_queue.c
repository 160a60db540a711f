/* SPDX-License-Identifier: Apache-2.0 */
/* The queue over the memory store, with time as an argument. */
#include <stdio.h>

#include "core/client/client_session.h"
#include "io/log.h"
#include "queue/queue.h"
#include "store/queue/memory.h"
#include "unit.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static struct queue_ground {
    struct store *store;
    struct queue queue;
    struct queue_options options;
    uint64_t now_ms, last_id;
    struct ipc_deliver deliver;
    char told[65536]; /* content of the last delivery */
} g;

static int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    g = (struct queue_ground){.now_ms = 1000 * 1000, .store = memory_store_open()};
    g.options = (struct queue_options){.hostname = BYTES("mx.example.org"),
                                       .retry = {.first_ms = 300 * 1000, .max_ms = 4 * HOUR_MS, .factor = 2},
                                       .expire_ms = UINT64_C(5) * DAY_MS};
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
        recipients[i] = (struct recipient){.address = bytes_of_text(addresses[i]),
                                           .local = strstr(addresses[i], "@here.org") != NULL};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = recipients, .recipient_count = count},
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    return g.last_id;
}

static uint64_t accept_one(const char *address)
{
    return accept(&address, 1);
}

static bool next(enum schedule_transport transport)
{
    int content;
    if (!queue_next(&g.queue, transport, g.now_ms, &g.deliver, &content))
        return false;
    snprintf(g.told, sizeof g.told, "%.*s", BYTES_ARG(g.deliver.content));
    return true;
}

/* Ends the last delivery with this outcome for all recipients. */
static void fate_of(uint64_t delivery, size_t count, enum client_outcome outcome, enum client_step step)
{
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    for (size_t i = 0; i < count; i++)
        results[i] = (struct delivery_result){.outcome = outcome,
                                              .step = step,
                                              .code = step >= STEP_MAIL ? (outcome == OUTCOME_DELIVERED ? 250
                                                                           : outcome == OUTCOME_FAILED  ? 550
                                                                                                        : 451)
                                                                        : 0,
                                              .enhanced = BYTES("4.0.0"),
                                              .text = BYTES("as it goes")};
    struct ipc_deliver_answer answer = {
        .delivery = delivery, .peer = BYTES("mx[192.0.2.1]:25"), .results = results, .result_count = count};
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

/* Advances to the next due time; false if there is none. */
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

/* ---- aliases that are expanded here ---- */

static uint64_t accept_list(uint8_t notify, struct bytes content)
{
    struct recipient recipients[] = {{.address = BYTES("u@here.org"), .local = true},
                                     {.address = BYTES("all@here.org"),
                                      .expands = EXPANDS_ALIAS,
                                      .via = BYTES("all@here.org"),
                                      .notify = notify}};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = recipients, .recipient_count = 2},
        .content = content};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    commit();
    return g.last_id;
}

static void tell_members(uint32_t verdict, struct recipient *members, size_t count, struct recipient *missing,
                         size_t missing_count, struct bytes after)
{
    struct ipc_expand_answer answer = {.request = g.deliver.delivery,
                                       .verdict = verdict,
                                       .members = members,
                                       .member_count = count,
                                       .missing = missing,
                                       .missing_count = missing_count,
                                       .after = after};
    queue_members_answered(&g.queue, &answer, g.now_ms);
    commit();
}

static size_t rows(uint64_t id)
{
    static struct store_recipient found[STORE_READ_MAX];
    struct arena arena = {0};
    size_t count = store_recipients(g.store, id, 0, STORE_READ_MAX, &arena, found);
    arena_clear(&arena);
    return count;
}

static void an_alias_is_expanded_page_by_page(void **state)
{
    struct recipient first[] = {
        {.address = BYTES("bob@there.net")},
        {.address = BYTES("u@here.org"), .local = true},
        {.address = BYTES("inner@here.org"), .expands = EXPANDS_ALIAS, .via = BYTES("inner@here.org")}};
    struct recipient second[] = {{.address = BYTES("carl@there.net")}},
                     inner[] = {{.address = BYTES("bob@there.net")}, {.address = BYTES("dora@there.net")}};
    uint64_t id = accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    struct ipc_expand asked = queue_expansion(&g.queue, g.deliver.delivery);
    assert_true(bytes_is(asked.address, "all@here.org") && asked.how == EXPANDS_ALIAS &&
                asked.after.length == 0);
    tell_members(RECIPIENT_KNOWN, first, 3, NULL, 0, BYTES("inner@here.org"));
    assert_int_equal(rows(id), 4); /* u, the alias, bob and inner: u was there */
    g.now_ms++;
    restart();
    assert_true(next(SCHEDULE_LOOKUP));
    uint64_t held = g.deliver.delivery;
    bool is_first = bytes_is(queue_expansion(&g.queue, held).address, "all@here.org");
    assert_true(next(SCHEDULE_LOOKUP));
    for (int turn = 0; turn < 2; turn++, is_first = !is_first) {
        asked = queue_expansion(&g.queue, turn == 0 ? held : g.deliver.delivery);
        uint64_t later = g.deliver.delivery;
        g.deliver.delivery = asked.request;
        assert_text(asked.after, is_first ? "inner@here.org" : "");
        tell_members(RECIPIENT_KNOWN, is_first ? second : inner, is_first ? 1 : 2, NULL, 0, bytes_none());
        g.deliver.delivery = later;
    }
    assert_int_equal(rows(id), 4); /* u, bob, carl, dora */
    assert_true(next(SCHEDULE_AWAY));
    struct bytes front = g.deliver.prefix;
    assert_true(bytes_is(front, "Delivered-To: all@here.org\r\n") ||
                bytes_is(front, "Delivered-To: inner@here.org\r\nDelivered-To: all@here.org\r\n"));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_true(next(SCHEDULE_AWAY)); /* forwarded mail is delivered separately */
    assert_false(bytes_equal(g.deliver.prefix, front));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.prefix.length, 0);
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_int_equal(waiting(), 0);
}

static void reports_are(size_t count, const char *says)
{
    size_t found = 0;
    for (; next(SCHEDULE_LOOKUP); found++)
        assert_non_null(strstr(g.told, says));
    assert_int_equal(found, count);
}

static void a_missing_member_is_told_of_under_the_name_of_the_alias(void **state)
{
    struct recipient bob = {.address = BYTES("bob@there.net")},
                     gone[] = {{.address = BYTES("gone@here.org")}, {.address = BYTES("gone-too@here.org")}};
    accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    tell_members(RECIPIENT_KNOWN, &bob, 1, gone, 2, bytes_none());
    reports_are(1, "Final-Recipient: rfc822; all@here.org\r\nAction: failed");
    assert_null(strstr(g.told, "gone"));
    g.now_ms++;
    accept_list(NOTIFY_NEVER, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    tell_members(RECIPIENT_KNOWN, NULL, 0, gone, 2, bytes_none());
    reports_are(0, "");
}

static void an_alias_that_is_gone_is_told_of(void **state)
{
    accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    tell_members(RECIPIENT_UNKNOWN, NULL, 0, NULL, 0, bytes_none());
    reports_are(1, "Final-Recipient: rfc822; all@here.org\r\nAction: failed");
}

static void an_expansion_waits_for_auth_and_its_end_is_told(void **state)
{
    uint64_t id = accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n")), last_ms = g.now_ms;
    assert_true(next(SCHEDULE_LOCAL));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    while (rows(id) > 0) {
        if (next(SCHEDULE_LOOKUP) && g.deliver.id == id) {
            last_ms = g.now_ms;
            tell_members(RECIPIENT_UNAVAILABLE, NULL, 0, NULL, 0, bytes_none());
        } else {
            assert_true(sleep_until_woken());
        }
    }
    assert_true(last_ms > 4 * (uint64_t)DAY_MS);
    reports_are(1, "Action: failed");
}

static void success_of_an_alias_is_told_when_it_is_accepted(void **state)
{
    accept_list(NOTIFY_SUCCESS | NOTIFY_FAILURE, BYTES("Subject: hi\r\n\r\nx\r\n"));
    struct recipient bob = {.address = BYTES("bob@there.net")};
    for (int i = 0; i < 2; i++) {
        assert_true(next(SCHEDULE_LOOKUP));
        if (g.deliver.envelope.recipients[0].expands != EXPANDS_NOT)
            tell_members(RECIPIENT_KNOWN, &bob, 1, NULL, 0, bytes_none());
        else
            assert_non_null(strstr(g.told, "Final-Recipient: rfc822; all@here.org\r\nAction: expanded"));
    }
    assert_true(next(SCHEDULE_AWAY));
    assert_int_equal(g.deliver.envelope.recipients[0].notify, NOTIFY_FAILURE);
}

static void what_comes_back_to_who_sent_it_on_ends(void **state)
{
    accept_list(NOTIFY_UNSAID,
                BYTES("Received: x\r\nDelivered-To: all@here.org\r\nSubject: hi\r\n\r\nx\r\n"));
    assert_false(next(SCHEDULE_LOOKUP) && g.deliver.envelope.sender.length > 0);
    assert_non_null(strstr(g.told, "Status: 5.4.6"));
    commit();
    assert_true(next(SCHEDULE_LOCAL)); /* u was a recipient by name */
    assert_int_equal(g.deliver.envelope.recipient_count, 1);
    assert_int_equal(rows(g.deliver.id), 1);
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
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
        TESTED(nothing_leaves_while_it_is_held),
        TESTED(a_person_holds_releases_retries_and_removes),
        TESTED(who_is_told_to_retry_all_forgets_a_dead_destination),
        TESTED(a_lost_way_is_tried_again_at_once),
        TESTED(results_survive_a_full_disk),
        TESTED(more_destinations_than_fit_in_memory_have_their_turn),
        TESTED(many_that_are_under_way_hide_nobody),
        TESTED(mail_follows_a_change_of_the_route),
        TESTED(rules_lead_and_limit),
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
        TESTED(an_alias_is_expanded_page_by_page),
        TESTED(a_missing_member_is_told_of_under_the_name_of_the_alias),
        TESTED(an_alias_that_is_gone_is_told_of),
        TESTED(an_expansion_waits_for_auth_and_its_end_is_told),
        TESTED(success_of_an_alias_is_told_when_it_is_accepted),
        TESTED(what_comes_back_to_who_sent_it_on_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
