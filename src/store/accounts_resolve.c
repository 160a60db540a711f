/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_resolve: where mail for an address goes, and who may send as it. */
#include "accounts_file.h"

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
    if (accounts_is_hosted_ascii(r->accounts, domain))
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
    sqlite3_stmt *statement = accounts_bind(r->accounts, FIND_ALIAS, address);
    while (count < ALIAS_TARGETS_MAX && accounts_next(r->accounts, statement))
        found[count++] = accounts_column(statement, 0, r->arena);
    sqlite3_reset(statement);
    for (size_t i = 0; i < count; i++) {
        /* An alias that names its own address means the mailbox. */
        struct account account;
        if (bytes_equal(found[i], address) && accounts_find_canonical(r->accounts, address, r->arena, &account))
            resolve_user(r, &account, depth);
        else if (!bytes_equal(found[i], address))
            resolve_target(r, found[i], depth);
    }
    return count > 0;
}

struct bytes accounts_without_tag(struct bytes address, struct arena *arena)
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
    if (accounts_find_canonical(r->accounts, address, r->arena, &account)) {
        resolve_user(r, &account, depth);
        return true;
    }
    struct bytes plain = accounts_without_tag(address, r->arena);
    return plain.length > 0 && resolve_canonical(r, plain, depth + 1);
}

/* RFC 5321 4.5.1: postmaster is always taken. Without a mailbox or alias of
 * that name somebody else reads it: the first user of the domain, else the
 * first of all, else it is kept in a mailbox of its own. */
static void resolve_postmaster(struct resolving *r, struct bytes address)
{
    struct bytes local, domain;
    address_split(address, &local, &domain);
    sqlite3_stmt *statement = accounts_bind(r->accounts, FIRST_OF_DOMAIN, domain);
    bool found = accounts_next(r->accounts, statement);
    struct bytes first = found ? accounts_column(statement, 0, r->arena) : address;
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
        struct bytes wanted = buffer_bytes(&canonical), plain = accounts_without_tag(wanted, &arena);
        allowed = bytes_equal(wanted, account) || bytes_equal(plain, account);
        struct resolving r = {accounts, &arena, ARENA_ARRAY(&arena, struct recipient, ALIAS_TARGETS_MAX), 0, true};
        if (!allowed && accounts_has(accounts, FIND_ALIAS, wanted))
            resolve_alias(&r, wanted, 0);
        for (size_t i = 0; i < r.count; i++)
            allowed = allowed || bytes_equal(r.targets[i].address, account);
    }
    buffer_free(&canonical);
    arena_clear(&arena);
    return allowed;
}
