/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_pages: the second group of store.h: due mail, page by page. */
#include "store/queue/due_page.h"
#include "store/queue/sqlite_internal.h"

/* Reads where the next deliveries may begin. */
static size_t read_places(struct sqlite_store *sqlite, const struct store_due_question *question,
                          struct store_due found[STORE_PAGE_MAX])
{
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DUE);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_name(statement, 1, question->destination);
    sqlite_bind_number(statement, 2, question->now_ms);
    sqlite_bind_number(statement, 3, question->after.due_ms);
    sqlite_bind_number(statement, 4, question->after.id);
    sqlite_bind_number(statement, 5, question->after.number);
    sqlite_bind_number(statement, 6, question->deliveries_max);
    while (count < question->deliveries_max && sqlite_row(sqlite, statement))
        found[count++] = (struct store_due){sqlite_column_number(statement, 0),
                                            sqlite_column_number(statement, 1),
                                            (uint32_t)sqlite_column_number(statement, 2)};
    sqlite_end_question(statement);
    return count;
}

static size_t read_waiting(struct sqlite_store *sqlite, const struct store_due_question *question,
                           const struct store_due *place, struct arena *arena,
                           struct store_recipient found[STORE_READ_MAX])
{
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_RECIPIENTS_OF);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, place->id, place->number);
    sqlite_bind_number(statement, 3, question->recipients_max);
    sqlite_bind_name(statement, 4, question->destination);
    while (count < question->recipients_max && sqlite_row(sqlite, statement))
        sqlite_read_recipient(statement, arena, &found[count++]);
    sqlite_end_question(statement);
    return count;
}

static void sqlite_due(struct store *store, const struct store_due_question *question, struct arena *arena,
                       struct store_page *page)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    struct store_due places[STORE_PAGE_MAX];
    struct store_recipient found[STORE_READ_MAX];
    uint64_t contents_left = question->contents_max;
    size_t place_count = read_places(sqlite, question, places);
    due_page_start(page, question, place_count, arena);
    for (size_t i = 0; i < place_count; i++) {
        page->end = places[i];
        if (due_page_has(page, places[i].id, places[i].number))
            continue;
        size_t count = read_waiting(sqlite, question, &places[i], arena, found);
        struct store_delivery *next = due_page_gather(page, &places[i], question, found, count, arena);
        /* not 0: the prefix of large content is always included */
        uint64_t max = page->count == 0 ? UINT64_MAX : contents_left > 0 ? contents_left : 1;
        if (next->recipient_count == 0 ||
            !sqlite_read_message(sqlite, places[i].id, max, arena, &next->message, &next->has_content))
            continue;
        contents_left -= next->message.content.length < contents_left ? next->message.content.length
                                                                      : contents_left;
        page->count++;
    }
}

static uint64_t first_number(struct sqlite_store *sqlite, sqlite3_stmt *statement)
{
    uint64_t value = sqlite_row(sqlite, statement) ? sqlite_column_number(statement, 0) : STORE_NEVER;
    sqlite_end_question(statement);
    return value;
}

static uint64_t sqlite_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    sqlite3_stmt *statement = sqlite_question(sqlite_of(store), SQL_NEXT_DUE);
    if (statement == NULL)
        return STORE_NEVER;
    sqlite_bind_name(statement, 1, destination);
    sqlite_bind_number(statement, 2, after_ms);
    return first_number(sqlite_of(store), statement);
}

static void read_destination(sqlite3_stmt *statement, struct store_destination *found)
{
    const void *name = sqlite3_column_blob(statement, 2);
    size_t length = (size_t)sqlite3_column_bytes(statement, 2);
    found->due_ms = sqlite_column_number(statement, 0);
    found->failures = (uint32_t)sqlite_column_number(statement, 1);
    found->name_length = length < sizeof found->name ? length : sizeof found->name;
    if (name != NULL)
        memcpy(found->name, name, found->name_length);
}

static bool sqlite_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DESTINATION);
    if (statement == NULL)
        return false;
    sqlite_bind_name(statement, 1, name);
    bool there = sqlite_row(sqlite, statement);
    if (there)
        read_destination(statement, found);
    sqlite_end_question(statement);
    return there;
}

static uint64_t destinations_next(struct sqlite_store *sqlite, uint64_t after_ms)
{
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DESTINATIONS_NEXT);
    if (statement == NULL)
        return STORE_NEVER;
    sqlite_bind_number(statement, 1, after_ms);
    return first_number(sqlite, statement);
}

static size_t sqlite_destinations_due(struct store *store, uint64_t now_ms,
                                      const struct store_destination *after, size_t max,
                                      struct store_destination *found, uint64_t *next_ms)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DESTINATIONS_DUE);
    size_t count = 0;
    if (next_ms != NULL)
        *next_ms = destinations_next(sqlite, now_ms);
    if (statement == NULL)
        return 0;
    sqlite_bind_number(statement, 1, now_ms);
    sqlite_bind_number(statement, 2, after == NULL ? 0 : after->due_ms);
    sqlite_bind_name(statement, 3, after == NULL ? bytes_none() : store_destination_name(after));
    sqlite_bind_number(statement, 4, max);
    while (count < max && sqlite_row(sqlite, statement))
        read_destination(statement, &found[count++]);
    sqlite_end_question(statement);
    return count;
}

const struct store_pages sqlite_pages = {
    .due = sqlite_due,
    .next_due = sqlite_next_due,
    .destination = sqlite_destination,
    .destinations_due = sqlite_destinations_due,
};
