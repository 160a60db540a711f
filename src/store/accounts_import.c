/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_import: adds domains, users with hashes of other servers, and aliases, all or none; domains that
 * are another one. */
#include <crypt.h>
#include <sysexits.h>

#include "store/accounts_file.h"

/* ---- statements ---- */

static bool begin(struct accounts *accounts, struct error *error)
{
    return sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ||
           accounts_fail(accounts, error);
}

static bool end(struct accounts *accounts, bool done, struct error *error)
{
    done = done && !accounts_are_unreadable(accounts) &&
           (sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
            accounts_fail(accounts, error));
    if (!done && !sqlite3_get_autocommit(accounts->db))
        sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

/* Adds a row unless it exists; counts it. */
static bool insert(struct accounts *accounts, const char *sql, struct bytes first, struct bytes second,
                   size_t *added, struct error *error)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(accounts->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return accounts_fail(accounts, error);
    sqlite3_bind_text(statement, 1, first.at, (int)first.length, SQLITE_TRANSIENT);
    if (sqlite3_bind_parameter_count(statement) > 1)
        sqlite3_bind_text(statement, 2, second.at, (int)second.length, SQLITE_TRANSIENT);
    bool done = sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_finalize(statement);
    *added += done ? (size_t)sqlite3_changes(accounts->db) : 0;
    return done || accounts_fail(accounts, error);
}

static bool insert_domain(struct accounts *accounts, struct bytes domain, size_t *added, struct error *error)
{
    struct buffer name = {0};
    bool done = (accounts_domain(&name, domain) && !host_is_ipv4(domain)) ||
                error_set(error, EX_DATAERR, "'%.*s' is not a domain name",
                          BYTES_ARG(bytes_first(domain, 100)));
    if (done && !accounts_is_hosted_ascii(accounts, buffer_bytes(&name)))
        done = insert(accounts, "INSERT OR IGNORE INTO domain (name) VALUES (?1)", buffer_bytes(&name),
                      bytes_none(), added, error);
    buffer_free(&name);
    return done;
}

/* ---- users ---- */

bool accounts_hash_is_usable(struct bytes hash)
{
    char text[CRYPT_OUTPUT_SIZE];
    if (hash.length == 0 || hash.length >= sizeof text || bytes_find(hash, '\0') != SIZE_MAX)
        return false;
    memcpy(text, hash.at, hash.length);
    text[hash.length] = '\0';
    int verdict = crypt_checksalt(text);
    return verdict == CRYPT_SALT_OK || verdict == CRYPT_SALT_METHOD_LEGACY;
}

static bool insert_user(struct accounts *accounts, struct bytes address, struct bytes hash,
                        bool unless_exists, size_t *added, struct error *error)
{
    struct buffer canonical = {0};
    struct bytes stored = hash.length > 0 ? hash : BYTES(ACCOUNTS_NO_PASSWORD);
    size_t before = *added;
    bool done = accounts_canonical_or_fail(&canonical, address, error) &&
                accounts_hosted_or_fail(accounts, buffer_bytes(&canonical), error) &&
                (hash.length == 0 || accounts_hash_is_usable(hash) ||
                 error_set(error, EX_DATAERR, "the hash of %.*s is not one that crypt(3) can check",
                           BYTES_ARG(bytes_first(address, 100)))) &&
                insert(accounts,
                       "INSERT OR IGNORE INTO user (address, password, created) VALUES (?1, ?2, "
                       "strftime('%s', 'now'))",
                       buffer_bytes(&canonical), stored, added, error);
    if (done && !unless_exists && *added == before)
        done = error_set(error, EX_DATAERR, "%.*s already exists", BYTES_ARG(buffer_bytes(&canonical)));
    buffer_free(&canonical);
    return done;
}

bool accounts_user_add_hashed(struct accounts *accounts, struct bytes address, struct bytes hash,
                              struct error *error)
{
    size_t added = 0;
    return insert_user(accounts, address, hash, false, &added, error);
}

bool accounts_user_hash(struct accounts *accounts, struct bytes address, struct bytes hash,
                        struct error *error)
{
    struct buffer canonical = {0};
    size_t changed = 0;
    bool done = accounts_canonical_or_fail(&canonical, address, error) &&
                (accounts_hash_is_usable(hash) ||
                 error_set(error, EX_DATAERR, "the hash of %.*s is not one that crypt(3) can check",
                           BYTES_ARG(bytes_first(address, 100)))) &&
                insert(accounts, "UPDATE user SET password = ?2, scram = NULL WHERE address = ?1",
                       buffer_bytes(&canonical), hash, &changed, error);
    if (done && changed == 0)
        done = error_set(error, EX_NOUSER, "there is no user %.*s", BYTES_ARG(buffer_bytes(&canonical)));
    buffer_free(&canonical);
    return done;
}

/* ---- domains that are another one ---- */

static bool is_alone(struct accounts *accounts, struct bytes rest)
{
    sqlite3_stmt *statement = accounts_bind(accounts, PAGE_OF_ALIAS, rest);
    size_t targets = 0;
    sqlite3_bind_text(statement, 2, "", 0, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, 2);
    while (accounts_next(accounts, statement))
        targets++;
    sqlite3_reset(statement);
    return targets == 1;
}

bool accounts_domain_is_sound(struct accounts *accounts, struct bytes domain, struct bytes other,
                              struct error *error)
{
    struct arena arena = {0};
    struct bytes rest = bytes_of_text(arena_format(&arena, "@%.*s", BYTES_ARG(domain))), at = other;
    bool done = accounts_is_hosted_ascii(accounts, other) ||
                error_set(error, EX_DATAERR,
                          "the domain %.*s is not hosted here; first: mailboat domain add %.*s",
                          BYTES_ARG(other), BYTES_ARG(other));
    if (done && !is_alone(accounts, rest))
        done = error_set(error, EX_DATAERR,
                         "%.*s is another domain or has a catch-all already: mailboat alias list shows it, "
                         "mailboat alias remove %.*s removes it",
                         BYTES_ARG(domain), BYTES_ARG(rest));
    for (unsigned step = 0; done && at.length > 0; step++) {
        if (bytes_equal(at, domain) || step == DOMAIN_STEPS_MAX)
            done = error_set(error, EX_DATAERR, "%.*s leads back to %.*s", BYTES_ARG(other),
                             BYTES_ARG(domain));
        at = accounts_next_domain(accounts, at, &arena);
    }
    arena_clear(&arena);
    return done;
}

bool accounts_domain_is(struct accounts *accounts, struct bytes domain, struct bytes other,
                        struct error *error)
{
    struct buffer names[2] = {{0}}, rests[2] = {{0}};
    size_t added = 0;
    bool done = begin(accounts, error) && insert_domain(accounts, domain, &added, error);
    const struct bytes said[] = {domain, other};
    for (size_t i = 0; done && i < ARRAY_LENGTH(names); i++) {
        done = accounts_domain(&names[i], said[i]) ||
               error_set(error, EX_DATAERR, "'%.*s' is not a domain name",
                         BYTES_ARG(bytes_first(said[i], 100)));
        buffer_add_format(&rests[i], "@%.*s", BYTES_ARG(buffer_bytes(&names[i])));
    }
    done = done &&
           insert(accounts, "INSERT OR IGNORE INTO alias (address, target) VALUES (?1, ?2)",
                  buffer_bytes(&rests[0]), buffer_bytes(&rests[1]), &added, error) &&
           accounts_domain_is_sound(accounts, buffer_bytes(&names[0]), buffer_bytes(&names[1]), error);
    done = end(accounts, done, error);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        buffer_free(&names[i]);
        buffer_free(&rests[i]);
    }
    return done;
}

/* ---- many at once ---- */

static bool import_alias(struct accounts *accounts, const struct accounts_import *item, size_t *added,
                         struct error *error)
{
    struct buffer alias = {0}, target = {0};
    bool done = accounts_alias_or_fail(&alias, item->name, error) &&
                accounts_alias_or_fail(&target, item->value, error) &&
                accounts_hosted_or_fail(accounts, buffer_bytes(&alias), error) &&
                insert(accounts, "INSERT OR IGNORE INTO alias (address, target) VALUES (?1, ?2)",
                       buffer_bytes(&alias), buffer_bytes(&target), added, error);
    buffer_free(&alias);
    buffer_free(&target);
    return done;
}

static bool import_one(struct accounts *accounts, const struct accounts_import *item, size_t *added,
                       struct error *error)
{
    switch (item->kind) {
    case ACCOUNTS_IMPORT_DOMAIN: return insert_domain(accounts, item->name, added, error);
    case ACCOUNTS_IMPORT_USER: return insert_user(accounts, item->name, item->value, true, added, error);
    case ACCOUNTS_IMPORT_ALIAS: return import_alias(accounts, item, added, error);
    }
    return error_set(error, EX_DATAERR, "unknown kind of account");
}

bool accounts_import(struct accounts *accounts, const struct accounts_import *items, size_t count,
                     size_t *added, struct error *error)
{
    *added = 0;
    bool done = begin(accounts, error);
    for (size_t i = 0; done && i < count; i++)
        done = import_one(accounts, &items[i], added, error);
    /* all exist now: they may refer to each other */
    for (size_t i = 0; done && i < count; i++)
        done = items[i].kind != ACCOUNTS_IMPORT_ALIAS ||
               accounts_alias_is_sound(accounts, items[i].name, items[i].value, error);
    return end(accounts, done, error);
}
