/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite: the operations of store.h as statements, each prepared once. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/attempt_history.h"
#include "store/expansion_member.h"
#include "store/sqlite_internal.h"

#define RECIPIENT_COLUMNS                                                                               \
    "number, held, due_ms, attempts, flags, destination, address, original, orcpt, last_ms, last_code," \
    " last_enhanced, last_text, last_peer, last_tls, via, progress"

const char *const sqlite_sql[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MESSAGE_ADD] = "INSERT INTO message VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_RECIPIENT_ADD] = "INSERT INTO recipient(message_id, number, held, due_ms, attempts, flags, "
                          "destination, address, original, orcpt, via)"
                          " VALUES(?,?,0,?,0,?,?,?,?,?,?)",
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
    [SQL_READ] = "SELECT arrived_ms, expires_ms, size, flags, sender, envid, account, client_address, "
                 "client_helo, protocol, tls, port, content, prefix FROM message WHERE id=?",
    [SQL_READ_ENVELOPE] =
        "SELECT arrived_ms, expires_ms, size, flags, sender, envid, account, client_address, client_helo,"
        " protocol, tls, port FROM message WHERE id=?",
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

/* What the flags columns hold. */
enum { FLAG_RET = 2, FLAG_SMTPUTF8 = 16, FLAG_REQUIRETLS = 32, FLAG_LARGE = 64, BODY_MASK = 3, RET_MASK = 3 };
/* FLAG_EXPANDS: how far it stands to the left */
enum { FLAG_LOCAL = 16, FLAG_AWAY = 32, NOTIFY_MASK = 15, FLAG_EXPANDS = 6, EXPANDS_MASK = 3 };

/* ---- failure ---- */

bool sqlite_problem(struct sqlite_store *sqlite, int code, int number)
{
    if (sqlite->verdict != STORE_DONE)
        return false;
    sqlite->problem = code;
    sqlite->problem_errno = number;
    bool no_room = number == ENOSPC || number == EDQUOT || number == EFBIG;
    sqlite->verdict = (code & 0xff) == SQLITE_FULL || (no_room && code != SQLITE_IOERR_FSYNC) ? STORE_FULL
                                                                                              : STORE_FAILED;
    return false;
}

static bool sqlite_reason(struct sqlite_store *sqlite, int code)
{
    return sqlite_problem(sqlite, code, (code & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(sqlite->db) : 0);
}

static bool explain(struct sqlite_store *sqlite, struct error *error)
{
    const char *reason = sqlite->problem != 0 ? sqlite3_errstr(sqlite->problem) : "the files beside it";
    errno = sqlite->problem_errno;
    bool full = sqlite->verdict == STORE_FULL;
    if ((sqlite->problem & 0xff) == SQLITE_CORRUPT)
        return error_set(error, EX_DATAERR,
                         "%s is damaged; stop the server, copy the folder, then recover what can be: "
                         "sqlite3 mailboat.db .recover | sqlite3 recovered.db",
                         sqlite->path);
    if (sqlite->problem_errno != 0)
        return error_set_errno(error, full ? EX_TEMPFAIL : EX_IOERR, "cannot write %s: %s", sqlite->path,
                               reason);
    return error_set(error, full ? EX_TEMPFAIL : EX_IOERR, "cannot write %s: %s", sqlite->path, reason);
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

/* A statement that changes something; NULL once there was failure. */
static sqlite3_stmt *change(struct sqlite_store *sqlite, enum sqlite_statement which)
{
    if (sqlite->verdict != STORE_DONE)
        return NULL;
    if (!sqlite->batch)
        sqlite->batch = sqlite_run(sqlite, sqlite_statement(sqlite, SQL_BEGIN));
    return sqlite->batch ? sqlite_statement(sqlite, which) : NULL;
}

static void bind_number(sqlite3_stmt *statement, int at, uint64_t value)
{
    sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

/* Octets that live until the statement is reset; empty ones are NULL. */
static void bind_text(sqlite3_stmt *statement, int at, struct bytes b)
{
    if (b.length == 0)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text64(statement, at, b.at, b.length, SQLITE_STATIC, SQLITE_UTF8);
}

/* For columns that may not be NULL, and keys. */
static void bind_name(sqlite3_stmt *statement, int at, struct bytes b)
{
    sqlite3_bind_text64(statement, at, b.length == 0 ? "" : b.at, b.length, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_ids(sqlite3_stmt *statement, uint64_t id, uint64_t number)
{
    bind_number(statement, 1, id);
    bind_number(statement, 2, number);
}

static uint64_t column_number(sqlite3_stmt *statement, int at)
{
    return (uint64_t)sqlite3_column_int64(statement, at);
}

static struct bytes column_bytes(sqlite3_stmt *statement, int at, struct arena *arena)
{
    const void *octets = sqlite3_column_blob(statement, at);
    int length = sqlite3_column_bytes(statement, at);
    return octets == NULL ? bytes_none() : arena_copy(arena, bytes_of(octets, (size_t)length));
}

/* Six columns of one reply, beginning at `at`. */
static struct attempt_record read_reply(sqlite3_stmt *statement, int at, struct arena *arena)
{
    return (struct attempt_record){.when_ms = column_number(statement, at),
                                   .code = (uint32_t)column_number(statement, at + 1),
                                   .enhanced = column_bytes(statement, at + 2, arena),
                                   .text = column_bytes(statement, at + 3, arena),
                                   .peer = column_bytes(statement, at + 4, arena),
                                   .tls = column_bytes(statement, at + 5, arena)};
}

static sqlite3_stmt *question(struct sqlite_store *sqlite, enum sqlite_statement which)
{
    return sqlite->verdict == STORE_FAILED ? NULL : sqlite_statement(sqlite, which);
}

static void end_question(sqlite3_stmt *statement)
{
    if (statement != NULL)
        sqlite3_reset(statement);
}

/* ---- the batch ---- */

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
    /* Of a commit that failed for good the log may hold all, and a successor read it there. */
    if (sqlite->verdict == STORE_FAILED)
        content_files_abandoned(&sqlite->files);
    else
        content_files_rolled_back(&sqlite->files);
}

int sqlite_committed(void *owner, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_store *sqlite = owner;
    int code = pages < sqlite->log_pages_max
                   ? SQLITE_OK
                   : sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    bool for_want_of_room = (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK && !for_want_of_room)
        sqlite->checkpoint = code;
    return SQLITE_OK;
}

/* The notes of files that are gone by now leave with this batch. */
static void drop_leftovers(struct sqlite_store *sqlite)
{
    for (size_t i = 0; i < sqlite->files.leftover.count; i++) {
        sqlite3_stmt *statement = change(sqlite, SQL_LEFTOVER_REMOVE);
        if (statement == NULL)
            return;
        bind_number(statement, 1, sqlite->files.leftover.ids[i]);
        sqlite_run(sqlite, statement);
    }
}

/* What the rows name is on disk before they are. */
static void sync_files(struct sqlite_store *sqlite)
{
    int number = sqlite->batch && sqlite->verdict == STORE_DONE ? content_files_sync(&sqlite->files) : 0;
    if (number != 0)
        sqlite_problem(sqlite, 0, number);
}

static enum store_verdict sqlite_commit(struct store *store, struct error *error)
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
        if (verdict == STORE_FULL) /* room in the log that is used again is room */
            sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    }
    sqlite->batch = false;
    sqlite->verdict = verdict == STORE_FAILED ? STORE_FAILED : STORE_DONE;
    if (sqlite->checkpoint != SQLITE_OK) /* this commit holds; there is no next one */
        sqlite_problem(sqlite, sqlite->checkpoint, 0);
    return verdict;
}

static bool sqlite_is_changed(const struct store *store)
{
    const struct sqlite_store *sqlite = (const struct sqlite_store *)(const void *)store;
    return sqlite->batch || sqlite->verdict != STORE_DONE || sqlite->files.gone.count > 0;
}

static void sqlite_close(struct store *store)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    if (sqlite->batch)
        forget_batch(sqlite);
    for (size_t i = 0; i < SQL_STATEMENTS; i++)
        sqlite3_finalize(sqlite->statements[i]);
    sqlite3_close(sqlite->db);
    content_files_close(&sqlite->files);
    free(sqlite);
}

/* ---- spool ---- */

static int sqlite_spool(struct store *store, uint64_t spool, enum store_verdict *verdict)
{
    int descriptor;
    int number = content_files_spool(&sqlite_of(store)->files, spool, &descriptor);
    *verdict = number == 0 ? STORE_DONE : number == ENOSPC || number == EDQUOT ? STORE_FULL : STORE_FAILED;
    errno = number;
    return descriptor;
}

static void sqlite_spool_drop(struct store *store, uint64_t spool)
{
    content_files_spool_drop(&sqlite_of(store)->files, spool);
}

/* ---- changes ---- */

static unsigned message_flags(const struct envelope *e, bool large)
{
    return (unsigned)e->body | (unsigned)e->ret << FLAG_RET | (e->smtputf8 ? FLAG_SMTPUTF8 : 0u) |
           (e->requiretls ? FLAG_REQUIRETLS : 0u) | (large ? FLAG_LARGE : 0u);
}

static void bind_origin(sqlite3_stmt *statement, int at, const struct origin *origin)
{
    bind_text(statement, at, origin->account);
    bind_text(statement, at + 1, origin->client_address);
    bind_text(statement, at + 2, origin->client_helo);
    bind_text(statement, at + 3, origin->protocol);
    bind_text(statement, at + 4, origin->tls);
    bind_number(statement, at + 5, origin->port);
}

/* False when the id is taken, or with failure. */
static bool add_message(struct sqlite_store *sqlite, const struct store_message *message, uint64_t size,
                        bool large)
{
    const struct envelope *e = &message->envelope;
    sqlite3_stmt *statement = change(sqlite, SQL_MESSAGE_ADD);
    if (statement == NULL)
        return false;
    bind_number(statement, 1, message->id);
    bind_number(statement, 2, message->arrived_ms);
    bind_number(statement, 3, message->expires_ms);
    bind_number(statement, 4, size);
    bind_number(statement, 5, message_flags(e, large));
    bind_text(statement, 6, e->sender);
    bind_text(statement, 7, e->envid);
    bind_origin(statement, 8, &message->origin);
    if (large)
        sqlite3_bind_null(statement, 14);
    else
        sqlite3_bind_blob64(statement, 14, message->content.at == NULL ? "" : message->content.at,
                            message->content.length, SQLITE_STATIC);
    bind_text(statement, 15, message->prefix);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_bind_null(statement, 14);
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return false;
    return code == SQLITE_DONE || sqlite_reason(sqlite, code);
}

static void add_recipient(struct sqlite_store *sqlite, uint64_t id, uint64_t number,
                          const struct recipient *r, struct bytes destination, uint64_t due_ms)
{
    sqlite3_stmt *statement = change(sqlite, SQL_RECIPIENT_ADD);
    if (statement == NULL)
        return;
    bind_ids(statement, id, number);
    bind_number(statement, 3, due_ms);
    bind_number(statement, 4,
                (unsigned)r->notify | (r->local ? FLAG_LOCAL : 0u) | (r->away ? FLAG_AWAY : 0u) |
                    (unsigned)r->expands << FLAG_EXPANDS);
    bind_name(statement, 5, destination);
    bind_name(statement, 6, r->address);
    bind_text(statement, 7, r->original);
    bind_text(statement, 8, r->orcpt);
    bind_text(statement, 9, r->via);
    sqlite_run(sqlite, statement);
}

/* Remembered from now on; false where it was already. */
static bool note_member(struct sqlite_store *sqlite, uint64_t id, struct bytes key, uint64_t number)
{
    sqlite3_stmt *statement = change(sqlite, SQL_MEMBER_NOTE);
    if (statement == NULL)
        return false;
    bind_number(statement, 1, id);
    bind_name(statement, 2, key);
    bind_number(statement, 3, number);
    bool fresh = sqlite_row(sqlite, statement);
    sqlite_run(sqlite, statement);
    return fresh;
}

/* Before the first expansion: those who are there, and how they are numbered. */
static void begin_members(struct sqlite_store *sqlite, uint64_t id, const struct recipient *recipients,
                          size_t count)
{
    struct buffer scratch = {0};
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || recipients[i].expands != EXPANDS_NOT;
    for (size_t i = 0; any && i < count; i++)
        note_member(sqlite, id, expansion_member_key(&scratch, &recipients[i]), i);
    if (any)
        note_member(sqlite, id, bytes_none(), count - 1);
    buffer_free(&scratch);
}

static bool sqlite_accept(struct store *store, const struct store_message *message,
                          const struct bytes *destinations, uint64_t due_ms, uint64_t spool)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    uint64_t size = message->content.length;
    assert(message->envelope.recipient_count > 0);
    if (spool != 0 && !content_files_spool_size(&sqlite->files, spool, &size))
        return false;
    if (!add_message(sqlite, message, message->prefix.length + size, spool != 0))
        return sqlite->verdict != STORE_DONE; /* failure is told by the commit */
    int number = spool != 0 ? content_files_keep(&sqlite->files, spool, message->id) : 0;
    if (number != 0)
        return sqlite_problem(sqlite, 0, number) || true;
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        add_recipient(sqlite, message->id, i, &message->envelope.recipients[i], destinations[i], due_ms);
    begin_members(sqlite, message->id, message->envelope.recipients, message->envelope.recipient_count);
    return true;
}

static bool sqlite_add_member(struct store *store, uint64_t id, const struct recipient *member,
                              struct bytes destination, uint64_t due_ms)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    struct buffer scratch = {0};
    bool fresh = note_member(sqlite, id, expansion_member_key(&scratch, member), 0);
    buffer_free(&scratch);
    sqlite3_stmt *statement = fresh ? change(sqlite, SQL_MEMBER_NUMBER) : NULL;
    if (statement == NULL)
        return false;
    bind_number(statement, 1, id);
    bool numbered = sqlite_row(sqlite, statement);
    uint64_t number = numbered ? column_number(statement, 0) : 0;
    sqlite_run(sqlite, statement);
    if (!numbered) /* nobody but a stranger can have taken that row away */
        return sqlite_problem(sqlite, SQLITE_CORRUPT, 0);
    add_recipient(sqlite, id, number, member, destination, due_ms);
    return true;
}

/* The history, and behind it what was the last attempt until now. */
static void read_past(struct sqlite_store *sqlite, uint64_t id, uint32_t number, struct buffer *history)
{
    struct arena arena = {0};
    sqlite3_stmt *statement = question(sqlite, SQL_ATTEMPTS);
    if (statement == NULL)
        return;
    bind_ids(statement, id, number);
    if (sqlite_row(sqlite, statement) && column_number(statement, 0) != 0) {
        struct attempt_record last = read_reply(statement, 0, &arena);
        attempt_history_add(history, column_bytes(statement, 6, &arena), &last);
    }
    end_question(statement);
    arena_clear(&arena);
}

static void sqlite_defer(struct store *store, uint64_t id, uint32_t number, uint64_t due_ms,
                         uint32_t attempts, const struct attempt_record *last)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    struct buffer history = {0};
    if (attempts > 1)
        read_past(sqlite, id, number, &history);
    sqlite3_stmt *statement = change(sqlite, SQL_DEFER);
    if (statement == NULL) {
        buffer_free(&history);
        return;
    }
    bind_ids(statement, id, number);
    bind_number(statement, 3, due_ms);
    bind_number(statement, 4, attempts);
    bind_number(statement, 5, last->when_ms);
    bind_number(statement, 6, last->code);
    bind_text(statement, 7, last->enhanced);
    bind_text(statement, 8, bytes_first(last->text, STORE_REPLY_MAX));
    bind_text(statement, 9, last->peer);
    bind_text(statement, 10, last->tls);
    bind_text(statement, 11, buffer_bytes(&history));
    sqlite_run(sqlite, statement);
    sqlite3_bind_null(statement, 11);
    buffer_free(&history);
}

static void sqlite_place(struct store *store, uint64_t id, uint32_t number, struct bytes destination,
                         uint64_t due_ms, bool held)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, destination.length > 0 ? SQL_MOVE : SQL_PLACE);
    if (statement == NULL)
        return;
    bind_ids(statement, id, number);
    bind_number(statement, 3, due_ms);
    bind_number(statement, 4, held ? 1 : 0);
    if (destination.length > 0)
        bind_name(statement, 5, destination);
    sqlite_run(sqlite, statement);
}

static void sqlite_finish(struct store *store, uint64_t id, uint32_t number)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, SQL_FINISH);
    if (statement == NULL)
        return;
    bind_ids(statement, id, number);
    sqlite_run(sqlite, statement);
}

static void sqlite_advance(struct store *store, uint64_t id, uint32_t number, struct bytes progress,
                           uint64_t due_ms)
{
    sqlite3_stmt *statement = change(sqlite_of(store), SQL_ADVANCE);
    if (statement == NULL)
        return;
    bind_ids(statement, id, number);
    bind_number(statement, 3, due_ms);
    bind_text(statement, 4, progress);
    sqlite_run(sqlite_of(store), statement);
}

static void forget_members(struct sqlite_store *sqlite, uint64_t id)
{
    sqlite3_stmt *statement = change(sqlite, SQL_MEMBERS_FORGET);
    if (statement == NULL)
        return;
    bind_number(statement, 1, id);
    sqlite_run(sqlite, statement);
}

static void sqlite_expanded(struct store *store, uint64_t id, uint32_t number)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite_finish(store, id, number);
    sqlite3_stmt *statement = question(sqlite, SQL_EXPANDING);
    if (statement == NULL)
        return;
    bind_number(statement, 1, id);
    bool goes_on = sqlite_row(sqlite, statement);
    end_question(statement);
    if (!goes_on)
        forget_members(sqlite, id);
}

/* The message's row goes; its file follows the commit. True when there was one. */
static bool drop_message(struct sqlite_store *sqlite, enum sqlite_statement which, uint64_t id)
{
    sqlite3_stmt *statement = change(sqlite, which);
    if (statement == NULL)
        return false;
    bind_number(statement, 1, id);
    bool gone = sqlite_row(sqlite, statement);
    bool large = gone && (column_number(statement, 0) & FLAG_LARGE) != 0;
    if (gone)
        sqlite_run(sqlite, statement);
    else
        sqlite3_reset(statement);
    if (gone)
        forget_members(sqlite, id);
    statement = large ? change(sqlite, SQL_LEFTOVER_ADD) : NULL;
    if (statement == NULL)
        return gone;
    bind_number(statement, 1, id);
    if (sqlite_run(sqlite, statement))
        content_files_id_add(&sqlite->files.gone, id);
    return true;
}

static bool sqlite_settle(struct store *store, uint64_t id)
{
    return drop_message(sqlite_of(store), SQL_SETTLE, id);
}

static void sqlite_remove(struct store *store, uint64_t id)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, SQL_RECIPIENTS_REMOVE);
    if (statement == NULL)
        return;
    bind_number(statement, 1, id);
    sqlite_run(sqlite, statement);
    drop_message(sqlite, SQL_MESSAGE_REMOVE, id);
}

static void sqlite_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, SQL_DESTINATION_PUT);
    if (statement == NULL)
        return;
    bind_name(statement, 1, name);
    bind_number(statement, 2, due_ms);
    bind_number(statement, 3, failures);
    sqlite_run(sqlite, statement);
}

static void sqlite_destination_remove(struct store *store, struct bytes name)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, SQL_DESTINATION_REMOVE);
    if (statement == NULL)
        return;
    bind_name(statement, 1, name);
    sqlite_run(sqlite, statement);
}

static void sqlite_note_put(struct store *store, const char *name, struct bytes value)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = change(sqlite, SQL_NOTE_PUT);
    if (statement == NULL)
        return;
    bind_name(statement, 1, bytes_of_text(name));
    bind_name(statement, 2, value);
    sqlite_run(sqlite, statement);
}

/* ---- questions ---- */

bool sqlite_exists(struct sqlite_store *sqlite, uint64_t id)
{
    sqlite3_stmt *statement = question(sqlite, SQL_EXISTS);
    if (statement == NULL)
        return false;
    bind_number(statement, 1, id);
    bool there = sqlite_row(sqlite, statement);
    end_question(statement);
    return there;
}

static void read_origin(sqlite3_stmt *statement, int at, struct arena *arena, struct origin *origin)
{
    origin->account = column_bytes(statement, at, arena);
    origin->client_address = column_bytes(statement, at + 1, arena);
    origin->client_helo = column_bytes(statement, at + 2, arena);
    origin->protocol = column_bytes(statement, at + 3, arena);
    origin->tls = column_bytes(statement, at + 4, arena);
    origin->port = (uint32_t)column_number(statement, at + 5);
}

static bool sqlite_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                        struct store_message *message)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, with_content ? SQL_READ : SQL_READ_ENVELOPE);
    if (statement == NULL)
        return false;
    bind_number(statement, 1, id);
    bool there = sqlite_row(sqlite, statement);
    if (there) {
        unsigned flags = (unsigned)column_number(statement, 3);
        *message = (struct store_message){
            .id = id, .arrived_ms = column_number(statement, 0), .expires_ms = column_number(statement, 1)};
        struct envelope *e = &message->envelope;
        e->size = column_number(statement, 2);
        e->body = (enum body_type)(flags & BODY_MASK);
        e->ret = (enum dsn_ret)(flags >> FLAG_RET & RET_MASK);
        e->smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
        e->requiretls = (flags & FLAG_REQUIRETLS) != 0;
        e->sender = column_bytes(statement, 4, arena);
        e->envid = column_bytes(statement, 5, arena);
        read_origin(statement, 6, arena, &message->origin);
        message->large = (flags & FLAG_LARGE) != 0;
        message->prefix = with_content ? column_bytes(statement, 13, arena) : bytes_none();
        if (with_content)
            message->content = column_bytes(statement, 12, arena);
    }
    end_question(statement);
    return there;
}

static int sqlite_content(struct store *store, uint64_t id)
{
    return content_files_content(&sqlite_of(store)->files, id);
}

static void read_recipient(sqlite3_stmt *statement, struct arena *arena, struct store_recipient *r)
{
    unsigned flags = (unsigned)column_number(statement, 4);
    *r = (struct store_recipient){.number = (uint32_t)column_number(statement, 0),
                                  .held = column_number(statement, 1) != 0,
                                  .due_ms = column_number(statement, 2),
                                  .attempts = (uint32_t)column_number(statement, 3)};
    r->recipient.notify = (uint8_t)(flags & NOTIFY_MASK);
    r->recipient.local = (flags & FLAG_LOCAL) != 0;
    r->recipient.away = (flags & FLAG_AWAY) != 0;
    r->destination = column_bytes(statement, 5, arena);
    r->recipient.address = column_bytes(statement, 6, arena);
    r->recipient.original = column_bytes(statement, 7, arena);
    r->recipient.orcpt = column_bytes(statement, 8, arena);
    r->recipient.expands = (uint8_t)(flags >> FLAG_EXPANDS & EXPANDS_MASK) % EXPANDS_KINDS;
    r->last = read_reply(statement, 9, arena);
    r->recipient.via = column_bytes(statement, 15, arena);
    r->progress = column_bytes(statement, 16, arena);
}

static size_t sqlite_recipients(struct store *store, uint64_t id, uint32_t from, struct bytes destination,
                                size_t max, struct arena *arena, struct store_recipient *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, destination.length > 0 ? SQL_RECIPIENTS_OF : SQL_RECIPIENTS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_ids(statement, id, from);
    bind_number(statement, 3, max);
    if (destination.length > 0)
        bind_text(statement, 4, destination);
    while (count < max && sqlite_row(sqlite, statement))
        read_recipient(statement, arena, &found[count++]);
    end_question(statement);
    return count;
}

static size_t sqlite_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                              struct attempt_record *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_ATTEMPTS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_ids(statement, id, number);
    if (sqlite_row(sqlite, statement) && column_number(statement, 0) != 0) {
        count = attempt_history_read(column_bytes(statement, 6, arena), found);
        found[count++] = read_reply(statement, 0, arena);
    }
    end_question(statement);
    return count;
}

static size_t sqlite_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                          struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_WALK);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_ids(statement, after_id, after_number);
    bind_number(statement, 3, max);
    for (; count < max && sqlite_row(sqlite, statement); count++) {
        ids[count] = column_number(statement, 17);
        read_recipient(statement, arena, &found[count]);
    }
    end_question(statement);
    return count;
}

static size_t sqlite_due(struct store *store, struct bytes destination, uint64_t now_ms,
                         const struct store_due *after, size_t max, struct store_due *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_DUE);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_name(statement, 1, destination);
    bind_number(statement, 2, now_ms);
    bind_number(statement, 3, after->due_ms);
    bind_number(statement, 4, after->id);
    bind_number(statement, 5, after->number);
    bind_number(statement, 6, max);
    while (count < max && sqlite_row(sqlite, statement))
        found[count++] = (struct store_due){column_number(statement, 0), column_number(statement, 1),
                                            (uint32_t)column_number(statement, 2)};
    end_question(statement);
    return count;
}

static uint64_t first_number(struct sqlite_store *sqlite, sqlite3_stmt *statement)
{
    uint64_t value = sqlite_row(sqlite, statement) ? column_number(statement, 0) : STORE_NEVER;
    end_question(statement);
    return value;
}

static uint64_t sqlite_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    sqlite3_stmt *statement = question(sqlite_of(store), SQL_NEXT_DUE);
    if (statement == NULL)
        return STORE_NEVER;
    bind_name(statement, 1, destination);
    bind_number(statement, 2, after_ms);
    return first_number(sqlite_of(store), statement);
}

static void read_destination(sqlite3_stmt *statement, struct store_destination *found)
{
    const void *name = sqlite3_column_blob(statement, 2);
    size_t length = (size_t)sqlite3_column_bytes(statement, 2);
    found->due_ms = column_number(statement, 0);
    found->failures = (uint32_t)column_number(statement, 1);
    found->name_length = length < sizeof found->name ? length : sizeof found->name;
    if (name != NULL)
        memcpy(found->name, name, found->name_length);
}

static bool sqlite_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_DESTINATION);
    if (statement == NULL)
        return false;
    bind_name(statement, 1, name);
    bool there = sqlite_row(sqlite, statement);
    if (there)
        read_destination(statement, found);
    end_question(statement);
    return there;
}

static size_t sqlite_destinations_due(struct store *store, uint64_t now_ms,
                                      const struct store_destination *after, size_t max,
                                      struct store_destination *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_DESTINATIONS_DUE);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_number(statement, 1, now_ms);
    bind_number(statement, 2, after == NULL ? 0 : after->due_ms);
    bind_name(statement, 3, after == NULL ? bytes_none() : store_destination_name(after));
    bind_number(statement, 4, max);
    while (count < max && sqlite_row(sqlite, statement))
        read_destination(statement, &found[count++]);
    end_question(statement);
    return count;
}

static uint64_t sqlite_destinations_next(struct store *store, uint64_t after_ms)
{
    sqlite3_stmt *statement = question(sqlite_of(store), SQL_DESTINATIONS_NEXT);
    if (statement == NULL)
        return STORE_NEVER;
    bind_number(statement, 1, after_ms);
    return first_number(sqlite_of(store), statement);
}

/* All recipients of one message, for people. */
static void summarize(struct sqlite_store *sqlite, struct arena *arena, struct store_summary *summary)
{
    sqlite3_stmt *statement = question(sqlite, SQL_RECIPIENTS);
    if (statement == NULL)
        return;
    uint64_t latest_ms = 0;
    bind_ids(statement, summary->id, 0);
    bind_number(statement, 3, UINT32_MAX);
    while (sqlite_row(sqlite, statement)) {
        bool held = column_number(statement, 1) != 0;
        uint64_t due_ms = column_number(statement, 2), attempts = column_number(statement, 3),
                 last_ms = column_number(statement, 9);
        *(held ? &summary->held : &summary->waiting) += 1;
        if (!held && (summary->next_ms == 0 || due_ms < summary->next_ms))
            summary->next_ms = due_ms;
        if (attempts > summary->attempts)
            summary->attempts = (uint32_t)attempts;
        if (summary->first.length == 0)
            summary->first = column_bytes(statement, 6, arena);
        if (last_ms > latest_ms) {
            latest_ms = last_ms;
            unsigned code = (unsigned)column_number(statement, 10);
            const char *enhanced = (const char *)sqlite3_column_text(statement, 11);
            const char *text = (const char *)sqlite3_column_text(statement, 12);
            summary->reason = bytes_of_text(arena_format(
                arena, code == 0 ? "%.0u%s%s%s" : "%u %s%s%s", code, enhanced == NULL ? "" : enhanced,
                enhanced == NULL ? "" : " ", text == NULL ? "" : text));
        }
    }
    end_question(statement);
}

static size_t sqlite_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                          struct store_summary *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_LIST);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_ids(statement, after_id, max);
    for (; count < max && sqlite_row(sqlite, statement); count++)
        found[count] = (struct store_summary){.id = column_number(statement, 0),
                                              .arrived_ms = column_number(statement, 1),
                                              .expires_ms = column_number(statement, 2),
                                              .size = column_number(statement, 3),
                                              .sender = column_bytes(statement, 4, arena)};
    end_question(statement);
    for (size_t i = 0; i < count; i++)
        summarize(sqlite, arena, &found[i]);
    return count;
}

static size_t sqlite_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids,
                         uint64_t *expires_ms)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_IDS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    bind_ids(statement, after_id, max);
    for (; count < max && sqlite_row(sqlite, statement); count++) {
        ids[count] = column_number(statement, 0);
        if (expires_ms != NULL)
            expires_ms[count] = column_number(statement, 1);
    }
    end_question(statement);
    return count;
}

static struct bytes sqlite_note(struct store *store, const char *name, struct arena *arena)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = question(sqlite, SQL_NOTE);
    if (statement == NULL)
        return bytes_none();
    bind_name(statement, 1, bytes_of_text(name));
    struct bytes value = sqlite_row(sqlite, statement) ? column_bytes(statement, 0, arena) : bytes_none();
    end_question(statement);
    return value;
}

const struct store_operations sqlite_operations = {
    .close = sqlite_close,
    .commit = sqlite_commit,
    .is_changed = sqlite_is_changed,
    .spool = sqlite_spool,
    .spool_drop = sqlite_spool_drop,
    .accept = sqlite_accept,
    .defer = sqlite_defer,
    .place = sqlite_place,
    .finish = sqlite_finish,
    .add_member = sqlite_add_member,
    .advance = sqlite_advance,
    .expanded = sqlite_expanded,
    .settle = sqlite_settle,
    .remove = sqlite_remove,
    .destination_put = sqlite_destination_put,
    .destination_remove = sqlite_destination_remove,
    .note_put = sqlite_note_put,
    .read = sqlite_read,
    .content = sqlite_content,
    .recipients = sqlite_recipients,
    .attempts = sqlite_attempts,
    .due = sqlite_due,
    .next_due = sqlite_next_due,
    .destination = sqlite_destination,
    .destinations_due = sqlite_destinations_due,
    .destinations_next = sqlite_destinations_next,
    .list = sqlite_list,
    .ids = sqlite_ids,
    .walk = sqlite_walk,
    .note = sqlite_note,
};

/* ---- for tests ---- */

void store_sqlite_limit_pages(struct store *store, unsigned pages_max)
{
    char sql[64];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count = %u", pages_max == 0 ? 0xfffffffeu : pages_max);
    sqlite3_exec(sqlite_of(store)->db, sql, NULL, NULL, NULL);
}

void store_sqlite_checkpoint_every(struct store *store, unsigned pages)
{
    sqlite_of(store)->log_pages_max = (int)pages;
}

bool store_sqlite_plans_are_seeks(struct store *store, struct error *error)
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
