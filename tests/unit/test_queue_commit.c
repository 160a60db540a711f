/* SPDX-License-Identifier: Apache-2.0 */
/* The queue with a remote store: commits take time, and it is sometimes unreachable. */
#include <string.h>
#include <unistd.h>

#include "core/client/client_session.h"
#include "io/log.h"
#include "queue/queue.h"
#include "store/queue/memory.h"
#include "store/queue/store_kind.h"
#include "unit.h"

static struct far_store {
    struct store *store;
    struct store_changes changes; /* those of memory, but for what is far */
    struct store_pages pages;
    const struct store_changes *near_changes;
    const struct store_pages *near_pages;
    struct store_people people;
    const struct store_people *near_people;
    bool slow, away, missed, content_is_far;
    struct queue queue;
    uint64_t now_ms, last_id;
    struct ipc_deliver deliver;
} g;

static bool far_done(struct store *store, enum store_verdict *verdict, struct error *error)
{
    if (g.slow)
        return false;
    if (!g.away && !g.missed)
        return g.near_changes->commit_done(store, verdict, error);
    g.missed = false;
    memory_store_crash(store);
    *verdict = STORE_UNREACHABLE;
    return true;
}

static bool far_is_changed(const struct store *store)
{
    return g.missed || g.near_changes->is_changed(store);
}

static void far_due(struct store *store, const struct store_due_question *question, struct arena *arena,
                    struct store_page *page)
{
    g.missed = g.missed || g.away;
    *page = (struct store_page){.end = question->after};
    if (!g.away)
        g.near_pages->due(store, question, arena, page);
}

static uint64_t far_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    g.missed = g.missed || g.away;
    return g.away ? STORE_NEVER : g.near_pages->next_due(store, destination, after_ms);
}

static int far_content(struct store *store, uint64_t id)
{
    memory_store_away(store, g.content_is_far);
    return g.near_people->content(store, id);
}

static int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    memset(&g, 0, sizeof g);
    g.now_ms = 1000 * 1000;
    g.store = memory_store_open();
    g.near_changes = g.store->changes;
    g.near_pages = g.store->pages;
    g.changes = *g.near_changes;
    g.changes.commit_done = far_done;
    g.changes.is_changed = far_is_changed;
    g.pages = *g.near_pages;
    g.pages.due = far_due;
    g.pages.next_due = far_next_due;
    g.near_people = g.store->people;
    g.people = *g.near_people;
    g.people.content = far_content;
    g.store->people = &g.people;
    g.store->changes = &g.changes;
    g.store->pages = &g.pages;
    struct queue_options options = {.hostname = BYTES("mx.example.org"),
                                    .retry = {.first_ms = 300 * 1000, .max_ms = 4 * 3600 * 1000, .factor = 2},
                                    .expire_ms = UINT64_C(5) * 24 * 3600 * 1000};
    queue_start(&g.queue, g.store, &options, 1, g.now_ms);
    return 0;
}

static int clean_up(void **state)
{
    queue_free(&g.queue);
    store_close(g.store);
    return 0;
}

static enum store_verdict accept(const char *address)
{
    struct recipient recipient = {.address = bytes_of_text(address)};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = &recipient, .recipient_count = 1},
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    return queue_accept(&g.queue, &m, 0, g.now_ms);
}

static bool next(void)
{
    int content = -1;
    bool any = queue_next(&g.queue, SCHEDULE_AWAY, g.now_ms, &g.deliver, &content);
    if (content >= 0)
        close(content);
    return any;
}

static void fate(uint64_t delivery, enum client_outcome outcome)
{
    struct delivery_result result = {.outcome = outcome,
                                     .step = STEP_DATA,
                                     .code = outcome == OUTCOME_DELIVERED ? 250 : 451,
                                     .text = BYTES("as it goes")};
    struct ipc_deliver_answer answer = {.delivery = delivery, .results = &result, .result_count = 1};
    queue_delivered(&g.queue, &answer, g.now_ms);
}

static bool done(enum store_verdict *verdict)
{
    struct error error;
    return queue_commit_done(&g.queue, g.now_ms, verdict, &error);
}

static void assert_commits(enum store_verdict wanted)
{
    enum store_verdict verdict;
    queue_commit_start(&g.queue, g.now_ms);
    assert_true(done(&verdict));
    assert_int_equal(verdict, wanted);
}

static size_t waiting(void)
{
    uint64_t ids[8];
    return store_ids(g.store, 0, 8, ids, NULL);
}

static void nothing_begins_while_a_commit_is_under_way(void **state)
{
    enum store_verdict verdict;
    assert_int_equal(accept("bob@there.net"), STORE_DONE);
    g.slow = true;
    queue_commit_start(&g.queue, g.now_ms);
    assert_false(done(&verdict));
    assert_false(next()); /* it may yet turn out that it was never accepted */
    assert_false(queue_looks_on(&g.queue, SCHEDULE_AWAY));
    g.slow = false;
    assert_true(done(&verdict));
    assert_int_equal(verdict, STORE_DONE);
    assert_true(next());
}

static void a_result_that_comes_meanwhile_is_in_the_next_batch(void **state)
{
    enum store_verdict verdict;
    assert_int_equal(accept("bob@there.net"), STORE_DONE);
    assert_commits(STORE_DONE);
    assert_true(next());
    uint64_t first = g.deliver.delivery;
    assert_int_equal(accept("eve@far.net"), STORE_DONE);
    g.slow = true;
    queue_commit_start(&g.queue, g.now_ms);
    fate(first, OUTCOME_DELIVERED);
    assert_false(done(&verdict));
    g.slow = false;
    assert_true(done(&verdict));
    assert_int_equal(waiting(), 2);
    assert_true(queue_has_kept_results(&g.queue));
    assert_commits(STORE_DONE);
    assert_false(queue_has_kept_results(&g.queue));
    assert_int_equal(waiting(), 1);
}

/* Its destination had left memory when the result was stored. */
static void who_is_deferred_meanwhile_is_woken_in_time(void **state)
{
    enum store_verdict verdict;
    assert_int_equal(accept("bob@there.net"), STORE_DONE);
    assert_commits(STORE_DONE);
    assert_true(next());
    uint64_t first = g.deliver.delivery;
    assert_int_equal(accept("eve@far.net"), STORE_DONE);
    g.slow = true;
    queue_commit_start(&g.queue, g.now_ms);
    fate(first, OUTCOME_DEFERRED);
    assert_false(next());
    g.slow = false;
    assert_true(done(&verdict));
    assert_true(next()); /* eve */
    fate(g.deliver.delivery, OUTCOME_DELIVERED);
    assert_commits(STORE_DONE);
    assert_false(next());
    for (int i = 0; i < 8 && waiting() > 0; i++) {
        assert_true(queue_wake_ms(&g.queue) != 0);
        g.now_ms = queue_wake_ms(&g.queue) > g.now_ms ? queue_wake_ms(&g.queue) : g.now_ms;
        queue_wake(&g.queue, g.now_ms);
        assert_commits(STORE_DONE);
        if (next())
            fate(g.deliver.delivery, OUTCOME_DELIVERED);
    }
    assert_commits(STORE_DONE);
    assert_int_equal(waiting(), 0);
}

static void a_store_that_is_away_refuses_and_forgets_nothing(void **state)
{
    assert_int_equal(accept("bob@there.net"), STORE_DONE);
    assert_commits(STORE_DONE);
    assert_true(next());
    uint64_t first = g.deliver.delivery;
    assert_int_equal(accept("eve@far.net"), STORE_DONE);
    g.away = true;
    fate(first, OUTCOME_DELIVERED);
    assert_commits(STORE_UNREACHABLE);
    assert_int_equal(waiting(), 1); /* eve was never accepted; bob's result is kept */
    assert_int_equal(accept("eve@far.net"), STORE_UNREACHABLE);
    assert_false(next());
    assert_commits(STORE_UNREACHABLE); /* it is not asked each time */
    g.now_ms = queue_wake_ms(&g.queue);
    assert_commits(STORE_UNREACHABLE);
    g.away = false;
    g.now_ms = queue_wake_ms(&g.queue);
    assert_commits(STORE_DONE);
    assert_int_equal(waiting(), 0);
    assert_int_equal(accept("eve@far.net"), STORE_DONE);
}

/* The content is a file that nobody said is gone: no attempt is noted, nobody is told. */
static void a_content_out_of_reach_is_not_a_missing_one(void **state)
{
    enum store_verdict verdict;
    struct mail_event event;
    struct recipient to = {.address = BYTES("bob@there.net")};
    struct store_message large = {.id = 1, .envelope = {.recipients = &to, .recipient_count = 1}};
    close(store_spool(g.store, 7, &verdict));
    assert_int_equal(queue_accept(&g.queue, &large, 7, g.now_ms), STORE_DONE);
    assert_commits(STORE_DONE);
    while (queue_event_next(&g.queue, &event))
        continue;
    g.content_is_far = true;
    assert_false(next());
    assert_commits(STORE_UNREACHABLE);
    assert_false(queue_event_next(&g.queue, &event));
    g.content_is_far = false;
    memory_store_away(g.store, false);
    g.now_ms = queue_wake_ms(&g.queue);
    assert_commits(STORE_DONE);
    queue_wake(&g.queue, g.now_ms);
    assert_true(next());
    assert_int_equal(g.deliver.envelope.recipient_count, 1);
}

/* An empty result is no reason to stop asking. */
static void what_was_asked_in_vain_is_asked_again(void **state)
{
    assert_int_equal(accept("bob@there.net"), STORE_DONE);
    assert_commits(STORE_DONE);
    g.away = true;
    assert_false(next());
    g.away = false; /* it comes back, and the batch knows that it was away */
    assert_commits(STORE_UNREACHABLE);
    g.now_ms = queue_wake_ms(&g.queue);
    assert_commits(STORE_DONE);
    queue_wake(&g.queue, g.now_ms);
    assert_true(next());
    assert_text(g.deliver.destination, "there.net");
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        ON(nothing_begins_while_a_commit_is_under_way),
        ON(a_result_that_comes_meanwhile_is_in_the_next_batch),
        ON(who_is_deferred_meanwhile_is_woken_in_time),
        ON(a_store_that_is_away_refuses_and_forgets_nothing),
        ON(a_content_out_of_reach_is_not_a_missing_one),
        ON(what_was_asked_in_vain_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
