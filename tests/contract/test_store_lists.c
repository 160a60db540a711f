/* SPDX-License-Identifier: Apache-2.0 */
/* What is due, destinations, notes, lists: the contract of store.h, for every kind of store. */
#include "ground.h"

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

#define CONTRACT(set_up)                                                                                  \
    BOTH(set_up, due_recipients_come_by_time_id_and_number),                                              \
        BOTH(set_up, the_next_due_time_is_behind_the_one_given),                                          \
        BOTH(set_up, destinations_come_by_time_and_name), BOTH(set_up, a_destination_changes_and_goes),   \
        BOTH(set_up, a_destination_may_have_the_longest_name), BOTH(set_up, a_note_is_what_was_put_last), \
        BOTH(set_up, a_list_sums_a_message_up), BOTH(set_up, lists_come_in_pages_by_id),                  \
        BOTH(set_up, a_walk_visits_every_recipient_once)

int main(void)
{
    CONTRACT_HOLDS;
}
