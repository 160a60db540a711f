/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix added to a content at acceptance: it precedes the message everywhere, once. */
#include <stdio.h>

#include "core/client/client_session.h"
#include "io/log.h"
#include "queue/queue.h"
#include "store/queue/memory.h"
#include "unit.h"

enum { DAY_MS = 24 * 3600 * 1000 };
#define PREFIX "Received: from there\r\n\tby here\r\n"
#define CONTENT "Subject: hi\r\n\r\nx\r\n"

struct ground {
    struct store *store;
    struct queue queue;
    struct queue_options options;
    uint64_t now_ms, last_id;
    struct origin origin; /* of the next message */
    struct trust_record trust;
    struct ipc_deliver deliver;
    char sent[2048]; /* prefix and content of the last delivery */
};
static struct ground g;

static int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    g = (struct ground){.now_ms = 1000 * 1000, .store = memory_store_open()};
    g.options = (struct queue_options){.hostname = BYTES("mx.example.org"),
                                       .retry = {.first_ms = 300 * 1000, .max_ms = DAY_MS, .factor = 2},
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

static void commit(void)
{
    struct error error;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_DONE);
}

static enum store_verdict accept(const struct recipient *recipients, size_t count, struct bytes prefix)
{
    static struct recipient copy[2];
    memcpy(copy, recipients, count * sizeof *copy);
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = copy, .recipient_count = count},
        .origin = g.origin,
        .trust = g.trust,
        .prefix = prefix,
        .content = BYTES(CONTENT)};
    return queue_accept(&g.queue, &m, 0, g.now_ms);
}

static bool next(enum schedule_transport transport)
{
    int content;
    if (!queue_next(&g.queue, transport, g.now_ms, &g.deliver, &content))
        return false;
    struct buffer both = {0}; /* each octet is touched: the sanitizer sees what is gone */
    buffer_add(&both, g.deliver.prefix);
    buffer_add(&both, g.deliver.content);
    assert_true(both.length < sizeof g.sent);
    snprintf(g.sent, sizeof g.sent, "%s", buffer_text(&both));
    buffer_free(&both);
    assert_int_equal(g.deliver.envelope.size, strlen(g.sent));
    return true;
}

static void fate(enum client_outcome outcome)
{
    struct delivery_result result = {
        .outcome = outcome, .step = STEP_DATA, .code = 550, .enhanced = BYTES("5.0.0"), .text = BYTES("no")};
    struct ipc_deliver_answer answer = {
        .delivery = g.deliver.delivery, .peer = BYTES("mx"), .results = &result, .result_count = 1};
    queue_delivered(&g.queue, &answer, g.now_ms);
    commit();
}

/* Returns the only message other than `id`. */
static struct bytes other_content(uint64_t id, struct arena *arena)
{
    uint64_t ids[4];
    struct store_message message;
    size_t count = store_ids(g.store, 0, ARRAY_LENGTH(ids), ids, NULL);
    for (size_t i = 0; i < count; i++)
        if (ids[i] != id && store_read(g.store, ids[i], true, arena, &message)) {
            assert_int_equal(message.prefix.length, 0); /* a report is whole */
            return message.content;
        }
    return bytes_none();
}

static void it_stands_before_the_content(void **state)
{
    const struct recipient there = {.address = BYTES("bob@there.net")};
    const struct recipient here = {.address = BYTES("u@here.org"), .local = true};
    assert_int_equal(accept(&there, 1, BYTES(PREFIX)), STORE_DONE);
    assert_int_equal(accept(&here, 1, BYTES(PREFIX)), STORE_DONE);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_string_equal(g.sent, PREFIX CONTENT);
    fate(OUTCOME_DELIVERED);
    assert_true(next(SCHEDULE_LOCAL));
    assert_string_equal(g.sent, PREFIX CONTENT);
}

static void it_comes_again_with_each_attempt(void **state)
{
    const struct recipient there = {.address = BYTES("bob@there.net")};
    assert_int_equal(accept(&there, 1, BYTES(PREFIX)), STORE_DONE);
    commit();
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_true(next(SCHEDULE_AWAY));
        assert_string_equal(g.sent, PREFIX CONTENT);
        fate(OUTCOME_DEFERRED);
        g.now_ms += DAY_MS;
        queue_wake(&g.queue, g.now_ms);
    }
}

static void who_sent_it_on_stands_above_it(void **state)
{
    const struct recipient there = {.address = BYTES("bob@there.net"), .via = BYTES("all@here.org")};
    assert_int_equal(accept(&there, 1, BYTES(PREFIX)), STORE_DONE);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    assert_string_equal(g.sent, "Delivered-To: all@here.org\r\n" PREFIX CONTENT);
}

static void a_report_gives_both_back(void **state)
{
    struct arena arena = {0};
    const struct recipient there = {.address = BYTES("bob@there.net")};
    assert_int_equal(accept(&there, 1, BYTES(PREFIX)), STORE_DONE);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_FAILED);
    struct bytes report = other_content(g.last_id, &arena);
    assert_true(bytes_search(report, BYTES("\r\n\r\n" PREFIX "Subject: hi\r\n")) != SIZE_MAX);
    arena_clear(&arena);
}

static void it_may_be_so_long_and_no_longer(void **state)
{
    static char octets[STORE_PREFIX_MAX + 1];
    const struct recipient there = {.address = BYTES("bob@there.net")};
    memset(octets, 'x', sizeof octets);
    assert_int_equal(accept(&there, 1, bytes_of(octets, sizeof octets)), STORE_FAILED);
    assert_int_equal(accept(&there, 1, bytes_of(octets, STORE_PREFIX_MAX)), STORE_DONE);
    commit();
    int content;
    assert_true(queue_next(&g.queue, SCHEDULE_AWAY, g.now_ms, &g.deliver, &content));
    assert_int_equal(g.deliver.prefix.length, STORE_PREFIX_MAX);
    assert_int_equal(g.deliver.envelope.size, STORE_PREFIX_MAX + strlen(CONTENT));
}

/* The report about an expired recipient is made while another's delivery is in progress. */
static void a_report_in_between_leaves_the_message_whole(void **state)
{
    struct arena arena = {0};
    const struct recipient both[] = {{.address = BYTES("bob@there.net")},
                                     {.address = BYTES("eve@there.net")}};
    const struct attempt_record last = {.when_ms = 1, .code = 451, .text = BYTES("later")};
    assert_int_equal(accept(both, 2, BYTES(PREFIX)), STORE_DONE);
    const struct store_result deferred = {
        .number = 0, .fate = STORE_DEFERRED, .due_ms = g.now_ms, .attempts = 1, .last = last};
    store_settle(g.store, g.last_id, &deferred, 1); /* bob was tried, eve never */
    commit();
    g.now_ms += UINT64_C(6) * DAY_MS;
    assert_true(next(SCHEDULE_AWAY));
    assert_int_equal(g.deliver.envelope.recipient_count, 1);
    assert_text(g.deliver.envelope.recipients[0].address, "eve@there.net");
    assert_string_equal(g.sent, PREFIX CONTENT);
    struct bytes report = other_content(g.last_id, &arena);
    assert_true(bytes_search(report, BYTES("bob@there.net")) != SIZE_MAX);
    arena_clear(&arena);
}

/* Decides whether relay has it signed, whatever From says. */
static void who_wrote_it_goes_with_it(void **state)
{
    static const struct {
        struct origin origin;
        enum message_author author;
    } rows[] = {{{.kind = ORIGIN_UNKNOWN}, AUTHOR_STRANGER},
                {{.kind = ORIGIN_NETWORK, .port = 25}, AUTHOR_STRANGER},
                {{.kind = ORIGIN_NETWORK, .port = 25, .protocol = BYTES("ESMTPSA")}, AUTHOR_STRANGER},
                {{.kind = ORIGIN_NETWORK, .account = BYTES("ada@here.org")}, AUTHOR_SUBMITTED},
                {{.kind = ORIGIN_LOCAL, .account = BYTES("uid 1000")}, AUTHOR_SUBMITTED},
                {{.kind = ORIGIN_REPORT}, AUTHOR_SERVER},
                {{.kind = ORIGIN_VACATION, .account = BYTES("ada@here.org")}, AUTHOR_SERVER}};
    /* forwarded or not */
    const struct recipient there[] = {{.address = BYTES("bob@there.net")},
                                      {.address = BYTES("bob@there.net"), .via = BYTES("all@here.org")}};
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        g.origin = rows[i / 2].origin;
        assert_int_equal(accept(&there[i % 2], 1, BYTES(PREFIX)), STORE_DONE);
        commit();
        assert_true(next(SCHEDULE_AWAY));
        assert_int_equal(g.deliver.author, rows[i / 2].author);
        fate(OUTCOME_DELIVERED);
    }
}

/* Only what strangers wrote, and an address of ours sends on, is sealed; what is not checked has no chain. */
static void the_chain_goes_with_what_is_forwarded_for_others(void **state)
{
    static const struct {
        struct origin origin;
        struct bytes via;
        bool goes;
    } rows[] = {{{.kind = ORIGIN_NETWORK, .port = 25}, BYTES("all@here.org"), true},
                {{.kind = ORIGIN_UNKNOWN}, BYTES("all@here.org more@here.org"), true},
                {{.kind = ORIGIN_NETWORK, .port = 25}, BYTES(""), false},
                {{.kind = ORIGIN_NETWORK, .account = BYTES("ada@here.org")}, BYTES("all@here.org"), false},
                {{.kind = ORIGIN_LOCAL, .account = BYTES("uid 1000")}, BYTES("all@here.org"), false},
                {{.kind = ORIGIN_REPORT}, BYTES("all@here.org"), false},
                {{.kind = ORIGIN_VACATION}, BYTES("all@here.org"), false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (int chain = 0; chain < ARC_RESULTS; chain++) {
            const struct recipient there = {.address = BYTES("bob@there.net"), .via = rows[i].via};
            const struct recipient here = {
                .address = BYTES("bob@here.org"), .local = true, .via = rows[i].via};
            g.origin = rows[i].origin;
            g.trust = (struct trust_record){.finding = FINDING_PASS, .chain = (enum arc_result)chain};
            assert_int_equal(accept(&there, 1, BYTES(PREFIX)), STORE_DONE);
            commit();
            assert_true(next(SCHEDULE_AWAY));
            assert_int_equal(g.deliver.chain, rows[i].goes ? chain : ARC_PENDING);
            fate(OUTCOME_DELIVERED);
            assert_int_equal(accept(&here, 1, BYTES(PREFIX)), STORE_DONE);
            commit();
            assert_true(next(SCHEDULE_LOCAL));
            assert_int_equal(g.deliver.chain, ARC_PENDING);
            fate(OUTCOME_DELIVERED);
        }
}

#define ON(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(it_stands_before_the_content),    ON(it_comes_again_with_each_attempt),
        ON(who_sent_it_on_stands_above_it),  ON(a_report_gives_both_back),
        ON(it_may_be_so_long_and_no_longer), ON(a_report_in_between_leaves_the_message_whole),
        ON(who_wrote_it_goes_with_it),       ON(the_chain_goes_with_what_is_forwarded_for_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
