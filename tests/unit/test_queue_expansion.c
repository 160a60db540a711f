/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases that the queue expands, page by page. */
#include "queue_ground.h"

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

static void answer_members(uint32_t verdict, struct recipient *members, size_t count,
                           struct recipient *missing, size_t missing_count, struct bytes after)
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
    answer_members(RECIPIENT_KNOWN, first, 3, NULL, 0, BYTES("inner@here.org"));
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
        answer_members(RECIPIENT_KNOWN, is_first ? second : inner, is_first ? 1 : 2, NULL, 0, bytes_none());
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

/* Members of one alias at other servers: the copy's sender is what auth says, the report's is the message's.
 */
static void a_copy_leaves_with_its_own_sender(void **state)
{
    struct recipient members[] = {
        {.address = BYTES("bob@there.net"), .sent_as = BYTES("SRS0=h=t=x.net=eve@here.org")},
        {.address = BYTES("carl@there.net"), .sent_as = BYTES("SRS0=h=t=x.net=eve@here.org")},
        {.address = BYTES("dora@there.net")}};
    accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    struct ipc_expand asked = queue_expansion(&g.queue, g.deliver.delivery);
    assert_text(asked.sender, "ada@here.org");
    assert_int_equal(asked.account.length, 0);
    answer_members(RECIPIENT_KNOWN, members, 3, NULL, 0, bytes_none());
    g.now_ms++;
    restart();
    for (int i = 0; i < 2; i++) {
        assert_true(next(SCHEDULE_AWAY));
        bool rewritten = g.deliver.envelope.recipient_count == 2;
        assert_text(g.deliver.envelope.sender, rewritten ? "SRS0=h=t=x.net=eve@here.org" : "ada@here.org");
        fate(rewritten ? OUTCOME_FAILED : OUTCOME_DELIVERED, STEP_RCPT);
        commit();
    }
    assert_true(next(SCHEDULE_LOOKUP)); /* the report */
    assert_text(g.deliver.envelope.recipients[0].address, "ada@here.org");
    assert_null(strstr(g.told, "SRS0"));
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
    answer_members(RECIPIENT_KNOWN, &bob, 1, gone, 2, bytes_none());
    reports_are(1, "Final-Recipient: rfc822; all@here.org\r\nAction: failed");
    assert_null(strstr(g.told, "gone"));
    g.now_ms++;
    accept_list(NOTIFY_NEVER, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    answer_members(RECIPIENT_KNOWN, NULL, 0, gone, 2, bytes_none());
    reports_are(0, "");
}

static void an_alias_that_is_gone_is_told_of(void **state)
{
    accept_list(NOTIFY_UNSAID, BYTES("Subject: hi\r\n\r\nx\r\n"));
    assert_true(next(SCHEDULE_LOOKUP));
    answer_members(RECIPIENT_UNKNOWN, NULL, 0, NULL, 0, bytes_none());
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
            answer_members(RECIPIENT_UNAVAILABLE, NULL, 0, NULL, 0, bytes_none());
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
            answer_members(RECIPIENT_KNOWN, &bob, 1, NULL, 0, bytes_none());
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(an_alias_is_expanded_page_by_page),
        TESTED(a_copy_leaves_with_its_own_sender),
        TESTED(a_missing_member_is_told_of_under_the_name_of_the_alias),
        TESTED(an_alias_that_is_gone_is_told_of),
        TESTED(an_expansion_waits_for_auth_and_its_end_is_told),
        TESTED(success_of_an_alias_is_told_when_it_is_accepted),
        TESTED(what_comes_back_to_who_sent_it_on_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
