/* SPDX-License-Identifier: Apache-2.0 */
/* Reports for other domains in the queue: each is sent once, as mail of this server with the null sender. */
#include "core/trust/report_ledger.h"
#include "queue_ground.h"

enum { DAY = 20788 };

static const struct ipc_report example = {.step = REPORT_STEP_GIVE,
                                          .kind = REPORT_KIND_TLS,
                                          .day = DAY,
                                          .domain = BYTES("a.test"),
                                          .address = BYTES("tls@a.test"),
                                          .content = BYTES("From: x\r\n\r\nreport\r\n")};

/* The wall clock is at the day after. */
static int prepare_day(void **state)
{
    prepare(state);
    g.queue.wall_ahead_ms = (int64_t)(DAY + 1) * DAY_MS;
    return 0;
}

static size_t take(const struct ipc_report *report, const char **why)
{
    size_t count = report_queue_take(&g.queue, report, g.now_ms, why);
    commit();
    return count;
}

/* Its address belongs to another server. */
static void look_up(void)
{
    assert_true(next(SCHEDULE_LOOKUP));
    queue_looked_up(
        &g.queue, &(struct ipc_recipient_answer){.request = g.deliver.delivery, .verdict = RECIPIENT_FOREIGN},
        g.now_ms);
    commit();
}

static void a_report_is_sent_once(void **state)
{
    const char *why;
    assert_int_equal(take(&example, &why), 1);
    assert_null(why);
    assert_int_equal(take(&example, &why), 0);
    assert_string_equal(why, "it was sent before");
    assert_int_equal(waiting(), 1);
    look_up();
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "a.test");
    assert_int_equal(g.deliver.envelope.sender.length, 0);
    assert_int_equal(g.deliver.author, AUTHOR_SERVER);
    assert_int_equal(g.deliver.any_tls, 1);
    assert_string_equal(g.told, "From: x\r\n\r\nreport\r\n");
    restart();
    assert_int_equal(take(&example, &why), 0); /* also after a restart */
}

static void only_a_report_on_tls_ignores_the_policy(void **state)
{
    struct ipc_report report = example;
    const char *why;
    report.kind = REPORT_KIND_DMARC;
    assert_int_equal(take(&report, &why), 1);
    look_up();
    assert_true(next(SCHEDULE_AWAY));
    assert_true(g.deliver.author == AUTHOR_SERVER && g.deliver.any_tls == 0);
}

static void a_refused_one_pauses_its_address(void **state)
{
    struct ipc_report report = example;
    const char *why;
    take(&example, &why);
    look_up();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_FAILED, STEP_RCPT);
    commit();
    assert_int_equal(waiting(), 0); /* and nobody gets a report on it */
    report.day++;
    assert_int_equal(take(&report, &why), 0);
    assert_string_equal(why, "its address has refused reports recently");
    report.address = BYTES("other@a.test");
    assert_int_equal(take(&report, &why), 1);
}

static void one_that_waits_is_dropped_after_a_day(void **state)
{
    const char *why;
    take(&example, &why);
    look_up();
    uint64_t until_ms = g.now_ms + REPORT_EXPIRES_MS + HOUR_MS;
    while (waiting() > 0 && g.now_ms < until_ms + 5 * HOUR_MS) {
        while (next(SCHEDULE_AWAY)) {
            fate(OUTCOME_DEFERRED, STEP_RCPT);
            commit();
        }
        if (!sleep_until_woken())
            break;
        queue_wake(&g.queue, g.now_ms);
        commit();
    }
    assert_int_equal(waiting(), 0);
    assert_true(g.now_ms <= until_ms + 4 * HOUR_MS);
}

/* Sends a message of this origin to a recipient, who is or is not a local user's forwarding. */
static void send(struct origin origin, const char *address, struct bytes via)
{
    struct recipient recipient = {.address = bytes_of_text(address), .via = via};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = &recipient, .recipient_count = 1},
        .origin = origin,
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
}

static bool was_sent_to(const char *domain)
{
    char name[SENT_DOMAINS_NAME_MAX];
    struct arena arena = {0};
    struct sent_since since;
    sent_since_start(&since, DAY + 2, 1);
    for (uint32_t day = 0; day < SENT_DOMAINS_NOTES; day++) {
        sent_domains_note_name(day, name);
        sent_since_take(&since, store_note(g.store, name, &arena));
    }
    bool known = sent_since_has(&since, bytes_of_text(domain));
    sent_since_free(&since);
    arena_clear(&arena);
    return known;
}

/* Only what users send counts: not what is forwarded, and not what this server writes. */
static void whom_users_send_to_is_noted(void **state)
{
    const struct origin user = {.kind = ORIGIN_NETWORK, .account = BYTES("ada@here.org")},
                        program = {.kind = ORIGIN_LOCAL}, other = {.kind = ORIGIN_NETWORK},
                        reply = {.kind = ORIGIN_VACATION}, report = {.kind = ORIGIN_REPORT};
    send(user, "x@off.test", bytes_none()); /* nothing is noted unless reports on DMARC are sent */
    g.options.notes_sent = true;
    restart();
    g.queue.wall_ahead_ms = (int64_t)(DAY + 1) * DAY_MS;
    send(user, "x@a.test", bytes_none());
    send(program, "x@b.test", bytes_none());
    send(other, "x@c.test", bytes_none());
    send(other, "x@d.test", BYTES("ada@here.org"));
    send(reply, "x@e.test", bytes_none());
    send(report, "x@f.test", bytes_none());
    restart();
    g.queue.wall_ahead_ms = (int64_t)(DAY + 1) * DAY_MS;
    send(user, "x@g.test", bytes_none());
    g.queue.wall_ahead_ms += DAY_MS;
    send(user, "x@h.test", bytes_none());
    static const char *const yes[] = {"a.test", "b.test", "g.test", "h.test"};
    static const char *const no[] = {"off.test", "c.test", "d.test", "e.test", "f.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++)
        if (!was_sent_to(yes[i]))
            fail_msg("%s is not noted", yes[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++)
        if (was_sent_to(no[i]))
            fail_msg("%s is noted", no[i]);
    g.options.notes_sent = false;
}

static void a_day_is_done(void **state)
{
    struct ipc_report ask = {.step = REPORT_STEP_ASK, .kind = REPORT_KIND_TLS, .day = DAY};
    const char *why;
    assert_int_equal(take(&ask, &why), 0);
    ask.step = REPORT_STEP_FINISH;
    assert_int_equal(take(&ask, &why), 1);
    ask.step = REPORT_STEP_ASK;
    assert_int_equal(take(&ask, &why), 1);
    ask.day++;
    assert_int_equal(take(&ask, &why), 0);
    assert_int_equal(waiting(), 0);
}

static void what_is_no_report_is_refused(void **state)
{
    static char content[REPORT_CONTENT_MAX + 1];
    struct ipc_report wrong[7];
    const char *why;
    memset(content, 'x', sizeof content);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        wrong[i] = example;
    wrong[0].content = bytes_none();
    wrong[1].address = bytes_none();
    wrong[2].address = BYTES("a@b.test\r\nRCPT TO:<c@d.test>");
    wrong[3].address = BYTES("nobody");
    wrong[4].step = REPORT_STEPS;
    wrong[5].kind = REPORT_KINDS;
    wrong[6].content = bytes_of(content, sizeof content);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(take(&wrong[i], &why), 0);
        assert_non_null(why);
    }
    assert_int_equal(waiting(), 0);
    wrong[6].content = bytes_of(content, REPORT_CONTENT_MAX);
    assert_int_equal(take(&wrong[6], &why), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_report_is_sent_once, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(only_a_report_on_tls_ignores_the_policy, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(a_refused_one_pauses_its_address, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(one_that_waits_is_dropped_after_a_day, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(whom_users_send_to_is_noted, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(a_day_is_done, prepare_day, clean_up),
        cmocka_unit_test_setup_teardown(what_is_no_report_is_refused, prepare_day, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
