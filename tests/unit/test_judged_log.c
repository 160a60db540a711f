/* SPDX-License-Identifier: Apache-2.0 */
/* Rejected messages on their way to the queue: some at a time, and never too many. */
#include <stdlib.h>

#include "io/loop.h"
#include "service/smtpd/judged_log.h"
#include "unit.h"

static struct loop loop;
static struct questions questions;
static struct judged_log judged;
static size_t sends, events;
static struct mail_event last;
static struct buffer octets;

static bool count_sent(void *context, enum process_role peer, enum ipc_kind kind, const void *message)
{
    const struct ipc_judged *sent = message;
    assert_int_equal(kind, IPC_JUDGED);
    assert_int_equal(peer, PROCESS_QUEUE);
    assert_true(sent->events.length <= JUDGED_OCTETS_MAX);
    buffer_clear(&octets);
    buffer_add(&octets, sent->events);
    struct mail_event event;
    for (struct bytes left = buffer_bytes(&octets); mail_event_decode(&left, &event); events++)
        last = event;
    sends++;
    return true;
}

static enum question_peer_state is_ready(void *context, enum process_role role)
{
    return QUESTION_PEER_READY;
}

static const struct question_peers peers = {.state = is_ready, .send = count_sent};

static int prepare(void **state)
{
    struct error error;
    sends = events = 0;
    if (!loop_start(&loop, &error))
        return -1;
    questions_start(&questions, &peers, NULL, &loop, 0, 1);
    judged_log_start(&judged, &questions, &loop);
    return 0;
}

static int clean_up(void **state)
{
    timer_cancel(&judged.timer);
    buffer_free(&judged.events);
    buffer_free(&octets);
    questions_free(&questions);
    loop_free(&loop);
    return 0;
}

static void add(struct bytes story)
{
    struct recipient to = {.address = BYTES("ada@example.org")};
    const struct envelope envelope = {
        .sender = BYTES("pin@bank.example"), .size = 7, .recipients = &to, .recipient_count = 1};
    const struct origin origin = {.kind = ORIGIN_NETWORK,
                                  .client_address = BYTES("192.0.2.1"),
                                  .client_helo = BYTES("there"),
                                  .port = 25};
    const struct trust_record found = {.disposition = DISPOSITION_REJECT,
                                       .proposed = DISPOSITION_REJECT,
                                       .finding = FINDING_FAIL_REJECT,
                                       .author = BYTES("bank.example"),
                                       .story = story};
    const struct attempt_record reply = {.code = 550, .enhanced = BYTES("5.7.26"), .text = BYTES("no")};
    judged_log_add(&judged, &envelope, &origin, &reply, &found);
}

static void one_is_sent_with_all_that_is_known(void **state)
{
    add(BYTES("SPF fail."));
    assert_int_equal(sends, 0); /* more may come */
    judged_log_send(&judged);
    assert_int_equal(events, 1);
    assert_true(last.kind == EVENT_REFUSED && last.message == 0 && last.code == 550 && last.port == 25);
    assert_text(last.client, "192.0.2.1");
    assert_text(last.helo, "there");
    assert_text(last.sender, "pin@bank.example");
    assert_text(last.recipient, "ada@example.org");
    assert_text(last.enhanced, "5.7.26");
    assert_text(last.author, "bank.example");
    assert_text(last.story, "SPF fail.");
    assert_int_equal(mail_event_trust(&last).finding, FINDING_FAIL_REJECT);
    judged_log_send(&judged);
    assert_int_equal(sends, 1); /* nothing was left */
}

static void a_flood_is_not_a_flood_of_commits(void **state)
{
    char text[TRUST_STORY_MAX];
    memset(text, 's', sizeof text);
    for (size_t i = 0; i < 10000; i++)
        add(bytes_of(text, sizeof text));
    assert_int_equal(sends, JUDGED_LOG_SENDS_MAX);
    assert_true(events >= sends && events <= sends * (JUDGED_LOG_OCTETS_MAX / TRUST_STORY_MAX + 1));
    assert_true(judged.events.length < JUDGED_LOG_OCTETS_MAX + 2 * TRUST_STORY_MAX);
    judged.period_ms -= 60 * 1000; /* a minute is over */
    judged_log_send(&judged);
    assert_int_equal(sends, JUDGED_LOG_SENDS_MAX + 1);
    assert_int_equal(judged.events.length, 0);
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(one_is_sent_with_all_that_is_known),
        TESTED(a_flood_is_not_a_flood_of_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
