/* SPDX-License-Identifier: Apache-2.0 */
/* report_store_open: the file and its schema, and how statements are made. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "store/report_store_file.h"

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x4d427270 /* "MBrp" */, BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE report (number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, at_s INTEGER NOT NULL,"
    " organization TEXT NOT NULL, id TEXT NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL,"
    " begin_s INTEGER NOT NULL, end_s INTEGER NOT NULL, rows INTEGER NOT NULL, left_out INTEGER NOT NULL,"
    " UNIQUE (kind, organization, id, domain));"
    "CREATE INDEX report_by_time ON report (kind, at_s, rows);"
    "CREATE TABLE source (report INTEGER NOT NULL, source TEXT NOT NULL, header_from TEXT NOT NULL,"
    " messages INTEGER NOT NULL, disposition INTEGER NOT NULL, dkim INTEGER NOT NULL, spf INTEGER NOT NULL);"
    "CREATE INDEX source_by_report ON source (report);"
    "CREATE TABLE tls_policy (report INTEGER NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL,"
    " successes INTEGER NOT NULL, failures INTEGER NOT NULL);"
    "CREATE INDEX tls_policy_by_report ON tls_policy (report);"
    "CREATE TABLE tls_failure (report INTEGER NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL,"
    " sender TEXT NOT NULL, receiver TEXT NOT NULL, sessions INTEGER NOT NULL);"
    "CREATE INDEX tls_failure_by_report ON tls_failure (report);"
    "CREATE TABLE complaint (report INTEGER PRIMARY KEY, type TEXT NOT NULL, address TEXT NOT NULL,"
    " sender TEXT NOT NULL, source TEXT NOT NULL, message_id TEXT NOT NULL, reporter TEXT NOT NULL,"
    " incidents INTEGER NOT NULL);"
    "CREATE INDEX complaint_by_address ON complaint (address);"
    "CREATE TABLE kept (number INTEGER PRIMARY KEY AUTOINCREMENT, at_s INTEGER NOT NULL, octets INTEGER NOT"
    " NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL, message BLOB NOT NULL);"
    "PRAGMA application_id = 1296200304; PRAGMA user_version = 1;";
static_assert(APPLICATION_ID == 1296200304, "the schema writes it in decimal");

/* ---- errors ---- */

static bool is_damage(int code)
{
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

bool report_store_fail(const struct report_store *store, struct error *error)
{
    int code = sqlite3_errcode(store->db);
    if (is_damage(code))
        return error_set(error, EX_DATAERR, "%s is damaged", store->path);
    if (code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_CANTOPEN || code == SQLITE_AUTH)
        return error_set(
            error, EX_NOPERM,
            "%s cannot be opened by this user; run as root or as the owner of the data directory",
            store->path);
    if (code == SQLITE_FULL)
        return error_set(error, EX_TEMPFAIL, "%s: the disk is full", store->path);
    return error_set(error, EX_TEMPFAIL, "%s: %s", store->path, sqlite3_errmsg(store->db));
}

/* ---- opening ---- */

static int64_t pragma_number(struct report_store *store, const char *text)
{
    sqlite3_stmt *statement;
    int64_t number = -1;
    if (sqlite3_prepare_v2(store->db, text, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static bool make_schema(struct report_store *store, struct error *error)
{
    char *text = sqlite3_mprintf("BEGIN IMMEDIATE; %s COMMIT", schema);
    bool made = text != NULL && sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_free(text);
    return made || report_store_fail(store, error);
}

static bool check_schema(struct report_store *store, enum report_store_access access, struct error *error)
{
    int64_t version = pragma_number(store, "PRAGMA user_version");
    int64_t tables = version < 0 ? -1 : pragma_number(store, "SELECT count(*) FROM sqlite_schema");
    if (tables < 0)
        return report_store_fail(store, error);
    if (version == 0 && tables == 0)
        return access == REPORT_STORE_WRITE ? make_schema(store, error)
                                            : error_set(error, EX_NOINPUT, "no report has arrived yet");
    return (version == SCHEMA_VERSION && pragma_number(store, "PRAGMA application_id") == APPLICATION_ID) ||
           error_set(
               error, EX_CONFIG,
               "%s is not a file of reports of this version of Mailboat; move it away or use the version "
               "that made it",
               store->path);
}

/* Readers too open it for writing, so that the journal of a writer that was killed can be rolled back. */
static bool open_file(struct report_store *store, enum report_store_access access, struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                (access == REPORT_STORE_WRITE ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(store->path, &store->db, flags, NULL) != SQLITE_OK)
        return report_store_fail(store, error);
    sqlite3_busy_timeout(store->db, BUSY_MS);
    if (!check_schema(store, access, error))
        return false;
    const char *settings = access == REPORT_STORE_WRITE
                               ? "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY"
                               : "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY";
    return sqlite3_exec(store->db, settings, NULL, NULL, NULL) == SQLITE_OK ||
           report_store_fail(store, error);
}

static void close_file(struct report_store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
}

/* Reports are worth less than the mail that waits behind them: a damaged file is kept for a person, and a new
 * one begun. */
static bool set_aside(struct report_store *store, struct error *error)
{
    struct buffer path = {0};
    close_file(store);
    buffer_add_format(&path, "%s.damaged", store->path);
    store->set_aside = rename(store->path, buffer_text(&path)) == 0;
    if (!store->set_aside)
        error_set_errno(error, EX_NOPERM, "cannot rename %s", store->path);
    buffer_clear(&path);
    buffer_add_format(&path, "%s-journal", store->path);
    unlink(buffer_text(&path));
    buffer_free(&path);
    return store->set_aside && open_file(store, REPORT_STORE_WRITE, error);
}

static bool is_missing(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) != 0 && errno == ENOENT;
}

struct report_store *report_store_open(const char *folder, enum report_store_access access,
                                       struct error *error)
{
    struct report_store *store = memory_new(sizeof *store);
    struct buffer path = {0};
    struct error why = {0};
    buffer_add_format(&path, "%s/reports.db", folder);
    store->path = path.at; /* owned by store from here on */
    if (access == REPORT_STORE_READ && is_missing(store->path)) {
        error_set(error, EX_NOINPUT, "no report has arrived yet");
        report_store_close(store);
        return NULL;
    }
    mode_t before = umask(0077);
    bool opened = open_file(store, access, &why) ||
                  (access == REPORT_STORE_WRITE && why.exit_code == EX_DATAERR && set_aside(store, &why));
    umask(before);
    if (opened)
        return store;
    error_set(error, why.exit_code, "%s", why.text);
    report_store_close(store);
    return NULL;
}

void report_store_close(struct report_store *store)
{
    if (store == NULL)
        return;
    close_file(store);
    free(store->path);
    free(store);
}

bool report_store_has_set_aside(const struct report_store *store)
{
    return store->set_aside;
}

/* ---- statements ---- */

static void bind_all(sqlite3_stmt *statement, const char *types, va_list values)
{
    for (int i = 0; types[i] != '\0'; i++) {
        struct bytes text;
        if (types[i] == 'n') {
            sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)va_arg(values, uint64_t));
            continue;
        }
        text = va_arg(values, struct bytes);
        if (text.at == NULL)
            text = BYTES("");
        if (types[i] == 't') {
            text = bytes_first(text, REPORT_STORE_TEXT_MAX);
            sqlite3_bind_text(statement, i + 1, text.at, (int)text.length, SQLITE_TRANSIENT);
        } else {
            sqlite3_bind_blob(statement, i + 1, text.at, (int)text.length, SQLITE_TRANSIENT);
        }
    }
}

void report_store_bind(sqlite3_stmt *statement, const char *types, ...)
{
    va_list values;
    sqlite3_reset(statement);
    va_start(values, types);
    bind_all(statement, types, values);
    va_end(values);
}

static sqlite3_stmt *prepare(struct report_store *store, struct error *error, const char *sql,
                             const char *types, va_list values)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        report_store_fail(store, error);
        return NULL;
    }
    bind_all(statement, types, values);
    return statement;
}

sqlite3_stmt *report_store_prepare(struct report_store *store, struct error *error, const char *sql,
                                   const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sqlite3_stmt *statement = prepare(store, error, sql, types, values);
    va_end(values);
    return statement;
}

bool report_store_run(struct report_store *store, struct error *error, const char *sql, const char *types,
                      ...)
{
    va_list values;
    va_start(values, types);
    sqlite3_stmt *statement = prepare(store, error, sql, types, values);
    va_end(values);
    if (statement == NULL)
        return false;
    bool done = sqlite3_step(statement) == SQLITE_DONE;
    if (!done)
        report_store_fail(store, error);
    sqlite3_finalize(statement);
    return done;
}
