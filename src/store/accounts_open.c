/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_open: the file and its schema. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/accounts_file.h"

enum { SCHEMA_VERSION = 5, APPLICATION_ID = 0x4d426163 /* "MBac" */, BUSY_MS = 5000 };

static const char *const statement_texts[STATEMENTS] = {
    [FIND_USER] = "SELECT address, password, disabled, scram, forward, keeps, EXISTS(SELECT 1 FROM away "
                  "WHERE user = ?1), quota FROM user WHERE address = ?1",
    [FIND_AWAY] = "SELECT since_ms, until_ms, days, subject, text FROM away WHERE user = ?1",
    [FIND_KEY] = "SELECT user, hash, scram FROM key WHERE id = ?1",
    /* ACCOUNT_KEYS_MAX */
    [KEYS_OF_USER] = "SELECT scram, id FROM key WHERE user = ?1 AND scram IS NOT NULL ORDER BY id LIMIT 100",
    [HAS_ALIAS] = "SELECT 1 FROM alias WHERE address = ?1 LIMIT 1",
    [PAGE_OF_ALIAS] = "SELECT target FROM alias WHERE address = ?1 AND target > ?2 ORDER BY target LIMIT ?3",
    [ALIAS_NAMES] = "SELECT 1 FROM alias WHERE address = ?1 AND target = ?2 UNION ALL"
                    " SELECT 1 FROM alias WHERE address = ?1 AND target >= ?3 AND target < ?4 AND "
                    "substr(target, instr(target, '@') + 1) = ?5 LIMIT 1",
    [ALIASES_OF_ALIAS] = "SELECT target FROM alias AS one WHERE address = ?1 AND target <> ?1"
                         " AND (instr(target, '+') > 0 OR EXISTS(SELECT 1 FROM alias AS other WHERE "
                         "other.address = one.target))",
    /* '@' is the octet before 'A': an address never begins with it */
    [DOMAIN_IS] = "SELECT target FROM alias WHERE address = ?1 AND target >= '@' AND target < 'A' LIMIT 1",
    [FIND_DOMAIN] = "SELECT 1 FROM domain WHERE name = ?1",
    [FIRST_OF_DOMAIN] = "SELECT address FROM user ORDER BY substr(address, instr(address, '@') + 1) <> ?1, "
                        "created, address LIMIT 1",
};

#define SECRETS                                                                        \
    "CREATE TABLE secret (name TEXT PRIMARY KEY, octets BLOB NOT NULL) WITHOUT ROWID;" \
    "INSERT INTO secret (name, octets) VALUES ('salt', randomblob(32));"
#define ABSENCES                                                                                            \
    "CREATE TABLE away (user TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, days " \
    "INTEGER NOT NULL,"                                                                                     \
    " subject TEXT NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;"

/* Migrations from each version to the next; from the empty file to the last. */
static const char *const migrations[SCHEMA_VERSION] = {
    [0] = "CREATE TABLE user (address TEXT PRIMARY KEY, password TEXT NOT NULL, disabled INTEGER NOT NULL "
          "DEFAULT 0, created INTEGER NOT NULL, scram BLOB,"
          " forward TEXT, keeps INTEGER NOT NULL DEFAULT 1, quota INTEGER) WITHOUT ROWID;"
          "CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;"
          "CREATE TABLE alias (address TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)) "
          "WITHOUT ROWID;"
          "CREATE TABLE key (id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT "
          "NULL, created INTEGER NOT NULL, scram BLOB) WITHOUT ROWID;" SECRETS ABSENCES
          "PRAGMA application_id = 1296195939; PRAGMA user_version = 5;",
    [1] = "ALTER TABLE user ADD COLUMN scram BLOB; ALTER TABLE key ADD COLUMN scram BLOB;" SECRETS
          "PRAGMA user_version = 2;",
    [2] = "ALTER TABLE user ADD COLUMN forward TEXT; ALTER TABLE user ADD COLUMN keeps INTEGER NOT NULL "
          "DEFAULT 1;" ABSENCES "PRAGMA user_version = 3;",
    [3] = "ALTER TABLE user ADD COLUMN quota INTEGER; PRAGMA user_version = 4;",
    [4] = "UPDATE user SET address = quoted(address), forward = quoted(forward);"
          "UPDATE alias SET address = quoted(address), target = quoted(target);"
          "UPDATE key SET user = quoted(user); UPDATE away SET user = quoted(user); PRAGMA user_version = 5;",
};

/* ---- opening ---- */

bool accounts_fail(const struct accounts *accounts, struct error *error)
{
    int code = sqlite3_errcode(accounts->db);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return error_set(error, EX_DATAERR,
                         "%s is damaged; recover what can be read: sqlite3 %s .recover | sqlite3 "
                         "accounts-new.db, look at it, and put it in its place",
                         accounts->path, accounts->path);
    if (code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_CANTOPEN || code == SQLITE_AUTH)
        return error_set(
            error, EX_NOPERM,
            "%s cannot be opened or written by this user; run as root or as the owner of the data directory",
            accounts->path);
    if (code == SQLITE_FULL)
        return error_set(error, EX_TEMPFAIL, "%s: the disk is full", accounts->path);
    return error_set(error, EX_SOFTWARE, "%s: %s", accounts->path, sqlite3_errmsg(accounts->db));
}

static int64_t pragma_number(struct accounts *accounts, const char *text)
{
    sqlite3_stmt *statement;
    int64_t number = -1;
    if (sqlite3_prepare_v2(accounts->db, text, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* quoted(ADDRESS): in the canonical form, with the quotes that versions before 5 left out. */
static void quoted(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct buffer out = {0};
    const char *text = (const char *)sqlite3_value_text(values[0]);
    if (text != NULL && accounts_canonical_quoted(&out, bytes_of_text(text)))
        sqlite3_result_text(context, buffer_text(&out), (int)out.length, SQLITE_TRANSIENT);
    else
        sqlite3_result_value(context, values[0]); /* none, or "@example.org" */
    buffer_free(&out);
}

/* In one transaction; another process may just have done it. */
static bool bring_up_to_date(struct accounts *accounts, struct error *error)
{
    bool done = sqlite3_create_function(accounts->db, "quoted", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                        quoted, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    for (int64_t version;
         done && (version = pragma_number(accounts, "PRAGMA user_version")) < SCHEMA_VERSION;)
        done = version >= 0 && sqlite3_exec(accounts->db, migrations[version], NULL, NULL, NULL) == SQLITE_OK;
    done = (done && sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) ||
           accounts_fail(accounts, error);
    if (!done)
        sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

static bool read_secret(struct accounts *accounts, struct error *error)
{
    sqlite3_stmt *statement;
    bool read = sqlite3_prepare_v2(accounts->db, "SELECT octets FROM secret WHERE name = 'salt'", -1,
                                   &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == SECRET;
    if (read)
        memcpy(accounts->secret, sqlite3_column_blob(statement, 0), SECRET);
    sqlite3_finalize(statement);
    return read || accounts_fail(accounts, error);
}

static bool check_schema(struct accounts *accounts, bool writable, struct error *error)
{
    int64_t version = pragma_number(accounts, "PRAGMA user_version");
    int64_t tables = version < 0 ? -1 : pragma_number(accounts, "SELECT count(*) FROM sqlite_schema");
    if (tables < 0)
        return accounts_fail(accounts, error);
    if (version == 0 && tables == 0 && writable)
        return bring_up_to_date(accounts, error);
    bool ours = pragma_number(accounts, "PRAGMA application_id") == APPLICATION_ID;
    bool earlier = ours && version > 0 && version < SCHEMA_VERSION;
    if (earlier && writable)
        return bring_up_to_date(accounts, error);
    if (earlier)
        return error_set(error, EX_TEMPFAIL,
                         "%s is of an earlier version of Mailboat; mailboat user list, or the next start of "
                         "the server, upgrades it",
                         accounts->path);
    if (version != SCHEMA_VERSION || !ours)
        return error_set(error, EX_DATAERR,
                         "%s is not an accounts file of this version of Mailboat; move it away or use the "
                         "version that made it",
                         accounts->path);
    return true;
}

static bool open_file(struct accounts *accounts, bool writable, struct error *error)
{
    int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(accounts->path, &accounts->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return accounts_fail(accounts, error);
    sqlite3_busy_timeout(accounts->db, BUSY_MS);
    /* EXTRA: the removal of the journal must be on disk too, otherwise the next process to open it rolls
     * the change back. A large change that fits the cache blocks readers only during its commit. */
    if (writable && sqlite3_exec(accounts->db,
                                 "PRAGMA synchronous = EXTRA; PRAGMA cache_spill = OFF; "
                                 "PRAGMA temp_store = MEMORY",
                                 NULL, NULL, NULL) != SQLITE_OK)
        return accounts_fail(accounts, error);
    if (!check_schema(accounts, writable, error) || !read_secret(accounts, error))
        return false;
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(accounts->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &accounts->statements[i], NULL) != SQLITE_OK)
            return accounts_fail(accounts, error);
    return true;
}

/* SQLite would follow a symbolic link, and block on a FIFO. It creates a missing file. The descriptor is
 * closed before SQLite opens its own: closing one drops a process's locks. */
static bool look_first(struct accounts *accounts, struct error *error)
{
    struct stat facts;
    int file = open(accounts->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return errno != ELOOP ||
               error_set(error, EX_NOPERM,
                         "%s is a symbolic link, not a file; move the accounts themselves there",
                         accounts->path);
    bool is_file = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
    close(file);
    return is_file || error_set(error, EX_NOPERM, "%s is not a file; move it away", accounts->path);
}

struct accounts *accounts_open(const char *folder, bool writable, struct error *error)
{
    struct accounts *accounts = memory_new(sizeof *accounts);
    struct buffer path = {0};
    buffer_add_format(&path, "%s/accounts.db", folder);
    accounts->path = path.at; /* owned by accounts from here on */
    mode_t before = umask(0077);
    bool opened = look_first(accounts, error) && open_file(accounts, writable, error);
    umask(before);
    if (opened)
        return accounts;
    accounts_close(accounts);
    return NULL;
}

void accounts_close(struct accounts *accounts)
{
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(accounts->statements[i]);
    sqlite3_close(accounts->db);
    explicit_bzero(accounts->secret, sizeof accounts->secret);
    free(accounts->path);
    free(accounts);
}

void accounts_host(struct accounts *accounts, const char *const *domains, size_t count)
{
    accounts->domains = domains;
    accounts->domain_count = count;
}

bool accounts_are_unreadable(struct accounts *accounts)
{
    bool unreadable = accounts->unreadable;
    accounts->unreadable = false;
    return unreadable;
}
