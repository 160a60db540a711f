/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of due mail, and batched results: the contract of store.h, for every kind of store. */
#include "ground.h"

enum { NOW_MS = 1000 };

static struct store_page read_page(struct ground *ground, struct store_due after, size_t deliveries_max,
                                   size_t recipients_max, uint64_t contents_max)
{
    struct store_page page;
    struct store_due_question question = {.destination = BYTES("d"),
                                          .now_ms = NOW_MS,
                                          .after = after,
                                          .deliveries_max = deliveries_max,
                                          .recipients_max = recipients_max,
                                          .contents_max = contents_max};
    store_due(ground->store, &question, &ground->arena, &page);
    return page;
}

static void accept(struct ground *ground, uint64_t id, const struct recipient *recipients, size_t count,
                   size_t content_size)
{
    struct bytes destinations[8];
    for (size_t i = 0; i < count; i++)
        destinations[i] = BYTES("d");
    struct store_message message = {
        .id = id,
        .arrived_ms = 1,
        .expires_ms = 9000,
        .content = bytes_of(memset(arena_take(&ground->arena, content_size), 'x', content_size),
                            content_size),
        .envelope = {.sender = BYTES("ada@example.org"),
                     .envid = BYTES("e1"),
                     .recipients = (struct recipient *)(uintptr_t)recipients,
                     .recipient_count = count}};
    assert_true(store_accept(ground->store, &message, destinations, 10, 0));
}

static void one_question_has_all_that_an_attempt_needs(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 10, 3);
    put_letter(ground, 2, "e", 10, 1);
    put_letter(ground, 3, "d", 20, 1);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1000);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.deliveries[0].place.id, 1);
    assert_int_equal(page.deliveries[0].recipient_count, 3);
    assert_true(bytes_is(page.deliveries[0].recipients[2].recipient.address, "r2@example.org"));
    assert_true(bytes_is(page.deliveries[0].message.envelope.sender, "ada@example.org"));
    assert_true(page.deliveries[0].has_content);
    assert_true(bytes_is(page.deliveries[0].message.content, "Subject: x\r\n\r\nHello\r\n"));
    assert_int_equal(page.deliveries[1].message.id, 3);
    assert_int_equal(page.end.id, 3);
    struct store_page next = read_page(ground, page.end, 8, 8, 1000);
    assert_int_equal(next.count, 0);
    assert_int_equal(next.end.id, 3);
}

static void what_is_not_due_held_or_elsewhere_is_not_in_it(void **state)
{
    struct ground *ground = *state;
    const struct attempt_record last = {.when_ms = 5, .code = 450};
    put_letter(ground, 1, "d", 10, 5);
    defer(ground, 1, 1, NOW_MS + 1, 1, &last);
    place(ground, 1, 2, bytes_none(), 10, true);
    place(ground, 1, 3, BYTES("e"), 10, false);
    defer(ground, 1, 4, NOW_MS, 1, &last); /* later than the first, and due too */
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1000);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.deliveries[0].recipient_count, 2);
    assert_int_equal(page.deliveries[0].recipients[0].number, 0);
    assert_int_equal(page.deliveries[0].recipients[1].number, 4);
    assert_int_equal(page.deliveries[0].recipients[1].last.code, 450);
}

/* The later one has the lower number. */
static void nobody_is_in_two_deliveries_of_a_page(void **state)
{
    struct ground *ground = *state;
    const struct attempt_record last = {.when_ms = 5, .code = 450};
    put_letter(ground, 1, "d", 10, 3);
    defer(ground, 1, 0, 30, 1, &last);
    defer(ground, 1, 2, 20, 1, &last);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1000);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.deliveries[0].recipient_count, 2);
    assert_int_equal(page.deliveries[0].recipients[0].number, 1);
    assert_int_equal(page.deliveries[0].recipients[1].number, 2);
    assert_int_equal(page.deliveries[1].recipient_count, 1);
    assert_int_equal(page.deliveries[1].recipients[0].number, 0);
}

static void a_delivery_has_so_many_recipients_at_most(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 10, 5);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 2, 1000);
    assert_int_equal(page.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(page.deliveries[i].place.number, 2 * i);
        assert_int_equal(page.deliveries[i].recipient_count, i < 2 ? 2 : 1);
    }
}

static void who_was_sent_on_by_others_is_a_delivery_of_its_own(void **state)
{
    struct ground *ground = *state;
    const struct recipient recipients[] = {{.address = BYTES("a@d"), .via = BYTES("x@here")},
                                           {.address = BYTES("b@d")},
                                           {.address = BYTES("c@d"), .via = BYTES("x@here")}};
    accept(ground, 1, recipients, 3, 10);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1000);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.deliveries[0].recipient_count, 2);
    assert_int_equal(page.deliveries[0].recipients[1].number, 2);
    assert_int_equal(page.deliveries[1].recipients[0].number, 1);
}

static void copies_with_different_senders_are_deliveries_of_their_own(void **state)
{
    struct ground *ground = *state;
    const struct recipient recipients[] = {
        {.address = BYTES("a@d"), .via = BYTES("x@here"), .sent_as = BYTES("SRS0=x@here")},
        {.address = BYTES("b@d"), .via = BYTES("x@here")},
        {.address = BYTES("c@d"), .via = BYTES("x@here"), .sent_as = BYTES("SRS0=x@here")}};
    accept(ground, 1, recipients, 3, 10);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1000);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.deliveries[0].recipient_count, 2);
    assert_true(bytes_is(page.deliveries[0].recipients[1].recipient.sent_as, "SRS0=x@here"));
    assert_int_equal(page.deliveries[1].recipient_count, 1);
    assert_int_equal(page.deliveries[1].recipients[0].recipient.sent_as.length, 0);
}

/* The first content is included however large, so that each page makes progress. */
static void contents_have_a_limit(void **state)
{
    struct ground *ground = *state;
    const struct recipient recipient = {.address = BYTES("a@d")};
    const size_t sizes[] = {700, 300, 301, 1, 200};
    const bool there[] = {true, true, false, true, false};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        accept(ground, 1 + i, &recipient, 1, sizes[i]);
    commit(ground);
    struct store_page page = read_page(ground, (struct store_due){0}, 8, 8, 1001);
    assert_int_equal(page.count, ARRAY_LENGTH(sizes));
    for (size_t i = 0; i < page.count; i++) {
        const struct store_delivery *d = &page.deliveries[i];
        struct store_message message;
        assert_int_equal(d->has_content, there[i]);
        assert_int_equal(d->message.content.length, there[i] ? sizes[i] : 0);
        assert_int_equal(d->message.envelope.size, sizes[i]);
        assert_true(store_read(ground->store, d->message.id, true, &ground->arena, &message));
        assert_int_equal(message.content.length, sizes[i]);
    }
    page = read_page(ground, (struct store_due){0}, 8, 8, 0);
    assert_true(page.deliveries[0].has_content && !page.deliveries[1].has_content);
}

static void results_are_settled_together(void **state)
{
    struct ground *ground = *state;
    struct store_recipient found[4];
    const struct store_result results[] = {
        {.number = 0, .fate = STORE_FINISHED},
        {.number = 1,
         .fate = STORE_DEFERRED,
         .due_ms = 50,
         .attempts = 1,
         .last = {.when_ms = 9, .code = 451}},
        {.number = 2, .fate = STORE_PLACED, .due_ms = 60, .destination = BYTES("e"), .held = true},
        {.number = 3, .fate = STORE_FINISHED},
        {.number = 9, .fate = STORE_FINISHED}};
    put_letter(ground, 1, "d", 10, 4);
    commit(ground);
    assert_false(store_settle(ground->store, 1, results, ARRAY_LENGTH(results)));
    commit(ground);
    crash(ground);
    assert_int_equal(store_recipients(ground->store, 1, 0, 4, &ground->arena, found), 2);
    assert_true(found[0].number == 1 && found[0].due_ms == 50 && found[0].last.code == 451);
    assert_true(found[1].number == 2 && found[1].held && bytes_is(found[1].destination, "e"));
    const struct store_result rest[] = {{.number = 1, .fate = STORE_FINISHED},
                                        {.number = 2, .fate = STORE_FINISHED}};
    assert_true(store_settle(ground->store, 1, rest, ARRAY_LENGTH(rest)));
    assert_false(is_there(ground, 1));
}

static void what_only_waits_on_does_not_look_whether_the_message_goes(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 10, 1);
    place(ground, 1, 0, bytes_none(), 20, false);
    assert_true(is_there(ground, 1));
    assert_false(store_settle(ground->store, 1, NULL, 0));
    assert_true(is_there(ground, 1));
}

#define CONTRACT(set_up)                                                                 \
    BOTH(set_up, one_question_has_all_that_an_attempt_needs),                            \
        BOTH(set_up, what_is_not_due_held_or_elsewhere_is_not_in_it),                    \
        BOTH(set_up, nobody_is_in_two_deliveries_of_a_page),                             \
        BOTH(set_up, a_delivery_has_so_many_recipients_at_most),                         \
        BOTH(set_up, who_was_sent_on_by_others_is_a_delivery_of_its_own),                \
        BOTH(set_up, copies_with_different_senders_are_deliveries_of_their_own),         \
        BOTH(set_up, contents_have_a_limit), BOTH(set_up, results_are_settled_together), \
        BOTH(set_up, what_only_waits_on_does_not_look_whether_the_message_goes)

int main(void)
{
    CONTRACT_HOLDS;
}
