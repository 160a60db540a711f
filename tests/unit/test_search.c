/* SPDX-License-Identifier: Apache-2.0 */
/* Search for messages that match a selection: page by page, with and without recipient filters. */
#include <stdio.h>

#include "cli/queue/search.h"
#include "store/queue/memory.h"
#include "unit.h"

enum { MESSAGES = 3 * STORE_READ_MAX + 1 };

/* Each from s@one.example, or every third from t@two.example; to a@here.example
 * and, every fifth, twice to there.example as well. Ids from 1. */
static struct store *filled(void)
{
    struct store *store = memory_store_open();
    struct error error = {0};
    for (uint64_t id = 1; id <= MESSAGES; id++) {
        struct recipient recipients[] = {{.address = BYTES("a@here.example")},
                                         {.address = BYTES("b@there.example")},
                                         {.address = BYTES("c@there.example")}};
        struct bytes destinations[] = {BYTES("here.example"), BYTES("there.example"), BYTES("there.example")};
        struct store_message message = {
            .id = id,
            .arrived_ms = id,
            .expires_ms = 1000000,
            .content = BYTES("x"),
            .envelope = {.sender = id % 3 == 0 ? BYTES("t@two.example") : BYTES("s@one.example"),
                         .recipients = recipients,
                         .recipient_count = id % 5 == 0 ? 3 : 1}};
        assert_true(store_accept(store, &message, destinations, 0, 0));
    }
    assert_int_equal(store_commit(store, &error), STORE_DONE);
    return store;
}

static struct selection selected(struct selection_texts texts)
{
    struct selection selection;
    struct error error = {0};
    assert_true(selection_read(&selection, &texts, &error));
    return selection;
}

/* Every id from 1 up that all of these divide. */
static void assert_found(struct selection_texts texts, uint64_t divisor)
{
    struct store *store = filled();
    struct selection selection = selected(texts);
    struct search search;
    uint64_t id = 0;
    search_start(&search, store, &selection, MESSAGES);
    for (const struct store_summary *found; (found = search_next(&search)) != NULL;) {
        id += divisor;
        assert_int_equal(found->id, id);
        assert_true(found->waiting == (id % 5 == 0 ? 3 : 1));
    }
    assert_int_equal(id, MESSAGES / divisor * divisor);
    assert_null(search_next(&search));
    search_free(&search);
    store_close(store);
}

static void messages_are_found_once_in_their_order(void **state)
{
    assert_found((struct selection_texts){.all = true}, 1);
    assert_found((struct selection_texts){0}, 1);
    assert_found((struct selection_texts){.sender = "t@two.example"}, 3);
    assert_found((struct selection_texts){.recipient = "a@here.example"}, 1);
    assert_found((struct selection_texts){.domain = "there.example"}, 5);
    assert_found((struct selection_texts){.domain = "there.example", .sender = "@two.example"}, 15);
    assert_found((struct selection_texts){.recipient = "nobody@nowhere.example"}, MESSAGES + 1);
}

static void what_is_found_may_be_removed(void **state)
{
    static const struct selection_texts both[] = {{.recipient = "@here.example"}, {.all = true}};
    for (size_t way = 0; way < ARRAY_LENGTH(both); way++) {
        struct store *store = filled();
        struct selection selection = selected(both[way]);
        struct search search;
        size_t count = 0;
        search_start(&search, store, &selection, MESSAGES);
        for (const struct store_summary *found; (found = search_next(&search)) != NULL; count++)
            store_remove(store, found->id);
        assert_int_equal(count, MESSAGES);
        search_free(&search);
        search_start(&search, store, &selection, MESSAGES);
        assert_null(search_next(&search));
        search_free(&search);
        store_close(store);
    }
}

static void a_message_that_left_since_its_page_was_read_is_not_found(void **state)
{
    struct store *store = filled();
    struct selection selection = selected((struct selection_texts){.domain = "there.example"});
    struct search search;
    search_start(&search, store, &selection, MESSAGES);
    assert_int_equal(search_next(&search)->id, 5);
    store_remove(store, 10);
    assert_int_equal(search_next(&search)->id, 15);
    search_free(&search);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_found_once_in_their_order),
        cmocka_unit_test(what_is_found_may_be_removed),
        cmocka_unit_test(a_message_that_left_since_its_page_was_read_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
