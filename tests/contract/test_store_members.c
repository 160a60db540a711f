/* SPDX-License-Identifier: Apache-2.0 */
/* Members in the place of an alias: the contract of store.h, for every kind of store. */
#include "ground.h"

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
                               .via = BYTES("all@example.org"),
                               .sent_as = BYTES("SRS0=x=y@example.org")};
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
    assert_same(found[3].recipient.sent_as, BYTES("SRS0=x=y@example.org"));
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

#define CONTRACT(set_up)                                                                                 \
    BOTH(set_up, members_come_in_the_place_of_an_alias), BOTH(set_up, a_member_that_went_is_remembered), \
        BOTH(set_up, a_lost_page_is_asked_for_again)

int main(void)
{
    CONTRACT_HOLDS;
}
