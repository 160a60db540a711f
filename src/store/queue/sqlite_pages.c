/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_pages: the second group of store.h: what is due, page by page. */
#include "store/queue/sqlite_internal.h"

static size_t sqlite_due(struct store *store, struct bytes destination, uint64_t now_ms,
                         const struct store_due *after, size_t max, struct store_due *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DUE);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_name(statement, 1, destination);
    sqlite_bind_number(statement, 2, now_ms);
    sqlite_bind_number(statement, 3, after->due_ms);
    sqlite_bind_number(statement, 4, after->id);
    sqlite_bind_number(statement, 5, after->number);
    sqlite_bind_number(statement, 6, max);
    while (count < max && sqlite_row(sqlite, statement))
        found[count++] = (struct store_due){sqlite_column_number(statement, 0),
                                            sqlite_column_number(statement, 1),
                                            (uint32_t)sqlite_column_number(statement, 2)};
    sqlite_end_question(statement);
    return count;
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

static size_t sqlite_destinations_due(struct store *store, uint64_t now_ms,
                                      const struct store_destination *after, size_t max,
                                      struct store_destination *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_DESTINATIONS_DUE);
    size_t count = 0;
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

static uint64_t sqlite_destinations_next(struct store *store, uint64_t after_ms)
{
    sqlite3_stmt *statement = sqlite_question(sqlite_of(store), SQL_DESTINATIONS_NEXT);
    if (statement == NULL)
        return STORE_NEVER;
    sqlite_bind_number(statement, 1, after_ms);
    return first_number(sqlite_of(store), statement);
}

const struct store_pages sqlite_pages = {
    .due = sqlite_due,
    .next_due = sqlite_next_due,
    .destination = sqlite_destination,
    .destinations_due = sqlite_destinations_due,
    .destinations_next = sqlite_destinations_next,
};
