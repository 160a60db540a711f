/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "accounts.h"

#include "saslprep.h"

#include <assert.h>
#include <crypt.h>
#include <fcntl.h>
#include <idn2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 4, APPLICATION_ID = 0x4d426163 /* "MBac" */, BUSY_MS = 5000, KEY_ID_LENGTH = 8 };

/* Statements of the hot path, prepared once. */
enum statement { FIND_USER, FIND_AWAY, FIND_KEY, KEYS_OF_USER, FIND_ALIAS, FIND_DOMAIN, FIRST_OF_DOMAIN, STATEMENTS };
static const char *const statement_texts[STATEMENTS] = {
    [FIND_USER] = "SELECT address, password, disabled, scram, forward, keeps, EXISTS(SELECT 1 FROM away WHERE user = ?1), quota FROM user WHERE address = ?1",
    [FIND_AWAY] = "SELECT since_ms, until_ms, days, subject, text FROM away WHERE user = ?1",
    [FIND_KEY] = "SELECT user, hash, scram FROM key WHERE id = ?1",
    [KEYS_OF_USER] = "SELECT scram FROM key WHERE user = ?1 AND scram IS NOT NULL ORDER BY id LIMIT 100", /* ACCOUNT_KEYS_MAX */
    [FIND_ALIAS] = "SELECT target FROM alias WHERE address = ?1 ORDER BY target",
    [FIND_DOMAIN] = "SELECT 1 FROM domain WHERE name = ?1",
    [FIRST_OF_DOMAIN] = "SELECT address FROM user ORDER BY substr(address, instr(address, '@') + 1) <> ?1, created, address LIMIT 1",
};

enum { SECRET = 32 };

struct accounts {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    const char *const *domains; /* of the configuration */
    size_t domain_count;
    int file;        /* the same file, for its change counter; closed last: closing it drops SQLite's locks */
    uint64_t unknown_version; /* grows while the counter cannot be read */
    uint8_t secret[SECRET]; /* of the salts */
    bool unreadable; /* a question failed since it was last looked at */
};

#define SECRETS "CREATE TABLE secret (name TEXT PRIMARY KEY, octets BLOB NOT NULL) WITHOUT ROWID;" \
                "INSERT INTO secret (name, octets) VALUES ('salt', randomblob(32));"
#define ABSENCES "CREATE TABLE away (user TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, days INTEGER NOT NULL," \
                 " subject TEXT NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;"

/* What leads from each version to the next; the empty file to the last. */
static const char *const migrations[SCHEMA_VERSION] = {
    [0] = "CREATE TABLE user (address TEXT PRIMARY KEY, password TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, scram BLOB,"
          " forward TEXT, keeps INTEGER NOT NULL DEFAULT 1, quota INTEGER) WITHOUT ROWID;"
          "CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;"
          "CREATE TABLE alias (address TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)) WITHOUT ROWID;"
          "CREATE TABLE key (id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL, scram BLOB) WITHOUT ROWID;"
          SECRETS ABSENCES
          "PRAGMA application_id = 1296195939; PRAGMA user_version = 4;",
    [1] = "ALTER TABLE user ADD COLUMN scram BLOB; ALTER TABLE key ADD COLUMN scram BLOB;" SECRETS "PRAGMA user_version = 2;",
    [2] = "ALTER TABLE user ADD COLUMN forward TEXT; ALTER TABLE user ADD COLUMN keeps INTEGER NOT NULL DEFAULT 1;" ABSENCES "PRAGMA user_version = 3;",
    [3] = "ALTER TABLE user ADD COLUMN quota INTEGER; PRAGMA user_version = 4;",
};

/* ---- opening ---- */

static bool fail_sqlite(const struct accounts *accounts, struct error *error)
{
    int code = sqlite3_errcode(accounts->db);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return error_set(error, EX_DATAERR,
                         "%s is damaged; recover what can be read: sqlite3 %s .recover | sqlite3 accounts-new.db, look at it, and put it in its place",
                         accounts->path, accounts->path);
    if (code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_CANTOPEN || code == SQLITE_AUTH)
        return error_set(error, EX_NOPERM, "%s cannot be opened or written by this user; run as root or as the owner of the data folder", accounts->path);
    if (code == SQLITE_FULL)
        return error_set(error, EX_TEMPFAIL, "%s: the disk is full", accounts->path);
    return error_set(error, EX_SOFTWARE, "%s: %s", accounts->path, sqlite3_errmsg(accounts->db));
}

static int64_t pragma_number(struct accounts *accounts, const char *text)
{
    sqlite3_stmt *statement;
    int64_t number = -1;
    if (sqlite3_prepare_v2(accounts->db, text, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* All of it or nothing; somebody else may have done it a moment ago. */
static bool bring_up_to_date(struct accounts *accounts, struct error *error)
{
    bool done = sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    for (int64_t version; done && (version = pragma_number(accounts, "PRAGMA user_version")) < SCHEMA_VERSION;)
        done = version >= 0 && sqlite3_exec(accounts->db, migrations[version], NULL, NULL, NULL) == SQLITE_OK;
    done = (done && sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) || fail_sqlite(accounts, error);
    if (!done)
        sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

static bool read_secret(struct accounts *accounts, struct error *error)
{
    sqlite3_stmt *statement;
    bool read = sqlite3_prepare_v2(accounts->db, "SELECT octets FROM secret WHERE name = 'salt'", -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == SECRET;
    if (read)
        memcpy(accounts->secret, sqlite3_column_blob(statement, 0), SECRET);
    sqlite3_finalize(statement);
    return read || fail_sqlite(accounts, error);
}

static bool check_schema(struct accounts *accounts, bool writable, struct error *error)
{
    int64_t version = pragma_number(accounts, "PRAGMA user_version");
    int64_t tables = version < 0 ? -1 : pragma_number(accounts, "SELECT count(*) FROM sqlite_schema");
    if (tables < 0)
        return fail_sqlite(accounts, error);
    if (version == 0 && tables == 0 && writable)
        return bring_up_to_date(accounts, error);
    bool ours = pragma_number(accounts, "PRAGMA application_id") == APPLICATION_ID;
    bool earlier = ours && version > 0 && version < SCHEMA_VERSION;
    if (earlier && writable)
        return bring_up_to_date(accounts, error);
    if (earlier)
        return error_set(error, EX_TEMPFAIL, "%s is of an earlier version of Mailboat; mailboat user list, or the next start of the server, brings it up to date", accounts->path);
    if (version != SCHEMA_VERSION || !ours)
        return error_set(error, EX_DATAERR, "%s is not an accounts file of this version of Mailboat; move it away or use the version that made it", accounts->path);
    return true;
}

static bool open_file(struct accounts *accounts, bool writable, struct error *error)
{
    int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(accounts->path, &accounts->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return fail_sqlite(accounts, error);
    sqlite3_busy_timeout(accounts->db, BUSY_MS);
    if (writable && sqlite3_exec(accounts->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
        return fail_sqlite(accounts, error);
    if (!check_schema(accounts, writable, error) || !read_secret(accounts, error))
        return false;
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(accounts->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &accounts->statements[i], NULL) != SQLITE_OK)
            return fail_sqlite(accounts, error);
    return true;
}

struct accounts *accounts_open(const char *data_dir, bool writable, struct error *error)
{
    struct accounts *accounts = memory_new(sizeof *accounts);
    accounts->file = -1;
    struct buffer path = {0};
    buffer_add_format(&path, "%s/accounts.db", data_dir);
    accounts->path = path.at; /* owned by accounts from here on */
    mode_t before = umask(0077);
    bool opened = open_file(accounts, writable, error);
    umask(before);
    accounts->file = open(accounts->path, O_RDONLY | O_CLOEXEC);
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
    if (accounts->file >= 0)
        close(accounts->file);
    explicit_bzero(accounts->secret, sizeof accounts->secret);
    free(accounts->path);
    free(accounts);
}

void accounts_host(struct accounts *accounts, const char *const *domains, size_t count)
{
    accounts->domains = domains;
    accounts->domain_count = count;
}

/* ---- names ---- */

bool accounts_domain(struct buffer *out, struct bytes domain)
{
    char *text = NULL;
    struct buffer copy = {0};
    buffer_add(&copy, domain);
    bool fine = host_is_name(domain, true) &&
                (bytes_is_ascii(domain) ? true : idn2_to_ascii_8z(buffer_text(&copy), &text, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK);
    struct bytes name = text != NULL ? bytes_of_text(text) : domain;
    for (size_t i = 0; fine && i < name.length; i++)
        buffer_add_octet(out, ascii_lower(name.at[i]));
    idn2_free(text);
    buffer_free(&copy);
    return fine;
}

bool accounts_canonical(struct buffer *out, struct bytes address)
{
    struct address parsed;
    struct buffer local = {0};
    if (!address_parse(address, true, &parsed) || parsed.literal)
        return false;
    address_unquoted_local(&local, &parsed);
    for (size_t i = 0; i < local.length; i++)
        buffer_add_octet(out, ascii_lower(buffer_bytes(&local).at[i]));
    buffer_free(&local);
    buffer_add_octet(out, '@');
    return accounts_domain(out, parsed.domain);
}

/* ---- queries ---- */

/* The header's change counter (SQLite's file format, 1.3): each commit adds one. */
enum { COUNTER_AT = 24, FIRST_PAGE = 4096 };

const volatile uint8_t *accounts_watch(const char *data_dir, struct error *error)
{
    struct buffer path = {0};
    buffer_add_format(&path, "%s/accounts.db", data_dir);
    int file = open(buffer_text(&path), O_RDONLY | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, FIRST_PAGE, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        error_set_errno(error, EX_OSERR, "cannot watch %s", buffer_text(&path));
    if (file >= 0)
        close(file);
    buffer_free(&path);
    return page == MAP_FAILED ? NULL : page;
}

uint64_t accounts_watched_version(const volatile uint8_t *page)
{
    return (uint64_t)page[COUNTER_AT] << 24 | (uint64_t)page[COUNTER_AT + 1] << 16 | (uint64_t)page[COUNTER_AT + 2] << 8 | page[COUNTER_AT + 3];
}

uint64_t accounts_version(struct accounts *accounts)
{
    uint32_t counter = 0;
    return pread(accounts->file, &counter, sizeof counter, COUNTER_AT) == sizeof counter ? counter : ++accounts->unknown_version;
}

bool accounts_are_unreadable(struct accounts *accounts)
{
    bool unreadable = accounts->unreadable;
    accounts->unreadable = false;
    return unreadable;
}

/* The next row; trouble is remembered. */
static bool next_row(struct accounts *accounts, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    accounts->unreadable = accounts->unreadable || (code != SQLITE_ROW && code != SQLITE_DONE);
    return code == SQLITE_ROW;
}

static sqlite3_stmt *bind(struct accounts *accounts, enum statement which, struct bytes first)
{
    sqlite3_stmt *statement = accounts->statements[which];
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, first.at == NULL ? "" : first.at, (int)first.length, SQLITE_TRANSIENT);
    return statement;
}

static struct bytes column(sqlite3_stmt *statement, int i, struct arena *arena)
{
    return arena_copy(arena, bytes_of(sqlite3_column_text(statement, i), (size_t)sqlite3_column_bytes(statement, i)));
}

static bool exists(struct accounts *accounts, enum statement which, struct bytes key)
{
    sqlite3_stmt *statement = bind(accounts, which, key);
    bool found = next_row(accounts, statement);
    sqlite3_reset(statement);
    return found;
}

static bool is_hosted_ascii(struct accounts *accounts, struct bytes domain)
{
    for (size_t i = 0; i < accounts->domain_count; i++)
        if (bytes_is_nocase(domain, accounts->domains[i]))
            return true;
    return exists(accounts, FIND_DOMAIN, domain);
}

bool accounts_is_hosted(struct accounts *accounts, struct bytes domain)
{
    struct buffer name = {0};
    bool hosted = accounts_domain(&name, domain) && is_hosted_ascii(accounts, buffer_bytes(&name));
    for (size_t i = 0; !hosted && i < accounts->domain_count; i++) /* the configuration may have U-labels */
        hosted = bytes_is_nocase(domain, accounts->domains[i]);
    buffer_free(&name);
    return hosted;
}

static struct verifier column_verifier(sqlite3_stmt *statement, int i, bool *there)
{
    struct verifier verifier = {0};
    *there = sqlite3_column_bytes(statement, i) == sizeof verifier;
    if (*there)
        memcpy(&verifier, sqlite3_column_blob(statement, i), sizeof verifier);
    return verifier;
}

static bool find_canonical(struct accounts *accounts, struct bytes address, struct arena *arena, struct account *account)
{
    sqlite3_stmt *statement = bind(accounts, FIND_USER, address);
    bool found = next_row(accounts, statement);
    if (found) {
        *account = (struct account){.address = column(statement, 0, arena), .password = column(statement, 1, arena), .disabled = sqlite3_column_int(statement, 2) != 0};
        account->verifier = column_verifier(statement, 3, &account->has_verifier);
        account->forward = column(statement, 4, arena);
        account->keeps = sqlite3_column_int(statement, 5) != 0;
        account->away = sqlite3_column_int(statement, 6) != 0;
        account->has_quota = sqlite3_column_type(statement, 7) != SQLITE_NULL;
        account->quota = (uint64_t)sqlite3_column_int64(statement, 7);
    }
    sqlite3_reset(statement);
    return found;
}

bool accounts_away(struct accounts *accounts, struct bytes user, struct arena *arena, struct account_away *away)
{
    sqlite3_stmt *statement = bind(accounts, FIND_AWAY, user);
    bool found = next_row(accounts, statement);
    if (found)
        *away = (struct account_away){.since_ms = (uint64_t)sqlite3_column_int64(statement, 0), .until_ms = (uint64_t)sqlite3_column_int64(statement, 1),
                                      .days = (uint32_t)sqlite3_column_int(statement, 2), .subject = column(statement, 3, arena), .text = column(statement, 4, arena)};
    sqlite3_reset(statement);
    return found;
}

bool accounts_find(struct accounts *accounts, struct bytes address, struct arena *arena, struct account *account)
{
    struct buffer canonical = {0};
    bool found = accounts_canonical(&canonical, address) && find_canonical(accounts, buffer_bytes(&canonical), arena, account);
    buffer_free(&canonical);
    return found;
}

/* ---- passwords and keys ---- */

static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* base 32 without l, o, 0, 1 */

static void add_random(struct buffer *out, size_t length)
{
    unsigned char octets[64];
    assert(length <= sizeof octets);
    if (getrandom(octets, length, 0) != (ssize_t)length)
        abort();
    for (size_t i = 0; i < length; i++)
        buffer_add_octet(out, alphabet[octets[i] % 32]);
}

void accounts_random_password(struct buffer *out)
{
    for (int group = 0; group < 4; group++) {
        if (group > 0)
            buffer_add_octet(out, '-');
        add_random(out, 5);
    }
}

bool accounts_password_matches(const char *hash, const char *password)
{
    struct crypt_data *data = memory_new(sizeof *data);
    const char *again = crypt_r(password, hash, data);
    bool matches = again != NULL && again[0] != '*' && strlen(again) == strlen(hash) && CRYPTO_memcmp(again, hash, strlen(hash)) == 0;
    explicit_bzero(data, sizeof *data);
    free(data);
    return matches;
}

const char *accounts_dummy_hash(void)
{
    static char hash[CRYPT_OUTPUT_SIZE];
    if (hash[0] == '\0') { /* made once, before there are threads */
        struct buffer password = {0};
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];
        struct crypt_data *data = memory_new(sizeof *data);
        add_random(&password, KEY_SECRET_LENGTH);
        const char *made = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) == NULL ? NULL : crypt_r(buffer_text(&password), setting, data);
        snprintf(hash, sizeof hash, "%s", made == NULL ? "*" : made);
        free(data);
        buffer_free(&password);
    }
    return hash;
}

/* mb_ID_SECRET: the id finds it without a slow hash. */
static bool split_secret(struct bytes secret, struct bytes *id, struct bytes *rest)
{
    if (secret.length != 3 + KEY_ID_LENGTH + 1 + KEY_SECRET_LENGTH || !bytes_starts_nocase(secret, "mb_") || secret.at[3 + KEY_ID_LENGTH] != '_')
        return false;
    *id = bytes_of(secret.at + 3, KEY_ID_LENGTH);
    *rest = bytes_from(secret, 3 + KEY_ID_LENGTH + 1);
    return true;
}

enum { DIGEST = 32 };
static void digest(struct bytes text, unsigned char out[DIGEST])
{
    int done = EVP_Digest(text.at, text.length, out, NULL, EVP_sha256(), NULL);
    assert(done == 1);
}

bool accounts_find_key(struct accounts *accounts, struct bytes user, struct bytes secret, struct arena *arena, struct account *account)
{
    struct bytes id, rest;
    unsigned char hash[DIGEST];
    if (!split_secret(secret, &id, &rest) || !accounts_find(accounts, user, arena, account))
        return false;
    digest(rest, hash);
    sqlite3_stmt *statement = bind(accounts, FIND_KEY, id);
    account->has_verifier = false;
    account->key = arena_copy(arena, id);
    bool matches = next_row(accounts, statement) && bytes_equal(column(statement, 0, arena), account->address) &&
                   sqlite3_column_bytes(statement, 1) == DIGEST && CRYPTO_memcmp(sqlite3_column_blob(statement, 1), hash, DIGEST) == 0;
    if (matches)
        account->verifier = column_verifier(statement, 2, &account->has_verifier);
    sqlite3_reset(statement);
    return matches;
}

/* ---- SCRAM ---- */

void accounts_salt(const struct accounts *accounts, struct bytes user, uint8_t salt[VERIFIER_SALT])
{
    struct buffer name = {0};
    if (!accounts_canonical(&name, user)) {
        buffer_clear(&name);
        for (size_t i = 0; i < user.length; i++)
            buffer_add_octet(&name, ascii_lower(user.at[i]));
    }
    verifier_salt(salt, bytes_of(accounts->secret, SECRET), buffer_bytes(&name));
    buffer_free(&name);
}

size_t accounts_key_verifiers(struct accounts *accounts, struct bytes address, struct verifier *verifiers, size_t count_max)
{
    sqlite3_stmt *statement = bind(accounts, KEYS_OF_USER, address);
    size_t count = 0;
    bool there;
    while (count < count_max && next_row(accounts, statement)) {
        verifiers[count] = column_verifier(statement, 0, &there);
        count += there;
    }
    sqlite3_reset(statement);
    return count;
}

/* With the salt that the address has anyway. */
static struct verifier verifier_of(const struct accounts *accounts, struct bytes address, struct bytes password)
{
    uint8_t salt[VERIFIER_SALT];
    struct verifier_keys keys;
    accounts_salt(accounts, address, salt);
    verifier_derive(&keys, password, bytes_of(salt, sizeof salt), VERIFIER_ITERATIONS);
    explicit_bzero(keys.client_key, sizeof keys.client_key);
    return keys.verifier;
}

/* ---- where mail goes ---- */

struct resolving {
    struct accounts *accounts;
    struct arena *arena;
    struct recipient *targets;
    size_t count;
    bool ignore_forwards; /* whose mailbox is it, wherever mail goes on to? */
};

static void add_target(struct resolving *r, struct bytes address, bool local, bool away)
{
    for (size_t i = 0; i < r->count; i++)
        if (bytes_equal(r->targets[i].address, address))
            return;
    if (r->count < ALIAS_TARGETS_MAX)
        r->targets[r->count++] = (struct recipient){.address = arena_copy(r->arena, address), .local = local, .away = away};
}

static bool resolve_canonical(struct resolving *r, struct bytes address, int depth);

/* One target of an alias: here or elsewhere. */
static void resolve_target(struct resolving *r, struct bytes target, int depth)
{
    struct bytes local, domain;
    if (!address_split(target, &local, &domain))
        return;
    if (is_hosted_ascii(r->accounts, domain))
        resolve_canonical(r, target, depth + 1);
    else
        add_target(r, target, false, false);
}

/* A user's mailbox, or where its mail is forwarded. A forwarding that leads
 * nowhere, or in a circle, loses nothing: the mail stays here. */
static void resolve_user(struct resolving *r, const struct account *account, int depth)
{
    size_t before = r->count;
    if (account->forward.length > 0 && !r->ignore_forwards)
        resolve_target(r, account->forward, depth);
    if (account->keeps || r->count == before || account->forward.length == 0)
        add_target(r, account->address, true, account->away);
}

static bool resolve_alias(struct resolving *r, struct bytes address, int depth)
{
    struct bytes found[ALIAS_TARGETS_MAX];
    size_t count = 0;
    sqlite3_stmt *statement = bind(r->accounts, FIND_ALIAS, address);
    while (count < ALIAS_TARGETS_MAX && next_row(r->accounts, statement))
        found[count++] = column(statement, 0, r->arena);
    sqlite3_reset(statement);
    for (size_t i = 0; i < count; i++) {
        /* An alias that names its own address means the mailbox. */
        struct account account;
        if (bytes_equal(found[i], address) && find_canonical(r->accounts, address, r->arena, &account))
            resolve_user(r, &account, depth);
        else if (!bytes_equal(found[i], address))
            resolve_target(r, found[i], depth);
    }
    return count > 0;
}

static struct bytes without_tag(struct bytes address, struct arena *arena)
{
    struct bytes local, domain;
    size_t plus = bytes_find(address, '+');
    if (!address_split(address, &local, &domain) || plus == SIZE_MAX || plus == 0 || plus >= local.length)
        return bytes_none();
    return bytes_of_text(arena_format(arena, "%.*s@%.*s", (int)plus, local.at, BYTES_ARG(domain)));
}

static bool resolve_canonical(struct resolving *r, struct bytes address, int depth)
{
    struct account account;
    if (depth > ALIAS_DEPTH_MAX)
        return false;
    if (resolve_alias(r, address, depth))
        return true;
    if (find_canonical(r->accounts, address, r->arena, &account)) {
        resolve_user(r, &account, depth);
        return true;
    }
    struct bytes plain = without_tag(address, r->arena);
    return plain.length > 0 && resolve_canonical(r, plain, depth + 1);
}

/* RFC 5321 4.5.1: postmaster is always taken. Without a mailbox or alias of
 * that name somebody else reads it: the first user of the domain, else the
 * first of all, else it is kept in a mailbox of its own. */
static void resolve_postmaster(struct resolving *r, struct bytes address)
{
    struct bytes local, domain;
    address_split(address, &local, &domain);
    sqlite3_stmt *statement = bind(r->accounts, FIRST_OF_DOMAIN, domain);
    bool found = next_row(r->accounts, statement);
    struct bytes first = found ? column(statement, 0, r->arena) : address;
    sqlite3_reset(statement);
    add_target(r, first, true, false);
}

/* What nobody has goes where the domain's catch-all says, an alias without a
 * local part. An address that is known but leads nowhere is not caught. */
static bool resolve_catch_all(struct resolving *r, struct bytes address)
{
    struct bytes local, domain;
    address_split(address, &local, &domain);
    return resolve_alias(r, bytes_of_text(arena_format(r->arena, "@%.*s", BYTES_ARG(domain))), 0);
}

static enum accounts_target resolve_hosted(struct resolving *r, struct bytes canonical)
{
    bool known = resolve_canonical(r, canonical, 0);
    if ((known || resolve_catch_all(r, canonical)) && r->count > 0)
        return TARGETS_FOUND;
    if (!bytes_starts_nocase(canonical, "postmaster@"))
        return TARGETS_UNKNOWN;
    resolve_postmaster(r, canonical);
    return TARGETS_FOUND;
}

enum accounts_target accounts_resolve(struct accounts *accounts, struct bytes address, struct arena *arena,
                                      struct recipient **targets, size_t *target_count)
{
    struct resolving r = {accounts, arena, ARENA_ARRAY(arena, struct recipient, ALIAS_TARGETS_MAX), 0, false};
    struct buffer canonical = {0};
    struct bytes local, domain;
    enum accounts_target found = TARGETS_FOREIGN;
    /* "postmaster" without a domain is that of our first one. */
    if (bytes_is_nocase(address, "postmaster") && accounts->domain_count > 0)
        address = bytes_of_text(arena_format(arena, "postmaster@%s", accounts->domains[0]));
    if (bytes_is_nocase(address, "postmaster"))
        address = BYTES("postmaster@localhost"); /* nothing is hosted: the first user reads it */
    if (address_split(address, &local, &domain) && (accounts_is_hosted(accounts, domain) || bytes_is(address, "postmaster@localhost")))
        found = accounts_canonical(&canonical, address) ? resolve_hosted(&r, arena_copy(arena, buffer_bytes(&canonical))) : TARGETS_UNKNOWN;
    buffer_free(&canonical);
    *targets = r.targets;
    *target_count = r.count;
    return found;
}

bool accounts_may_send(struct accounts *accounts, struct bytes account, struct bytes address)
{
    struct arena arena = {0};
    struct buffer canonical = {0};
    bool allowed = false;
    if (accounts_canonical(&canonical, address)) {
        struct bytes wanted = buffer_bytes(&canonical), plain = without_tag(wanted, &arena);
        allowed = bytes_equal(wanted, account) || bytes_equal(plain, account);
        struct resolving r = {accounts, &arena, ARENA_ARRAY(&arena, struct recipient, ALIAS_TARGETS_MAX), 0, true};
        if (!allowed && exists(accounts, FIND_ALIAS, wanted))
            resolve_alias(&r, wanted, 0);
        for (size_t i = 0; i < r.count; i++)
            allowed = allowed || bytes_equal(r.targets[i].address, account);
    }
    buffer_free(&canonical);
    arena_clear(&arena);
    return allowed;
}

/* ---- changes ---- */

struct value {
    struct bytes text;
    bool is_blob;
};

/* Runs one change with up to four texts; false when it failed or, with
 * `what`, when no row was changed ("there is no WHAT"). */
static bool change(struct accounts *accounts, const char *sql, const struct value *values, size_t count, const char *what, struct error *error)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(accounts->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return fail_sqlite(accounts, error);
    for (size_t i = 0; i < count; i++) {
        const char *at = values[i].text.at == NULL ? "" : values[i].text.at;
        if (values[i].is_blob)
            sqlite3_bind_blob(statement, (int)i + 1, at, (int)values[i].text.length, SQLITE_TRANSIENT);
        else
            sqlite3_bind_text(statement, (int)i + 1, at, (int)values[i].text.length, SQLITE_TRANSIENT);
    }
    int step = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (step == SQLITE_CONSTRAINT || sqlite3_errcode(accounts->db) == SQLITE_CONSTRAINT)
        return error_set(error, EX_DATAERR, "%.*s is there already", BYTES_ARG(values[0].text));
    if (step != SQLITE_DONE)
        return fail_sqlite(accounts, error);
    if (what != NULL && sqlite3_changes(accounts->db) == 0)
        return error_set(error, EX_NOUSER, "there is no %s %.*s", what, BYTES_ARG(values[0].text));
    return true;
}

static bool canonical_or_fail(struct buffer *out, struct bytes address, struct error *error)
{
    return accounts_canonical(out, address) ||
           error_set(error, EX_DATAERR, "'%.*s' is not a mail address; the form is ada@example.org", BYTES_ARG(bytes_first(address, 100)));
}

/* Of an alias: an address, or "@example.org" for all that nobody has there. */
static bool alias_or_fail(struct buffer *out, struct bytes address, struct error *error)
{
    if (address.length == 0 || address.at[0] != '@')
        return canonical_or_fail(out, address, error);
    buffer_add_octet(out, '@');
    return accounts_domain(out, bytes_from(address, 1)) ||
           error_set(error, EX_DATAERR, "'%.*s' is not a catch-all; the form is @example.org", BYTES_ARG(bytes_first(address, 100)));
}

static bool hosted_or_fail(struct accounts *accounts, struct bytes canonical, struct error *error)
{
    struct bytes local, domain;
    address_split(canonical, &local, &domain);
    return is_hosted_ascii(accounts, domain) || accounts_is_hosted(accounts, domain) ||
           error_set(error, EX_DATAERR, "the domain %.*s is not hosted here; first: mailboat domain add %.*s", BYTES_ARG(domain), BYTES_ARG(domain));
}

static bool hash_password(struct bytes password, struct buffer *hash, struct error *error)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[PASSWORD_MAX + 1];
    if (password.length == 0 || password.length > PASSWORD_MAX || bytes_find(password, '\0') != SIZE_MAX)
        return error_set(error, EX_DATAERR, "a password has 1 to %d octets", PASSWORD_MAX);
    memcpy(text, password.at, password.length);
    text[password.length] = '\0';
    struct crypt_data *data = memory_new(sizeof *data);
    const char *made = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) == NULL ? NULL : crypt_r(text, setting, data);
    bool done = made != NULL && made[0] != '*';
    if (done)
        buffer_add_text(hash, made);
    explicit_bzero(data, sizeof *data);
    explicit_bzero(text, sizeof text);
    free(data);
    return done || error_set(error, EX_SOFTWARE, "the password cannot be hashed");
}

bool accounts_user_add(struct accounts *accounts, struct bytes address, struct bytes password, struct error *error)
{
    struct buffer canonical = {0}, hash = {0};
    struct verifier verifier;
    char room[SASLPREP_MAX + 1];
    password = saslprep(password, room);
    bool done = canonical_or_fail(&canonical, address, error) && hosted_or_fail(accounts, buffer_bytes(&canonical), error) &&
                hash_password(password, &hash, error);
    if (done) {
        verifier = verifier_of(accounts, buffer_bytes(&canonical), password);
        done = change(accounts, "INSERT INTO user (address, password, scram, created) VALUES (?1, ?2, ?3, strftime('%s', 'now'))",
                      (struct value[]){{buffer_bytes(&canonical), false}, {buffer_bytes(&hash), false}, {bytes_of(&verifier, sizeof verifier), true}}, 3, NULL, error);
    }
    buffer_free(&canonical);
    buffer_free(&hash);
    explicit_bzero(room, sizeof room);
    return done;
}

bool accounts_user_password(struct accounts *accounts, struct bytes address, struct bytes password, struct error *error)
{
    struct buffer canonical = {0}, hash = {0};
    struct verifier verifier;
    char room[SASLPREP_MAX + 1];
    password = saslprep(password, room);
    bool done = canonical_or_fail(&canonical, address, error) && hash_password(password, &hash, error);
    if (done) {
        verifier = verifier_of(accounts, buffer_bytes(&canonical), password);
        done = change(accounts, "UPDATE user SET password = ?2, scram = ?3 WHERE address = ?1",
                      (struct value[]){{buffer_bytes(&canonical), false}, {buffer_bytes(&hash), false}, {bytes_of(&verifier, sizeof verifier), true}}, 3, "user", error);
    }
    buffer_free(&canonical);
    buffer_free(&hash);
    explicit_bzero(room, sizeof room);
    return done;
}

/* A change that takes one address alone. */
static bool change_address(struct accounts *accounts, const char *sql, struct bytes address, const char *what, struct error *error)
{
    struct buffer canonical = {0};
    bool done = canonical_or_fail(&canonical, address, error) &&
                change(accounts, sql, (struct value[]){{buffer_bytes(&canonical), false}}, 1, what, error);
    buffer_free(&canonical);
    return done;
}

bool accounts_learn(struct accounts *accounts, struct bytes address, struct bytes key, struct bytes password_hash, struct bytes verifier, struct error *error)
{
    if (verifier.length != sizeof(struct verifier))
        return error_set(error, EX_SOFTWARE, "that is no verifier");
    if (key.length > 0)
        return change(accounts, "UPDATE key SET scram = ?3 WHERE id = ?1 AND user = ?2 AND scram IS NULL",
                      (struct value[]){{key, false}, {address, false}, {verifier, true}}, 3, NULL, error);
    return change(accounts, "UPDATE user SET scram = ?3 WHERE address = ?1 AND password = ?2 AND scram IS NULL",
                  (struct value[]){{address, false}, {password_hash, false}, {verifier, true}}, 3, NULL, error);
}

bool accounts_user_disable(struct accounts *accounts, struct bytes address, bool disabled, struct error *error)
{
    return change_address(accounts, disabled ? "UPDATE user SET disabled = 1 WHERE address = ?1" : "UPDATE user SET disabled = 0 WHERE address = ?1",
                          address, "user", error);
}

/* Its own address is no place to forward to, with a tag neither. */
static bool elsewhere_or_fail(struct accounts *accounts, struct bytes user, struct bytes target, struct error *error)
{
    struct arena arena = {0};
    bool own = bytes_equal(user, target) || bytes_equal(without_tag(target, &arena), user);
    arena_clear(&arena);
    return !own || error_set(error, EX_DATAERR, "%.*s is the user's own address; to end a forwarding: mailboat user forward %.*s off", BYTES_ARG(target), BYTES_ARG(user));
}

bool accounts_user_forward(struct accounts *accounts, struct bytes address, struct bytes target, bool keep, struct error *error)
{
    struct buffer user = {0}, to = {0};
    if (target.length == 0)
        return change_address(accounts, "UPDATE user SET forward = NULL, keeps = 1 WHERE address = ?1", address, "user", error);
    bool done = canonical_or_fail(&user, address, error) && canonical_or_fail(&to, target, error) &&
                elsewhere_or_fail(accounts, buffer_bytes(&user), buffer_bytes(&to), error) &&
                change(accounts, keep ? "UPDATE user SET forward = ?2, keeps = 1 WHERE address = ?1" : "UPDATE user SET forward = ?2, keeps = 0 WHERE address = ?1",
                       (struct value[]){{buffer_bytes(&user), false}, {buffer_bytes(&to), false}}, 2, "user", error);
    buffer_free(&user);
    buffer_free(&to);
    return done;
}

bool accounts_user_quota(struct accounts *accounts, struct bytes address, const uint64_t *octets, struct error *error)
{
    struct buffer user = {0}, number = {0};
    if (octets == NULL)
        return change_address(accounts, "UPDATE user SET quota = NULL WHERE address = ?1", address, "user", error);
    assert(*octets <= ACCOUNT_QUOTA_MAX);
    buffer_add_format(&number, "%llu", (unsigned long long)*octets);
    bool done = canonical_or_fail(&user, address, error) &&
                change(accounts, "UPDATE user SET quota = ?2 WHERE address = ?1", (struct value[]){{buffer_bytes(&user), false}, {buffer_bytes(&number), false}}, 2, "user", error);
    buffer_free(&user);
    buffer_free(&number);
    return done;
}

static bool put_away(struct accounts *accounts, struct bytes user, const struct account_away *away, struct error *error)
{
    struct buffer numbers[3] = {{0}};
    buffer_add_format(&numbers[0], "%llu", (unsigned long long)away->since_ms);
    buffer_add_format(&numbers[1], "%llu", (unsigned long long)away->until_ms);
    buffer_add_format(&numbers[2], "%u", (unsigned)away->days);
    struct value values[] = {{user, false}, {away->subject, false}, {away->text, false}, {buffer_bytes(&numbers[0]), false}, {buffer_bytes(&numbers[1]), false}, {buffer_bytes(&numbers[2]), false}};
    bool done = change(accounts, "INSERT INTO away (user, subject, text, since_ms, until_ms, days) SELECT address, ?2, ?3, ?4, ?5, ?6 FROM user WHERE address = ?1"
                                 " ON CONFLICT(user) DO UPDATE SET subject = ?2, text = ?3, since_ms = ?4, until_ms = ?5, days = ?6",
                       values, ARRAY_LENGTH(values), "user", error);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        buffer_free(&numbers[i]);
    return done;
}

bool accounts_user_away(struct accounts *accounts, struct bytes address, const struct account_away *away, struct error *error)
{
    struct buffer user = {0};
    bool done = canonical_or_fail(&user, address, error) &&
                (away != NULL ? put_away(accounts, buffer_bytes(&user), away, error)
                              : change(accounts, "DELETE FROM away WHERE user = ?1", (struct value[]){{buffer_bytes(&user), false}}, 1, "answer for absences of", error));
    buffer_free(&user);
    return done;
}

/* All of it or nothing. */
bool accounts_user_remove(struct accounts *accounts, struct bytes address, struct error *error)
{
    static const char *const besides[] = {"DELETE FROM key WHERE user = ?1", "DELETE FROM away WHERE user = ?1", "DELETE FROM alias WHERE target = ?1",
                                          "UPDATE user SET forward = NULL, keeps = 1 WHERE forward = ?1"};
    bool done = sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK || fail_sqlite(accounts, error);
    for (size_t i = 0; done && i < ARRAY_LENGTH(besides); i++)
        done = change_address(accounts, besides[i], address, NULL, error);
    done = done && change_address(accounts, "DELETE FROM user WHERE address = ?1", address, "user", error) &&
           (sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK || fail_sqlite(accounts, error));
    if (!done)
        sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

static bool change_domain(struct accounts *accounts, const char *sql, struct bytes domain, const char *what, struct error *error)
{
    struct buffer name = {0};
    bool done = (accounts_domain(&name, domain) && !host_is_ipv4(domain)) ||
                error_set(error, EX_DATAERR, "'%.*s' is not a domain name", BYTES_ARG(bytes_first(domain, 100)));
    done = done && change(accounts, sql, (struct value[]){{buffer_bytes(&name), false}}, 1, what, error);
    buffer_free(&name);
    return done;
}

bool accounts_domain_add(struct accounts *accounts, struct bytes domain, struct error *error)
{
    return change_domain(accounts, "INSERT INTO domain (name) VALUES (?1)", domain, NULL, error);
}

bool accounts_domain_remove(struct accounts *accounts, struct bytes domain, struct error *error)
{
    return change_domain(accounts, "DELETE FROM domain WHERE name = ?1", domain, "domain", error);
}

bool accounts_alias_add(struct accounts *accounts, struct bytes address, struct bytes target, struct error *error)
{
    struct buffer from = {0}, to = {0};
    bool done = alias_or_fail(&from, address, error) && canonical_or_fail(&to, target, error) &&
                hosted_or_fail(accounts, buffer_bytes(&from), error) &&
                change(accounts, "INSERT INTO alias (address, target) VALUES (?1, ?2)",
                       (struct value[]){{buffer_bytes(&from), false}, {buffer_bytes(&to), false}}, 2, NULL, error);
    buffer_free(&from);
    buffer_free(&to);
    return done;
}

bool accounts_alias_remove(struct accounts *accounts, struct bytes address, struct bytes target, struct error *error)
{
    struct buffer from = {0}, to = {0};
    bool whole = target.length == 0;
    bool done = alias_or_fail(&from, address, error) && (whole || canonical_or_fail(&to, target, error)) &&
                change(accounts, whole ? "DELETE FROM alias WHERE address = ?1" : "DELETE FROM alias WHERE address = ?1 AND target = ?2",
                       (struct value[]){{buffer_bytes(&from), false}, {buffer_bytes(&to), false}}, whole ? 1 : 2, whole ? "alias" : "such alias", error);
    buffer_free(&from);
    buffer_free(&to);
    return done;
}

bool accounts_key_add(struct accounts *accounts, struct bytes user, struct bytes name, struct buffer *secret, struct error *error)
{
    struct arena arena = {0};
    struct account account;
    struct buffer id = {0}, rest = {0};
    unsigned char hash[DIGEST];
    bool done = accounts_find(accounts, user, &arena, &account) || error_set(error, EX_NOUSER, "there is no user %.*s", BYTES_ARG(bytes_first(user, 100)));
    if (done) {
        add_random(&id, KEY_ID_LENGTH);
        add_random(&rest, KEY_SECRET_LENGTH);
        digest(buffer_bytes(&rest), hash);
        buffer_add_format(secret, "mb_%s_%s", buffer_text(&id), buffer_text(&rest));
        struct verifier verifier = verifier_of(accounts, account.address, buffer_bytes(secret));
        struct value values[] = {{buffer_bytes(&id), false}, {account.address, false}, {name, false}, {bytes_of(hash, DIGEST), true}, {bytes_of(&verifier, sizeof verifier), true}};
        done = change(accounts, "INSERT INTO key (id, user, name, hash, scram, created) VALUES (?1, ?2, ?3, ?4, ?5, strftime('%s', 'now'))", values, 5, NULL, error);
    }
    buffer_free(&id);
    buffer_free(&rest);
    arena_clear(&arena);
    return done;
}

bool accounts_key_revoke(struct accounts *accounts, struct bytes id, struct error *error)
{
    return change(accounts, "DELETE FROM key WHERE id = ?1", (struct value[]){{id, false}}, 1, "key", error);
}

bool accounts_each(struct accounts *accounts, enum accounts_list list, accounts_row *each, void *owner, struct error *error)
{
    static const char *const texts[] = {
        [LIST_USERS] = ("SELECT address, disabled, strftime('%Y-%m-%dT%H:%M:%SZ', created, 'unixepoch'), forward, forward IS NOT NULL AND keeps,"
                       " EXISTS(SELECT 1 FROM away WHERE away.user = address), quota FROM user ORDER BY address"),
        [LIST_QUOTAS] = "SELECT address, quota FROM user WHERE quota IS NOT NULL ORDER BY address",
        [LIST_DOMAINS] = "SELECT name FROM domain ORDER BY name",
        [LIST_ALIASES] = "SELECT address, target FROM alias ORDER BY address, target",
        [LIST_KEYS] = "SELECT id, user, name, strftime('%Y-%m-%dT%H:%M:%SZ', created, 'unixepoch') FROM key ORDER BY user, created",
    };
    sqlite3_stmt *statement;
    const char *columns[7];
    if (sqlite3_prepare_v2(accounts->db, texts[list], -1, &statement, NULL) != SQLITE_OK)
        return fail_sqlite(accounts, error);
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        int count = sqlite3_column_count(statement);
        for (int i = 0; i < count; i++)
            columns[i] = (const char *)sqlite3_column_text(statement, i);
        each(owner, columns, (size_t)count);
    }
    sqlite3_finalize(statement);
    return step == SQLITE_DONE || fail_sqlite(accounts, error);
}
