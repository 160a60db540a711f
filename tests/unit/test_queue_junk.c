/* SPDX-License-Identifier: Apache-2.0 */
/* Mail for the Junk folder: local learns of it, nothing of it is forwarded, nobody is answered. */
#include "queue_ground.h"

static uint64_t accept_as(enum disposition disposition, struct recipient *recipients, size_t count)
{
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("bob@far.net"), .recipients = recipients, .recipient_count = count},
        .trust = {.disposition = disposition, .finding = FINDING_FAIL_QUARANTINE},
        .content = BYTES("From: bob@far.net\r\nTo: ada@here.org\r\nSubject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    commit();
    return g.last_id;
}

static bool next_of(enum schedule_transport transport, struct bytes address)
{
    return next(transport) && g.deliver.envelope.recipient_count == 1 &&
           bytes_equal(g.deliver.envelope.recipients[0].address, address);
}

static void a_delivery_says_where_it_belongs(void **state)
{
    struct recipient to = {.address = BYTES("ada@here.org"), .local = true};
    accept_as(DISPOSITION_JUNK, &to, 1);
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.disposition, DISPOSITION_JUNK);
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    accept_as(DISPOSITION_DELIVER, &to, 1);
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.disposition, DISPOSITION_DELIVER);
}

/* carl forwards to another server, and the list has a member there. */
static void nothing_is_forwarded_for_a_user(void **state)
{
    for (int junk = 0; junk < 2; junk++) {
        struct recipient to[] = {{.address = BYTES("carl@far.net"),
                                  .original = BYTES("carl+x@here.org"),
                                  .via = BYTES("carl@here.org"),
                                  .forwarder = BYTES("carl@here.org")},
                                 {.address = BYTES("dora@away.net"), .via = BYTES("list@here.org")}};
        accept_as(junk ? DISPOSITION_JUNK : DISPOSITION_DELIVER, to, 2);
        assert_int_equal(next_of(SCHEDULE_LOCAL, BYTES("carl@here.org")), junk);
        if (junk) {
            assert_true(bytes_is(g.deliver.envelope.recipients[0].original, "carl+x@here.org"));
            assert_int_equal(g.deliver.envelope.recipients[0].via.length, 0);
            fate(OUTCOME_DELIVERED, STEP_DATA);
        }
        size_t away = 0;
        for (; next(SCHEDULE_AWAY); away++)
            fate(OUTCOME_DELIVERED, STEP_DATA);
        assert_int_equal(away, junk ? 1 : 2);
        commit();
        assert_int_equal(waiting(), 0);
    }
}

static void one_who_keeps_a_copy_has_one(void **state)
{
    struct recipient to[] = {{.address = BYTES("carl@far.net"), .forwarder = BYTES("carl@here.org")},
                             {.address = BYTES("carl@here.org"), .local = true},
                             {.address = BYTES("eve@far.net"), .forwarder = BYTES("eve@here.org")},
                             {.address = BYTES("eve@other.net"), .forwarder = BYTES("eve@here.org")}};
    accept_as(DISPOSITION_JUNK, to, ARRAY_LENGTH(to));
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.envelope.recipient_count, 2);
    assert_true(bytes_is(g.deliver.envelope.recipients[0].address, "carl@here.org"));
    assert_true(bytes_is(g.deliver.envelope.recipients[1].address, "eve@here.org"));
    assert_false(next(SCHEDULE_AWAY));
}

/* Two users forward to the same address: one copy leaves, and each keeps a message for the Junk folder. */
static void users_who_forward_to_one_address(void **state)
{
    for (int junk = 0; junk < 2; junk++) {
        struct recipient to[] = {{.address = BYTES("both@far.net"), .forwarder = BYTES("carl@here.org")},
                                 {.address = BYTES("both@far.net"), .forwarder = BYTES("eve@here.org")},
                                 {.address = BYTES("both@far.net")}};
        size_t count = junk ? 2 : 3;
        accept_as(junk ? DISPOSITION_JUNK : DISPOSITION_DELIVER, to, count);
        assert_int_equal(next(SCHEDULE_LOCAL), junk);
        if (junk) {
            assert_int_equal(g.deliver.envelope.recipient_count, 2);
            assert_true(bytes_is(g.deliver.envelope.recipients[0].address, "carl@here.org"));
            assert_true(bytes_is(g.deliver.envelope.recipients[1].address, "eve@here.org"));
            fate(OUTCOME_DELIVERED, STEP_DATA);
        }
        assert_int_equal(next(SCHEDULE_AWAY), !junk);
        if (!junk) {
            assert_int_equal(g.deliver.envelope.recipient_count, 1);
            fate(OUTCOME_DELIVERED, STEP_DATA);
        }
        commit();
        assert_int_equal(waiting(), 0);
    }
}

/* A forwarding that the queue looks up. */
static void a_page_of_a_user_stays_here(void **state)
{
    struct recipient to = {.address = BYTES("carl@here.org"), .expands = EXPANDS_USER};
    struct recipient member = {.address = BYTES("carl@far.net")};
    accept_as(DISPOSITION_JUNK, &to, 1);
    assert_true(next(SCHEDULE_LOOKUP));
    struct ipc_expand_answer answer = {
        .request = g.deliver.delivery, .verdict = RECIPIENT_KNOWN, .members = &member, .member_count = 1};
    queue_members_answered(&g.queue, &answer, g.now_ms);
    commit();
    assert_true(next_of(SCHEDULE_LOCAL, BYTES("carl@here.org")));
    assert_false(next(SCHEDULE_AWAY));
}

/* Returns how many messages of its own the queue has after a delivery, which asks for a report of success. */
static size_t own_after(enum disposition disposition, bool *asks_for_vacation)
{
    struct ipc_away asked;
    struct recipient to = {
        .address = BYTES("ada@here.org"), .local = true, .away = true, .notify = NOTIFY_SUCCESS};
    accept_as(disposition, &to, 1);
    assert_true(next(SCHEDULE_LOCAL));
    fate(OUTCOME_DELIVERED, STEP_DATA);
    commit();
    *asks_for_vacation = vacation_queue_next(&g.queue, &asked);
    return waiting();
}

static void senders_of_other_mail_are_answered(void **state)
{
    bool vacation;
    assert_int_equal(own_after(DISPOSITION_DELIVER, &vacation), 1);
    assert_true(vacation);
}

static void nobody_is_answered(void **state)
{
    bool vacation;
    assert_int_equal(own_after(DISPOSITION_JUNK, &vacation), 0);
    assert_false(vacation);
    struct recipient to = {
        .address = BYTES("ada@here.org"), .local = true, .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE};
    accept_as(DISPOSITION_JUNK, &to, 1);
    assert_true(next(SCHEDULE_LOCAL));
    assert_int_equal(g.deliver.envelope.recipients[0].notify, NOTIFY_FAILURE); /* a failure is told */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_delivery_says_where_it_belongs),
        TESTED(nothing_is_forwarded_for_a_user),
        TESTED(one_who_keeps_a_copy_has_one),
        TESTED(users_who_forward_to_one_address),
        TESTED(a_page_of_a_user_stays_here),
        TESTED(senders_of_other_mail_are_answered),
        TESTED(nobody_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
