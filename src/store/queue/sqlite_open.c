/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_open: opens the folder, the lock, and the database with its schema. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/queue/sqlite_internal.h"

enum {
    APPLICATION_ID = 0x4d426f71, /* "MBoq", in the file's header */
    SCHEMA_VERSION = 8,
    BUSY_MS = 5000,
};

/*
 * The queue reads recipient_due and destination_due, which lead directly to the next due row however many
 * others wait. The content, its prefix and the texts of mail authentication are last in their row, so that
 * queries about a message do not read them. member has the members of an expansion, by
 * expansion_member_key(), and under the empty key the last assigned number.
 */
#define MEMBERS                                                                                    \
    "CREATE TABLE member(message_id INTEGER NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL," \
    " PRIMARY KEY(message_id, key)) WITHOUT ROWID;"
#define EVENTS "CREATE TABLE event(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, octets BLOB NOT NULL);"
#define JUDGED "CREATE TABLE judged(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, octets BLOB NOT NULL);"
static const char schema[] =
    "CREATE TABLE message(id INTEGER PRIMARY KEY, arrived_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " size INTEGER NOT NULL, flags INTEGER NOT NULL, sender TEXT, envid TEXT, account TEXT, client_address "
    "TEXT,"
    " client_helo TEXT, protocol TEXT, tls TEXT, port INTEGER NOT NULL, content BLOB, prefix TEXT, author "
    "TEXT, story TEXT);"
    "CREATE TABLE recipient(message_id INTEGER NOT NULL, number INTEGER NOT NULL, held INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, flags INTEGER NOT NULL, destination TEXT NOT NULL,"
    " address TEXT NOT NULL, original TEXT, orcpt TEXT, last_ms INTEGER, last_code INTEGER, last_enhanced "
    "TEXT,"
    " last_text TEXT, last_peer TEXT, last_tls TEXT, history TEXT, via TEXT, progress TEXT, sent_as "
    "TEXT, PRIMARY KEY(message_id, number)) WITHOUT ROWID;"
    "CREATE INDEX recipient_due ON recipient(destination, due_ms, message_id, number) WHERE held = 0;"
    "CREATE TABLE destination(name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, failures INTEGER NOT NULL) "
    "WITHOUT ROWID;"
    "CREATE INDEX destination_due ON destination(due_ms, name);" MEMBERS EVENTS JUDGED
    "CREATE TABLE leftover(id INTEGER PRIMARY KEY);"
    "CREATE TABLE note(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1296199537;"
    "PRAGMA user_version = 8;";

/* Migrations from each version to the next; none reads the rows. */
static const char *const migrations[SCHEMA_VERSION] = {
    [1] = "ALTER TABLE recipient ADD COLUMN last_tls TEXT;"
          "ALTER TABLE recipient ADD COLUMN history TEXT;"
          "PRAGMA user_version = 2;",
    [2] = "ALTER TABLE recipient ADD COLUMN via TEXT;"
          "ALTER TABLE recipient ADD COLUMN progress TEXT;" MEMBERS "PRAGMA user_version = 3;",
    [3] = "ALTER TABLE message ADD COLUMN prefix TEXT;"
          "PRAGMA user_version = 4;",
    [4] = EVENTS "PRAGMA user_version = 5;",
    [5] = "ALTER TABLE message ADD COLUMN author TEXT;"
          "ALTER TABLE message ADD COLUMN story TEXT;"
          "PRAGMA user_version = 6;",
    [6] = JUDGED "PRAGMA user_version = 7;",
    [7] = "ALTER TABLE recipient ADD COLUMN sent_as TEXT;"
          "PRAGMA user_version = 8;",
};

/* The message contains the remedy, since it is needed in an emergency. */
static bool refuse_damaged(const struct sqlite_store *sqlite, struct error *error)
{
    return error_set(
        error, EX_DATAERR,
        "%s is damaged (%s) and was left as it is; copy its directory, then recover what can be: "
        "sqlite3 mailboat.db .recover | sqlite3 recovered.db",
        sqlite->path, sqlite3_errmsg(sqlite->db));
}

static bool refuse(const struct sqlite_store *sqlite, const char *what, struct error *error)
{
    int code = sqlite3_errcode(sqlite->db) & 0xff;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return refuse_damaged(sqlite, error);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_PROTOCOL)
        return sqlite_refuse_locked(sqlite, sqlite3_errmsg(sqlite->db), error);
    return error_set(error, code == SQLITE_FULL ? EX_TEMPFAIL : EX_IOERR, "cannot %s %s: %s", what,
                     sqlite->path, sqlite3_errmsg(sqlite->db));
}

static bool ask_number(struct sqlite_store *sqlite, const char *sql, int *number)
{
    sqlite3_stmt *statement = NULL;
    bool known = sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW;
    if (known)
        *number = sqlite3_column_int(statement, 0);
    return sqlite3_finalize(statement) == SQLITE_OK && known;
}

static bool execute(struct sqlite_store *sqlite, const char *sql)
{
    return sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Validates before anything is written: this program's, undamaged, of a known version. 0: empty. */
static bool check_version(struct sqlite_store *sqlite, enum store_access access, int *version,
                          struct error *error)
{
    int application, tables;
    if (!ask_number(sqlite, "PRAGMA application_id", &application) ||
        !ask_number(sqlite, "PRAGMA user_version", version) ||
        !ask_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables))
        return refuse(sqlite, "read", error);
    if (application == 0 && *version == 0 && tables == 0)
        return true;
    if (application != APPLICATION_ID)
        return error_set(error, EX_DATAERR, "%s is not Mailboat's queue: move it away", sqlite->path);
    if (*version < 1 || *version > SCHEMA_VERSION)
        return error_set(error, EX_DATAERR,
                         "%s has schema version %d, this version reads %d; run the matching Mailboat",
                         sqlite->path, *version, SCHEMA_VERSION);
    if (*version < SCHEMA_VERSION && access == STORE_READ)
        return error_set(error, EX_TEMPFAIL,
                         "%s has the schema of an earlier version; restart the server, which upgrades it",
                         sqlite->path);
    return true;
}

static bool make_schema(struct sqlite_store *sqlite, struct error *error)
{
    if (execute(sqlite, "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE;") &&
        execute(sqlite, schema) && execute(sqlite, "COMMIT"))
        return true;
    bool done = refuse(sqlite, "write", error);
    execute(sqlite, "ROLLBACK");
    return done;
}

/* Syncs the names of new files (SQLite ignores a failure of that sync). */
static bool sync_folder(struct sqlite_store *sqlite, struct error *error)
{
    return fsync(sqlite->files.folder) == 0 ||
           error_set_errno(error, EX_IOERR, "cannot sync the directory of %s", sqlite->path);
}

/* Migrates version by version, in one transaction. */
static bool migrate(struct sqlite_store *sqlite, int version, struct error *error)
{
    bool done = execute(sqlite, "BEGIN IMMEDIATE");
    for (; done && version < SCHEMA_VERSION; version++)
        done = execute(sqlite, migrations[version]);
    if (done && execute(sqlite, "COMMIT"))
        return true;
    done = refuse(sqlite, "bring up to date", error);
    execute(sqlite, "ROLLBACK");
    return done;
}

/* SQLite would follow a link to a database, and block on a FIFO. */
static bool are_files(const struct sqlite_store *sqlite, struct error *error)
{
    static const char *const names[] = {"mailboat.db", "mailboat.db-wal", "mailboat.db-shm",
                                        "mailboat.db-journal"};
    struct stat facts;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (fstatat(sqlite->files.folder, names[i], &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISREG(facts.st_mode))
            return error_set(error, EX_CANTCREAT, "%s%s is not a file; stop the server and move it away",
                             sqlite->path, names[i] + strlen(names[0]));
    return true;
}

static bool open_database(struct sqlite_store *sqlite, enum store_access access, struct error *error)
{
    int flags = access == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (access == STORE_WRITE) { /* created here: private from the start */
        const int make = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        int descriptor = openat(sqlite->files.folder, "mailboat.db", make, 0600);
        if (descriptor < 0)
            return error_set_errno(error, EX_CANTCREAT, "cannot open %s", sqlite->path);
        close(descriptor);
    } else if (faccessat(sqlite->files.folder, "mailboat.db", R_OK, AT_EACCESS) != 0) {
        return error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_NOINPUT, "cannot read the queue %s",
                               sqlite->path);
    }
    if (!are_files(sqlite, error))
        return false;
    if (sqlite3_open_v2(sqlite->path, &sqlite->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return refuse(sqlite, "open", error);
    sqlite3_extended_result_codes(sqlite->db, 1);
    sqlite3_busy_timeout(sqlite->db, BUSY_MS);
    return true;
}

/*
 * A writer that ended because a sync failed may leave a log that reads well but is not on disk: the kernel
 * considers its pages written and never writes them again, and records that the next writer syncs after
 * the gap are lost with them on a power failure. So the log is rewritten, octet for octet, and synced
 * before it is used. (The database needs no such care: the log holds a page until it is synced there.)
 */
static bool renew_log(struct sqlite_store *sqlite, struct error *error)
{
    enum { PIECE = 65536 };
    static char piece[PIECE];
    sqlite3_file *log = NULL;
    sqlite3_int64 size = 0;
    if (sqlite3_file_control(sqlite->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
        log == NULL || log->pMethods == NULL)
        return true; /* no log yet */
    int code = log->pMethods->xFileSize(log, &size);
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += PIECE) {
        int length = size - at < PIECE ? (int)(size - at) : PIECE;
        code = log->pMethods->xRead(log, piece, length, at);
        if (code == SQLITE_OK)
            code = log->pMethods->xWrite(log, piece, length, at);
    }
    if (code == SQLITE_OK && size > 0)
        code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    return code == SQLITE_OK ||
           error_set(error, EX_IOERR, "cannot rewrite %s-wal: %s", sqlite->path, sqlite3_errstr(code));
}

static bool prepare_database(struct sqlite_store *sqlite, enum store_access access, struct error *error)
{
    int version = 0;
    if (!check_version(sqlite, access, &version, error))
        return false;
    if (access == STORE_READ)
        return version != 0 ||
               error_set(error, EX_NOINPUT, "the queue %s is empty and new: the server has not used it yet",
                         sqlite->path);
    if (version == 0 && !make_schema(sqlite, error))
        return false;
    if (!execute(sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;"
                         "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = OFF; PRAGMA cache_size = -8192;"
                         "PRAGMA journal_size_limit = 67108864;"))
        return refuse(sqlite, "prepare", error);
    if (version != 0 && !renew_log(sqlite, error))
        return false;
    if (version != 0 && version < SCHEMA_VERSION && !migrate(sqlite, version, error))
        return false;
    sqlite->log_pages_max = CHECKPOINT_START;
    sqlite3_wal_hook(sqlite->db, sqlite_committed, sqlite);
    content_files_sweep(sqlite);
    if (!sync_folder(sqlite, error))
        return false;
    sqlite->checkpointer = checkpointer_open(sqlite3_db_filename(sqlite->db, "main"), CHECKPOINT_START);
    return sqlite->verdict == STORE_DONE || refuse(sqlite, "read", error);
}

struct store *sqlite_store_open(const char *folder, enum store_access access, struct error *error)
{
    struct sqlite_store *sqlite = memory_new(sizeof *sqlite);
    sqlite->store = (struct store){&sqlite_changes, &sqlite_pages, &sqlite_people};
    sqlite->access = access;
    snprintf(sqlite->path, sizeof sqlite->path, "%s/mailboat.db", folder);
    if (content_files_open(&sqlite->files, folder, access, error) && open_database(sqlite, access, error) &&
        prepare_database(sqlite, access, error))
        return &sqlite->store;
    store_close(&sqlite->store);
    return NULL;
}
