/* SPDX-License-Identifier: Apache-2.0 */
/* accounts: users, their passwords and application passwords. */
#define _GNU_SOURCE
#include <assert.h>
#include <crypt.h>
#include <idn2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "store/accounts_file.h"

/* ---- names ---- */

bool accounts_domain(struct buffer *out, struct bytes domain)
{
    char *text = NULL;
    struct buffer copy = {0};
    buffer_add(&copy, domain);
    bool fine = host_is_name(domain, true) &&
                (bytes_is_ascii(domain) ? true
                                        : idn2_to_ascii_8z(buffer_text(&copy), &text,
                                                           IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK);
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
    address_canonical_local(&local, &parsed); /* it is said again in RCPT: with the quotes that it needs */
    for (size_t i = 0; i < local.length; i++)
        buffer_add_octet(out, ascii_lower(buffer_bytes(&local).at[i]));
    buffer_free(&local);
    buffer_add_octet(out, '@');
    return accounts_domain(out, parsed.domain);
}

/* The address with its local part in quotes; false if it has them, or none. */
static bool add_quotes(struct buffer *out, struct bytes address)
{
    struct bytes local, domain;
    if (!address_split(address, &local, &domain) || local.length == 0 || local.at[0] == '"')
        return false;
    buffer_add_octet(out, '"');
    for (size_t i = 0; i < local.length; i++) {
        if (local.at[i] == '"' || local.at[i] == '\\')
            buffer_add_octet(out, '\\');
        buffer_add_octet(out, local.at[i]);
    }
    buffer_add_format(out, "\"@%.*s", BYTES_ARG(domain));
    return true;
}

bool accounts_canonical_quoted(struct buffer *out, struct bytes address)
{
    struct buffer canonical = {0}, quoted = {0};
    bool is = accounts_canonical(&canonical, address);
    if (!is && add_quotes(&quoted, address)) {
        buffer_clear(&canonical);
        is = accounts_canonical(&canonical, buffer_bytes(&quoted));
    }
    if (is)
        buffer_add(out, buffer_bytes(&canonical));
    buffer_free(&quoted);
    buffer_free(&canonical);
    return is;
}

/* ---- queries ---- */

/* Steps to the next row; records a failure. */
bool accounts_next(struct accounts *accounts, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    accounts->unreadable = accounts->unreadable || (code != SQLITE_ROW && code != SQLITE_DONE);
    return code == SQLITE_ROW;
}

sqlite3_stmt *accounts_bind(struct accounts *accounts, enum accounts_statement which, struct bytes first)
{
    sqlite3_stmt *statement = accounts->statements[which];
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, first.at == NULL ? "" : first.at, (int)first.length, SQLITE_TRANSIENT);
    return statement;
}

struct bytes accounts_column(sqlite3_stmt *statement, int i, struct arena *arena)
{
    return arena_copy(
        arena, bytes_of(sqlite3_column_text(statement, i), (size_t)sqlite3_column_bytes(statement, i)));
}

bool accounts_has(struct accounts *accounts, enum accounts_statement which, struct bytes key)
{
    sqlite3_stmt *statement = accounts_bind(accounts, which, key);
    bool found = accounts_next(accounts, statement);
    sqlite3_reset(statement);
    return found;
}

bool accounts_is_hosted_ascii(struct accounts *accounts, struct bytes domain)
{
    for (size_t i = 0; i < accounts->domain_count; i++)
        if (bytes_is_nocase(domain, accounts->domains[i]))
            return true;
    return accounts_has(accounts, FIND_DOMAIN, domain);
}

bool accounts_is_hosted(struct accounts *accounts, struct bytes domain)
{
    struct buffer name = {0};
    bool hosted = accounts_domain(&name, domain) && accounts_is_hosted_ascii(accounts, buffer_bytes(&name));
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

bool accounts_find_canonical(struct accounts *accounts, struct bytes address, struct arena *arena,
                             struct account *account)
{
    sqlite3_stmt *statement = accounts_bind(accounts, FIND_USER, address);
    bool found = accounts_next(accounts, statement);
    if (found) {
        *account = (struct account){.address = accounts_column(statement, 0, arena),
                                    .password = accounts_column(statement, 1, arena),
                                    .disabled = sqlite3_column_int(statement, 2) != 0};
        account->verifier = column_verifier(statement, 3, &account->has_verifier);
        account->forward = accounts_column(statement, 4, arena);
        account->keeps = sqlite3_column_int(statement, 5) != 0;
        account->away = sqlite3_column_int(statement, 6) != 0;
        account->has_quota = sqlite3_column_type(statement, 7) != SQLITE_NULL;
        account->quota = (uint64_t)sqlite3_column_int64(statement, 7);
    }
    sqlite3_reset(statement);
    return found;
}

bool accounts_away(struct accounts *accounts, struct bytes user, struct arena *arena,
                   struct account_away *away)
{
    sqlite3_stmt *statement = accounts_bind(accounts, FIND_AWAY, user);
    bool found = accounts_next(accounts, statement);
    if (found)
        *away = (struct account_away){.since_ms = (uint64_t)sqlite3_column_int64(statement, 0),
                                      .until_ms = (uint64_t)sqlite3_column_int64(statement, 1),
                                      .days = (uint32_t)sqlite3_column_int(statement, 2),
                                      .subject = accounts_column(statement, 3, arena),
                                      .text = accounts_column(statement, 4, arena)};
    sqlite3_reset(statement);
    return found;
}

bool accounts_find(struct accounts *accounts, struct bytes address, struct arena *arena,
                   struct account *account)
{
    struct buffer canonical = {0};
    bool found = accounts_canonical(&canonical, address) &&
                 accounts_find_canonical(accounts, buffer_bytes(&canonical), arena, account);
    buffer_free(&canonical);
    return found;
}

/* ---- passwords and keys ---- */

static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* base 32 without l, o, 0, 1 */

void accounts_add_random(struct buffer *out, size_t length)
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
        accounts_add_random(out, 5);
    }
}

bool accounts_password_matches(const char *hash, const char *password)
{
    struct crypt_data *data = memory_new(sizeof *data);
    const char *again = crypt_r(password, hash, data);
    bool matches = again != NULL && again[0] != '*' && strlen(again) == strlen(hash) &&
                   CRYPTO_memcmp(again, hash, strlen(hash)) == 0;
    explicit_bzero(data, sizeof *data);
    free(data);
    return matches;
}

/* Its digest is chance: crypt_r() takes the method, the cost and the salt from what is before it, so that a
 * check takes as long as any other, and a process need not hash at its start. */
const char *accounts_dummy_hash(void)
{
    enum { DIGEST_LENGTH = 43 }; /* of yescrypt: 32 octets */
    static char hash[CRYPT_OUTPUT_SIZE];
    if (hash[0] == '\0') { /* created once, before threads start */
        struct buffer made = {0};
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];
        if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) == NULL)
            return "*";
        buffer_add_format(&made, "%s$", setting);
        accounts_add_random(&made, DIGEST_LENGTH);
        snprintf(hash, sizeof hash, "%s", buffer_text(&made));
        buffer_free(&made);
    }
    return hash;
}

/* Splits mb_ID_SECRET: the id finds it without a slow hash. */
static bool split_secret(struct bytes secret, struct bytes *id, struct bytes *rest)
{
    if (secret.length != 3 + KEY_ID_LENGTH + 1 + KEY_SECRET_LENGTH || !bytes_starts_nocase(secret, "mb_") ||
        secret.at[3 + KEY_ID_LENGTH] != '_')
        return false;
    *id = bytes_of(secret.at + 3, KEY_ID_LENGTH);
    *rest = bytes_from(secret, 3 + KEY_ID_LENGTH + 1);
    return true;
}

void accounts_digest(struct bytes text, unsigned char out[DIGEST])
{
    int done = EVP_Digest(text.at, text.length, out, NULL, EVP_sha256(), NULL);
    assert(done == 1);
}

bool accounts_find_key(struct accounts *accounts, struct bytes user, struct bytes secret, struct arena *arena,
                       struct account *account)
{
    struct bytes id, rest;
    unsigned char hash[DIGEST];
    if (!split_secret(secret, &id, &rest) || !accounts_find(accounts, user, arena, account))
        return false;
    accounts_digest(rest, hash);
    sqlite3_stmt *statement = accounts_bind(accounts, FIND_KEY, id);
    account->has_verifier = false;
    account->key = arena_copy(arena, id);
    bool matches = accounts_next(accounts, statement) &&
                   bytes_equal(accounts_column(statement, 0, arena), account->address) &&
                   sqlite3_column_bytes(statement, 1) == DIGEST &&
                   CRYPTO_memcmp(sqlite3_column_blob(statement, 1), hash, DIGEST) == 0;
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

size_t accounts_key_verifiers(struct accounts *accounts, struct bytes address, struct key_verifier *keys,
                              size_t count_max)
{
    sqlite3_stmt *statement = accounts_bind(accounts, KEYS_OF_USER, address);
    size_t count = 0;
    bool there;
    while (count < count_max && accounts_next(accounts, statement)) {
        keys[count].verifier = column_verifier(statement, 0, &there);
        snprintf(keys[count].id, sizeof keys[count].id, "%s",
                 (const char *)sqlite3_column_text(statement, 1));
        count += there;
    }
    sqlite3_reset(statement);
    return count;
}
