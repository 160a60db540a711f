/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_list: lists the accounts, a page at a time. */
#include <sysexits.h>

#include "store/accounts_file.h"

enum { KEY_PARTS = 3 }; /* texts that identify a row, at most */

/* The last column is the start of the next page, its parts separated by a newline, which no address
 * contains. */
static const char *const texts[LISTS] = {
    [LIST_USERS] = "SELECT address, disabled, strftime('%Y-%m-%dT%H:%M:%SZ', created, 'unixepoch'), forward, "
                   "forward IS NOT NULL AND keeps, EXISTS(SELECT 1 FROM away WHERE away.user = address), "
                   "quota, address FROM user WHERE address > ?1 ORDER BY address LIMIT ?4",
    [LIST_QUOTAS] = "SELECT address, quota, address FROM user WHERE quota IS NOT NULL AND address > ?1 "
                    "ORDER BY address LIMIT ?4",
    [LIST_DOMAINS] = "SELECT name, name FROM domain WHERE name > ?1 ORDER BY name LIMIT ?4",
    [LIST_ALIASES] = "SELECT address, target, address || char(10) || target FROM alias "
                     "WHERE (address, target) > (?1, ?2) ORDER BY address, target LIMIT ?4",
    [LIST_KEYS] = "SELECT id, user, name, strftime('%Y-%m-%dT%H:%M:%SZ', created, 'unixepoch'), "
                  "user || char(10) || created || char(10) || id FROM key "
                  "WHERE (user, created, id) > (?1, CAST(?2 AS INTEGER), ?3) "
                  "ORDER BY user, created, id LIMIT ?4",
    [LIST_ACCOUNT] = "SELECT address, quota, since_ms, until_ms, days, subject, text, '' FROM user "
                     "LEFT JOIN away ON away.user = address WHERE address = ?1 LIMIT ?4",
    [LIST_DOMAIN] = "SELECT name, '' FROM domain WHERE name = ?1 LIMIT ?4",
};

/* Returns an address or a domain in its stored form; an invalid one matches nothing. */
static struct bytes kept_form(enum accounts_list list, struct bytes name, struct buffer *form)
{
    if (list == LIST_ACCOUNT)
        return accounts_canonical(form, name) ? buffer_bytes(form) : bytes_none();
    if (list == LIST_DOMAIN)
        return accounts_domain(form, name) ? buffer_bytes(form) : bytes_none();
    return name;
}

static void bind_after(sqlite3_stmt *statement, struct bytes after)
{
    for (int i = 1; i <= KEY_PARTS; i++) {
        struct bytes part = bytes_split(&after, '\n');
        sqlite3_bind_text(statement, i, part.at == NULL ? "" : part.at, (int)part.length, SQLITE_TRANSIENT);
    }
}

/* Passes the next row to `each`; false at the end, or on failure. */
static bool next_row(sqlite3_stmt *statement, int *step, accounts_row *each, void *owner, struct buffer *next)
{
    const char *columns[LIST_COLUMNS_MAX];
    *step = sqlite3_step(statement);
    if (*step != SQLITE_ROW)
        return false;
    int count = sqlite3_column_count(statement) - 1;
    assert(count <= LIST_COLUMNS_MAX);
    for (int i = 0; i < count; i++)
        columns[i] = (const char *)sqlite3_column_text(statement, i);
    buffer_clear(next);
    buffer_add_text(next, (const char *)sqlite3_column_text(statement, count));
    each(owner, columns, (size_t)count);
    return true;
}

bool accounts_page_of(struct accounts *accounts, enum accounts_list list, struct bytes after, size_t max,
                      accounts_row *each, void *owner, struct buffer *next, struct error *error)
{
    struct buffer form = {0};
    sqlite3_stmt *statement;
    size_t rows = 0;
    int step = SQLITE_DONE;
    assert(max > 0 && list < LISTS);
    buffer_clear(next);
    if (sqlite3_prepare_v2(accounts->db, texts[list], -1, &statement, NULL) != SQLITE_OK)
        return accounts_fail(accounts, error);
    bind_after(statement, kept_form(list, after, &form));
    sqlite3_bind_int64(statement, KEY_PARTS + 1, max >= INT32_MAX ? -1 : (sqlite3_int64)max);
    while (next_row(statement, &step, each, owner, next))
        rows++;
    sqlite3_finalize(statement);
    buffer_free(&form);
    if (rows < max)
        buffer_clear(next);
    return step == SQLITE_DONE || accounts_fail(accounts, error);
}

bool accounts_each(struct accounts *accounts, enum accounts_list list, accounts_row *each, void *owner,
                   struct error *error)
{
    struct buffer next = {0};
    bool done = accounts_page_of(accounts, list, bytes_none(), SIZE_MAX, each, owner, &next, error);
    buffer_free(&next);
    return done;
}
