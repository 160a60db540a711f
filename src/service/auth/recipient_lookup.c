/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipient_lookup: where a recipient's mail goes, and under which sender. What the accounts say is cached
 * until they change; the sender of a forwarded copy, and what becomes of a bounce to one, depend on the
 * message and the time, and are found for each question (service/auth/forward_sender.h).
 */
#include "core/message/loop_detection.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/auth/auth.h"

/* ---- what the accounts say ---- */

/* Mail for the recipients of a domain of relay.domains goes on, as it came; no other is accepted for it. */
static void resolve_relayed(struct auth *auth, struct bytes address, struct arena *arena,
                            struct cached_recipient *fresh)
{
    struct buffer canonical = {0};
    enum config_relayed relayed = accounts_canonical(&canonical, address)
                                      ? config_relayed(auth->child->config, buffer_bytes(&canonical))
                                      : CONFIG_NOT_RELAYED;
    buffer_free(&canonical);
    if (relayed == CONFIG_NOT_RELAYED)
        return;
    fresh->verdict = relayed == CONFIG_RELAYED ? RECIPIENT_KNOWN : RECIPIENT_UNKNOWN;
    fresh->targets = ARENA_NEW(arena, struct recipient);
    fresh->targets->address = arena_copy(arena, address);
    fresh->target_count = relayed == CONFIG_RELAYED ? 1 : 0;
}

static void resolve(struct auth *auth, struct bytes address, struct arena *arena,
                    struct cached_recipient *fresh)
{
    static const enum recipient_verdict verdicts[] = {[TARGETS_FOUND] = RECIPIENT_KNOWN,
                                                      [TARGETS_UNKNOWN] = RECIPIENT_UNKNOWN,
                                                      [TARGETS_FOREIGN] = RECIPIENT_FOREIGN};
    fresh->verdict =
        verdicts[accounts_resolve(auth->accounts, address, arena, &fresh->targets, &fresh->target_count)];
    if (accounts_are_unreadable(auth->accounts))
        *fresh = (struct cached_recipient){.verdict = RECIPIENT_UNAVAILABLE};
    else if (fresh->verdict == RECIPIENT_FOREIGN)
        resolve_relayed(auth, address, arena, fresh);
}

static struct cached_recipient find(struct auth *auth, struct bytes address, struct arena *arena)
{
    struct bytes key = recipient_cache_key(&auth->key, RECIPIENT_CACHE_RECIPIENT, bytes_none(), address);
    recipient_cache_check(&auth->recipient_cache, accounts_version_read(auth->accounts_version));
    const struct cached_recipient *known = recipient_cache_find(&auth->recipient_cache, key);
    struct cached_recipient fresh = {0};
    if (known != NULL)
        return *known;
    resolve(auth, address, arena, &fresh);
    if (fresh.verdict != RECIPIENT_UNAVAILABLE)
        recipient_cache_keep(&auth->recipient_cache, key, &fresh);
    return fresh;
}

/* True if the domain is hosted here. */
static bool is_hosted(struct auth *auth, struct bytes domain)
{
    struct bytes key = recipient_cache_key(&auth->key, RECIPIENT_CACHE_DOMAIN, bytes_none(), domain);
    recipient_cache_check(&auth->recipient_cache, accounts_version_read(auth->accounts_version));
    const struct cached_recipient *known = recipient_cache_find(&auth->recipient_cache, key);
    struct cached_recipient fresh = {0};
    if (known != NULL)
        return known->verdict == RECIPIENT_KNOWN;
    fresh.verdict = accounts_is_hosted(auth->accounts, domain) ? RECIPIENT_KNOWN : RECIPIENT_FOREIGN;
    if (!accounts_are_unreadable(auth->accounts))
        recipient_cache_keep(&auth->recipient_cache, key, &fresh);
    return fresh.verdict == RECIPIENT_KNOWN;
}

/* ---- the sender of forwarded copies ---- */

/* True for an address of a domain that is passed on to its own server: that is no other's. */
static bool is_relayed(struct auth *auth, struct bytes address)
{
    struct buffer canonical = {0};
    bool relayed = accounts_canonical(&canonical, address) &&
                   config_relayed(auth->child->config, buffer_bytes(&canonical)) != CONFIG_NOT_RELAYED;
    buffer_free(&canonical);
    return relayed;
}

/* True if a forwarded copy would leave with a sender that others have to authorize: another domain's, of a
 * message that none of our users or programs has sent. */
static bool is_foreign_sender(struct auth *auth, struct bytes account, struct bytes sender)
{
    struct bytes local, domain;
    return auth->child->config->forward.srs && account.length == 0 && sender.length > 0 &&
           address_split(sender, &local, &domain) && !is_hosted(auth, domain);
}

static bool goes_elsewhere(const struct recipient *target)
{
    return !target->local && target->expands == EXPANDS_NOT;
}

/* Returns the domain of the last address of `via`, which sends it on. */
static struct bytes forwarding_domain(struct bytes via)
{
    size_t at = bytes_find_last(via, '@');
    return at == SIZE_MAX ? bytes_none() : bytes_from(via, at + 1);
}

static void rewrite_one(struct auth *auth, struct bytes sender, struct bytes domain, struct arena *arena,
                        struct recipient *target)
{
    struct buffer sent_as = {0};
    if (domain.length > 0 && !is_relayed(auth, target->address) &&
        forward_sender_write(&auth->forward_keys, sender, domain, clock_epoch_ms() / 1000, &sent_as))
        target->sent_as = arena_copy(arena, buffer_bytes(&sent_as));
    buffer_free(&sent_as);
}

/* Returns the targets with the senders of those that are forwarded to other servers. `domain`: of the
 * address that forwards them all; empty: the last of their `via`, and one without does not forward. */
static struct recipient *rewrite(struct auth *auth, struct bytes account, struct bytes sender,
                                 struct bytes domain, struct recipient *targets, size_t count,
                                 struct arena *arena)
{
    size_t at = 0;
    while (at < count && !goes_elsewhere(&targets[at]))
        at++;
    if (at == count || !is_foreign_sender(auth, account, sender))
        return targets;
    struct recipient *rewritten = ARENA_ARRAY(arena, struct recipient, count);
    memcpy(rewritten, targets, count * sizeof *rewritten);
    for (; at < count; at++)
        if (goes_elsewhere(&targets[at]))
            rewrite_one(auth, sender, domain.length > 0 ? domain : forwarding_domain(targets[at].via), arena,
                        &rewritten[at]);
    return rewritten;
}

/* ---- bounces to them ---- */

/* A bounce goes on to the original sender, with the null sender that it has. Its Delivered-To field ends a
 * circle in which that address forwards back to here. */
static void go_on(struct auth *auth, struct bytes asked, struct bytes original, struct arena *arena,
                  struct cached_recipient *found)
{
    resolve(auth, original, arena, found);
    if (found->verdict != RECIPIENT_FOREIGN)
        return;
    found->verdict = RECIPIENT_KNOWN;
    found->targets = ARENA_NEW(arena, struct recipient);
    *found->targets = (struct recipient){.address = original, .via = loop_detection_name(arena, asked)};
    found->target_count = 1;
}

/* True if the address is one of ours in the form of a rewritten sender: `found` is the answer. */
static bool find_return(struct auth *auth, const struct ipc_recipient *asked, struct arena *arena,
                        struct cached_recipient *found)
{
    struct bytes local, domain;
    struct buffer original = {0};
    if (!address_split(asked->address, &local, &domain))
        return false;
    enum forward_return way = forward_sender_read(&auth->forward_keys, local, clock_epoch_ms() / 1000,
                                                  &original);
    bool ours = way != FORWARD_RETURN_OTHER && is_hosted(auth, domain);
    *found = (struct cached_recipient){.verdict = RECIPIENT_UNAVAILABLE};
    if (ours && way == FORWARD_RETURN_FORGED)
        found->verdict = RECIPIENT_FORGED;
    else if (ours && way == FORWARD_RETURN_EXPIRED)
        found->verdict = RECIPIENT_EXPIRED;
    else if (ours && way == FORWARD_RETURN_GOES_ON && asked->sender.length > 0)
        found->verdict = RECIPIENT_BOUNCES_ONLY;
    else if (ours && way == FORWARD_RETURN_GOES_ON)
        go_on(auth, asked->address, arena_copy(arena, buffer_bytes(&original)), arena, found);
    buffer_free(&original);
    if (accounts_are_unreadable(auth->accounts))
        found->verdict = RECIPIENT_UNAVAILABLE;
    return ours;
}

/* ---- questions ---- */

void recipient_lookup_ask(struct auth *auth, struct channel *asker, const struct ipc_recipient *asked)
{
    struct arena arena = {0};
    struct recipient elsewhere = {.address = asked->address};
    struct cached_recipient found;
    if (!find_return(auth, asked, &arena, &found))
        found = find(auth, asked->address, &arena);
    struct ipc_recipient_answer answer = {.request = asked->request, .verdict = found.verdict};
    if (found.verdict == RECIPIENT_FOREIGN && asked->account.length > 0) {
        answer.verdict = RECIPIENT_KNOWN; /* authenticated users may send to any domain */
        answer.targets = &elsewhere;
        answer.target_count = 1;
    } else if (found.verdict == RECIPIENT_KNOWN) {
        answer.targets = rewrite(auth, asked->account, asked->sender, bytes_none(), found.targets,
                                 found.target_count, &arena);
        answer.target_count = found.target_count;
        if (accounts_are_unreadable(auth->accounts))
            answer = (struct ipc_recipient_answer){.request = asked->request,
                                                   .verdict = RECIPIENT_UNAVAILABLE};
    }
    child_send(auth->child, asker, IPC_RECIPIENT_ANSWER, &answer, -1);
    arena_clear(&arena);
}

/* Answers with a page of an address's members, from the current accounts. */
void recipient_lookup_expand(struct auth *auth, struct channel *asker, const struct ipc_expand *asked)
{
    struct arena arena = {0};
    struct bytes local, domain = bytes_none();
    struct ipc_expand_answer answer = {.request = asked->request, .verdict = RECIPIENT_UNKNOWN};
    if (asked->address.length > 0 && (asked->how == EXPANDS_ALIAS || asked->how == EXPANDS_USER)) {
        struct recipient place = {.address = asked->address, .expands = (uint8_t)asked->how};
        struct accounts_page page = accounts_expand(auth->accounts, &place, asked->after, EXPANSION_PAGE,
                                                    &arena);
        address_split(asked->address, &local, &domain);
        struct recipient *members = rewrite(auth, asked->account, asked->sender, domain, page.members,
                                            page.member_count, &arena);
        if (accounts_are_unreadable(auth->accounts))
            answer.verdict = RECIPIENT_UNAVAILABLE;
        else if (page.known)
            answer = (struct ipc_expand_answer){.request = asked->request,
                                                .verdict = RECIPIENT_KNOWN,
                                                .members = members,
                                                .member_count = page.member_count,
                                                .missing = page.missing,
                                                .missing_count = page.missing_count,
                                                .after = page.after};
    }
    child_send(auth->child, asker, IPC_EXPAND_ANSWER, &answer, -1);
    arena_clear(&arena);
}
