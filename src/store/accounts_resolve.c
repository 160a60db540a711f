/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts_resolve: resolves addresses to destinations, and decides who may send as an address.
 *
 * An address resolves to a place: a mailbox, an address elsewhere, or one that expands, an alias or a user
 * with a forwarding. Places of the last kind have members, which are places again. However they lead to
 * each other, each is visited once.
 */
#include <stdlib.h>

#include "base/map.h"
#include "core/message/loop_detection.h"
#include "core/trust/report_address.h"
#include "store/accounts_file.h"

enum { LOOK_PAGE = 16 }; /* members read at a time when one that exists suffices */

struct bytes accounts_without_tag(struct bytes address, struct arena *arena)
{
    struct bytes local, domain;
    size_t plus = bytes_find(address, '+');
    if (!address_split(address, &local, &domain) || plus == SIZE_MAX || plus == 0 || plus >= local.length)
        return bytes_none();
    return bytes_of_text(arena_format(arena, "%.*s@%.*s", (int)plus, local.at, BYTES_ARG(domain)));
}

/* ---- one place ---- */

static struct recipient mailbox_of(const struct account *account)
{
    return (struct recipient){.address = account->address, .local = true, .away = account->away};
}

/* Finds the user's mailbox, or its forwarding. */
static bool find_user(struct accounts *accounts, struct bytes address, struct arena *arena,
                      struct recipient *place)
{
    struct account account;
    if (!accounts_find_canonical(accounts, address, arena, &account))
        return false;
    *place = account.forward.length > 0
                 ? (struct recipient){.address = account.address, .expands = EXPANDS_USER}
                 : mailbox_of(&account);
    return true;
}

static bool find_alias(struct accounts *accounts, struct bytes address, struct recipient *place)
{
    *place = (struct recipient){.address = address, .expands = EXPANDS_ALIAS};
    return accounts_has(accounts, HAS_ALIAS, address);
}

/* RFC 5321 4.5.1: postmaster is always accepted. Without a mailbox or alias of that name it goes to the
 * first user of the domain, else the first of all, else it is stored in a mailbox of its own. */
static bool find_postmaster(struct accounts *accounts, struct bytes address, struct arena *arena,
                            struct recipient *place)
{
    struct bytes local, domain;
    if (!bytes_starts_nocase(address, "postmaster@"))
        return false;
    address_split(address, &local, &domain);
    sqlite3_stmt *statement = accounts_bind(accounts, FIRST_OF_DOMAIN, domain);
    *place = (struct recipient){
        .address = accounts_next(accounts, statement) ? accounts_column(statement, 0, arena) : address,
        .local = true};
    sqlite3_reset(statement);
    return true;
}

struct bytes accounts_next_domain(struct accounts *accounts, struct bytes domain, struct arena *arena)
{
    struct bytes other = bytes_none();
    sqlite3_stmt *statement = accounts_bind(accounts, DOMAIN_IS,
                                            bytes_of_text(arena_format(arena, "@%.*s", BYTES_ARG(domain))));
    if (accounts_next(accounts, statement))
        other = bytes_from(accounts_column(statement, 0, arena), 1);
    sqlite3_reset(statement);
    return other.length > 0 && accounts_is_hosted_ascii(accounts, other) ? other : bytes_none();
}

/* The addresses for reports, of each hosted domain, with a tag or without. A user or an alias of that name
 * comes before, a catch-all after. */
static bool find_reports(struct bytes address, struct recipient *place)
{
    struct bytes local, domain;
    *place = (struct recipient){.address = address, .local = true, .reports = true};
    return address_split(address, &local, &domain) && report_address_is(local);
}

/* Resolves unknown addresses by the domain's catch-all, an alias without a local part. */
static bool find_besides(struct accounts *accounts, struct bytes address, struct arena *arena,
                         struct recipient *place)
{
    struct bytes local, domain;
    address_split(address, &local, &domain);
    struct bytes rest = bytes_of_text(arena_format(arena, "@%.*s", BYTES_ARG(domain)));
    sqlite3_stmt *statement = accounts_bind(accounts, DOMAIN_IS, rest);
    bool is_other = accounts_next(accounts, statement); /* one that is no longer hosted, or a circle */
    sqlite3_reset(statement);
    return find_reports(address, place) || (!is_other && find_alias(accounts, rest, place)) ||
           find_postmaster(accounts, address, arena, place);
}

/* Finds a user or alias of this name, with a tag or without. */
static bool find_name(struct accounts *accounts, struct bytes address, struct arena *arena,
                      struct recipient *place)
{
    struct bytes plain = accounts_without_tag(address, arena);
    return find_alias(accounts, address, place) || find_user(accounts, address, arena, place) ||
           (plain.length > 0 &&
            (find_alias(accounts, plain, place) || find_user(accounts, plain, arena, place)));
}

/* Resolves an address in a hosted domain; false if it does not exist. Each of the domains on the way can have
 * users and aliases of its own. */
static bool find_here(struct accounts *accounts, struct bytes address, struct arena *arena,
                      struct recipient *place)
{
    struct bytes local, domain, other;
    for (unsigned step = 0; !find_name(accounts, address, arena, place); step++) {
        address_split(address, &local, &domain);
        other = step < DOMAIN_STEPS_MAX ? accounts_next_domain(accounts, domain, arena) : bytes_none();
        if (other.length == 0)
            return find_besides(accounts, address, arena, place);
        address = bytes_of_text(arena_format(arena, "%.*s@%.*s", BYTES_ARG(local), BYTES_ARG(other)));
    }
    return true;
}

bool accounts_place(struct accounts *accounts, struct bytes address, struct arena *arena,
                    struct recipient *place)
{
    struct bytes local, domain;
    *place = (struct recipient){.address = address};
    return address_split(address, &local, &domain) &&
           (!accounts_is_hosted_ascii(accounts, domain) || find_here(accounts, address, arena, place));
}

/* ---- its members ---- */

static void add_member(struct accounts_page *page, const struct recipient *member)
{
    page->members[page->member_count++] = *member;
}

/* Adds a target of an alias; its own address means the mailbox. */
static void add_target(struct accounts *accounts, struct bytes alias, struct bytes target,
                       struct arena *arena, struct accounts_page *page)
{
    struct recipient place;
    bool found = bytes_equal(alias, target) ? find_user(accounts, target, arena, &place)
                                            : accounts_place(accounts, target, arena, &place);
    if (found)
        add_member(page, &place);
    else
        page->missing[page->missing_count++] = (struct recipient){.address = target};
}

static void page_of_alias(struct accounts *accounts, struct bytes alias, struct bytes after, size_t max,
                          struct arena *arena, struct accounts_page *page)
{
    struct bytes *targets = ARENA_ARRAY(arena, struct bytes, max);
    size_t count = 0;
    sqlite3_stmt *statement = accounts_bind(accounts, PAGE_OF_ALIAS, alias);
    sqlite3_bind_text(statement, 2, after.at == NULL ? "" : after.at, (int)after.length, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)max);
    while (count < max && accounts_next(accounts, statement))
        targets[count++] = accounts_column(statement, 0, arena);
    sqlite3_reset(statement);
    for (size_t i = 0; i < count; i++)
        add_target(accounts, alias, targets[i], arena, page);
    page->after = count == max ? targets[count - 1] : bytes_none();
    page->known = count > 0 || (after.length > 0 && accounts_has(accounts, HAS_ALIAS, alias));
}

/* A forwarding without a mailbox at its end loses nothing: the mail stays here. */
static void page_of_user(struct accounts *accounts, struct bytes user, struct arena *arena,
                         struct accounts_page *page)
{
    struct account account;
    struct recipient target;
    page->known = accounts_find_canonical(accounts, user, arena, &account);
    if (!page->known)
        return;
    struct recipient mailbox = mailbox_of(&account);
    bool goes_on = account.forward.length > 0 && accounts_place(accounts, account.forward, arena, &target);
    if (account.keeps || !goes_on)
        add_member(page, &mailbox);
    if (goes_on)
        add_member(page, &target);
}

struct accounts_page accounts_members(struct accounts *accounts, const struct recipient *place,
                                      struct bytes after, size_t max, struct arena *arena)
{
    struct accounts_page page = {.members = ARENA_ARRAY(arena, struct recipient, max + 2),
                                 .missing = ARENA_ARRAY(arena, struct recipient, max + 2)};
    if (place->expands == EXPANDS_ALIAS)
        page_of_alias(accounts, place->address, after, max, arena, &page);
    else
        page_of_user(accounts, place->address, arena, &page);
    return page;
}

/* ---- walking through places ---- */

struct alias_walk {
    struct accounts *accounts;
    struct arena *arena;
    struct map seen;
    struct recipient *places; /* that expand, in the order in which they were found */
    size_t count, capacity, at;
};

static void walk_add(struct alias_walk *walk, const struct recipient *place)
{
    struct bytes key = bytes_of_text(
        arena_format(walk->arena, "%d%.*s", place->expands, BYTES_ARG(place->address)));
    if (map_get(&walk->seen, key) != NULL)
        return;
    map_put(&walk->seen, key, walk);
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity == 0 ? 16 : 2 * walk->capacity;
        walk->places = memory_resize(walk->places, walk->capacity * sizeof *walk->places);
    }
    walk->places[walk->count++] = *place;
}

static void walk_start(struct alias_walk *walk, struct accounts *accounts, struct arena *arena,
                       const struct recipient *from)
{
    *walk = (struct alias_walk){.accounts = accounts, .arena = arena};
    map_start(&walk->seen, 0); /* trusted keys: aliases of this server */
    walk_add(walk, from);
}

static void walk_free(struct alias_walk *walk)
{
    map_free(&walk->seen);
    free(walk->places);
}

/* True if a mailbox is at the end, within ROAD_PLACES_MAX places. */
static bool leads_to_somebody(struct accounts *accounts, const struct recipient *from)
{
    struct arena arena = {0};
    struct alias_walk walk;
    bool found = false;
    walk_start(&walk, accounts, &arena, from);
    for (; walk.at < walk.count && walk.at < ROAD_PLACES_MAX && !found; walk.at++) {
        struct bytes after = bytes_none();
        do {
            struct recipient place = walk.places[walk.at];
            struct accounts_page page = accounts_members(accounts, &place, after, LOOK_PAGE, &arena);
            for (size_t i = 0; i < page.member_count && !found; i++) {
                found = page.members[i].expands == EXPANDS_NOT;
                if (!found)
                    walk_add(&walk, &page.members[i]);
            }
            after = page.after;
        } while (after.length > 0 && !found);
    }
    walk_free(&walk);
    arena_clear(&arena);
    return found;
}

/* A target that only leads into a loop counts as missing; a user's mail stays with the user. */
static void drop_circles(struct accounts *accounts, const struct recipient *place, struct arena *arena,
                         struct accounts_page *page)
{
    size_t left = 0;
    struct account account;
    for (size_t i = 0; i < page->member_count; i++) {
        struct recipient *member = &page->members[i];
        if (member->expands == EXPANDS_NOT || leads_to_somebody(accounts, member))
            page->members[left++] = *member;
        else if (place->expands == EXPANDS_ALIAS)
            page->missing[page->missing_count++] = *member;
    }
    page->member_count = left;
    if (place->expands == EXPANDS_USER && left == 0 &&
        accounts_find_canonical(accounts, place->address, arena, &account))
        add_member(page,
                   &(struct recipient){.address = account.address, .local = true, .away = account.away});
}

/* ---- queries of auth ---- */

struct accounts_page accounts_expand(struct accounts *accounts, const struct recipient *place,
                                     struct bytes after, size_t max, struct arena *arena)
{
    struct recipient now;
    struct accounts_page page = accounts_members(accounts, place, after, max, arena);
    if (!page.known && after.length == 0 && place->address.at[0] != '@' &&
        accounts_place(accounts, place->address, arena, &now)) {
        add_member(&page, &now); /* it has changed meanwhile */
        page.known = true;
    }
    drop_circles(accounts, place, arena, &page);
    for (size_t i = 0; i < page.member_count; i++)
        if (page.members[i].expands != EXPANDS_NOT)
            page.members[i].via = loop_detection_name(arena, page.members[i].address);
    return page;
}

struct resolution {
    struct alias_walk walk;
    struct recipient *targets;
    size_t count;
    bool whole;
};

static void take_member(struct resolution *r, const struct recipient *from, const struct recipient *member)
{
    struct recipient target = *member;
    target.via = from->via;
    if (from->expands == EXPANDS_USER && !target.local)
        target.forwarder = from->address;
    for (size_t i = 0; i < r->count; i++)
        if (r->targets[i].local == target.local && bytes_equal(r->targets[i].address, target.address) &&
            bytes_equal(r->targets[i].forwarder, target.forwarder))
            return;
    if (r->count == RESOLVE_TARGETS_MAX)
        r->whole = false;
    else if (target.expands == EXPANDS_NOT)
        r->targets[r->count++] = target;
}

/* Resolves one place completely; an address with too many or missing members is left to the queue, which
 * can report to the sender. */
static void take_place(struct resolution *r)
{
    struct alias_walk *walk = &r->walk;
    struct recipient from = walk->places[walk->at++];
    struct accounts_page page = accounts_expand(walk->accounts, &from, bytes_none(), RESOLVE_TARGETS_MAX + 1,
                                                walk->arena);
    r->whole = page.after.length == 0 && page.missing_count == 0 && walk->count <= RESOLVE_PLACES_MAX;
    for (size_t i = 0; i < page.member_count && r->whole; i++) {
        struct recipient member = page.members[i];
        if (member.expands == EXPANDS_NOT) {
            take_member(r, &from, &member);
            continue;
        }
        member.via = loop_detection_join(walk->arena, from.via, member.via);
        walk_add(walk, &member);
    }
}

static enum accounts_target resolve_here(struct accounts *accounts, struct bytes canonical,
                                         struct arena *arena, struct recipient **targets, size_t *count)
{
    struct resolution r = {.targets = ARENA_ARRAY(arena, struct recipient, RESOLVE_TARGETS_MAX),
                           .whole = true};
    struct recipient root;
    *targets = r.targets;
    *count = 0;
    if (!find_here(accounts, canonical, arena, &root))
        return TARGETS_UNKNOWN;
    root.address = arena_copy(arena, root.address);
    if (root.expands != EXPANDS_NOT) {
        root.via = loop_detection_name(arena, root.address);
        walk_start(&r.walk, accounts, arena, &root);
        while (r.walk.at < r.walk.count && r.whole)
            take_place(&r);
        walk_free(&r.walk);
    }
    if (root.expands == EXPANDS_NOT || (!r.whole && leads_to_somebody(accounts, &root))) {
        r.targets[0] = root;
        r.count = 1;
    } else if (!r.whole) {
        r.count = 0;
    }
    *count = r.count;
    return r.count > 0 ? TARGETS_FOUND : TARGETS_UNKNOWN;
}

enum accounts_target accounts_resolve(struct accounts *accounts, struct bytes address, struct arena *arena,
                                      struct recipient **targets, size_t *target_count)
{
    struct buffer canonical = {0};
    struct bytes local, domain;
    enum accounts_target found = TARGETS_FOREIGN;
    *targets = NULL;
    *target_count = 0;
    /* "postmaster" without a domain is that of the first domain. */
    if (bytes_is_nocase(address, "postmaster") && accounts->domain_count > 0)
        address = bytes_of_text(arena_format(arena, "postmaster@%s", accounts->domains[0]));
    if (bytes_is_nocase(address, "postmaster"))
        address = BYTES("postmaster@localhost"); /* no domain is hosted: the first user gets it */
    if (address_split(address, &local, &domain) &&
        (accounts_is_hosted(accounts, domain) || bytes_is(address, "postmaster@localhost")))
        found = accounts_canonical(&canonical, address)
                    ? resolve_here(accounts, arena_copy(arena, buffer_bytes(&canonical)), arena, targets,
                                   target_count)
                    : TARGETS_UNKNOWN;
    buffer_free(&canonical);
    return found;
}

/* ---- sending ---- */

/* True if the alias names this account, with or without a tag. */
static bool names(struct accounts *accounts, struct bytes alias, struct bytes account)
{
    struct bytes local, domain;
    struct arena arena = {0};
    address_split(account, &local, &domain);
    struct bytes first = bytes_of_text(arena_format(&arena, "%.*s+", BYTES_ARG(local))); /* and ',' is the
                                                                                            octet after '+' */
    struct bytes last = bytes_of_text(arena_format(&arena, "%.*s,", BYTES_ARG(local)));
    sqlite3_stmt *statement = accounts_bind(accounts, ALIAS_NAMES, alias);
    sqlite3_bind_text(statement, 2, account.at, (int)account.length, SQLITE_TRANSIENT);
    sqlite3_bind_text(statement, 3, first.at, (int)first.length, SQLITE_TRANSIENT);
    sqlite3_bind_text(statement, 4, last.at, (int)last.length, SQLITE_TRANSIENT);
    sqlite3_bind_text(statement, 5, domain.at, (int)domain.length, SQLITE_TRANSIENT);
    bool found = accounts_next(accounts, statement);
    sqlite3_reset(statement);
    arena_clear(&arena);
    return found;
}

/* Follows aliases of aliases, all of them; a forwarding does not grant the right to send. */
static bool leads_to_account(struct accounts *accounts, struct bytes alias, struct bytes account)
{
    struct arena arena = {0};
    struct alias_walk walk;
    struct recipient place;
    bool found = false;
    walk_start(&walk, accounts, &arena, &(struct recipient){.address = alias, .expands = EXPANDS_ALIAS});
    for (; walk.at < walk.count && !found; walk.at++) {
        struct bytes at = walk.places[walk.at].address;
        found = names(accounts, at, account);
        sqlite3_stmt *statement = accounts_bind(accounts, ALIASES_OF_ALIAS, at);
        while (!found && accounts_next(accounts, statement)) {
            struct bytes target = accounts_column(statement, 0, &arena),
                         plain = accounts_without_tag(target, &arena);
            bool tagged = plain.length > 0 && !accounts_has(accounts, HAS_ALIAS, target);
            if (find_alias(accounts, tagged ? plain : target, &place))
                walk_add(&walk, &place);
        }
        sqlite3_reset(statement);
    }
    walk_free(&walk);
    arena_clear(&arena);
    return found;
}

/* True if the address is a user's or an alias': its domain being another one does not count then. */
static bool is_taken(struct accounts *accounts, struct bytes address, struct arena *arena)
{
    struct recipient place;
    return find_name(accounts, address, arena, &place);
}

bool accounts_may_send(struct accounts *accounts, struct bytes account, struct bytes address)
{
    struct arena arena = {0};
    struct buffer canonical = {0};
    bool allowed = false;
    struct bytes local, domain, wanted = bytes_none();
    if (accounts_canonical(&canonical, address))
        wanted = buffer_bytes(&canonical);
    for (unsigned step = 0; wanted.length > 0 && !allowed && step <= DOMAIN_STEPS_MAX; step++) {
        struct bytes plain = accounts_without_tag(wanted, &arena), other = bytes_none();
        allowed = bytes_equal(wanted, account) || bytes_equal(plain, account) ||
                  leads_to_account(accounts, wanted, account);
        if (!allowed && address_split(wanted, &local, &domain) && !is_taken(accounts, wanted, &arena))
            other = accounts_next_domain(accounts, domain, &arena);
        wanted = other.length > 0
                     ? bytes_of_text(arena_format(&arena, "%.*s@%.*s", BYTES_ARG(local), BYTES_ARG(other)))
                     : bytes_none();
    }
    buffer_free(&canonical);
    arena_clear(&arena);
    return allowed;
}
