/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts_file: shared by the files that implement accounts.h: accounts_open.c (the file and its schema),
 * accounts.c (users), accounts_resolve.c (routing), accounts_change.c and accounts_list.c; included only
 * there.
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
    DOMAIN_IS,
    FIRST_OF_DOMAIN,
    STATEMENTS
};

struct accounts {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    const char *const *domains; /* of the configuration */
    size_t domain_count;
    uint8_t secret[SECRET]; /* for the salts */
    bool unreadable;        /* a query has failed since the last check */
};

/* Returns false, with SQLite's message as the reason. */
bool accounts_fail(const struct accounts *accounts, struct error *error);

/* Resets the statement, and binds its first text. */
sqlite3_stmt *accounts_bind(struct accounts *accounts, enum accounts_statement which, struct bytes first);
/* Steps to the next row; records a failure. */
bool accounts_next(struct accounts *accounts, sqlite3_stmt *statement);
struct bytes accounts_column(sqlite3_stmt *statement, int i, struct arena *arena);
/* True if a row with this key exists. */
bool accounts_has(struct accounts *accounts, enum accounts_statement which, struct bytes key);

/* The argument must be in canonical form. */
bool accounts_is_hosted_ascii(struct accounts *accounts, struct bytes domain);
bool accounts_find_canonical(struct accounts *accounts, struct bytes address, struct arena *arena,
                             struct account *account);

/* Returns the hosted domain that this one is, if it is another (accounts_domain_is()); else empty. */
struct bytes accounts_next_domain(struct accounts *accounts, struct bytes domain, struct arena *arena);

/* Finds the first place of a canonical address: a mailbox, an address elsewhere, or one that expands.
 * False if it is of a hosted domain and does not exist. */
bool accounts_place(struct accounts *accounts, struct bytes address, struct arena *arena,
                    struct recipient *place);

/* Returns a page of its members by name, unresolved. */
struct accounts_page accounts_members(struct accounts *accounts, const struct recipient *place,
                                      struct bytes after, size_t max, struct arena *arena);

bool accounts_canonical_or_fail(struct buffer *out, struct bytes address, struct error *error);
/* For an alias: an address, or "@example.org" for all unknown addresses of it. */
bool accounts_alias_or_fail(struct buffer *out, struct bytes address, struct error *error);
bool accounts_hosted_or_fail(struct accounts *accounts, struct bytes canonical, struct error *error);

/* Checks a row that was added: false for an unknown target of a hosted domain, and a circle. */
bool accounts_alias_is_sound(struct accounts *accounts, struct bytes address, struct bytes target,
                             struct error *error);
bool accounts_domain_is_sound(struct accounts *accounts, struct bytes domain, struct bytes other,
                              struct error *error);

/* Appends `length` random base 32 characters; at most 64. */
void accounts_add_random(struct buffer *out, size_t length);
void accounts_digest(struct bytes text, unsigned char out[DIGEST]);

#endif
