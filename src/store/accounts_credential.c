/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_credential: a session's credential, and whether it is still valid. */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "store/accounts_file.h"

enum { MARK_OCTETS = 16 };

#define BY_KEY "key:"
#define BY_PASSWORD "password:"

/* Adds a digest of the password's hash, whose salt is new with each change. The digest reveals nothing of
 * the hash. */
static void add_mark(struct buffer *out, const struct accounts *accounts, const struct account *account)
{
    struct buffer text = {0};
    unsigned char mark[DIGEST];
    buffer_add_format(&text, "credential\n%.*s\n%.*s", BYTES_ARG(account->address),
                      BYTES_ARG(account->password));
    const void *done = HMAC(EVP_sha256(), accounts->secret, SECRET, (const unsigned char *)buffer_text(&text),
                            text.length, mark, NULL);
    assert(done != NULL);
    for (size_t i = 0; i < MARK_OCTETS; i++)
        buffer_add_format(out, "%02x", mark[i]);
    explicit_bzero(text.at, text.capacity);
    buffer_free(&text);
}

void accounts_credential(const struct accounts *accounts, const struct account *account, struct buffer *out)
{
    if (account->key.length > 0) {
        buffer_add_text(out, BY_KEY);
        buffer_add(out, account->key);
        return;
    }
    buffer_add_text(out, BY_PASSWORD);
    add_mark(out, accounts, account);
}

bool accounts_find_usable(struct accounts *accounts, struct bytes user, struct arena *arena,
                          struct account *account)
{
    struct bytes local, domain;
    return accounts_find(accounts, user, arena, account) && !account->disabled &&
           address_split(account->address, &local, &domain) && accounts_is_hosted(accounts, domain);
}

static bool key_holds(struct accounts *accounts, struct bytes id, struct bytes user, struct arena *arena)
{
    sqlite3_stmt *statement = accounts_bind(accounts, FIND_KEY, id);
    bool holds = accounts_next(accounts, statement) &&
                 bytes_equal(accounts_column(statement, 0, arena), user);
    sqlite3_reset(statement);
    return holds;
}

bool accounts_credential_holds(struct accounts *accounts, struct bytes user, struct bytes credential)
{
    struct arena arena = {0};
    struct account account;
    struct buffer now = {0};
    bool holds = accounts_find_usable(accounts, user, &arena, &account);
    if (holds && bytes_starts_nocase(credential, BY_KEY)) {
        holds = key_holds(accounts, bytes_from(credential, strlen(BY_KEY)), account.address, &arena);
    } else if (holds) {
        accounts_credential(accounts, &account, &now);
        holds = now.length == credential.length &&
                CRYPTO_memcmp(buffer_text(&now), credential.at, now.length) == 0;
    }
    buffer_free(&now);
    arena_clear(&arena);
    return holds;
}
