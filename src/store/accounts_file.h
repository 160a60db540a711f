/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts_file: what the files behind accounts.h share: accounts_open.c (the
 * file and its schema), accounts.c (who is there), accounts_resolve.c (where
 * mail goes), accounts_change.c and accounts_list.c. Nobody else includes it.
 */
#ifndef MAILBOAT_STORE_ACCOUNTS_FILE_H
#define MAILBOAT_STORE_ACCOUNTS_FILE_H

#include <assert.h>
#include <sqlite3.h>

#include "store/accounts.h"

enum { KEY_ID_LENGTH = 8, SECRET = 32, DIGEST = 32 };
static_assert(sizeof((struct key_verifier *)NULL)->id == KEY_ID_LENGTH + 1, "a key's id has its room");

/* Statements of the hot path, prepared once. */
enum accounts_statement {
    FIND_USER,
    FIND_AWAY,
    FIND_KEY,
    KEYS_OF_USER,
    HAS_ALIAS,
    PAGE_OF_ALIAS,
    ALIAS_NAMES,
    ALIASES_OF_ALIAS,
    FIND_DOMAIN,
    FIRST_OF_DOMAIN,
    STATEMENTS
};

struct accounts {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    const char *const *domains; /* of the configuration */
    size_t domain_count;
    uint8_t secret[SECRET]; /* of the salts */
    bool unreadable;        /* a question failed since it was last looked at */
};

/* False, with what SQLite says in words for people. */
bool accounts_fail(const struct accounts *accounts, struct error *error);

/* The statement, begun anew with its first text. */
sqlite3_stmt *accounts_bind(struct accounts *accounts, enum accounts_statement which, struct bytes first);
/* The next row; failure is remembered. */
bool accounts_next(struct accounts *accounts, sqlite3_stmt *statement);
struct bytes accounts_column(sqlite3_stmt *statement, int i, struct arena *arena);
/* Is there a row of this key? */
bool accounts_has(struct accounts *accounts, enum accounts_statement which, struct bytes key);

/* What is asked for is in the canonical form already. */
bool accounts_is_hosted_ascii(struct accounts *accounts, struct bytes domain);
bool accounts_find_canonical(struct accounts *accounts, struct bytes address, struct arena *arena,
                             struct account *account);

/* Where mail for a canonical address goes first: a mailbox, somebody elsewhere,
 * or what stands for others. False when it is of a hosted domain and nobody has it. */
bool accounts_place(struct accounts *accounts, struct bytes address, struct arena *arena,
                    struct recipient *place);

/* A page of its members as they are named, wherever they lead. */
struct accounts_page accounts_members(struct accounts *accounts, const struct recipient *place,
                                      struct bytes after, size_t max, struct arena *arena);

bool accounts_canonical_or_fail(struct buffer *out, struct bytes address, struct error *error);
/* Of an alias: an address, or "@example.org" for all that nobody has there. */
bool accounts_alias_or_fail(struct buffer *out, struct bytes address, struct error *error);
bool accounts_hosted_or_fail(struct accounts *accounts, struct bytes canonical, struct error *error);

/* `length` random characters of base 32; at most 64. */
void accounts_add_random(struct buffer *out, size_t length);
void accounts_digest(struct bytes text, unsigned char out[DIGEST]);

#endif
