/* SPDX-License-Identifier: Apache-2.0 */
/* The judgements that the queue keeps: of accepted messages, of rejected ones, for how long and how many. */
#include "queue_ground.h"

static const struct trust_record found = {.disposition = DISPOSITION_JUNK,
                                          .proposed = DISPOSITION_JUNK,
                                          .finding = FINDING_FAIL_QUARANTINE,
                                          .author = BYTES("bank.example"),
                                          .story = BYTES("SPF fail."),
                                          .evidence = BYTES("1 bank.example")};

static uint64_t accept_with(const struct trust_record *trust)
{
    struct recipient to = {.address = BYTES("ada@here.org"), .local = true};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("bob@far.net"), .recipients = &to, .recipient_count = 1},
        .origin = {.kind = ORIGIN_NETWORK, .client_address = BYTES("192.0.2.1"), .port = 25},
        .trust = *trust,
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    return g.last_id;
}

/* Returns how many are kept; *last gets the last one, its texts in the arena. */
static size_t kept(struct arena *arena, struct mail_event *last)
{
    struct store_events rows[STORE_READ_MAX];
    size_t count = store_events_after(g.store, STORE_JUDGEMENTS, 0, STORE_READ_MAX, arena, rows), events = 0;
    struct mail_event event;
    for (size_t i = 0; i < count; i++)
        for (struct bytes left = rows[i].octets; mail_event_decode(&left, &event); events++)
            *last = event;
    return events;
}

static void refuse(enum event_kind kind, const struct trust_record *trust)
{
    struct buffer events = {0};
    struct mail_event event = {.kind = kind,
                               .id = 1,
                               .at_ms = 1,
                               .client = BYTES("192.0.2.9"),
                               .code = 550,
                               .enhanced = BYTES("5.7.26")};
    mail_event_set_trust(&event, trust);
    mail_event_encode(&events, &event);
    queue_judged(&g.queue, buffer_bytes(&events), g.now_ms);
    buffer_free(&events);
}

static void an_accepted_message_leaves_its_judgement(void **state)
{
    const struct trust_record none = {.disposition = DISPOSITION_DELIVER};
    struct arena arena = {0};
    struct mail_event last;
    uint64_t id = accept_with(&found);
    accept_with(&none);
    commit();
    assert_int_equal(kept(&arena, &last), 1);
    struct trust_record record = mail_event_trust(&last);
    assert_int_equal(last.kind, EVENT_RECEIVED);
    assert_int_equal(last.message, id);
    assert_int_equal(last.at_ms, g.now_ms);
    assert_text(last.client, "192.0.2.1");
    assert_int_equal(record.finding, FINDING_FAIL_QUARANTINE);
    assert_int_equal(record.disposition, DISPOSITION_JUNK);
    assert_text(record.author, "bank.example");
    assert_text(record.story, "SPF fail.");
    assert_text(record.evidence, "1 bank.example");
    arena_clear(&arena);
}

static void a_rejected_message_leaves_its_judgement(void **state)
{
    const struct trust_record none = {.disposition = DISPOSITION_DELIVER};
    struct trust_record rejected = found;
    struct arena arena = {0};
    struct mail_event last;
    rejected.disposition = rejected.proposed = DISPOSITION_REJECT;
    refuse(EVENT_REFUSED, &rejected);
    refuse(EVENT_REFUSED, &none);     /* not for mail authentication */
    refuse(EVENT_BOUNCED, &rejected); /* smtpd has no such event */
    queue_judged(&g.queue, BYTES("nonsense"), g.now_ms);
    commit(); /* nothing else has changed */
    assert_int_equal(kept(&arena, &last), 1);
    assert_int_equal(last.kind, EVENT_REFUSED);
    assert_int_equal(last.message, 0);
    assert_int_equal(last.at_ms, g.now_ms);
    assert_int_equal(mail_event_trust(&last).disposition, DISPOSITION_REJECT);
    assert_text(last.enhanced, "5.7.26");
    arena_clear(&arena);
}

static void the_old_ones_go(void **state)
{
    struct arena arena = {0};
    struct mail_event last;
    for (int day = 0; day <= QUEUE_JUDGED_DAYS; day++) {
        refuse(EVENT_REFUSED, &found);
        commit();
        g.now_ms += DAY_MS;
    }
    assert_int_equal(kept(&arena, &last), QUEUE_JUDGED_DAYS + 1); /* the first is just 30 days old now */
    for (int i = 0; i < 2; i++) {
        g.now_ms += 1;
        refuse(EVENT_REFUSED, &found);
        commit();
    }
    assert_int_equal(kept(&arena, &last), QUEUE_JUDGED_DAYS + 1); /* two have gone */
    arena_clear(&arena);
}

static void no_more_wait_than_there_is_room_for(void **state)
{
    char text[TRUST_STORY_MAX];
    struct trust_record large = found;
    struct arena arena = {0};
    struct mail_event last;
    memset(text, 's', sizeof text);
    large.story = bytes_of(text, sizeof text);
    for (size_t i = 0; i < 2 * QUEUE_JUDGED_WAITING_MAX / sizeof text; i++)
        refuse(EVENT_REFUSED, &large);
    commit();
    size_t count = kept(&arena, &last);
    assert_true(count > QUEUE_JUDGED_WAITING_MAX / sizeof text / 2);
    assert_true(count <= QUEUE_JUDGED_WAITING_MAX / sizeof text + 1);
    refuse(EVENT_REFUSED, &large); /* there is room again */
    commit();
    assert_int_equal(kept(&arena, &last), count + 1);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(an_accepted_message_leaves_its_judgement),
        TESTED(a_rejected_message_leaves_its_judgement),
        TESTED(the_old_ones_go),
        TESTED(no_more_wait_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
