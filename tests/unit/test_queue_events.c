/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the queue: after the commit, once, with all known facts. */
#include "core/client/client_session.h"
#include "queue/queue.h"
#include "store/queue/memory.h"
#include "unit.h"

static struct {
    struct queue queue;
    struct store *store;
    uint64_t now_ms, last_id;
} g;

static int prepare(void **state)
{
    struct queue_options options = {.hostname = BYTES("mx.example.org"),
                                    .retry = {.first_ms = 300 * 1000, .max_ms = 300 * 1000, .factor = 1},
                                    .expire_ms = 3600 * 1000};
    g.now_ms = 1000 * 1000;
    g.last_id = 0;
    g.store = memory_store_open();
    queue_start(&g.queue, g.store, &options, 1, g.now_ms);
    return 0;
}

static int clean_up(void **state)
{
    queue_free(&g.queue);
    store_close(g.store);
    return 0;
}

static void commit(enum store_verdict verdict)
{
    struct error error;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), verdict);
}

static uint64_t accept(struct recipient *recipients, size_t count)
{
    struct store_message message = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"),
                     .size = 19,
                     .recipients = recipients,
                     .recipient_count = count},
        .origin = {.client_address = BYTES("192.0.2.1"), .port = 587, .protocol = BYTES("ESMTPSA")},
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &message, 0, g.now_ms), STORE_DONE);
    return g.last_id;
}

static uint64_t accept_one(const char *address, bool local)
{
    struct recipient one = {.address = bytes_of_text(address), .local = local};
    return accept(&one, 1);
}

static struct mail_event told(enum event_kind kind)
{
    struct mail_event event;
    assert_true(queue_event_next(&g.queue, &event));
    assert_string_equal(mail_event_kind_name(event.kind), mail_event_kind_name(kind));
    assert_int_equal(event.at_ms, g.now_ms);
    return event;
}

static void nothing_more(void)
{
    struct mail_event event;
    assert_false(queue_event_next(&g.queue, &event));
}

static uint64_t start(enum schedule_transport transport)
{
    struct ipc_deliver deliver;
    int content;
    assert_true(queue_next(&g.queue, transport, g.now_ms, &deliver, &content));
    return deliver.delivery;
}

static void end(uint64_t delivery, enum client_outcome outcome, uint32_t code)
{
    struct delivery_result result = {.outcome = outcome,
                                     .step = STEP_RCPT,
                                     .code = code,
                                     .enhanced = BYTES("4.2.1"),
                                     .text = BYTES("so it is")};
    struct ipc_deliver_answer answer = {
        .delivery = delivery,
        .peer = BYTES("mx[192.0.2.2]:25"),
        .tls = {.protocol = TLS_PROTOCOL_1_3, .cipher = BYTES("X"), .level = TLS_LEVEL_DANE},
        .results = &result,
        .result_count = 1};
    queue_delivered(&g.queue, &answer, g.now_ms);
}

static void what_comes_in_and_goes_out(void **state)
{
    uint64_t id = accept_one("bob@there.net", false);
    nothing_more(); /* it is not on disk */
    commit(STORE_DONE);
    struct mail_event received = told(EVENT_RECEIVED);
    assert_int_equal(received.message, id);
    assert_int_equal(received.recipients, 1);
    assert_int_equal(received.port, 587);
    assert_true(bytes_is(received.client, "192.0.2.1") && bytes_is(received.recipient, "bob@there.net"));
    assert_int_equal(received.own, 0);
    nothing_more();
    g.now_ms += 5;
    end(start(SCHEDULE_AWAY), OUTCOME_DELIVERED, 250);
    commit(STORE_DONE);
    struct mail_event delivered = told(EVENT_DELIVERED);
    assert_true(delivered.id > received.id && delivered.message == id && delivered.number == 0);
    assert_true(bytes_is(delivered.sender, "ada@here.org") && bytes_is(delivered.destination, "there.net"));
    assert_true(bytes_is(delivered.peer, "mx[192.0.2.2]:25") &&
                bytes_is(delivered.tls, "TLSv1.3 X certificate=none policy=dane") &&
                bytes_is(delivered.tls_policy, "dane") && bytes_is(delivered.step, "rcpt"));
    assert_true(delivered.attempt == 1 && delivered.code == 250 && delivered.delay_ms == 5);
    assert_int_equal(delivered.mailbox, 0);
    nothing_more();
}

static void what_is_sent_on_is_forwarded_and_a_mailbox_is_told_apart(void **state)
{
    struct recipient both[] = {{.address = BYTES("bob@there.net"), .via = BYTES("ada@here.org")},
                               {.address = BYTES("eve@here.org"), .local = true}};
    accept(both, 2);
    commit(STORE_DONE);
    assert_int_equal(told(EVENT_RECEIVED).recipients, 2);
    end(start(SCHEDULE_AWAY), OUTCOME_DELIVERED, 250);
    commit(STORE_DONE);
    assert_int_equal(told(EVENT_FORWARDED).mailbox, 0);
    end(start(SCHEDULE_LOCAL), OUTCOME_DELIVERED, 0);
    commit(STORE_DONE);
    struct mail_event delivered = told(EVENT_DELIVERED);
    assert_true(delivered.mailbox == 1 && delivered.number == 1);
}

static void a_deferral_says_when_and_the_end_that_it_is_one(void **state)
{
    uint64_t id = accept_one("bob@there.net", false);
    commit(STORE_DONE);
    told(EVENT_RECEIVED);
    end(start(SCHEDULE_AWAY), OUTCOME_DEFERRED, 451);
    commit(STORE_DONE);
    struct mail_event deferred = told(EVENT_DEFERRED);
    assert_in_range(deferred.retry_in_ms, 270 * 1000, 330 * 1000);
    assert_true(deferred.code == 451 && bytes_is(deferred.text, "so it is"));
    g.now_ms += 3600 * 1000;
    queue_wake(&g.queue, g.now_ms);
    end(start(SCHEDULE_AWAY), OUTCOME_DEFERRED, 451);
    commit(STORE_DONE);
    assert_int_equal(told(EVENT_EXPIRED).attempt, 2);
    struct mail_event report = told(EVENT_RECEIVED);
    assert_true(report.own == 1 && report.message != id && bytes_is(report.sender, "<>"));
    nothing_more();
    assert_int_equal(g.queue.stats.accepted, 1);
    assert_int_equal(g.queue.stats.deferred, 1);
    assert_int_equal(g.queue.stats.failed, 1);
}

/* Results that do not fit are committed in a separate batch, before the next: their events follow that,
 * once. */
static void what_found_no_room_is_not_told_of(void **state)
{
    accept_one("bob@there.net", false);
    commit(STORE_DONE);
    told(EVENT_RECEIVED);
    end(start(SCHEDULE_AWAY), OUTCOME_DELIVERED, 250);
    memory_store_limit(g.store, 10);
    accept_one("eve@there.net", false);
    commit(STORE_FULL);
    told(EVENT_DELIVERED);
    nothing_more();
    assert_int_equal(g.queue.stats.accepted, 1);
    assert_int_equal(g.queue.stats.delivered, 1);
}

static void operator_actions_are_told_of(void **state)
{
    static const struct {
        enum control_verb verb;
        enum event_kind kind;
    } actions[] = {
        {CONTROL_HOLD, EVENT_HELD}, {CONTROL_RELEASE, EVENT_RELEASED}, {CONTROL_RETRY, EVENT_RETRIED}};
    struct recipient both[] = {{.address = BYTES("bob@there.net")}, {.address = BYTES("eve@there.net")}};
    uint64_t id = accept(both, 2);
    struct chosen second = {.id = id, .number = 1};
    commit(STORE_DONE);
    told(EVENT_RECEIVED);
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        queue_control(&g.queue, actions[i].verb, id, g.now_ms);
        commit(STORE_DONE);
        struct mail_event event = told(actions[i].kind);
        assert_true(event.message == id && event.recipients == 2 && event.recipient.length == 0);
        nothing_more();
    }
    queue_control_chosen(&g.queue, CONTROL_REMOVE, &second, 1, g.now_ms);
    commit(STORE_DONE);
    struct mail_event removed = told(EVENT_REMOVED);
    assert_true(removed.number == 1 && removed.recipients == 1 &&
                bytes_is(removed.recipient, "eve@there.net"));
}

static void what_is_not_taken_goes_with_the_next_batch(void **state)
{
    accept_one("bob@there.net", false);
    commit(STORE_DONE);
    uint64_t second = accept_one("eve@there.net", false);
    commit(STORE_DONE);
    assert_int_equal(told(EVENT_RECEIVED).message, second);
    nothing_more();
}

/* What the store has behind `cursor`; the last number. */
static uint64_t stored(uint64_t cursor, enum event_kind kind, uint64_t message)
{
    struct arena arena = {0};
    struct store_events found;
    struct mail_event event;
    assert_int_equal(store_events_after(g.store, STORE_EVENTS, cursor, 1, &arena, &found), 1);
    assert_int_equal(found.first, cursor + 1);
    assert_int_equal(found.count, 1);
    assert_true(mail_event_decode(&found.octets, &event));
    assert_int_equal(found.octets.length, 0);
    assert_true(event.kind == kind && event.message == message && event.id != 0);
    arena_clear(&arena);
    return found.first;
}

static void events_are_stored_with_what_they_tell_of(void **state)
{
    struct arena arena = {0};
    struct store_events none;
    uint64_t id = accept_one("bob@there.net", false);
    assert_int_equal(store_events_after(g.store, STORE_EVENTS, 0, 1, &arena, &none), 0);
    commit(STORE_DONE);
    uint64_t last = stored(0, EVENT_RECEIVED, id);
    assert_int_equal(queue_control(&g.queue, CONTROL_HOLD, id, g.now_ms), 1);
    commit(STORE_DONE);
    last = stored(last, EVENT_HELD, id);
    assert_int_equal(queue_control(&g.queue, CONTROL_REMOVE, id, g.now_ms), 1);
    memory_store_crash(g.store); /* what is not on disk did not happen */
    assert_int_equal(store_events_after(g.store, STORE_EVENTS, last, 1, &arena, &none), 0);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_comes_in_and_goes_out, prepare, clean_up),
        cmocka_unit_test_setup_teardown(what_is_sent_on_is_forwarded_and_a_mailbox_is_told_apart, prepare,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_deferral_says_when_and_the_end_that_it_is_one, prepare, clean_up),
        cmocka_unit_test_setup_teardown(what_found_no_room_is_not_told_of, prepare, clean_up),
        cmocka_unit_test_setup_teardown(operator_actions_are_told_of, prepare, clean_up),
        cmocka_unit_test_setup_teardown(what_is_not_taken_goes_with_the_next_batch, prepare, clean_up),
        cmocka_unit_test_setup_teardown(events_are_stored_with_what_they_tell_of, prepare, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
