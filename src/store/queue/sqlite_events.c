/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_events: the events of each batch, one row per batch: see store.h. */
#include "store/queue/sqlite_internal.h"

/* Each stream has its statements, in the same order. */
static enum sqlite_statement of_stream(enum sqlite_statement events, enum store_stream stream)
{
    return (enum sqlite_statement)(events + (stream == STORE_EVENTS ? 0 : SQL_JUDGED_PUT - SQL_EVENTS_PUT));
}

/* The oldest go where there are too many. */
static void trim(struct sqlite_store *sqlite, enum store_stream stream)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, of_stream(SQL_EVENTS_TRIM, stream));
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, STORE_EVENTS_MAX);
    sqlite_bind_number(statement, 2, STORE_EVENTS_TRIM_MAX);
    sqlite_run(sqlite, statement);
}

void sqlite_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, of_stream(SQL_EVENTS_PUT, stream));
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, count);
    sqlite3_bind_blob64(statement, 2, octets.at, octets.length, SQLITE_STATIC);
    sqlite_run(sqlite, statement);
    sqlite3_bind_null(statement, 2);
    if (sqlite->event_rows_put[stream]++ % STORE_EVENTS_TRIM_EVERY == 0)
        trim(sqlite, stream);
}

void sqlite_events_drop(struct store *store, enum store_stream stream, uint64_t cursor)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, of_stream(SQL_EVENTS_DROP, stream));
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, cursor);
    sqlite_run(sqlite, statement);
}

size_t sqlite_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                           struct arena *arena, struct store_events *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, of_stream(SQL_EVENTS_AFTER, stream));
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
