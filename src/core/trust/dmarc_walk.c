/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_walk.h"

#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/dns/host.h"

struct bytes dmarc_walk_domain(struct bytes domain, struct arena *arena)
{
    while (domain.length > 0 && domain.at[0] == '.')
        domain = bytes_from(domain, 1);
    while (domain.length > 0 && domain.at[domain.length - 1] == '.')
        domain.length--;
    if (host_parse(domain, true) != HOST_NAME)
        return bytes_none();
    char *copy = arena_text(arena, domain);
    for (size_t i = 0; i < domain.length; i++)
        copy[i] = ascii_lower(copy[i]);
    return bytes_of(copy, domain.length);
}

bool dmarc_walk_is_below(struct bytes domain, struct bytes parent)
{
    if (bytes_equal(domain, parent))
        return true;
    return parent.length > 0 && domain.length > parent.length &&
           domain.at[domain.length - parent.length - 1] == '.' &&
           bytes_equal(bytes_from(domain, domain.length - parent.length), parent);
}

static size_t label_count(struct bytes domain)
{
    size_t count = domain.length > 0;
    for (size_t i = 0; i < domain.length; i++)
        count += domain.at[i] == '.';
    return count;
}

/* Returns the name without its leftmost label; empty for a single label. */
static struct bytes parent_of(struct bytes domain)
{
    size_t dot = bytes_find(domain, '.');
    return dot == SIZE_MAX ? bytes_none() : bytes_from(domain, dot + 1);
}

/* Fills the names from the domain to its top-level domain; of more than eight labels only seven stay after
 * the first name (RFC 9989 4.10 step 4). */
static void list_names(struct dmarc_walk *walk, struct bytes domain)
{
    walk->start = domain;
    while (domain.length > 0) {
        assert(walk->count < DMARC_WALK_MAX);
        walk->names[walk->count++] = domain;
        domain = parent_of(domain);
        while (label_count(domain) >= DMARC_WALK_MAX)
            domain = parent_of(domain);
    }
}

/* Looks up the one record of a name: several are as none (RFC 9989 4.10 step 2). */
static enum dmarc_walk_state look_up(struct bytes name, struct dns_facts *facts, struct dmarc_record *record,
                                     bool *has)
{
    size_t count = 0;
    struct dmarc_record read;
    char *question = arena_format(facts->texts, "_dmarc.%.*s", BYTES_ARG(name));
    const struct dns_answer *answer = dns_facts_look_up_text(facts, bytes_of_text(question), DMARC_PREFIX);
    *has = false;
    if (answer->status == DNS_UNKNOWN)
        return DMARC_WALK_LACKING;
    if (!dns_status_is_told(answer->status))
        return DMARC_WALK_FAILED;
    for (size_t i = 0; i < answer->count; i++)
        if (dmarc_record_read(answer->records[i].data, &read) && ++count == 1)
            *record = read;
    *has = count == 1;
    return DMARC_WALK_DONE;
}

/* Asks for the rest of the names, so that they are lacked together. */
static void ask_rest(struct dmarc_walk *walk, size_t at, struct dns_facts *facts)
{
    struct dmarc_record record;
    bool has;
    for (; at < walk->count; at++)
        look_up(walk->names[at], facts, &record, &has);
}

/* Returns the name one label below `parent`, on the way to the start. */
static struct bytes child_of(struct bytes start, struct bytes parent)
{
    assert(start.length > parent.length + 1);
    size_t dot = bytes_find_last(bytes_first(start, start.length - parent.length - 1), '.');
    return dot == SIZE_MAX ? start : bytes_from(start, dot + 1);
}

/* Takes the record of names[at] into account; true if the walk stops there. */
static bool take_record(struct dmarc_walk *walk, size_t at, const struct dmarc_record *record)
{
    if (at == 0) {
        walk->has_own = true;
        walk->own = *record;
    }
    walk->organization = walk->names[at];
    if (record->psd == DMARC_PSD_YES && at > 0) /* one label below the public suffix (4.10.2 step 2) */
        walk->organization = child_of(walk->start, walk->names[at]);
    /* The record of the organization goes before that of the suffix (4.10.1). */
    if (!walk->has_top || !bytes_equal(walk->top_domain, walk->organization)) {
        walk->has_top = true;
        walk->top = *record;
        walk->top_domain = walk->names[at];
    }
    if (record->psd == DMARC_PSD_UNKNOWN)
        return false;
    walk->count = at + 1;
    return true;
}

void dmarc_walk_from(struct bytes domain, struct dns_facts *facts, struct dmarc_walk *walk)
{
    struct dmarc_record record;
    bool has;
    *walk = (struct dmarc_walk){.organization = domain};
    list_names(walk, domain);
    for (size_t at = 0; at < walk->count; at++) {
        enum dmarc_walk_state state = look_up(walk->names[at], facts, &record, &has);
        if (state != DMARC_WALK_DONE) {
            walk->state = state;
            walk->start_failed = at == 0;
            if (state == DMARC_WALK_LACKING)
                ask_rest(walk, at + 1, facts);
            return;
        }
        if (has && take_record(walk, at, &record))
            return;
    }
}

enum dmarc_alignment dmarc_walk_align(const struct dmarc_walk *walk, struct bytes domain, bool strict,
                                      struct dns_facts *facts)
{
    struct dmarc_walk other;
    domain = dmarc_walk_domain(domain, facts->texts);
    if (domain.length == 0 || walk->start.length == 0)
        return DMARC_NOT_ALIGNED;
    if (bytes_equal(domain, walk->start))
        return DMARC_ALIGNED;
    if (strict)
        return DMARC_NOT_ALIGNED;
    /* Both belong to one organization only if that is above both, or one of them. */
    struct bytes shared = walk->state == DMARC_WALK_DONE ? walk->organization
                          : walk->count > 0              ? walk->names[walk->count - 1]
                                                         : walk->start;
    if (!dmarc_walk_is_below(domain, shared))
        return DMARC_NOT_ALIGNED;
    dmarc_walk_from(domain, facts, &other);
    if (walk->state != DMARC_WALK_DONE || other.state != DMARC_WALK_DONE)
        return DMARC_ALIGNMENT_UNKNOWN;
    return bytes_equal(walk->organization, other.organization) ? DMARC_ALIGNED : DMARC_NOT_ALIGNED;
}
