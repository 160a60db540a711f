/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting, the batch, recipients: the contract of store.h, for every kind of store. */
#include "ground.h"

/* ---- accepting ---- */

/* Returns a message with every member set, and octets of every kind in the content. */
static struct store_message full_message(struct ground *ground, size_t content_length)
{
    char *content = arena_take(&ground->arena, content_length + 1);
    for (size_t i = 0; i < content_length; i++)
        content[i] = (char)(i * 131 % 257);
    struct recipient *recipients = ARENA_ARRAY(&ground->arena, struct recipient, 2);
    recipients[0] = (struct recipient){.address = BYTES("b\xc3\xa4r@example.net"),
                                       .original = BYTES("bear+x@example.org"),
                                       .orcpt = BYTES("rfc822;bear+2Bx@example.org"),
                                       .notify = NOTIFY_SUCCESS | NOTIFY_DELAY};
    recipients[1] = (struct recipient){
        .address = BYTES("carl@example.org"), .local = true, .notify = NOTIFY_NEVER};
    return (struct store_message){.id = 77,
                                  .arrived_ms = 1700000000123,
                                  .expires_ms = 1700432000123,
                                  .envelope = {.sender = BYTES("ada@example.org"),
                                               .envid = BYTES("QQ+2B1"),
                                               .body = BODY_8BITMIME,
                                               .ret = RET_FULL,
                                               .smtputf8 = true,
                                               .requiretls = true,
                                               .long_lines = true,
                                               .recipients = recipients,
                                               .recipient_count = 2},
                                  .origin = {.kind = ORIGIN_DMARC_REPORT, /* the last of them */
                                             .account = BYTES("ada@example.org"),
                                             .client_address = BYTES("2001:db8::1"),
                                             .client_helo = BYTES("laptop"),
                                             .protocol = BYTES("UTF8SMTPSA"),
                                             .tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384"),
                                             .port = 587},
                                  .content = bytes_of(content, content_length)};
}

static void a_message_is_read_back_octet_for_octet(void **state)
{
    struct ground *ground = *state;
    struct store_message put = full_message(ground, 3000), got;
    const struct bytes destinations[] = {BYTES("example.net"), BYTES("local:example.org")};
    assert_true(store_accept(ground->store, &put, destinations, 5, 0));
    commit(ground);
    crash(ground);
    assert_true(store_read(ground->store, 77, true, &ground->arena, &got));
    assert_int_equal(got.id, 77);
    assert_true(got.arrived_ms == put.arrived_ms && got.expires_ms == put.expires_ms);
    assert_same(got.content, put.content);
    assert_false(got.large);
    assert_same(got.envelope.sender, put.envelope.sender);
    assert_same(got.envelope.envid, put.envelope.envid);
    assert_true(got.envelope.body == BODY_8BITMIME && got.envelope.ret == RET_FULL);
    assert_true(got.envelope.smtputf8 && got.envelope.requiretls && got.envelope.long_lines);
    assert_true(got.envelope.size == 3000 && got.envelope.recipient_count == 0);
    assert_same(got.origin.account, put.origin.account);
    assert_same(got.origin.client_address, put.origin.client_address);
    assert_same(got.origin.client_helo, put.origin.client_helo);
    assert_same(got.origin.protocol, put.origin.protocol);
    assert_same(got.origin.tls, put.origin.tls);
    assert_true(got.origin.port == 587 && got.origin.kind == ORIGIN_DMARC_REPORT);
}

static void recipients_are_read_back_whole(void **state)
{
    struct ground *ground = *state;
    struct store_message put = full_message(ground, 10);
    const struct bytes destinations[] = {BYTES("example.net"), BYTES("local:example.org")};
    struct store_recipient found[4];
    assert_true(store_accept(ground->store, &put, destinations, 5, 0));
    commit(ground);
    assert_int_equal(store_recipients(ground->store, 77, 0, 4, &ground->arena, found), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct recipient *wanted = &put.envelope.recipients[i], *got = &found[i].recipient;
        assert_int_equal(found[i].number, i);
        assert_int_equal(found[i].due_ms, 5);
        assert_int_equal(found[i].attempts, 0);
        assert_false(found[i].held);
        assert_same(found[i].destination, destinations[i]);
        assert_same(got->address, wanted->address);
        assert_same(got->original, wanted->original);
        assert_same(got->orcpt, wanted->orcpt);
        assert_int_equal(got->notify, wanted->notify);
        assert_int_equal(got->local, wanted->local);
        assert_true(found[i].last.code == 0 && found[i].last.when_ms == 0 && found[i].last.text.length == 0);
    }
}

static void a_null_sender_and_an_empty_content_stay_so(void **state)
{
    struct ground *ground = *state;
    struct recipient recipient = {.address = BYTES("ada@example.org"), .local = true};
    struct store_message put = {.id = 3, .envelope = {.recipients = &recipient, .recipient_count = 1}}, got;
    const struct bytes destination = BYTES("d");
    assert_true(store_accept(ground->store, &put, &destination, 0, 0));
    commit(ground);
    assert_true(store_read(ground->store, 3, true, &ground->arena, &got));
    assert_int_equal(got.envelope.sender.length, 0);
    assert_int_equal(got.content.length, 0);
    assert_int_equal(got.envelope.size, 0);
}

static void an_id_is_taken_once(void **state)
{
    struct ground *ground = *state;
    assert_true(put_letter(ground, 5, "d", 1, 1));
    assert_false(put_letter(ground, 5, "d", 1, 1));
    assert_true(put_letter(ground, 6, "d", 1, 2)); /* the batch goes on */
    commit(ground);
    assert_false(put_letter(ground, 5, "d", 1, 1));
    assert_int_equal(waiting(ground, 5), 1);
    assert_int_equal(waiting(ground, 6), 2);
    assert_false(is_there(ground, 7));
    assert_int_equal(waiting(ground, 7), 0);
}

/* ---- the batch ---- */

static void a_batch_opens_with_the_first_change(void **state)
{
    struct ground *ground = *state;
    struct error error;
    assert_false(store_is_changed(ground->store));
    assert_int_equal(store_commit(ground->store, &error), STORE_DONE);
    put_letter(ground, 1, "d", 1, 1);
    assert_true(store_is_changed(ground->store));
    commit(ground);
    assert_false(store_is_changed(ground->store));
}

static void changes_are_seen_before_they_are_committed(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 1, 2);
    assert_int_equal(waiting(ground, 1), 2);
    finish(ground, 1, 0);
    assert_int_equal(waiting(ground, 1), 1);
}

/* One of each change, uncommitted: a crash undoes all of them. */
static void a_crash_loses_the_batch_and_nothing_else(void **state)
{
    struct ground *ground = *state;
    struct store_destination destination;
    struct store_recipient found[3];
    const struct attempt_record last = {.when_ms = 9, .code = 451, .text = BYTES("later")};
    put_letter(ground, 1, "d", 10, 3);
    put_letter(ground, 2, "d", 10, 1);
    store_destination_put(ground->store, BYTES("d"), 10, 0);
    store_note_put(ground->store, "n", BYTES("old"));
    commit(ground);

    put_letter(ground, 3, "d", 10, 1);
    defer(ground, 1, 0, 99, 1, &last);
    defer(ground, 1, 0, 199, 2, &last);
    place(ground, 1, 1, BYTES("elsewhere"), 55, true);
    finish(ground, 1, 2);
    assert_true(finish(ground, 2, 0));
    store_remove(ground->store, 1);
    store_destination_put(ground->store, BYTES("d"), 77, 3);
    store_destination_put(ground->store, BYTES("e"), 77, 3);
    store_destination_put(ground->store, BYTES("d"), STORE_NEVER, 0);
    store_note_put(ground->store, "n", BYTES("new"));
    store_note_put(ground->store, "m", BYTES("new"));
    crash(ground);

    assert_false(store_is_changed(ground->store));
    assert_false(is_there(ground, 3));
    assert_int_equal(waiting(ground, 2), 1);
    assert_int_equal(store_recipients(ground->store, 1, 0, 3, &ground->arena, found), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(found[i].due_ms == 10 && found[i].attempts == 0 && !found[i].held &&
                    found[i].last.code == 0);
        assert_true(bytes_is(found[i].destination, "d"));
    }
    assert_true(store_destination(ground->store, BYTES("d"), &destination));
    assert_true(destination.due_ms == 10 && destination.failures == 0);
    assert_false(store_destination(ground->store, BYTES("e"), &destination));
    assert_true(bytes_is(store_note(ground->store, "n", &ground->arena), "old"));
    assert_int_equal(store_note(ground->store, "m", &ground->arena).length, 0);
    assert_true(put_letter(ground, 3, "d", 10, 1)); /* and its id is free again */
    commit(ground);
}

/* ---- recipients ---- */

static void a_deferred_recipient_keeps_what_was_said(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[2];
    const struct attempt_record last = {.when_ms = 1234,
                                        .code = 450,
                                        .enhanced = BYTES("4.2.1"),
                                        .text = BYTES("mailbox is busy"),
                                        .peer = BYTES("mx.example.net[192.0.2.1]:25"),
                                        .tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384")};
    put_letter(ground, 1, "d", 10, 2);
    defer(ground, 1, 1, 500, 3, &last);
    commit(ground);
    crash(ground);
    assert_int_equal(store_recipients(ground->store, 1, 1, 2, &ground->arena, found), 1);
    assert_int_equal(found[0].number, 1);
    assert_true(found[0].due_ms == 500 && found[0].attempts == 3);
    assert_true(found[0].last.when_ms == 1234 && found[0].last.code == 450);
    assert_same(found[0].last.enhanced, last.enhanced);
    assert_same(found[0].last.text, last.text);
    assert_same(found[0].last.peer, last.peer);
    assert_same(found[0].last.tls, last.tls);
    assert_true(bytes_is(found[0].destination, "d"));
}

/* Returns the record of attempt number `n`. */
static struct attempt_record attempt_says(struct ground *ground, unsigned n)
{
    return (struct attempt_record){
        .when_ms = n * 100,
        .code = 450 + n,
        .enhanced = BYTES("4.2.1"),
        .peer = BYTES("mx[192.0.2.1]:25"),
        .tls = BYTES("TLSv1.3"),
        .text = bytes_of_text(arena_format(&ground->arena, "busy,\ttime %u\n", n))};
}

static void the_last_attempts_are_remembered(void **state)
{
    struct ground *ground = *state;
    struct attempt_record found[STORE_ATTEMPTS_MAX];
    put_letter(ground, 1, "d", 10, 2);
    assert_int_equal(store_attempts(ground->store, 1, 0, &ground->arena, found), 0);
    for (unsigned n = 1; n <= STORE_ATTEMPTS_MAX + 1; n++) {
        struct attempt_record last = attempt_says(ground, n);
        defer(ground, 1, 0, 10, n, &last);
        commit(ground);
        crash(ground);
        size_t kept = n < STORE_ATTEMPTS_MAX ? n : STORE_ATTEMPTS_MAX;
        assert_int_equal(store_attempts(ground->store, 1, 0, &ground->arena, found), kept);
        for (size_t i = 0; i < kept; i++) {
            unsigned number = (unsigned)(n - kept + i + 1);
            assert_true(found[i].when_ms == number * 100 && found[i].code == 450 + number);
            assert_true(bytes_is(found[i].enhanced, "4.2.1") && bytes_is(found[i].peer, "mx[192.0.2.1]:25") &&
                        bytes_is(found[i].tls, "TLSv1.3"));
            char text[40]; /* the last one to the octet, those before it on one line */
            snprintf(text, sizeof text, i + 1 == kept ? "busy,\ttime %u\n" : "busy, time %u ", number);
            assert_true(bytes_is(found[i].text, text));
        }
    }
    assert_int_equal(store_attempts(ground->store, 1, 1, &ground->arena, found), 0);
    assert_int_equal(store_attempts(ground->store, 2, 0, &ground->arena, found), 0);
    finish(ground, 1, 0);
    assert_int_equal(store_attempts(ground->store, 1, 0, &ground->arena, found), 0);
}

static void what_was_said_before_the_last_is_cut_shorter(void **state)
{
    struct ground *ground = *state;
    struct attempt_record found[STORE_ATTEMPTS_MAX];
    char text[STORE_PAST_REPLY_MAX + 1];
    memset(text, 'x', sizeof text);
    put_letter(ground, 1, "d", 10, 1);
    for (uint32_t n = 1; n <= 3; n++) { /* at the limit, then one past it */
        struct attempt_record last = {
            .when_ms = n,
            .code = 450,
            .text = bytes_of(text, n == 1 ? STORE_PAST_REPLY_MAX : STORE_PAST_REPLY_MAX + 1)};
        defer(ground, 1, 0, 500, n, &last);
    }
    assert_int_equal(store_attempts(ground->store, 1, 0, &ground->arena, found), 3);
    assert_int_equal(found[0].text.length, STORE_PAST_REPLY_MAX);
    assert_int_equal(found[1].text.length, STORE_PAST_REPLY_MAX);
    assert_int_equal(found[2].text.length, STORE_PAST_REPLY_MAX + 1);
}

static void a_lost_batch_loses_its_attempts(void **state)
{
    struct ground *ground = *state;
    struct attempt_record found[STORE_ATTEMPTS_MAX];
    struct attempt_record first = attempt_says(ground, 1), second = attempt_says(ground, 2);
    put_letter(ground, 1, "d", 10, 1);
    defer(ground, 1, 0, 10, 1, &first);
    commit(ground);
    defer(ground, 1, 0, 10, 2, &second);
    crash(ground);
    assert_int_equal(store_attempts(ground->store, 1, 0, &ground->arena, found), 1);
    assert_int_equal(found[0].code, 451);
}

static void a_long_reply_is_cut(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found;
    char text[STORE_REPLY_MAX + 1];
    memset(text, 'x', sizeof text);
    put_letter(ground, 1, "d", 10, 1);
    for (size_t length = STORE_REPLY_MAX; length <= STORE_REPLY_MAX + 1; length++) {
        struct attempt_record last = {.when_ms = 1, .code = 450, .text = bytes_of(text, length)};
        defer(ground, 1, 0, 500, 3, &last);
        assert_int_equal(store_recipients(ground->store, 1, 0, 1, &ground->arena, &found), 1);
        assert_int_equal(found.last.text.length, STORE_REPLY_MAX);
    }
}

static void a_recipient_is_placed_elsewhere_and_held(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[2];
    struct store_due due[4];
    const struct store_due none = {0};
    put_letter(ground, 1, "d", 10, 2);
    place(ground, 1, 0, BYTES("e"), 20, false);
    place(ground, 1, 1, bytes_none(), 30, true);
    commit(ground);
    assert_int_equal(store_recipients(ground->store, 1, 0, 2, &ground->arena, found), 2);
    assert_true(bytes_is(found[0].destination, "e") && found[0].due_ms == 20 && !found[0].held);
    assert_true(bytes_is(found[1].destination, "d") && found[1].due_ms == 30 && found[1].held);
    assert_int_equal(find_due(ground, BYTES("d"), 1000, &none, 4, due), 0);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 0), STORE_NEVER);
    assert_int_equal(find_due(ground, BYTES("e"), 1000, &none, 4, due), 1);
    place(ground, 1, 1, bytes_none(), 40, false); /* released */
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 0), 40);
}

static void a_message_goes_with_its_last_recipient(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 10, 2);
    commit(ground);
    assert_false(finish(ground, 1, 1));
    assert_true(is_there(ground, 1));
    assert_true(finish(ground, 1, 0));
    assert_false(store_settle(ground->store, 1, NULL, 0));
    assert_false(is_there(ground, 1));
    commit(ground);
    crash(ground);
    assert_false(is_there(ground, 1));
}

static void a_removed_message_takes_all_with_it(void **state)
{
    struct ground *ground = *state;
    struct store_due due[4];
    const struct store_due none = {0};
    put_letter(ground, 1, "d", 10, 2);
    commit(ground);
    store_remove(ground->store, 1);
    commit(ground);
    assert_false(is_there(ground, 1));
    assert_int_equal(waiting(ground, 1), 0);
    assert_int_equal(find_due(ground, BYTES("d"), 1000, &none, 4, due), 0);
}

static void changes_of_what_is_not_there_do_nothing(void **state)
{
    struct ground *ground = *state;
    const struct attempt_record last = {.when_ms = 1, .code = 450};
    put_letter(ground, 1, "d", 10, 1);
    defer(ground, 1, 1, 99, 1, &last);
    defer(ground, 2, 0, 99, 1, &last);
    place(ground, 2, 0, BYTES("e"), 99, true);
    finish(ground, 2, 0);
    finish(ground, 1, 7);
    store_remove(ground->store, 2);
    store_destination_put(ground->store, BYTES("x"), STORE_NEVER, 0);
    assert_false(store_settle(ground->store, 2, NULL, 0));
    commit(ground);
    assert_int_equal(waiting(ground, 1), 1);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 0), 10);
}

static void recipients_come_in_pages(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[STORE_READ_MAX];
    enum { COUNT = STORE_READ_MAX + 2 };
    put_letter(ground, 1, "d", 10, COUNT);
    commit(ground);
    finish(ground, 1, 1);
    assert_int_equal(store_recipients(ground->store, 1, 0, STORE_READ_MAX, &ground->arena, found),
                     STORE_READ_MAX);
    assert_int_equal(found[0].number, 0);
    assert_int_equal(found[1].number, 2);
    uint32_t from = found[STORE_READ_MAX - 1].number + 1;
    assert_int_equal(store_recipients(ground->store, 1, from, STORE_READ_MAX, &ground->arena, found), 1);
    assert_int_equal(found[0].number, COUNT - 1);
    assert_int_equal(store_recipients(ground->store, 1, COUNT, STORE_READ_MAX, &ground->arena, found), 0);
}

#define CONTRACT(set_up)                                                                                \
    BOTH(set_up, a_message_is_read_back_octet_for_octet), BOTH(set_up, recipients_are_read_back_whole), \
        BOTH(set_up, a_null_sender_and_an_empty_content_stay_so), BOTH(set_up, an_id_is_taken_once),    \
        BOTH(set_up, a_batch_opens_with_the_first_change),                                              \
        BOTH(set_up, changes_are_seen_before_they_are_committed),                                       \
        BOTH(set_up, a_crash_loses_the_batch_and_nothing_else),                                         \
        BOTH(set_up, a_deferred_recipient_keeps_what_was_said),                                         \
        BOTH(set_up, the_last_attempts_are_remembered),                                                 \
        BOTH(set_up, what_was_said_before_the_last_is_cut_shorter),                                     \
        BOTH(set_up, a_lost_batch_loses_its_attempts), BOTH(set_up, a_long_reply_is_cut),               \
        BOTH(set_up, a_recipient_is_placed_elsewhere_and_held),                                         \
        BOTH(set_up, a_message_goes_with_its_last_recipient),                                           \
        BOTH(set_up, a_removed_message_takes_all_with_it),                                              \
        BOTH(set_up, changes_of_what_is_not_there_do_nothing), BOTH(set_up, recipients_come_in_pages)

int main(void)
{
    CONTRACT_HOLDS;
}
