/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite: the statements, each prepared once; failures; and the batch. */
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/queue/sqlite_internal.h"

#define RECIPIENT_COLUMNS                                                                               \
    "number, held, due_ms, attempts, flags, destination, address, original, orcpt, last_ms, last_code," \
    " last_enhanced, last_text, last_peer, last_tls, via, progress, sent_as"

/* Rows are contiguous: one ends where the next begins. */
#define EVENT_STATEMENTS(sql, table)                                                                         \
    [sql##_PUT] = "INSERT INTO " table " VALUES(coalesce((SELECT first + count FROM " table " WHERE first>0" \
                  " ORDER BY first DESC LIMIT 1), 1), ?, ?)",                                                \
    [sql##_TRIM] = "DELETE FROM " table " WHERE first + count - 1 <= (SELECT first + count - 1 FROM " table  \
                   " WHERE first>0 ORDER BY first DESC LIMIT 1) - ?1 AND first < coalesce((SELECT first"     \
                   " FROM " table                                                                            \
                   " WHERE first>0 ORDER BY first LIMIT 1 OFFSET ?2), (SELECT first FROM " table             \
                   " WHERE first>0 ORDER BY first DESC LIMIT 1))",                                           \
    [sql##_DROP] = "DELETE FROM " table " WHERE first<=?1 AND first + count - 1<=?1 AND first<(SELECT first" \
                   " FROM " table " WHERE first>0 ORDER BY first DESC LIMIT 1)",                             \
    [sql##_AFTER] = "SELECT first, count, octets FROM " table                                                \
                    " WHERE first>=coalesce((SELECT first FROM " table                                       \
                    " WHERE first>0 AND first<=?1 + 1 ORDER BY first DESC LIMIT 1), 0)"                      \
                    " AND first + count - 1>?1 ORDER BY first LIMIT ?2"

const char *const sqlite_sql[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MESSAGE_ADD] = "INSERT INTO message VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_RECIPIENT_ADD] = "INSERT INTO recipient(message_id, number, held, due_ms, attempts, flags, "
                          "destination, address, original, orcpt, via, sent_as)"
                          " VALUES(?,?,0,?,0,?,?,?,?,?,?,?)",
    [SQL_MEMBER_NOTE] = "INSERT OR IGNORE INTO member VALUES(?,?,?) RETURNING number",
    [SQL_MEMBER_NUMBER] = "UPDATE member SET number=number+1 WHERE message_id=? AND key='' RETURNING number",
    [SQL_MEMBERS_FORGET] = "DELETE FROM member WHERE message_id=?",
    [SQL_ADVANCE] = "UPDATE recipient SET due_ms=?3, progress=?4 WHERE message_id=?1 AND number=?2",
    [SQL_EXPANDING] = "SELECT 1 FROM recipient WHERE message_id=? AND (flags & 192)<>0 LIMIT 1",
    [SQL_DEFER] = "UPDATE recipient SET due_ms=?3, attempts=?4, last_ms=?5, last_code=?6, last_enhanced=?7, "
                  "last_text=?8, last_peer=?9, last_tls=?10, history=?11 WHERE message_id=?1 AND number=?2",
    [SQL_MOVE] = "UPDATE recipient SET due_ms=?3, held=?4, destination=?5 WHERE message_id=?1 AND number=?2",
    [SQL_PLACE] = "UPDATE recipient SET due_ms=?3, held=?4 WHERE message_id=?1 AND number=?2",
    [SQL_FINISH] = "DELETE FROM recipient WHERE message_id=? AND number=?",
    [SQL_SETTLE] = "DELETE FROM message WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM recipient WHERE "
                   "message_id=?1) RETURNING flags",
    [SQL_RECIPIENTS_REMOVE] = "DELETE FROM recipient WHERE message_id=?",
    [SQL_MESSAGE_REMOVE] = "DELETE FROM message WHERE id=? RETURNING flags",
    [SQL_LEFTOVER_ADD] = "INSERT OR IGNORE INTO leftover VALUES(?)",
    [SQL_LEFTOVER_REMOVE] = "DELETE FROM leftover WHERE id=?",
    [SQL_LEFTOVERS] = "SELECT id FROM leftover",
    [SQL_DESTINATION_PUT] =
        "INSERT INTO destination VALUES(?,?,?) ON CONFLICT(name) DO UPDATE SET due_ms=excluded.due_ms,"
        " failures=excluded.failures",
    [SQL_DESTINATION_REMOVE] = "DELETE FROM destination WHERE name=?",
    [SQL_NOTE_PUT] = "INSERT INTO note VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
    EVENT_STATEMENTS(SQL_EVENTS, "event"),
    EVENT_STATEMENTS(SQL_JUDGED, "judged"),
    [SQL_READ] = "SELECT arrived_ms, expires_ms, size, flags, sender, envid, account, client_address, "
                 "client_helo, protocol, tls, port, author, story, content, prefix FROM message WHERE id=?",
    [SQL_READ_ENVELOPE] =
        "SELECT arrived_ms, expires_ms, size, flags, sender, envid, account, client_address, client_helo,"
        " protocol, tls, port, author, story FROM message WHERE id=?",
    [SQL_EXISTS] = "SELECT 1 FROM message WHERE id=?",
    [SQL_RECIPIENTS] = "SELECT " RECIPIENT_COLUMNS
                       " FROM recipient WHERE message_id=?1 AND number>=?2 ORDER BY number LIMIT ?3",
    [SQL_RECIPIENTS_OF] =
        "SELECT " RECIPIENT_COLUMNS
        " FROM recipient WHERE message_id=?1 AND number>=?2 AND number<?2+1000 AND destination=?4"
        " ORDER BY number LIMIT ?3", /* STORE_LOOK_MAX */
    [SQL_ATTEMPTS] =
        "SELECT last_ms, last_code, last_enhanced, last_text, last_peer, last_tls, history FROM recipient"
        " WHERE message_id=? AND number=?",
    [SQL_DUE] =
        "SELECT due_ms, message_id, number FROM recipient WHERE destination=?1 AND held=0 AND due_ms<=?2"
        " AND (due_ms, message_id, number)>(?3, ?4, ?5) ORDER BY due_ms, message_id, number LIMIT ?6",
    [SQL_NEXT_DUE] =
        "SELECT due_ms FROM recipient WHERE destination=? AND held=0 AND due_ms>? ORDER BY due_ms LIMIT 1",
    [SQL_DESTINATION] = "SELECT due_ms, failures, name FROM destination WHERE name=?",
    [SQL_DESTINATIONS_DUE] =
        "SELECT due_ms, failures, name FROM destination WHERE due_ms<=?1 AND (due_ms, name)>(?2, ?3)"
        " ORDER BY due_ms, name LIMIT ?4",
    [SQL_DESTINATIONS_NEXT] = "SELECT due_ms FROM destination WHERE due_ms>? ORDER BY due_ms LIMIT 1",
    [SQL_LIST] =
        "SELECT id, arrived_ms, expires_ms, size, sender FROM message WHERE id>? ORDER BY id LIMIT ?",
    [SQL_IDS] = "SELECT id, expires_ms FROM message WHERE id>? ORDER BY id LIMIT ?",
    [SQL_WALK] = "SELECT " RECIPIENT_COLUMNS ", message_id FROM recipient WHERE (message_id, number)>(?, ?)"
                 " ORDER BY message_id, number LIMIT ?",
    [SQL_NOTE] = "SELECT value FROM note WHERE name=?",
};

/* ---- failure ---- */

/* True if another program has it locked, like an SQLite shell or a copy: temporary. */
static bool is_locked(int code)
{
    return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED || (code & 0xff) == SQLITE_PROTOCOL;
}

static enum store_verdict verdict_of(int code, int number)
{
    bool no_room = number == ENOSPC || number == EDQUOT || number == EFBIG;
    if ((code & 0xff) == SQLITE_FULL || (no_room && code != SQLITE_IOERR_FSYNC))
        return STORE_FULL;
    return is_locked(code) ? STORE_UNREACHABLE : STORE_FAILED;
}

bool sqlite_problem(struct sqlite_store *sqlite, int code, int number)
{
    if (sqlite->verdict != STORE_DONE)
        return false;
    sqlite->problem = code;
    sqlite->problem_errno = number;
    sqlite->verdict = verdict_of(code, number);
    return false;
}

bool sqlite_reason(struct sqlite_store *sqlite, int code)
{
    return sqlite_problem(sqlite, code, (code & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(sqlite->db) : 0);
}

bool sqlite_refuse_locked(const struct sqlite_store *sqlite, const char *reason, struct error *error)
{
    return error_set(error, EX_TEMPFAIL, "%s cannot be reached just now (%s); try again later", sqlite->path,
                     reason);
}

static bool explain(const struct sqlite_store *sqlite, struct error *error)
{
    const char *reason = sqlite->problem != 0 ? sqlite3_errstr(sqlite->problem) : "the files beside it";
    const char *act = sqlite->access == STORE_READ ? "read" : "write";
    errno = sqlite->problem_errno;
    bool full = sqlite->verdict == STORE_FULL;
    if (sqlite->verdict == STORE_UNREACHABLE)
        return sqlite_refuse_locked(sqlite, reason, error);
    if ((sqlite->problem & 0xff) == SQLITE_CORRUPT)
        return error_set(error, EX_DATAERR,
                         "%s is damaged; stop the server, copy the directory, then recover what can be: "
                         "sqlite3 mailboat.db .recover | sqlite3 recovered.db",
                         sqlite->path);
    if (sqlite->problem_errno != 0)
        return error_set_errno(error, full ? EX_TEMPFAIL : EX_IOERR, "cannot %s %s: %s", act, sqlite->path,
                               reason);
    return error_set(error, full ? EX_TEMPFAIL : EX_IOERR, "cannot %s %s: %s", act, sqlite->path, reason);
}

/* ---- statements ---- */

sqlite3_stmt *sqlite_statement(struct sqlite_store *sqlite, enum sqlite_statement which)
{
    if (sqlite->statements[which] == NULL) {
        int code = sqlite3_prepare_v3(sqlite->db, sqlite_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &sqlite->statements[which], NULL);
        if (code != SQLITE_OK)
            sqlite_reason(sqlite, code);
    }
    return sqlite->statements[which];
}

bool sqlite_row(struct sqlite_store *sqlite, sqlite3_stmt *statement)
{
    if (statement == NULL)
        return false;
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return sqlite_reason(sqlite, code);
    return code == SQLITE_ROW;
}

bool sqlite_run(struct sqlite_store *sqlite, sqlite3_stmt *statement)
{
    if (statement == NULL)
        return false;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        continue;
    sqlite3_reset(statement);
    return code == SQLITE_DONE || sqlite_reason(sqlite, code);
}

/* ---- the batch ---- */

static bool id_list_is_sound(const struct id_list *list)
{
    return list->count <= list->capacity && (list->ids != NULL || list->capacity == 0);
}

bool sqlite_is_sound(const struct sqlite_store *sqlite)
{
    const struct content_files *files = &sqlite->files;
    bool told = sqlite->problem != 0 || sqlite->problem_errno != 0;
    bool open = sqlite3_get_autocommit(sqlite->db) == 0; /* after a failure SQLite may have ended it itself */
    return (sqlite->verdict == STORE_DONE ? sqlite->batch == open : told) &&
           (sqlite->batch || files->fresh.count + files->gone.count == 0) &&
           id_list_is_sound(&files->fresh) && id_list_is_sound(&files->gone) &&
           id_list_is_sound(&files->leftover) && (sqlite->access == STORE_WRITE || !sqlite->batch);
}

static void forget_batch(struct sqlite_store *sqlite)
{
    if (!sqlite3_get_autocommit(sqlite->db)) {
        sqlite3_stmt *statement = sqlite->statements[SQL_ROLLBACK];
        if (statement == NULL)
            statement = sqlite_statement(sqlite, SQL_ROLLBACK);
        if (statement != NULL) {
            sqlite3_step(statement);
            sqlite3_reset(statement);
        }
    }
    /* After a failed commit the log may contain all of it, and a successor would read it there. */
    if (sqlite->verdict == STORE_FAILED)
        content_files_abandoned(&sqlite->files);
    else
        content_files_rolled_back(&sqlite->files);
}

static void checkpoint_here(struct sqlite_store *sqlite, const char *name)
{
    int length = 0, moved = 0;
    int code = sqlite3_wal_checkpoint_v2(sqlite->db, name, SQLITE_CHECKPOINT_PASSIVE, &length, &moved);
    bool for_want_of_room = (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK && !for_want_of_room)
        sqlite->checkpoint = code;
    if (sqlite->checkpointer != NULL)
        checkpointer_moved(sqlite->checkpointer, code == SQLITE_OK && moved > 0 ? (uint32_t)moved : 0);
}

int sqlite_committed(void *owner, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_store *sqlite = owner;
    int code = SQLITE_OK;
    bool here = sqlite->checkpointer == NULL
                    ? pages >= sqlite->log_pages_max
                    : checkpointer_committed(sqlite->checkpointer, (uint32_t)pages, &code);
    if (code != SQLITE_OK)
        sqlite->checkpoint = code;
    else if (here)
        checkpoint_here(sqlite, name);
    return SQLITE_OK;
}

/* Removes the records of files that are already removed. */
static void drop_leftovers(struct sqlite_store *sqlite)
{
    for (size_t i = 0; i < sqlite->files.leftover.count; i++) {
        sqlite3_stmt *statement = sqlite_change(sqlite, SQL_LEFTOVER_REMOVE);
        if (statement == NULL)
            return;
        sqlite_bind_number(statement, 1, sqlite->files.leftover.ids[i]);
        sqlite_run(sqlite, statement);
    }
}

/* Syncs files before the rows that refer to them. */
static void sync_files(struct sqlite_store *sqlite)
{
    int number = sqlite->batch && sqlite->verdict == STORE_DONE ? content_files_sync(&sqlite->files) : 0;
    if (number != 0)
        sqlite_problem(sqlite, 0, number);
}

static enum store_verdict commit(struct store *store, struct error *error)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    if (sqlite->batch)
        drop_leftovers(sqlite);
    sync_files(sqlite);
    if (sqlite->batch && sqlite->verdict == STORE_DONE)
        sqlite_run(sqlite, sqlite_statement(sqlite, SQL_COMMIT));
    enum store_verdict verdict = sqlite->verdict;
    if (verdict == STORE_DONE) {
        if (sqlite->batch)
            sqlite->files.leftover.count = 0;
        content_files_committed(&sqlite->files);
    } else {
        explain(sqlite, error);
        forget_batch(sqlite);
        if (verdict == STORE_FULL) /* reusable space in the log counts as space */
            sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    }
    sqlite->batch = false;
    sqlite->verdict = verdict == STORE_FAILED ? STORE_FAILED : STORE_DONE;
    if (sqlite->checkpoint != SQLITE_OK) /* this commit is valid; no other follows */
        sqlite_problem(sqlite, sqlite->checkpoint, 0);
    assert(sqlite_is_sound(sqlite));
    return verdict;
}

/* A commit completes when its result is requested: other queries use the same connection, so that a thread
 * would make them wait anyway. */
void sqlite_commit_start(struct store *store) {}

bool sqlite_commit_done(struct store *store, enum store_verdict *verdict, struct error *error)
{
    *verdict = commit(store, error);
    return true;
}

enum store_verdict sqlite_verdict(const struct store *store, struct error *error)
{
    const struct sqlite_store *sqlite = (const struct sqlite_store *)(const void *)store;
    if (error != NULL && sqlite->verdict != STORE_DONE)
        explain(sqlite, error);
    return sqlite->verdict;
}

bool sqlite_is_changed(const struct store *store)
{
    const struct sqlite_store *sqlite = (const struct sqlite_store *)(const void *)store;
    return sqlite->batch || sqlite->verdict != STORE_DONE || sqlite->files.gone.count > 0;
}

void sqlite_close(struct store *store)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    if (sqlite->batch)
        forget_batch(sqlite);
    for (size_t i = 0; i < SQL_STATEMENTS; i++)
        sqlite3_finalize(sqlite->statements[i]);
    checkpointer_close(sqlite->checkpointer); /* first: the last connection folds the log into the database */
    sqlite3_close(sqlite->db);
    content_files_close(&sqlite->files);
    free(sqlite);
}

/* ---- spool ---- */

int sqlite_spool(struct store *store, uint64_t spool, enum store_verdict *verdict)
{
    int descriptor;
    int number = content_files_spool(&sqlite_of(store)->files, spool, &descriptor);
    *verdict = number == 0 ? STORE_DONE : number == ENOSPC || number == EDQUOT ? STORE_FULL : STORE_FAILED;
    errno = number;
    return descriptor;
}

void sqlite_spool_drop(struct store *store, uint64_t spool)
{
    content_files_spool_drop(&sqlite_of(store)->files, spool);
}

/* ---- for tests ---- */

void sqlite_store_limit_pages(struct store *store, unsigned pages_max)
{
    char sql[64];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count = %u", pages_max == 0 ? 0xfffffffeu : pages_max);
    sqlite3_exec(sqlite_of(store)->db, sql, NULL, NULL, NULL);
}

void sqlite_store_checkpoint_every(struct store *store, unsigned pages)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    checkpointer_close(sqlite->checkpointer);
    sqlite->checkpointer = NULL;
    sqlite->log_pages_max = (int)pages;
}

void sqlite_store_checkpoint_beside(struct store *store, unsigned pages)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    checkpointer_close(sqlite->checkpointer);
    sqlite->checkpointer = checkpointer_open(sqlite3_db_filename(sqlite->db, "main"), pages);
}

uint64_t sqlite_store_passes(struct store *store)
{
    return checkpointer_passes(sqlite_of(store)->checkpointer);
}

void sqlite_store_wait(struct store *store, unsigned lock_wait_ms)
{
    sqlite3_busy_timeout(sqlite_of(store)->db, (int)lock_wait_ms);
}

bool sqlite_store_plans_are_seeks(struct store *store, struct error *error)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    for (size_t i = SQL_MESSAGE_ADD; i < SQL_STATEMENTS; i++) {
        if (i == SQL_LEFTOVERS)
            continue;
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite_sql[i]);
        sqlite3_stmt *statement = NULL;
        bool good = sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL) == SQLITE_OK;
        while (good && sqlite3_step(statement) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(statement, 3);
            if (strstr(plan, "SCAN") != NULL || strstr(plan, "TEMP B-TREE") != NULL)
                good = error_set(error, EX_SOFTWARE, "%s: %s", sqlite_sql[i], plan);
        }
        sqlite3_finalize(statement);
        sqlite3_free(sql);
        if (!good)
            return false;
    }
    return true;
}
