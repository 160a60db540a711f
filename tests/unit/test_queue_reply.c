/* SPDX-License-Identifier: Apache-2.0 */
/* What replies do: when a recipient is tried again, how its destination is slowed, events and reports. */
#include "queue_ground.h"

static void replied_to(uint64_t delivery, enum client_outcome outcome, enum client_step step, uint32_t code,
                       const char *text)
{
    struct delivery_result result = {
        .outcome = outcome, .step = step, .code = code, .text = bytes_of_text(text)};
    struct ipc_deliver_answer answer = {.delivery = delivery,
                                        .peer = BYTES("mx.there.net[192.0.2.1]:25"),
                                        .results = &result,
                                        .result_count = 1};
    queue_delivered(&g.queue, &answer, g.now_ms);
    commit();
}

static void replied(uint32_t code, const char *text)
{
    replied_to(g.deliver.delivery, code >= 500 ? OUTCOME_FAILED : OUTCOME_DEFERRED, STEP_RCPT, code, text);
}

/* The minutes until the recipient of a new message is due again after this reply. */
static uint64_t minutes_after(const char *address, uint32_t code, const char *text)
{
    struct store_recipient found;
    struct arena arena = {0};
    uint64_t id = accept_one(address);
    commit();
    assert_true(next(SCHEDULE_AWAY));
    replied(code, text);
    assert_int_equal(store_recipients(g.store, id, 0, 1, &arena, &found), 1);
    uint64_t delay_ms = found.due_ms - g.now_ms;
    store_remove(g.store, id);
    commit();
    arena_clear(&arena);
    return (delay_ms + 30 * 1000) / 60000;
}

static void a_reply_says_how_soon_to_retry(void **state)
{
    assert_in_range(minutes_after("a@a.net", 451, "4.3.0 internal error"), 4, 6);
    assert_in_range(minutes_after("a@b.net", 452, "4.2.2 mailbox full"), 27, 33);
    assert_in_range(minutes_after("a@c.net", 450, "4.7.1 cannot find your reverse hostname"), 27, 33);
    assert_in_range(minutes_after("a@d.net", 451, "4.7.1 greylisted"), 1, 1);
    assert_in_range(minutes_after("a@e.net", 450, "no such user"), 27, 33); /* temporary, by its code */
    assert_in_range(minutes_after("a@f.net", 421, "rate limit reached, retry in 3 hours"), 180, 180);
    assert_in_range(minutes_after("a@g.net", 450, "zzz"), 4, 6);
}

static void an_address_that_a_reply_repeats_decides_nothing(void **state)
{
    assert_in_range(minutes_after("greylisted@mailbox-full.net", 450, "zzz greylisted@mailbox-full.net"), 4,
                    6);
    assert_in_range(minutes_after("a@greylist.net", 450, "zzz greylist.net"), 4, 6);
}

/* Starts all deliveries that may start; returns their number. */
static size_t start_all(uint64_t deliveries[static 100])
{
    size_t count = 0;
    while (count < 100 && next(SCHEDULE_AWAY))
        deliveries[count++] = g.deliver.delivery;
    return count;
}

static void accept_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        accept_one("bob@there.net");
    commit();
}

static void a_rate_limit_lowers_the_concurrency_and_then_defers(void **state)
{
    static const size_t STARTED[] = {5, 2, 1};
    uint64_t deliveries[100];
    accept_many(50);
    for (size_t round = 0; round < ARRAY_LENGTH(STARTED); round++) {
        size_t count = start_all(deliveries);
        assert_int_equal(count, STARTED[round]);
        for (size_t i = 0; i < count; i++)
            replied_to(deliveries[i], OUTCOME_DEFERRED, STEP_MAIL, 421, "4.7.0 too many messages, slow down");
    }
    assert_false(next(SCHEDULE_AWAY)); /* one at a time was too many */
    uint64_t now_ms = g.now_ms;
    while (!next(SCHEDULE_AWAY))
        assert_true(sleep_until_woken());
    assert_in_range(g.now_ms - now_ms, 4 * 60000, 6 * 60000);
    replied(421, "4.7.0 too many messages, slow down");
    now_ms = g.now_ms;
    while (!next(SCHEDULE_AWAY))
        assert_true(sleep_until_woken());
    assert_in_range(g.now_ms - now_ms, 9 * 60000, 11 * 60000); /* longer each time */
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_true(next(SCHEDULE_AWAY));
}

static void a_rejected_address_defers_the_others_and_probes(void **state)
{
    uint64_t deliveries[100];
    accept_many(50);
    assert_int_equal(start_all(deliveries), 5);
    replied_to(deliveries[0], OUTCOME_FAILED, STEP_RCPT, 554,
               "5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org");
    for (size_t i = 1; i < 5; i++)
        replied_to(deliveries[i], OUTCOME_FAILED, STEP_RCPT, 554,
                   "5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org");
    assert_false(next(SCHEDULE_AWAY));
    assert_int_equal(waiting(), 50); /* 45 that wait, and 5 reports */
    uint64_t now_ms = g.now_ms;
    while (!next(SCHEDULE_AWAY))
        assert_true(sleep_until_woken());
    assert_in_range(g.now_ms - now_ms, 27 * 60000, 33 * 60000);
    uint64_t probe = g.deliver.delivery;
    assert_false(next(SCHEDULE_AWAY)); /* one */
    replied_to(probe, OUTCOME_FAILED, STEP_RCPT, 554, "5.7.1 blocked using zen.spamhaus.org");
    now_ms = g.now_ms;
    while (!next(SCHEDULE_AWAY))
        assert_true(sleep_until_woken());
    assert_in_range(g.now_ms - now_ms, 54 * 60000, 66 * 60000);
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    assert_true(next(SCHEDULE_AWAY));
}

/* A guess about our address slows down; a reply about the sender's domain, or one recipient, does nothing. */
static void other_replies_stop_nobody(void **state)
{
    static const char *const TEXTS[] = {"5.7.1 this message fails the DMARC policy",
                                        "5.1.1 no such user",
                                        "5.7.1 sender address blocked using dbl.spamhaus.org",
                                        "5.7.1 looks like spam",
                                        "5.2.2 mailbox full",
                                        "zzz"};
    accept_many(50);
    for (size_t i = 0; i < ARRAY_LENGTH(TEXTS); i++) {
        assert_true(next(SCHEDULE_AWAY));
        replied(550, TEXTS[i]);
    }
    assert_true(next(SCHEDULE_AWAY));
    replied(550, "5.7.1 your mail has been blocked"); /* t-reputation: nobody is sure */
    assert_true(next(SCHEDULE_AWAY));
}

static void a_smarthost_is_not_stopped_by_one_reply(void **state)
{
    g.options.routes = (struct route_rules){.via = RELAY_SMARTHOST};
    restart();
    accept_many(50);
    assert_true(next(SCHEDULE_AWAY));
    assert_text(g.deliver.destination, "@smarthost");
    replied(554, "5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org");
    assert_true(next(SCHEDULE_AWAY));
}

static void the_event_has_the_class(void **state)
{
    struct mail_event event;
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    replied(452, "4.2.2 mailbox full");
    while (queue_event_next(&g.queue, &event) && event.kind != EVENT_DEFERRED)
        continue;
    assert_int_equal(event.kind, EVENT_DEFERRED);
    assert_text(event.reply_class, "mailbox_full");
    assert_text(event.reply_about, "recipient");
}

static void the_report_has_the_reason_and_a_hint(void **state)
{
    accept_one("bob@there.net");
    commit();
    assert_true(next(SCHEDULE_AWAY));
    replied(550, "5.7.1 message fails DMARC");
    assert_true(next(SCHEDULE_LOOKUP));
    assert_non_null(strstr(g.told, "does not meet the DMARC policy of the From domain."));
    assert_non_null(strstr(g.told, "The text of your message is"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_reply_says_how_soon_to_retry),
        TESTED(an_address_that_a_reply_repeats_decides_nothing),
        TESTED(a_rate_limit_lowers_the_concurrency_and_then_defers),
        TESTED(a_rejected_address_defers_the_others_and_probes),
        TESTED(other_replies_stop_nobody),
        TESTED(a_smarthost_is_not_stopped_by_one_reply),
        TESTED(the_event_has_the_class),
        TESTED(the_report_has_the_reason_and_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
