/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_events: the events of each batch, one row per batch: see store.h. */
#include "store/queue/sqlite_internal.h"

/* The oldest go where there are too many. */
static void trim(struct sqlite_store *sqlite)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_EVENTS_TRIM);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, STORE_EVENTS_MAX);
    sqlite_bind_number(statement, 2, STORE_EVENTS_TRIM_MAX);
    sqlite_run(sqlite, statement);
}

void sqlite_events_put(struct store *store, uint64_t count, struct bytes octets)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_EVENTS_PUT);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, count);
    sqlite3_bind_blob64(statement, 2, octets.at, octets.length, SQLITE_STATIC);
    sqlite_run(sqlite, statement);
    sqlite3_bind_null(statement, 2);
    if (sqlite->event_rows_put++ % STORE_EVENTS_TRIM_EVERY == 0)
        trim(sqlite);
}

void sqlite_events_drop(struct store *store, uint64_t cursor)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_EVENTS_DROP);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, cursor);
    sqlite_run(sqlite, statement);
}

size_t sqlite_events_after(struct store *store, uint64_t cursor, size_t max, struct arena *arena,
                           struct store_events *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_EVENTS_AFTER);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_number(statement, 1, cursor);
    sqlite_bind_number(statement, 2, max);
    while (count < max && sqlite_row(sqlite, statement))
        found[count++] = (struct store_events){.first = sqlite_column_number(statement, 0),
                                               .count = sqlite_column_number(statement, 1),
                                               .octets = sqlite_column_bytes(statement, 2, arena)};
    sqlite_end_question(statement);
    return count;
}
