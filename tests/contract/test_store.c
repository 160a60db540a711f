/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of store.h, for every kind of store. */
#include "ground.h"

/* ---- accepting ---- */

static void assert_same(struct bytes a, struct bytes b)
{
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.at, b.at, a.length);
}

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
                                  .origin = {.kind = ORIGIN_VACATION, /* the last of them */
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
    assert_true(got.origin.port == 587 && got.origin.kind == ORIGIN_VACATION);
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

/* ---- due ---- */

static void due_recipients_come_by_time_id_and_number(void **state)
{
    struct ground *ground = *state;
    struct store_due due[8], after = {0};
    put_letter(ground, 3, "d", 10, 2);
    put_letter(ground, 1, "d", 30, 1);
    put_letter(ground, 2, "d", 10, 1);
    put_letter(ground, 4, "e", 10, 1);
    put_letter(ground, 5, "d", 31, 1);
    commit(ground);
    assert_int_equal(find_due(ground, BYTES("d"), 30, &after, 8, due), 4);
    const struct store_due wanted[] = {{10, 2, 0}, {10, 3, 0}, {10, 3, 1}, {30, 1, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
        assert_true(due[i].due_ms == wanted[i].due_ms && due[i].id == wanted[i].id &&
                    due[i].number == wanted[i].number);
    /* page by page, one at a time */
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_int_equal(find_due(ground, BYTES("d"), 30, &after, 1, due), 1);
        assert_true(due[0].id == wanted[i].id && due[0].number == wanted[i].number);
        after = due[0];
    }
    assert_int_equal(find_due(ground, BYTES("d"), 30, &after, 1, due), 0);
    after = (struct store_due){0};
    assert_int_equal(find_due(ground, BYTES("d"), 9, &after, 8, due), 0);
    assert_int_equal(find_due(ground, BYTES("nobody"), 99, &after, 8, due), 0);
}

static uint64_t next_after(struct ground *ground, uint64_t now_ms)
{
    struct store_destination found;
    uint64_t next_ms;
    store_destinations_due(ground->store, now_ms, NULL, 1, &found, &next_ms);
    return next_ms;
}

static void the_next_due_time_is_behind_the_one_given(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 30, 1);
    put_letter(ground, 2, "d", 10, 1);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 0), 10);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 9), 10);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 10), 30);
    assert_int_equal(store_next_due(ground->store, BYTES("d"), 30), STORE_NEVER);
    assert_int_equal(store_next_due(ground->store, BYTES("e"), 0), STORE_NEVER);
}

/* ---- destinations ---- */

static void destinations_come_by_time_and_name(void **state)
{
    struct ground *ground = *state;
    struct store_destination found[4], after;
    store_destination_put(ground->store, BYTES("c"), 10, 0);
    store_destination_put(ground->store, BYTES("a"), 20, 1);
    store_destination_put(ground->store, BYTES("b"), 10, 2);
    store_destination_put(ground->store, BYTES("z"), 99, 0);
    commit(ground);
    crash(ground);
    assert_int_equal(store_destinations_due(ground->store, 20, NULL, 4, found, NULL), 3);
    static const char *const wanted[] = {"b", "c", "a"};
    for (size_t i = 0; i < 3; i++)
        assert_true(bytes_is(store_destination_name(&found[i]), wanted[i]));
    assert_true(found[0].failures == 2 && found[0].due_ms == 10);
    const struct store_destination *from = NULL;
    for (size_t i = 0; i < 3; i++, from = &after) {
        assert_int_equal(store_destinations_due(ground->store, 20, from, 1, &found[0], NULL), 1);
        assert_true(bytes_is(store_destination_name(&found[0]), wanted[i]));
        after = found[0];
    }
    assert_int_equal(store_destinations_due(ground->store, 20, from, 4, found, NULL), 0);
    assert_int_equal(next_after(ground, 0), 10);
    assert_int_equal(next_after(ground, 10), 20);
    assert_int_equal(next_after(ground, 99), STORE_NEVER);
}

static void a_destination_changes_and_goes(void **state)
{
    struct ground *ground = *state;
    struct store_destination found;
    store_destination_put(ground->store, BYTES("d"), 10, 0);
    store_destination_put(ground->store, BYTES("d"), 50, 7);
    commit(ground);
    assert_true(store_destination(ground->store, BYTES("d"), &found));
    assert_true(found.due_ms == 50 && found.failures == 7);
    assert_false(store_destination(ground->store, BYTES("D"), &found)); /* names are octets */
    store_destination_put(ground->store, BYTES("d"), STORE_NEVER, 0);
    assert_false(store_destination(ground->store, BYTES("d"), &found));
    assert_int_equal(store_destinations_due(ground->store, 99, NULL, 1, &found, NULL), 0);
    store_destination_put(ground->store, BYTES("d"), 60, 0);
    commit(ground);
    assert_true(store_destination(ground->store, BYTES("d"), &found));
    assert_int_equal(found.failures, 0);
}

static void a_destination_may_have_the_longest_name(void **state)
{
    struct ground *ground = *state;
    struct store_destination found;
    char name[STORE_DESTINATION_MAX];
    memset(name, 'n', sizeof name);
    store_destination_put(ground->store, bytes_of(name, sizeof name), 10, 0);
    commit(ground);
    assert_true(store_destination(ground->store, bytes_of(name, sizeof name), &found));
    assert_same(store_destination_name(&found), bytes_of(name, sizeof name));
    assert_false(store_destination(ground->store, bytes_of(name, sizeof name - 1), &found));
}

/* ---- notes, lists ---- */

static void a_note_is_what_was_put_last(void **state)
{
    struct ground *ground = *state;
    assert_int_equal(store_note(ground->store, "slot", &ground->arena).length, 0);
    store_note_put(ground->store, "slot", BYTES("1"));
    store_note_put(ground->store, "slot", BYTES("two"));
    store_note_put(ground->store, "other", bytes_none());
    commit(ground);
    crash(ground);
    assert_true(bytes_is(store_note(ground->store, "slot", &ground->arena), "two"));
    assert_int_equal(store_note(ground->store, "other", &ground->arena).length, 0);
}

static void a_list_sums_a_message_up(void **state)
{
    struct ground *ground = *state;
    struct store_summary line;
    const struct attempt_record early = {.when_ms = 100, .code = 421, .text = BYTES("go away")};
    const struct attempt_record late = {
        .when_ms = 200, .code = 451, .enhanced = BYTES("4.7.1"), .text = BYTES("later")};
    const struct attempt_record ours = {
        .when_ms = 300, .enhanced = BYTES("4.4.1"), .text = BYTES("nobody answers")};
    put_letter(ground, 9, "d", 10, 4);
    assert_int_equal(store_list(ground->store, 0, 1, &ground->arena, &line), 1);
    assert_true(line.waiting == 4 && line.held == 0 && line.next_ms == 10 && line.attempts == 0 &&
                line.reason.length == 0);
    finish(ground, 9, 0);
    defer(ground, 9, 1, 700, 2, &late);
    defer(ground, 9, 2, 600, 5, &early);
    place(ground, 9, 3, bytes_none(), 5, true);
    commit(ground);
    assert_int_equal(store_list(ground->store, 0, 1, &ground->arena, &line), 1);
    assert_true(line.id == 9 && line.arrived_ms == 1009 && line.expires_ms == 9009 && line.size == 21);
    assert_true(line.waiting == 2 && line.held == 1 && line.next_ms == 600 && line.attempts == 5);
    assert_true(bytes_is(line.sender, "ada@example.org"));
    assert_true(bytes_is(line.first, "r1@example.org"));
    assert_true(bytes_is(line.reason, "451 4.7.1 later"));
    defer(ground, 9, 1, 700, 2, &ours);
    assert_int_equal(store_list(ground->store, 0, 1, &ground->arena, &line), 1);
    assert_true(bytes_is(line.reason, "4.4.1 nobody answers"));
}

static void lists_come_in_pages_by_id(void **state)
{
    struct ground *ground = *state;
    enum { COUNT = STORE_READ_MAX + 1 };
    uint64_t ids[STORE_READ_MAX], expires[STORE_READ_MAX];
    struct store_summary *lines = ARENA_ARRAY(&ground->arena, struct store_summary, STORE_READ_MAX);
    for (uint64_t id = COUNT; id > 0; id--)
        put_letter(ground, id * 10, "d", 1, 1);
    commit(ground);
    assert_int_equal(store_ids(ground->store, 0, STORE_READ_MAX, ids, expires), STORE_READ_MAX);
    assert_int_equal(store_list(ground->store, 0, STORE_READ_MAX, &ground->arena, lines), STORE_READ_MAX);
    for (size_t i = 0; i < STORE_READ_MAX; i++)
        assert_true(ids[i] == (i + 1) * 10 && expires[i] == 9000 + ids[i] && lines[i].id == ids[i]);
    assert_int_equal(store_ids(ground->store, ids[STORE_READ_MAX - 1], STORE_READ_MAX, ids, NULL), 1);
    assert_int_equal(ids[0], COUNT * 10);
    assert_int_equal(store_list(ground->store, COUNT * 10, STORE_READ_MAX, &ground->arena, lines), 0);
}

static void a_walk_visits_every_recipient_once(void **state)
{
    struct ground *ground = *state;
    struct store_recipient *found = ARENA_ARRAY(&ground->arena, struct store_recipient, STORE_READ_MAX);
    uint64_t ids[STORE_READ_MAX], id = 0;
    uint32_t number = 0;
    const struct attempt_record last = {.when_ms = 5, .code = 451, .text = BYTES("later")};
    put_letter(ground, 7, "d", 10, 3);
    put_letter(ground, 3, "e", 10, 2);
    put_letter(ground, 5, "d", 10, 1);
    place(ground, 3, 1, bytes_none(), 10, true);
    defer(ground, 5, 0, 10, 1, &last);
    finish(ground, 7, 1);
    commit(ground);
    static const struct {
        uint64_t id;
        uint32_t number;
    } wanted[] = {{3, 0}, {3, 1}, {5, 0}, {7, 0}, {7, 2}};
    for (size_t page = 1; page <= 3; page++, id = 0, number = 0) {
        size_t seen = 0;
        for (size_t count;
             (count = store_walk(ground->store, id, number, page, &ground->arena, ids, found)) > 0;
             seen += count) {
            for (size_t i = 0; i < count; i++)
                assert_true(ids[i] == wanted[seen + i].id && found[i].number == wanted[seen + i].number);
            id = ids[count - 1];
            number = found[count - 1].number;
        }
        assert_int_equal(seen, ARRAY_LENGTH(wanted));
    }
    assert_int_equal(store_walk(ground->store, 0, 0, STORE_READ_MAX, &ground->arena, ids, found), 5);
    assert_true(found[1].held && bytes_is(found[1].destination, "e") &&
                bytes_is(found[1].recipient.address, "r1@example.org"));
    assert_true(bytes_is(found[2].last.text, "later") && found[2].last.code == 451);
}

/* ---- members in the place of an alias ---- */

/* Message 7: ada, and a list that expands. */
static void put_list(struct ground *ground)
{
    struct recipient recipients[] = {
        {.address = BYTES("ada@example.org"), .local = true},
        {.address = BYTES("all@example.org"), .expands = EXPANDS_ALIAS, .via = BYTES("all@example.org")}};
    struct store_message message = {
        .id = 7, .content = BYTES("hi"), .envelope = {.recipients = recipients, .recipient_count = 2}};
    const struct bytes destinations[] = {BYTES("d"), BYTES("@lookup")};
    assert_true(store_accept(ground->store, &message, destinations, 5, 0));
    commit(ground);
}

static bool add_member(struct ground *ground, const char *address, bool local)
{
    struct recipient member = {.address = bytes_of_text(address),
                               .local = local,
                               .original = BYTES("all@example.org"),
                               .via = BYTES("all@example.org")};
    return store_add_member(ground->store, 7, &member, BYTES("d"), 20);
}

static void members_come_in_the_place_of_an_alias(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[8];
    put_list(ground);
    assert_int_equal(store_recipients(ground->store, 7, 1, 8, &ground->arena, found), 1);
    assert_int_equal(found[0].recipient.expands, EXPANDS_ALIAS);
    assert_same(found[0].recipient.via, BYTES("all@example.org"));
    assert_int_equal(found[0].progress.length, 0);
    assert_false(add_member(ground, "ada@example.org", true)); /* she was a recipient by name */
    assert_true(add_member(ground, "ada@example.org", false)); /* that is another one */
    assert_true(add_member(ground, "bob@example.org", true));
    assert_false(add_member(ground, "bob@example.org", true));
    advance(ground, 7, 1, BYTES("bob@example.org"), 30);
    commit(ground);
    crash(ground);
    assert_int_equal(store_recipients(ground->store, 7, 0, 8, &ground->arena, found), 4);
    assert_same(found[1].progress, BYTES("bob@example.org"));
    assert_int_equal(found[1].due_ms, 30);
    assert_int_equal(found[3].number, 3);
    assert_same(found[3].recipient.address, BYTES("bob@example.org"));
    assert_same(found[3].recipient.via, BYTES("all@example.org"));
    assert_true(found[3].recipient.local && found[3].due_ms == 20 &&
                found[3].recipient.expands == EXPANDS_NOT);
    assert_false(expanded(ground, 7, 1));
    assert_int_equal(waiting(ground, 7), 3);
}

/* A former member is not added again, nor is its number reused: a result for it may be in progress. */
static void a_member_that_went_is_remembered(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[8];
    put_list(ground);
    assert_true(add_member(ground, "bob@example.org", true));
    finish(ground, 7, 0);
    finish(ground, 7, 2);
    commit(ground);
    crash(ground);
    assert_false(add_member(ground, "ada@example.org", true));
    assert_false(add_member(ground, "bob@example.org", true));
    assert_true(add_member(ground, "carl@example.org", true));
    assert_int_equal(store_recipients(ground->store, 7, 2, 8, &ground->arena, found), 1);
    assert_int_equal(found[0].number, 3);
    finish(ground, 7, 3);
    assert_true(expanded(ground, 7, 1));
    commit(ground);
    put_list(ground); /* nothing is left of it */
    assert_true(add_member(ground, "bob@example.org", true));
}

static void a_lost_page_is_asked_for_again(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[8];
    put_list(ground);
    assert_true(add_member(ground, "bob@example.org", true));
    advance(ground, 7, 1, BYTES("bob@example.org"), 30);
    crash(ground);
    assert_int_equal(store_recipients(ground->store, 7, 0, 8, &ground->arena, found), 2);
    assert_int_equal(found[1].progress.length, 0);
    assert_true(add_member(ground, "bob@example.org", true));
    assert_int_equal(store_recipients(ground->store, 7, 2, 8, &ground->arena, found), 1);
    assert_int_equal(found[0].number, 2);
    store_remove(ground->store, 7);
    commit(ground);
    assert_false(is_there(ground, 7));
    put_list(ground);
    assert_true(add_member(ground, "bob@example.org", true));
}

/* ---- large contents ---- */

enum { LARGE = 300 * 1000 };

static char large_octet(size_t i)
{
    return (char)(i * 7 + i / 251);
}

static void write_spool(struct ground *ground, uint64_t spool)
{
    enum store_verdict verdict;
    char *content = memory_new(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        content[i] = large_octet(i);
    int file = store_spool(ground->store, spool, &verdict);
    assert_int_equal(verdict, STORE_DONE);
    assert_int_equal(write(file, content, LARGE), LARGE);
    close(file);
    free(content);
}

static bool accept_spool(struct ground *ground, uint64_t id, uint64_t spool)
{
    struct recipient recipient = {.address = BYTES("ada@example.org")};
    struct store_message message = {.id = id,
                                    .envelope = {.recipients = &recipient, .recipient_count = 1, .size = 1}};
    const struct bytes destination = BYTES("d");
    return store_accept(ground->store, &message, &destination, 10, spool);
}

static void assert_large_content(struct ground *ground, uint64_t id)
{
    struct store_message message;
    char *content = memory_new(LARGE + 1);
    assert_true(store_read(ground->store, id, true, &ground->arena, &message));
    assert_true(message.large);
    assert_int_equal(message.content.length, 0);
    assert_int_equal(message.envelope.size, LARGE);
    int first = store_content(ground->store, id), second = store_content(ground->store, id);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(read(first, content, LARGE + 1), LARGE);
    for (size_t i = 0; i < LARGE; i += 997)
        assert_int_equal(content[i], large_octet(i));
    assert_int_equal(read(second, content, 5), 5); /* each reader has its own place */
    assert_int_equal(content[0], large_octet(0));
    close(first);
    close(second);
    free(content);
}

static void a_spooled_content_becomes_the_message_s(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, UINT64_MAX);
    assert_true(accept_spool(ground, 8, UINT64_MAX));
    assert_large_content(ground, 8);
    commit(ground);
    crash(ground);
    assert_large_content(ground, 8);
    assert_false(accept_spool(ground, 9, UINT64_MAX)); /* it is used up */
    assert_false(accept_spool(ground, 9, 1234));       /* there never was one */
    assert_true(finish(ground, 8, 0));
    commit(ground);
    assert_int_equal(store_content(ground->store, 8), -1);
}

static void a_dropped_spool_is_gone(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    enum store_verdict verdict;
    assert_int_equal(store_spool(ground->store, 5, &verdict), -1); /* the number is in use */
    assert_int_equal(verdict, STORE_FAILED);
    store_spool_drop(ground->store, 5);
    store_spool_drop(ground->store, 5);
    assert_false(accept_spool(ground, 9, 5));
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    assert_large_content(ground, 9);
}

static void a_lost_batch_loses_its_large_content(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    crash(ground);
    assert_false(is_there(ground, 9));
    assert_int_equal(store_content(ground->store, 9), -1);
    write_spool(ground, 5); /* its number is free, and so is the id */
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    assert_large_content(ground, 9);
}

static void a_large_content_survives_a_lost_removal(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    store_remove(ground->store, 9);
    crash(ground);
    assert_large_content(ground, 9);
}

static void a_message_may_come_and_go_in_one_batch(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    store_remove(ground->store, 9);
    put_letter(ground, 9, "d", 1, 1);
    store_remove(ground->store, 9);
    put_letter(ground, 9, "d", 1, 2);
    commit(ground);
    crash(ground);
    assert_int_equal(waiting(ground, 9), 2);
    assert_int_equal(store_content(ground->store, 9), -1);
}

/* ---- no room ---- */

static void limit(struct ground *ground, bool full)
{
    if (ground->on_disk)
        sqlite_store_limit_pages(ground->store, full ? 1 : 0); /* Limits SQLite to its current size. */
    else
        memory_store_limit(ground->store, full ? 200 : 0);
}

/* Adds messages until one does not fit; returns the id of that one. */
static uint64_t fill(struct ground *ground, uint64_t id)
{
    struct error error = {0};
    for (; id < 10000; id++) {
        put_letter(ground, id, "d", 1, 1);
        enum store_verdict verdict = store_commit(ground->store, &error);
        if (verdict == STORE_DONE)
            continue;
        assert_int_equal(verdict, STORE_FULL);
        assert_true(strlen(error.text) > 0);
        return id;
    }
    fail_msg("it never became full");
    return id;
}

static void a_full_store_says_so_and_recovers(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    limit(ground, true);
    uint64_t refused = fill(ground, 2);
    assert_false(store_is_changed(ground->store)); /* the batch is gone */
    assert_false(is_there(ground, refused));
    assert_true(is_there(ground, refused - 1));
    for (uint64_t id = 1; id < refused; id++) { /* delivered messages are removed even when full */
        assert_true(finish(ground, id, 0));
    }
    commit(ground);
    put_letter(ground, refused, "d", 1, 1);
    commit(ground);
    limit(ground, false);
    put_letter(ground, refused + 1, "d", 1, 1);
    commit(ground);
    crash(ground);
    assert_true(is_there(ground, refused) && is_there(ground, refused + 1) && !is_there(ground, 1));
}

/* A batch in which something does not fit goes as a whole. */
static void a_batch_fits_or_does_not(void **state)
{
    struct ground *ground = *state;
    struct error error;
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    limit(ground, true);
    for (uint64_t id = 2; id < 2000; id++)
        assert_true(put_letter(ground, id, "d", 1, 1)); /* reported by the commit */
    finish(ground, 1, 0);
    assert_int_equal(store_commit(ground->store, &error), STORE_FULL);
    assert_int_equal(waiting(ground, 1), 1);
    for (uint64_t id = 2; id < 2000; id++)
        assert_false(is_there(ground, id));
}

#define CONTRACT(set_up)                                                                                     \
    BOTH(set_up, a_message_is_read_back_octet_for_octet), BOTH(set_up, recipients_are_read_back_whole),      \
        BOTH(set_up, a_null_sender_and_an_empty_content_stay_so), BOTH(set_up, an_id_is_taken_once),         \
        BOTH(set_up, a_batch_opens_with_the_first_change),                                                   \
        BOTH(set_up, changes_are_seen_before_they_are_committed),                                            \
        BOTH(set_up, a_crash_loses_the_batch_and_nothing_else),                                              \
        BOTH(set_up, a_deferred_recipient_keeps_what_was_said), BOTH(set_up, a_long_reply_is_cut),           \
        BOTH(set_up, a_recipient_is_placed_elsewhere_and_held),                                              \
        BOTH(set_up, a_message_goes_with_its_last_recipient),                                                \
        BOTH(set_up, a_removed_message_takes_all_with_it),                                                   \
        BOTH(set_up, changes_of_what_is_not_there_do_nothing), BOTH(set_up, recipients_come_in_pages),       \
        BOTH(set_up, due_recipients_come_by_time_id_and_number),                                             \
        BOTH(set_up, the_next_due_time_is_behind_the_one_given),                                             \
        BOTH(set_up, destinations_come_by_time_and_name), BOTH(set_up, a_destination_changes_and_goes),      \
        BOTH(set_up, a_destination_may_have_the_longest_name), BOTH(set_up, a_note_is_what_was_put_last),    \
        BOTH(set_up, a_list_sums_a_message_up), BOTH(set_up, lists_come_in_pages_by_id),                     \
        BOTH(set_up, a_spooled_content_becomes_the_message_s), BOTH(set_up, a_dropped_spool_is_gone),        \
        BOTH(set_up, a_lost_batch_loses_its_large_content),                                                  \
        BOTH(set_up, a_large_content_survives_a_lost_removal),                                               \
        BOTH(set_up, a_message_may_come_and_go_in_one_batch),                                                \
        BOTH(set_up, a_full_store_says_so_and_recovers), BOTH(set_up, a_batch_fits_or_does_not),             \
        BOTH(set_up, the_last_attempts_are_remembered),                                                      \
        BOTH(set_up, what_was_said_before_the_last_is_cut_shorter),                                          \
        BOTH(set_up, a_lost_batch_loses_its_attempts), BOTH(set_up, a_walk_visits_every_recipient_once),     \
        BOTH(set_up, members_come_in_the_place_of_an_alias), BOTH(set_up, a_member_that_went_is_remembered), \
        BOTH(set_up, a_lost_page_is_asked_for_again)
#define BOTH(set_up, test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest sqlite[] = {CONTRACT(set_up_sqlite)}, memory[] = {CONTRACT(set_up_memory)};
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    return failed + cmocka_run_group_tests_name("memory", memory, NULL, NULL);
}
