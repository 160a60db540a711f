/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_internal: shared by the parts of the SQLite store: sqlite.c (statements, the batch),
 * sqlite_changes.c, sqlite_pages.c and sqlite_people.c (a group of operations each), sqlite_open.c (the
 * folder, the lock, the schema) and content_files.c (large contents); included only there.
 */
#ifndef MAILBOAT_STORE_QUEUE_SQLITE_INTERNAL_H
#define MAILBOAT_STORE_QUEUE_SQLITE_INTERNAL_H

#include <assert.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "store/queue/checkpointer.h"
#include "store/queue/sqlite.h"
#include "store/queue/store_kind.h"

enum sqlite_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MESSAGE_ADD,
    SQL_RECIPIENT_ADD,
    SQL_DEFER,
    SQL_MOVE,
    SQL_PLACE,
    SQL_FINISH,
    SQL_SETTLE,
    SQL_MEMBER_NOTE,
    SQL_MEMBER_NUMBER,
    SQL_MEMBERS_FORGET,
    SQL_ADVANCE,
    SQL_EXPANDING,
    SQL_RECIPIENTS_REMOVE,
    SQL_MESSAGE_REMOVE,
    SQL_LEFTOVER_ADD,
    SQL_LEFTOVER_REMOVE,
    SQL_LEFTOVERS,
    SQL_DESTINATION_PUT,
    SQL_DESTINATION_REMOVE,
    SQL_NOTE_PUT,
    SQL_EVENTS_PUT, /* these four: sqlite_events.c */
    SQL_EVENTS_TRIM,
    SQL_EVENTS_DROP,
    SQL_EVENTS_AFTER,
    SQL_JUDGED_PUT, /* the same of the other stream */
    SQL_JUDGED_TRIM,
    SQL_JUDGED_DROP,
    SQL_JUDGED_AFTER,
    SQL_READ,
    SQL_READ_ENVELOPE,
    SQL_EXISTS,
    SQL_RECIPIENTS,
    SQL_RECIPIENTS_OF,
    SQL_ATTEMPTS,
    SQL_DUE,
    SQL_NEXT_DUE,
    SQL_DESTINATION,
    SQL_DESTINATIONS_DUE,
    SQL_DESTINATIONS_NEXT,
    SQL_LIST,
    SQL_IDS,
    SQL_WALK,
    SQL_NOTE,
    SQL_STATEMENTS
};
extern const char *const sqlite_sql[SQL_STATEMENTS];

/* Ids whose files change with the batch. */
struct id_list {
    uint64_t *ids;
    size_t count, capacity;
};

/* The folder and its large contents. */
struct content_files {
    int folder, spool, content, lock; /* descriptors; -1 if not open */
    struct id_list fresh;             /* linked in this batch */
    struct id_list gone;              /* their rows were removed in this batch */
    struct id_list leftover;          /* unlinked, still recorded in the table */
};

struct sqlite_store {
    struct store store; /* the first member */
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_STATEMENTS];
    enum store_access access;
    enum store_verdict verdict; /* of the current batch */
    /* error after the last commit, which itself is on disk; SQLITE_OK: none */
    int checkpoint;
    struct checkpointer *checkpointer; /* NULL: every checkpoint is made by a commit */
    int log_pages_max;                 /* pages of the log that start a checkpoint then */
    bool batch;                        /* a transaction is open */
    int problem;                       /* the error code of the verdict */
    int problem_errno;
    uint64_t event_rows_put[STORE_STREAMS]; /* since it was opened */
    struct content_files files;
    char path[4096]; /* of the database, for messages */
};

static inline struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)(void *)store;
}
extern const struct store_changes sqlite_changes;
extern const struct store_pages sqlite_pages;
extern const struct store_people sqlite_people;

/* SQLite's hook after each commit: sees to a log that has become long. */
int sqlite_committed(void *owner, sqlite3 *db, const char *name, int pages);
/* Records the first failure of a batch; returns false. */
bool sqlite_problem(struct sqlite_store *sqlite, int code, int number);
/* Returns the statement, prepared once, without bindings; NULL on failure. */
sqlite3_stmt *sqlite_statement(struct sqlite_store *sqlite, enum sqlite_statement which);
/* Runs it to its end. */
bool sqlite_run(struct sqlite_store *sqlite, sqlite3_stmt *statement);
/* True if it returns a row. The caller resets it afterwards. */
bool sqlite_row(struct sqlite_store *sqlite, sqlite3_stmt *statement);
bool sqlite_exists(struct sqlite_store *sqlite, uint64_t id);
/* Reads the message without recipients, with its content and prefix if not larger than `content_max` (0:
 * without); texts in the arena. False: not found. */
bool sqlite_read_message(struct sqlite_store *sqlite, uint64_t id, uint64_t content_max, struct arena *arena,
                         struct store_message *message, bool *has_content);
/* Reads the row of a statement that begins with RECIPIENT_COLUMNS. */
void sqlite_read_recipient(sqlite3_stmt *statement, struct arena *arena, struct store_recipient *r);
/* Records why the last statement failed; returns false. */
bool sqlite_reason(struct sqlite_store *sqlite, int code);
/* Another process has the database locked; false. */
bool sqlite_refuse_locked(const struct sqlite_store *sqlite, const char *reason, struct error *error);

void sqlite_commit_start(struct store *store);
bool sqlite_commit_done(struct store *store, enum store_verdict *verdict, struct error *error);
enum store_verdict sqlite_verdict(const struct store *store, struct error *error);
bool sqlite_is_changed(const struct store *store);
void sqlite_close(struct store *store);
int sqlite_spool(struct store *store, uint64_t spool, enum store_verdict *verdict);
void sqlite_spool_drop(struct store *store, uint64_t spool);

/* Bits of the flags columns. */
/* FLAG_RET, FLAG_ORIGIN: how far they stand to the left */
enum { FLAG_RET = 2, FLAG_SMTPUTF8 = 16, FLAG_REQUIRETLS = 32, FLAG_LARGE = 64, BODY_MASK = 3, RET_MASK = 3 };
enum { FLAG_ORIGIN = 7, ORIGIN_MASK = 7, FLAG_LONG_LINES = 1024 };
enum { FLAG_TRUST = 16 }; /* how far trust_record_code() stands to the left */
/* FLAG_EXPANDS: how far it stands to the left */
enum { FLAG_LOCAL = 16, FLAG_AWAY = 32, NOTIFY_MASK = 15, FLAG_EXPANDS = 6, EXPANDS_MASK = 3 };
enum { FLAG_REPORTS = 256 };

/* ---- in statements ---- */

/* Checks what must hold between any two statements, from what is in memory alone. */
bool sqlite_is_sound(const struct sqlite_store *sqlite);

/* Returns a statement for a change; NULL after a failure. */
static inline sqlite3_stmt *sqlite_change(struct sqlite_store *sqlite, enum sqlite_statement which)
{
    assert(sqlite->access == STORE_WRITE && sqlite_is_sound(sqlite));
    if (sqlite->verdict != STORE_DONE)
        return NULL;
    if (!sqlite->batch)
        sqlite->batch = sqlite_run(sqlite, sqlite_statement(sqlite, SQL_BEGIN));
    return sqlite->batch ? sqlite_statement(sqlite, which) : NULL;
}

static inline void sqlite_bind_number(sqlite3_stmt *statement, int at, uint64_t value)
{
    sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

/* Binds octets that live until the statement is reset; empty ones are NULL. */
static inline void sqlite_bind_text(sqlite3_stmt *statement, int at, struct bytes b)
{
    if (b.length == 0)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text64(statement, at, b.at, b.length, SQLITE_STATIC, SQLITE_UTF8);
}

/* For columns that may not be NULL, and keys. */
static inline void sqlite_bind_name(sqlite3_stmt *statement, int at, struct bytes b)
{
    sqlite3_bind_text64(statement, at, b.length == 0 ? "" : b.at, b.length, SQLITE_STATIC, SQLITE_UTF8);
}

static inline void sqlite_bind_ids(sqlite3_stmt *statement, uint64_t id, uint64_t number)
{
    sqlite_bind_number(statement, 1, id);
    sqlite_bind_number(statement, 2, number);
}

static inline uint64_t sqlite_column_number(sqlite3_stmt *statement, int at)
{
    return (uint64_t)sqlite3_column_int64(statement, at);
}

static inline struct bytes sqlite_column_bytes(sqlite3_stmt *statement, int at, struct arena *arena)
{
    const void *octets = sqlite3_column_blob(statement, at);
    int length = sqlite3_column_bytes(statement, at);
    return octets == NULL ? bytes_none() : arena_copy(arena, bytes_of(octets, (size_t)length));
}

/* Reads the six columns of one reply, starting at `at`. */
static inline struct attempt_record sqlite_read_reply(sqlite3_stmt *statement, int at, struct arena *arena)
{
    return (struct attempt_record){.when_ms = sqlite_column_number(statement, at),
                                   .code = (uint32_t)sqlite_column_number(statement, at + 1),
                                   .enhanced = sqlite_column_bytes(statement, at + 2, arena),
                                   .text = sqlite_column_bytes(statement, at + 3, arena),
                                   .peer = sqlite_column_bytes(statement, at + 4, arena),
                                   .tls = sqlite_column_bytes(statement, at + 5, arena)};
}

static inline sqlite3_stmt *sqlite_question(struct sqlite_store *sqlite, enum sqlite_statement which)
{
    bool answers = sqlite->verdict == STORE_DONE || sqlite->verdict == STORE_FULL;
    return answers ? sqlite_statement(sqlite, which) : NULL;
}

static inline void sqlite_end_question(sqlite3_stmt *statement)
{
    if (statement != NULL)
        sqlite3_reset(statement);
}

/* ---- content_files.c ---- */

bool content_files_open(struct content_files *files, const char *folder, enum store_access access,
                        struct error *error);
void content_files_close(struct content_files *files);
/* Returns 0 or an errno. */
int content_files_spool(struct content_files *files, uint64_t spool, int *descriptor);
void content_files_spool_drop(struct content_files *files, uint64_t spool);
/* Gets the size of a spooled content; false if there is none. */
bool content_files_spool_size(struct content_files *files, uint64_t spool, uint64_t *size);
/* Makes the spooled file the content of `id`; returns 0 or an errno. */
int content_files_keep(struct content_files *files, uint64_t spool, uint64_t id);
/* Before the batch commits: syncs its contents and their names; returns 0 or an errno. */
int content_files_sync(struct content_files *files);
int content_files_content(struct content_files *files, uint64_t id);
void content_files_remove(struct content_files *files, uint64_t id);
void content_files_committed(struct content_files *files);
void content_files_rolled_back(struct content_files *files);
/* The batch may or may not be on disk: keeps its files, the successor's sweep decides. */
void content_files_abandoned(struct content_files *files);
/* Removes leftovers of a crash. */
void content_files_sweep(struct sqlite_store *sqlite);
void content_files_id_add(struct id_list *list, uint64_t id);

/* ---- sqlite_events.c ---- */

void sqlite_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets);
void sqlite_events_drop(struct store *store, enum store_stream stream, uint64_t cursor);
size_t sqlite_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                           struct arena *arena, struct store_events *found);

#endif
