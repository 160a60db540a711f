/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_alias: adds targets of an alias, many at once, and rejects those that would lose mail. */
#include <sysexits.h>

#include "base/map.h"
#include "store/accounts_file.h"

struct alias_addition {
    struct accounts *accounts;
    struct arena *arena;
    struct bytes alias;  /* canonical */
    struct map followed; /* aliases that do not lead back */
    struct bytes *ahead; /* targets still to be followed */
    size_t ahead_count, ahead_capacity;
    sqlite3_stmt *insert;
};

/* Rejects a target in a hosted domain that does not exist. */
static bool somebody_or_fail(struct accounts *accounts, struct bytes target, struct error *error)
{
    struct arena arena = {0};
    struct recipient place;
    bool found = accounts_place(accounts, target, &arena, &place);
    arena_clear(&arena);
    return found || error_set(error, EX_NOUSER,
                              "%.*s is in a local domain but is not a user, alias or catch-all; "
                              "first: mailboat user add %.*s",
                              BYTES_ARG(target), BYTES_ARG(target));
}

/* A target equal to the alias means the mailbox of that name. */
static bool own_name_or_fail(struct alias_addition *a, struct error *error)
{
    struct account account;
    struct bytes after = bytes_none();
    if (!accounts_find_canonical(a->accounts, a->alias, a->arena, &account))
        return error_set(error, EX_DATAERR,
                         "%.*s would lead to itself: it is not a user; name another target",
                         BYTES_ARG(a->alias));
    sqlite3_stmt *statement = accounts_bind(a->accounts, PAGE_OF_ALIAS, a->alias);
    sqlite3_bind_text(statement, 2, "", 0, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, 2);
    size_t targets = 0;
    while (accounts_next(a->accounts, statement)) {
        after = accounts_column(statement, 0, a->arena);
        targets++;
    }
    sqlite3_reset(statement);
    return targets > 1 || error_set(error, EX_DATAERR,
                                    "%.*s would lead only to itself, as it does without an alias; name the "
                                    "other targets in the same command: mailboat alias add %.*s %.*s OTHER",
                                    BYTES_ARG(a->alias), BYTES_ARG(a->alias), BYTES_ARG(after));
}

static void follow(struct alias_addition *a, struct bytes alias)
{
    if (map_get(&a->followed, alias) != NULL)
        return;
    map_put(&a->followed, alias, a);
    if (a->ahead_count == a->ahead_capacity) {
        size_t room = a->ahead_capacity == 0 ? 16 : 2 * a->ahead_capacity;
        struct bytes *larger = ARENA_ARRAY(a->arena, struct bytes, room);
        if (a->ahead_count > 0)
            memcpy(larger, a->ahead, a->ahead_count * sizeof *larger);
        a->ahead = larger;
        a->ahead_capacity = room;
    }
    a->ahead[a->ahead_count++] = alias;
}

/* Follows one target through aliases only: a forwarding that leads back affects only its user, whose mail
 * stays. */
static bool leads_back(struct alias_addition *a, struct bytes target)
{
    struct recipient place;
    if (!accounts_place(a->accounts, target, a->arena, &place) || place.expands != EXPANDS_ALIAS)
        return false;
    if (bytes_equal(place.address, a->alias))
        return true;
    for (follow(a, place.address); a->ahead_count > 0;) {
        struct bytes at = a->ahead[--a->ahead_count], after = bytes_none();
        struct accounts_page page;
        do {
            page = accounts_members(a->accounts, &(struct recipient){.address = at, .expands = EXPANDS_ALIAS},
                                    after, EXPANSION_PAGE, a->arena);
            for (size_t i = 0; i < page.member_count; i++)
                if (page.members[i].expands == EXPANDS_ALIAS &&
                    bytes_equal(page.members[i].address, a->alias))
                    return true;
                else if (page.members[i].expands == EXPANDS_ALIAS)
                    follow(a, page.members[i].address);
            after = page.after;
        } while (after.length > 0);
    }
    return false;
}

/* A domain that is another one has no catch-all. */
static bool catch_all_or_fail(struct accounts *accounts, struct bytes alias, struct error *error)
{
    if (alias.at[0] != '@')
        return true;
    sqlite3_stmt *statement = accounts_bind(accounts, DOMAIN_IS, alias);
    bool is_other = accounts_next(accounts, statement);
    sqlite3_reset(statement);
    return !is_other ||
           error_set(error, EX_DATAERR,
                     "%.*s is another domain and has no catch-all; first: mailboat alias remove %.*s",
                     BYTES_ARG(bytes_from(alias, 1)), BYTES_ARG(alias));
}

static bool check_target(struct alias_addition *a, struct bytes target, struct error *error)
{
    if (bytes_equal(target, a->alias))
        return own_name_or_fail(a, error);
    if (!somebody_or_fail(a->accounts, target, error))
        return false;
    return !leads_back(a, target) ||
           error_set(error, EX_DATAERR,
                     "%.*s leads back to %.*s: mail would run in a circle; mailboat alias list shows the "
                     "way, mailboat alias remove opens it",
                     BYTES_ARG(target), BYTES_ARG(a->alias));
}

bool accounts_alias_is_sound(struct accounts *accounts, struct bytes address, struct bytes target,
                             struct error *error)
{
    struct arena arena = {0};
    struct buffer alias = {0}, to = {0};
    bool done = accounts_alias_or_fail(&alias, address, error) && accounts_alias_or_fail(&to, target, error);
    struct bytes name = buffer_bytes(&alias), goal = buffer_bytes(&to);
    struct alias_addition a = {.accounts = accounts, .arena = &arena, .alias = name};
    map_start(&a.followed, 0); /* trusted keys: aliases of this server */
    if (done && goal.at[0] != '@')
        done = catch_all_or_fail(accounts, name, error) && check_target(&a, goal, error);
    else if (done)
        done = name.at[0] == '@'
                   ? accounts_domain_is_sound(accounts, bytes_from(name, 1), bytes_from(goal, 1), error)
                   : error_set(error, EX_DATAERR, "%.*s is a domain, not a target of an alias",
                               BYTES_ARG(goal));
    map_free(&a.followed);
    buffer_free(&alias);
    buffer_free(&to);
    arena_clear(&arena);
    return done;
}

static bool insert(struct alias_addition *a, struct bytes target, size_t *added, struct error *error)
{
    sqlite3_reset(a->insert);
    sqlite3_bind_text(a->insert, 1, a->alias.at, (int)a->alias.length, SQLITE_STATIC);
    sqlite3_bind_text(a->insert, 2, target.at, (int)target.length, SQLITE_STATIC);
    if (sqlite3_step(a->insert) != SQLITE_DONE)
        return accounts_fail(a->accounts, error);
    *added += (size_t)sqlite3_changes(a->accounts->db);
    return true;
}

/* Inserts all before checking the first: they may refer to each other. */
static bool add_targets(struct alias_addition *a, const struct bytes *targets, size_t count, size_t *added,
                        struct error *error)
{
    bool done = sqlite3_prepare_v2(a->accounts->db,
                                   "INSERT OR IGNORE INTO alias (address, target) VALUES (?1, ?2)", -1,
                                   &a->insert, NULL) == SQLITE_OK ||
                accounts_fail(a->accounts, error);
    for (size_t i = 0; done && i < count; i++)
        done = insert(a, targets[i], added, error);
    sqlite3_finalize(a->insert);
    done = done && catch_all_or_fail(a->accounts, a->alias, error);
    for (size_t i = 0; done && i < count; i++)
        done = check_target(a, targets[i], error);
    return done && (!accounts_are_unreadable(a->accounts) || accounts_fail(a->accounts, error));
}

static bool read_targets(struct arena *arena, const struct bytes *targets, size_t count,
                         struct bytes *canonical, struct error *error)
{
    struct buffer room = {0};
    bool done = true;
    for (size_t i = 0; done && i < count; i++) {
        buffer_clear(&room);
        done = accounts_canonical_or_fail(&room, targets[i], error);
        canonical[i] = arena_copy(arena, buffer_bytes(&room));
    }
    buffer_free(&room);
    return done;
}

bool accounts_alias_add_all(struct accounts *accounts, struct bytes address, const struct bytes *targets,
                            size_t count, size_t *added, struct error *error)
{
    struct arena arena = {0};
    struct buffer alias = {0};
    struct bytes *canonical = ARENA_ARRAY(&arena, struct bytes, count);
    bool done = accounts_alias_or_fail(&alias, address, error) &&
                accounts_hosted_or_fail(accounts, buffer_bytes(&alias), error) &&
                read_targets(&arena, targets, count, canonical, error);
    struct alias_addition adding = {.accounts = accounts, .arena = &arena, .alias = buffer_bytes(&alias)};
    *added = 0;
    map_start(&adding.followed, 0); /* trusted keys: aliases of this server */
    if (done) {
        done = (sqlite3_exec(accounts->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ||
                accounts_fail(accounts, error)) &&
               add_targets(&adding, canonical, count, added, error) &&
               (sqlite3_exec(accounts->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
                accounts_fail(accounts, error));
        if (!done && !sqlite3_get_autocommit(accounts->db))
            sqlite3_exec(accounts->db, "ROLLBACK", NULL, NULL, NULL);
    }
    map_free(&adding.followed);
    buffer_free(&alias);
    arena_clear(&arena);
    return done;
}

bool accounts_alias_add(struct accounts *accounts, struct bytes address, struct bytes target,
                        struct error *error)
{
    size_t added;
    if (!accounts_alias_add_all(accounts, address, &target, 1, &added, error))
        return false;
    return added > 0 || error_set(error, EX_DATAERR, "%.*s already exists", BYTES_ARG(address));
}
