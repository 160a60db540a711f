/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/import_plan.h"

#include <assert.h>
#include <stdlib.h>

enum { PLAN_PASSES_MAX = 64, PLAN_DOMAIN_STEPS = 8 }; /* a longer chain of aliases is left out */

void import_plan_start(struct import_plan *plan)
{
    *plan = (struct import_plan){0};
    map_start(&plan->domains, 0); /* trusted keys: the administrator's */
    map_start(&plan->users, 0);
    map_start(&plan->aliases, 0);
    map_start(&plan->pairs, 0);
}

void import_plan_free(struct import_plan *plan)
{
    map_free(&plan->domains);
    map_free(&plan->users);
    map_free(&plan->aliases);
    map_free(&plan->pairs);
    free(plan->entries);
    arena_wipe(&plan->arena);
}

static struct import_entry *add(struct import_plan *plan, const struct import_entry *entry)
{
    if (plan->count == plan->capacity) {
        plan->capacity = plan->capacity == 0 ? 64 : 2 * plan->capacity;
        plan->entries = memory_resize(plan->entries, plan->capacity * sizeof *plan->entries);
    }
    assert(entry->name.length > 0 && (entry->kind == IMPORT_ALIAS || entry->target.length == 0));
    assert(entry->password == IMPORT_PASSWORD_NONE || entry->kind == IMPORT_USER);
    struct import_entry *kept = &plan->entries[plan->count++];
    *kept = *entry;
    kept->name = arena_copy(&plan->arena, entry->name);
    kept->target = arena_copy(&plan->arena, entry->target);
    kept->scheme = arena_copy(&plan->arena, entry->scheme);
    kept->secret = arena_copy(&plan->arena, entry->secret);
    kept->file = arena_copy(&plan->arena, entry->file);
    return kept;
}

void import_plan_add(struct import_plan *plan, const struct import_entry *entry)
{
    struct import_entry *kept = add(plan, entry);
    kept->verdict = IMPORT_NEW;
    kept->known = false;
}

void import_plan_know(struct import_plan *plan, enum import_kind kind, struct bytes name, struct bytes target)
{
    add(plan, &(struct import_entry){
                  .kind = kind, .name = name, .target = target, .verdict = IMPORT_EXISTS, .known = true});
}

/* ---- the index ---- */

static struct bytes domain_of(struct bytes address)
{
    size_t at = bytes_find_last(address, '@');
    return at == SIZE_MAX ? bytes_none() : bytes_from(address, at + 1);
}

static bool counts(const struct import_entry *entry)
{
    return entry->known || entry->verdict == IMPORT_NEW;
}

static struct bytes pair_of(struct import_plan *plan, const struct import_entry *entry)
{
    char *text = arena_take(&plan->arena, entry->name.length + entry->target.length + 1);
    memcpy(text, entry->name.at, entry->name.length);
    text[entry->name.length] = ' ';
    memcpy(text + entry->name.length + 1, entry->target.at, entry->target.length);
    return bytes_of(text, entry->name.length + entry->target.length + 1);
}

/* Entries that are here already come first; a second one of the same name exists. */
static void index_entry(struct import_plan *plan, struct import_entry *entry)
{
    struct map *names = entry->kind == IMPORT_DOMAIN ? &plan->domains
                        : entry->kind == IMPORT_USER ? &plan->users
                                                     : &plan->pairs;
    struct bytes key = entry->kind == IMPORT_ALIAS ? pair_of(plan, entry) : entry->name;
    if (map_get(names, key) != NULL)
        entry->verdict = IMPORT_EXISTS;
    else
        map_put(names, key, entry);
    if (entry->kind == IMPORT_ALIAS && map_get(&plan->aliases, entry->name) == NULL)
        map_put(&plan->aliases, entry->name, entry);
}

/* The entries may move while domains are added: nothing is indexed before. */
static void add_domains_of_users(struct import_plan *plan)
{
    struct map found;
    map_start(&found, 0);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->entries[i].kind == IMPORT_DOMAIN)
            map_put(&found, plan->entries[i].name, plan);
    for (size_t i = 0, count = plan->count; i < count; i++) {
        struct import_entry user = plan->entries[i];
        struct bytes domain = domain_of(user.name);
        if (user.kind != IMPORT_USER || domain.length == 0 || map_get(&found, domain) != NULL)
            continue;
        map_put(&found, domain, plan);
        import_plan_add(plan,
                        &(struct import_entry){
                            .kind = IMPORT_DOMAIN, .name = domain, .file = user.file, .line = user.line});
    }
    map_free(&found);
}

static void index_all(struct import_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->entries[i].known)
            index_entry(plan, &plan->entries[i]);
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->entries[i].known)
            index_entry(plan, &plan->entries[i]);
}

/* ---- aliases that arrive ---- */

/* The aliases by which mail arrives for certain, found pass by pass from the mailboxes on. */
struct import_ends {
    struct import_plan *plan;
    struct map arriving; /* names */
};

static bool is_hosted(const struct import_plan *plan, struct bytes domain)
{
    return map_get(&plan->domains, domain) != NULL;
}

static struct bytes joined(struct import_plan *plan, struct bytes local, struct bytes domain)
{
    return bytes_of_text(arena_format(&plan->arena, "%.*s@%.*s", BYTES_ARG(local), BYTES_ARG(domain)));
}

static bool is_domain_alias(const struct import_entry *entry)
{
    return entry->target.length > 0 && entry->target.at[0] == '@';
}

/* Returns the domain that this one is, if another. */
static struct bytes other_domain(struct import_plan *plan, struct bytes domain)
{
    const struct import_entry *entry = map_get(&plan->aliases, joined(plan, bytes_none(), domain));
    return entry != NULL && is_domain_alias(entry) ? bytes_from(entry->target, 1) : bytes_none();
}

static struct bytes without_tag(struct import_plan *plan, struct bytes address)
{
    size_t plus = bytes_find(address, '+'), at = bytes_find_last(address, '@');
    if (plus == SIZE_MAX || at == SIZE_MAX || plus == 0 || plus > at)
        return bytes_none();
    return joined(plan, bytes_first(address, plus), bytes_from(address, at + 1));
}

/* True if mail for an address of a hosted domain arrives, as far as is known in this pass. */
static bool arrives_here(const struct import_ends *ends, struct bytes address)
{
    struct import_plan *plan = ends->plan;
    for (unsigned step = 0; step < PLAN_DOMAIN_STEPS; step++) {
        const struct bytes names[] = {address, without_tag(plan, address)};
        struct bytes domain = domain_of(address);
        for (size_t i = 0; i < ARRAY_LENGTH(names) && names[i].length > 0; i++) {
            if (map_get(&ends->arriving, names[i]) != NULL || map_get(&plan->users, names[i]) != NULL)
                return true;
            if (map_get(&plan->aliases, names[i]) != NULL)
                return false;
        }
        struct bytes other = other_domain(plan, domain);
        if (other.length == 0)
            return map_get(&ends->arriving, joined(plan, bytes_none(), domain)) != NULL ||
                   bytes_starts_nocase(address, "postmaster@");
        address = joined(plan, bytes_first(address, bytes_find_last(address, '@')), other);
    }
    return false;
}

/* True if mail for the target of this alias arrives. */
static bool arrives(const struct import_ends *ends, const struct import_entry *entry)
{
    const struct import_plan *plan = ends->plan;
    if (is_domain_alias(entry))
        return is_hosted(plan, bytes_from(entry->target, 1));
    if (bytes_equal(entry->name, entry->target))
        return map_get(&plan->users, entry->name) != NULL;
    return !is_hosted(plan, domain_of(entry->target)) || arrives_here(ends, entry->target);
}

static void find_ends(struct import_ends *ends)
{
    bool changed = true;
    for (unsigned pass = 0; changed && pass < PLAN_PASSES_MAX; pass++) {
        changed = false;
        for (size_t i = 0; i < ends->plan->count; i++) {
            struct import_entry *entry = &ends->plan->entries[i];
            if (entry->kind != IMPORT_ALIAS || !counts(entry) ||
                map_get(&ends->arriving, entry->name) != NULL || !arrives(ends, entry))
                continue;
            map_put(&ends->arriving, entry->name, entry);
            changed = true;
        }
    }
}

/* ---- verdicts ---- */

static enum import_verdict judge_domain_alias(const struct import_plan *plan,
                                              const struct import_entry *entry)
{
    assert(entry->kind == IMPORT_ALIAS && is_domain_alias(entry));
    struct bytes other = bytes_from(entry->target, 1);
    const struct import_entry *first = map_get(&plan->aliases, entry->name);
    if (bytes_equal(entry->name, entry->target))
        return IMPORT_OWN_NAME;
    if (!is_hosted(plan, other))
        return IMPORT_NO_TARGET;
    if (entry->name.at[0] != '@' || first != entry)
        return IMPORT_DOMAIN_MIXED;
    for (unsigned step = 0; other.length > 0; step++) {
        char name[256];
        if (step == PLAN_DOMAIN_STEPS || bytes_equal(other, bytes_from(entry->name, 1)))
            return IMPORT_LEADS_BACK;
        if (other.length >= sizeof name)
            return IMPORT_NO_TARGET;
        name[0] = '@';
        memcpy(name + 1, other.at, other.length);
        const struct import_entry *next = map_get(&plan->aliases, bytes_of(name, other.length + 1));
        other = next != NULL && is_domain_alias(next) ? bytes_from(next->target, 1) : bytes_none();
    }
    return IMPORT_NEW;
}

static enum import_verdict judge_alias(const struct import_ends *ends, const struct import_entry *entry)
{
    const struct import_plan *plan = ends->plan;
    const struct import_entry *first = map_get(&plan->aliases, entry->name);
    if (!is_hosted(plan, domain_of(entry->name)))
        return IMPORT_NOT_HOSTED;
    if (is_domain_alias(entry))
        return judge_domain_alias(plan, entry);
    if (entry->name.at[0] == '@' && is_domain_alias(first))
        return IMPORT_DOMAIN_MIXED;
    if (bytes_equal(entry->name, entry->target))
        return map_get(&plan->users, entry->name) != NULL ? IMPORT_NEW : IMPORT_OWN_NAME;
    return arrives(ends, entry) ? IMPORT_NEW : IMPORT_NO_TARGET;
}

/* An alias that arrives may still have a target that leads back to it: each edge is followed from the alias
 * on, over aliases alone. */
struct import_walk {
    const struct import_entry **ahead;
    size_t count, capacity;
    struct map seen;
};

static void walk_to(struct import_walk *walk, const struct import_entry *alias)
{
    assert(alias == NULL || alias->kind == IMPORT_ALIAS);
    if (alias == NULL || map_get(&walk->seen, alias->name) != NULL)
        return;
    map_put(&walk->seen, alias->name, walk);
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity == 0 ? 16 : 2 * walk->capacity;
        walk->ahead = memory_resize(walk->ahead, walk->capacity * sizeof(const struct import_entry *));
    }
    walk->ahead[walk->count++] = alias;
}

/* The next entry of the same alias, in the order of the plan; entries are sorted by name for this. */
static bool is_same_alias(const struct import_plan *plan, const struct import_entry *entry,
                          const struct import_entry *other)
{
    return other < plan->entries + plan->count && other->kind == IMPORT_ALIAS &&
           bytes_equal(entry->name, other->name);
}

/* Returns the alias that an address is resolved by, if one. */
static const struct import_entry *alias_of(struct import_plan *plan, struct bytes address)
{
    for (unsigned step = 0; step < PLAN_DOMAIN_STEPS; step++) {
        const struct bytes names[] = {address, without_tag(plan, address)};
        for (size_t i = 0; i < ARRAY_LENGTH(names) && names[i].length > 0; i++) {
            if (map_get(&plan->aliases, names[i]) != NULL)
                return map_get(&plan->aliases, names[i]);
            if (map_get(&plan->users, names[i]) != NULL)
                return NULL;
        }
        struct bytes domain = domain_of(address), other = other_domain(plan, domain);
        if (other.length == 0)
            return map_get(&plan->aliases, joined(plan, bytes_none(), domain));
        address = joined(plan, bytes_first(address, bytes_find_last(address, '@')), other);
    }
    return NULL;
}

/* True if the target leads to the alias again. */
static bool leads_back(struct import_plan *plan, const struct import_entry *entry)
{
    struct import_walk walk = {0};
    bool back = false;
    assert(entry->kind == IMPORT_ALIAS && !is_domain_alias(entry));
    map_start(&walk.seen, 0);
    const struct import_entry *first = alias_of(plan, entry->target);
    back = first != NULL && bytes_equal(first->name, entry->name);
    if (!back)
        walk_to(&walk, first);
    while (!back && walk.count > 0) {
        const struct import_entry *at = walk.ahead[--walk.count];
        for (const struct import_entry *each = at; !back && is_same_alias(plan, at, each); each++) {
            /* of an alias by which no mail arrives all ways are followed: the reason alone is looked for */
            if ((!counts(each) && entry->verdict != IMPORT_NO_TARGET) || is_domain_alias(each) ||
                bytes_equal(each->name, each->target))
                continue;
            const struct import_entry *next = alias_of(plan, each->target);
            back = next != NULL && bytes_equal(next->name, entry->name);
            if (!back)
                walk_to(&walk, next);
        }
    }
    map_free(&walk.seen);
    free(walk.ahead);
    return back;
}

/* An alias whose only target is its own name does what the user does without it. */
static bool is_needless(const struct import_plan *plan, const struct import_entry *entry)
{
    if (!bytes_equal(entry->name, entry->target))
        return false;
    const struct import_entry *each = map_get(&plan->aliases, entry->name);
    for (; is_same_alias(plan, entry, each); each++)
        if (each != entry && counts(each))
            return false;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct import_entry *one = a, *two = b;
    if (one->kind != two->kind)
        return one->kind < two->kind ? -1 : 1;
    int order = bytes_compare(one->name, two->name);
    if (order == 0)
        order = bytes_compare(one->target, two->target);
    if (order == 0 && one->known != two->known)
        order = one->known ? -1 : 1;
    return order != 0 ? order : one->line < two->line ? -1 : one->line > two->line;
}

static void judge_aliases(struct import_plan *plan)
{
    struct import_ends ends = {.plan = plan};
    map_start(&ends.arriving, 0);
    find_ends(&ends);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->entries[i].kind == IMPORT_ALIAS && plan->entries[i].verdict == IMPORT_NEW)
            plan->entries[i].verdict = judge_alias(&ends, &plan->entries[i]);
    map_free(&ends.arriving);
    for (size_t i = 0; i < plan->count; i++) {
        struct import_entry *entry = &plan->entries[i];
        bool judged = entry->verdict == IMPORT_NEW || entry->verdict == IMPORT_NO_TARGET;
        if (entry->kind != IMPORT_ALIAS || !judged || is_domain_alias(entry))
            continue;
        if (entry->verdict == IMPORT_NEW && is_needless(plan, entry))
            entry->verdict = IMPORT_EXISTS;
        else if (!bytes_equal(entry->name, entry->target) && leads_back(plan, entry))
            entry->verdict = IMPORT_LEADS_BACK;
    }
}

void import_plan_make(struct import_plan *plan)
{
    assert(plan->domains.count == 0 && plan->pairs.count == 0); /* made once */
    add_domains_of_users(plan);
    if (plan->count > 0)
        qsort(plan->entries, plan->count, sizeof *plan->entries, compare);
    index_all(plan);
    judge_aliases(plan);
}

size_t import_plan_count(const struct import_plan *plan, enum import_kind kind, enum import_verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += plan->entries[i].kind == kind && plan->entries[i].verdict == verdict &&
                 !plan->entries[i].known;
    return count;
}

const char *import_plan_reason(enum import_verdict verdict)
{
    static const char *const reasons[IMPORT_VERDICTS] = {
        [IMPORT_NEW] = "",
        [IMPORT_EXISTS] = "",
        [IMPORT_NOT_HOSTED] = "its domain is not hosted here",
        [IMPORT_NO_TARGET] = "the target is not a user or alias here",
        [IMPORT_LEADS_BACK] = "the target leads back to the alias",
        [IMPORT_OWN_NAME] = "it leads to itself and is not a user",
        [IMPORT_DOMAIN_MIXED] = "a domain that is another one has no other catch-all"};
    assert(verdict < IMPORT_VERDICTS);
    return reasons[verdict];
}
