/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_change: changes the accounts. */
#define _GNU_SOURCE
#include <assert.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "io/saslprep.h"
#include "store/accounts_file.h"

struct accounts_value {
    struct bytes text;
    bool is_blob;
};

/* Runs one change with up to four texts; false if it failed or, with `what`, if no row was changed ("there
 * is no WHAT"). */
static bool change(struct accounts *accounts, const char *sql, const struct accounts_value *values,
                   size_t count, const char *what, struct error *error)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(accounts->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return accounts_fail(accounts, error);
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
        return error_set(error, EX_DATAERR, "%.*s already exists", BYTES_ARG(values[0].text));
    if (step != SQLITE_DONE)
        return accounts_fail(accounts, error);
    if (what != NULL && sqlite3_changes(accounts->db) == 0)
        return error_set(error, EX_NOUSER, "there is no %s %.*s", what, BYTES_ARG(values[0].text));
    return true;
}

bool accounts_canonical_or_fail(struct buffer *out, struct bytes address, struct error *error)
{
    return accounts_canonical(out, address) ||
           error_set(error, EX_DATAERR, "'%.*s' is not a mail address; the form is ada@example.org",
                     BYTES_ARG(bytes_first(address, 100)));
}

bool accounts_alias_or_fail(struct buffer *out, struct bytes address, struct error *error)
{
    if (address.length == 0 || address.at[0] != '@')
        return accounts_canonical_or_fail(out, address, error);
    buffer_add_octet(out, '@');
    return accounts_domain(out, bytes_from(address, 1)) ||
           error_set(error, EX_DATAERR, "'%.*s' is not a catch-all; the form is @example.org",
                     BYTES_ARG(bytes_first(address, 100)));
}

bool accounts_hosted_or_fail(struct accounts *accounts, struct bytes canonical, struct error *error)
{
    struct bytes local, domain;
    address_split(canonical, &local, &domain);
    return accounts_is_hosted_ascii(accounts, domain) || accounts_is_hosted(accounts, domain) ||
           error_set(error, EX_DATAERR, "the domain %.*s is not hosted here; first: mailboat domain add %.*s",
                     BYTES_ARG(domain), BYTES_ARG(domain));
}

static bool hash_password(struct bytes password, struct buffer *hash, struct error *error)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[PASSWORD_MAX + 1];
    if (password.length == 0 || password.length > PASSWORD_MAX || bytes_find(password, '\0') != SIZE_MAX)
        return error_set(error, EX_DATAERR, "a password must be 1 to %d bytes long, without NUL",
                         PASSWORD_MAX);
    memcpy(text, password.at, password.length);
    text[password.length] = '\0';
    struct crypt_data *data = memory_new(sizeof *data);
    const char *made = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) == NULL
                           ? NULL
                           : crypt_r(text, setting, data);
    bool done = made != NULL && made[0] != '*';
    if (done)
        buffer_add_text(hash, made);
    explicit_bzero(data, sizeof *data);
    explicit_bzero(text, sizeof text);
    free(data);
    return done || error_set(error, EX_SOFTWARE, "the password cannot be hashed");
}

bool accounts_hash_password(struct bytes password, struct buffer *hash, struct error *error)
{
    char buffer[SASLPREP_MAX + 1];
    bool done = hash_password(saslprep(password, buffer), hash, error);
    explicit_bzero(buffer, sizeof buffer);
    return done;
}

/* Uses the fixed salt of the address. */
static struct verifier verifier_of(const struct accounts *accounts, struct bytes address,
                                   struct bytes password)
{
    uint8_t salt[VERIFIER_SALT];
    struct verifier_keys keys;
    accounts_salt(accounts, address, salt);
    verifier_derive(&keys, password, bytes_of(salt, sizeof salt), VERIFIER_ITERATIONS);
    explicit_bzero(keys.client_key, sizeof keys.client_key);
    return keys.verifier;
}

/* Addresses of others may be longer than those that are given out here. */
static bool name_fits(struct bytes canonical, struct error *error)
{
    struct bytes local, domain;
    return !address_split(canonical, &local, &domain) || local.length <= ACCOUNT_NAME_MAX ||
           error_set(error, EX_DATAERR, "the name before @ has %s; the limit for a user is %d",
                     COUNT_OF(local.length, "byte"), ACCOUNT_NAME_MAX);
}

/* Sets the password of a canonical address: ?1 is the address, ?2 the hash, ?3 the verifier. */
static bool change_password(struct accounts *accounts, const char *sql, struct bytes canonical,
                            struct bytes password, const char *what, struct error *error)
{
    struct buffer hash = {0};
    char buffer[SASLPREP_MAX + 1];
    password = saslprep(password, buffer);
    bool done = hash_password(password, &hash, error);
    if (done) {
        struct verifier verifier = verifier_of(accounts, canonical, password);
        done = change(accounts, sql,
                      (struct accounts_value[]){{canonical, false},
                                                {buffer_bytes(&hash), false},
                                                {bytes_of(&verifier, sizeof verifier), true}},
                      3, what, error);
    }
    buffer_free(&hash);
    explicit_bzero(buffer, sizeof buffer);
    return done;
}

bool accounts_user_add(struct accounts *accounts, struct bytes address, struct bytes password,
                       struct error *error)
{
    struct buffer canonical = {0};
    bool done = accounts_canonical_or_fail(&canonical, address, error) &&
                name_fits(buffer_bytes(&canonical), error) &&
                accounts_hosted_or_fail(accounts, buffer_bytes(&canonical), error) &&
                change_password(accounts,
                                "INSERT INTO user (address, password, scram, created) VALUES (?1, ?2, ?3, "
                                "strftime('%s', 'now'))",
                                buffer_bytes(&canonical), password, NULL, error);
    buffer_free(&canonical);
    return done;
}

bool accounts_user_password(struct accounts *accounts, struct bytes address, struct bytes password,
                            struct error *error)
{
    struct buffer canonical = {0};
    bool done = accounts_canonical_or_fail(&canonical, address, error) &&
                change_password(accounts, "UPDATE user SET password = ?2, scram = ?3 WHERE address = ?1",
                                buffer_bytes(&canonical), password, "user", error);
    buffer_free(&canonical);
    return done;
}

/* Runs a change whose only argument is an address. */
static bool change_address(struct accounts *accounts, const char *sql, struct bytes address, const char *what,
                           struct error *error)
{
    struct buffer canonical = {0};
    bool done = accounts_canonical_or_fail(&canonical, address, error) &&
                change(accounts, sql, (struct accounts_value[]){{buffer_bytes(&canonical), false}}, 1, what,
                       error);
    buffer_free(&canonical);
    return done;
}

bool accounts_learn(struct accounts *accounts, struct bytes address, struct bytes key,
                    struct bytes password_hash, struct bytes verifier, struct error *error)
{
    if (verifier.length != sizeof(struct verifier))
        return error_set(error, EX_SOFTWARE, "invalid SCRAM verifier");
    if (key.length > 0)
        return change(accounts, "UPDATE key SET scram = ?3 WHERE id = ?1 AND user = ?2 AND scram IS NULL",
                      (struct accounts_value[]){{key, false}, {address, false}, {verifier, true}}, 3, NULL,
                      error);
    return change(accounts,
                  "UPDATE user SET scram = ?3 WHERE address = ?1 AND password = ?2 AND scram IS NULL",
                  (struct accounts_value[]){{address, false}, {password_hash, false}, {verifier, true}}, 3,
                  NULL, error);
}

bool accounts_user_disable(struct accounts *accounts, struct bytes address, bool disabled,
                           struct error *error)
{
    return change_address(accounts,
                          disabled ? "UPDATE user SET disabled = 1 WHERE address = ?1"
                                   : "UPDATE user SET disabled = 0 WHERE address = ?1",
                          address, "user", error);
}

/* Rejects forwarding to the user's own address, also with a tag. */
static bool elsewhere_or_fail(struct accounts *accounts, struct bytes user, struct bytes target,
                              struct error *error)
{
    struct arena arena = {0};
    bool own = bytes_equal(user, target) || bytes_equal(accounts_without_tag(target, &arena), user);
    arena_clear(&arena);
    return !own ||
           error_set(error, EX_DATAERR,
                     "%.*s is the user's own address; to end a forwarding: mailboat user forward %.*s off",
                     BYTES_ARG(target), BYTES_ARG(user));
}

bool accounts_user_forward(struct accounts *accounts, struct bytes address, struct bytes target, bool keep,
                           struct error *error)
{
    struct buffer user = {0}, to = {0};
    if (target.length == 0)
        return change_address(accounts, "UPDATE user SET forward = NULL, keeps = 1 WHERE address = ?1",
                              address, "user", error);
    bool done = accounts_canonical_or_fail(&user, address, error) &&
                accounts_canonical_or_fail(&to, target, error) &&
                elsewhere_or_fail(accounts, buffer_bytes(&user), buffer_bytes(&to), error) &&
                change(accounts,
                       keep ? "UPDATE user SET forward = ?2, keeps = 1 WHERE address = ?1"
                            : "UPDATE user SET forward = ?2, keeps = 0 WHERE address = ?1",
                       (struct accounts_value[]){{buffer_bytes(&user), false}, {buffer_bytes(&to), false}}, 2,
                       "user", error);
    buffer_free(&user);
    buffer_free(&to);
    return done;
}

bool accounts_user_quota(struct accounts *accounts, struct bytes address, const uint64_t *octets,
                         struct error *error)
{
    struct buffer user = {0}, number = {0};
    if (octets == NULL)
        return change_address(accounts, "UPDATE user SET quota = NULL WHERE address = ?1", address, "user",
                              error);
    assert(*octets <= ACCOUNT_QUOTA_MAX);
    buffer_add_format(&number, "%llu", (unsigned long long)*octets);
    bool done = accounts_canonical_or_fail(&user, address, error) &&
                change(
                    accounts, "UPDATE user SET quota = ?2 WHERE address = ?1",
                    (struct accounts_value[]){{buffer_bytes(&user), false}, {buffer_bytes(&number), false}},
                    2, "user", error);
    buffer_free(&user);
    buffer_free(&number);
    return done;
}

static bool put_away(struct accounts *accounts, struct bytes user, const struct account_away *away,
                     struct error *error)
{
    struct buffer numbers[3] = {{0}};
    buffer_add_format(&numbers[0], "%llu", (unsigned long long)away->since_ms);
    buffer_add_format(&numbers[1], "%llu", (unsigned long long)away->until_ms);
    buffer_add_format(&numbers[2], "%u", (unsigned)away->days);
    struct accounts_value values[] = {{user, false},
                                      {away->subject, false},
                                      {away->text, false},
                                      {buffer_bytes(&numbers[0]), false},
                                      {buffer_bytes(&numbers[1]), false},
                                      {buffer_bytes(&numbers[2]), false}};
    bool done = change(
        accounts,
        "INSERT INTO away (user, subject, text, since_ms, until_ms, days) SELECT address, ?2, ?3, ?4, ?5, ?6 "
        "FROM user WHERE address = ?1"
        " ON CONFLICT(user) DO UPDATE SET subject = ?2, text = ?3, since_ms = ?4, until_ms = ?5, days = ?6",
        values, ARRAY_LENGTH(values), "user", error);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        buffer_free(&numbers[i]);
    return done;
}

bool accounts_user_away(struct accounts *accounts, struct bytes address, const struct account_away *away,
                        struct error *error)
{
    struct buffer user = {0};
    bool done = accounts_canonical_or_fail(&user, address, error) &&
                (away != NULL ? put_away(accounts, buffer_bytes(&user), away, error)
                              : change(accounts, "DELETE FROM away WHERE user = ?1",
                                       (struct accounts_value[]){{buffer_bytes(&user), false}}, 1,
                                       "answer for absences of", error));
    buffer_free(&user);
    return done;
}

/* In one transaction. */
bool accounts_user_remove(struct accounts *accounts, struct bytes address, struct error *error)
{
    static const char *const besides[] = {"DELETE FROM key WHERE user = ?1",
                                          "DELETE FROM away WHERE user = ?1",
                                          "DELETE FROM alias WHERE target = ?1",
                                          "UPDATE user SET forward = NULL, keeps = 1 WHERE forward = ?1"};
    bool done = sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ||
                accounts_fail(accounts, error);
    for (size_t i = 0; done && i < ARRAY_LENGTH(besides); i++)
        done = change_address(accounts, besides[i], address, NULL, error);
    done = done && change_address(accounts, "DELETE FROM user WHERE address = ?1", address, "user", error) &&
           (sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
            accounts_fail(accounts, error));
    if (!done)
        sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

static bool change_domain(struct accounts *accounts, const char *sql, struct bytes domain, const char *what,
                          struct error *error)
{
    struct buffer name = {0};
    bool done = (accounts_domain(&name, domain) && !host_is_ipv4(domain)) ||
                error_set(error, EX_DATAERR, "'%.*s' is not a domain name",
                          BYTES_ARG(bytes_first(domain, 100)));
    done = done &&
           change(accounts, sql, (struct accounts_value[]){{buffer_bytes(&name), false}}, 1, what, error);
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

bool accounts_alias_remove(struct accounts *accounts, struct bytes address, struct bytes target,
                           struct error *error)
{
    struct buffer from = {0}, to = {0};
    bool whole = target.length == 0;
    bool done = accounts_alias_or_fail(&from, address, error) &&
                (whole || accounts_canonical_or_fail(&to, target, error)) &&
                change(accounts,
                       whole ? "DELETE FROM alias WHERE address = ?1"
                             : "DELETE FROM alias WHERE address = ?1 AND target = ?2",
                       (struct accounts_value[]){{buffer_bytes(&from), false}, {buffer_bytes(&to), false}},
                       whole ? 1 : 2, whole ? "alias" : "such alias", error);
    buffer_free(&from);
    buffer_free(&to);
    return done;
}

bool accounts_key_add(struct accounts *accounts, struct bytes user, struct bytes name, struct buffer *secret,
                      struct error *error)
{
    struct arena arena = {0};
    struct account account;
    struct buffer id = {0}, rest = {0};
    unsigned char hash[DIGEST];
    bool done = accounts_find(accounts, user, &arena, &account) ||
                error_set(error, EX_NOUSER, "user %.*s does not exist", BYTES_ARG(bytes_first(user, 100)));
    if (done) {
        accounts_add_random(&id, KEY_ID_LENGTH);
        accounts_add_random(&rest, KEY_SECRET_LENGTH);
        accounts_digest(buffer_bytes(&rest), hash);
        buffer_add_format(secret, "mb_%s_%s", buffer_text(&id), buffer_text(&rest));
        struct verifier verifier = verifier_of(accounts, account.address, buffer_bytes(secret));
        struct accounts_value values[] = {{buffer_bytes(&id), false},
                                          {account.address, false},
                                          {name, false},
                                          {bytes_of(hash, DIGEST), true},
                                          {bytes_of(&verifier, sizeof verifier), true}};
        done = change(accounts,
                      "INSERT INTO key (id, user, name, hash, scram, created) VALUES (?1, ?2, ?3, ?4, ?5, "
                      "strftime('%s', 'now'))",
                      values, 5, NULL, error);
    }
    buffer_free(&id);
    buffer_free(&rest);
    arena_clear(&arena);
    return done;
}

bool accounts_key_revoke(struct accounts *accounts, struct bytes id, struct buffer *user, struct error *error)
{
    struct arena arena = {0};
    sqlite3_stmt *statement = accounts_bind(accounts, FIND_KEY, id);
    if (accounts_next(accounts, statement))
        buffer_add(user, accounts_column(statement, 0, &arena));
    sqlite3_reset(statement);
    arena_clear(&arena);
    return change(accounts, "DELETE FROM key WHERE id = ?1", (struct accounts_value[]){{id, false}}, 1, "key",
                  error);
}
