/* SPDX-License-Identifier: Apache-2.0 */
#include "service/key_tending.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "service/auth/account_store.h"
#include "service/key_looks.h"
#include "service/services.h"

enum {
    NICE = 10, /* keys are no hurry: mail is */
    MINUTE_S = 60,
};

static uint64_t now_s(void)
{
    return clock_epoch_ms() / 1000;
}

struct key_wait_facts key_tending_facts(const struct config *config)
{
    return (struct key_wait_facts){now_s(), config->dkim.rotate_ms / 1000};
}

bool key_tending_open(struct signing_keys *keys, const struct config *config, bool make, struct error *error)
{
    struct process_user user = users_of(PROCESS_SIGN, config->user); /* private keys are its own */
    return signing_keys_open(keys, config->data_dir, user.uid, user.gid, make, error);
}

static bool is_former_user(uid_t uid)
{
    return uid == 0 || users_is_fallback(uid, PROCESS_SIGN);
}

bool key_tending_prepare(const struct config *config, struct error *error)
{
    struct signing_keys keys;
    struct error unreadable = {0}; /* the process that signs says so, and mail goes on */
    if (key_tending_open(&keys, config, false, &unreadable))
        signing_keys_adopt(&keys, is_former_user);
    signing_keys_close(&keys);
    return true;
}

/* ---- the domains ---- */

struct wanted_domains {
    struct arena arena;
    const char **names; /* in A-labels and lower case */
    size_t count;
};

static bool is_wanted(const struct wanted_domains *wanted, const char *domain)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (strcmp(wanted->names[i], domain) == 0)
            return true;
    return false;
}

static void want(struct wanted_domains *wanted, struct bytes domain)
{
    struct buffer name = {0};
    if (accounts_domain(&name, domain) && signing_keys_domain_check(buffer_bytes(&name), NULL) &&
        !is_wanted(wanted, buffer_text(&name))) {
        wanted->names = memory_resize(wanted->names, (wanted->count + 1) * sizeof wanted->names[0]);
        wanted->names[wanted->count++] = arena_text(&wanted->arena, buffer_bytes(&name));
    }
    buffer_free(&name);
}

static void add_line(void *owner, const char *const *columns, size_t count)
{
    buffer_add_format(owner, "%s\n", columns[0]);
}

/* In a process of its own: the accounts have hashes of passwords beside the domains. */
static bool list_domains(void *owner, struct buffer *out, struct error *error)
{
    const struct config *config = owner;
    struct arena arena = {0};
    if (geteuid() == 0 && !users_become(data_dir_user(config, &auth_service), error))
        return false;
    struct accounts *accounts = accounts_open(account_store_folder(&arena, config->data_dir), false, error);
    bool listed = accounts != NULL && accounts_each(accounts, LIST_DOMAINS, add_line, out, error);
    if (accounts != NULL)
        accounts_close(accounts);
    arena_clear(&arena);
    return listed;
}

/* True if mail of the host itself is signed with a hosted domain's key (RFC 6376 3.10: d= may be above). */
static bool has_parent(const struct wanted_domains *wanted, struct bytes host)
{
    size_t dot;
    while ((dot = bytes_find(host, '.')) != SIZE_MAX) {
        host = bytes_from(host, dot + 1);
        for (size_t i = 0; i < wanted->count; i++)
            if (bytes_is_nocase(host, wanted->names[i]))
                return true;
    }
    return false;
}

/* The hosted domains, and the host's own name, whose reports are signed, too. Accounts that cannot be read
 * add nothing: there may be none yet. */
static void find_wanted(struct wanted_domains *wanted, const struct config *config)
{
    struct buffer lines = {0};
    struct error unreadable = {0};
    *wanted = (struct wanted_domains){0};
    for (size_t i = 0; i < config->domain_count; i++)
        want(wanted, bytes_of_text(config->domains[i]));
    subprocess_run(list_domains, (void *)(uintptr_t)config, &lines, &unreadable);
    struct bytes left = buffer_bytes(&lines);
    while (left.length > 0)
        want(wanted, bytes_split(&left, '\n'));
    if (wanted->count > 0 && !has_parent(wanted, bytes_of_text(config->hostname)))
        want(wanted, bytes_of_text(config->hostname));
    buffer_free(&lines);
}

static void free_wanted(struct wanted_domains *wanted)
{
    free(wanted->names);
    arena_clear(&wanted->arena);
}

/* ---- new keys ---- */

/* The keys of a domain, by algorithm. */
struct domain_keys {
    bool has[DKIM_ALGORITHMS];       /* one that signs, or is going to */
    bool is_old[DKIM_ALGORITHMS];    /* the active one */
    bool successor[DKIM_ALGORITHMS]; /* one that is going to sign */
    uint64_t now_s, rotate_s;
};

static bool take_in(void *owner, const struct stored_key *key)
{
    struct domain_keys *keys = owner;
    if (key->public_key[0] == '\0') { /* unreadable: nothing is known of the domain's keys */
        for (int i = 0; i < DKIM_ALGORITHMS; i++)
            keys->has[i] = keys->successor[i] = true;
        return true;
    }
    bool going = key->state.stage == KEY_PREPARED || key->state.stage == KEY_PUBLISHED;
    keys->has[key->algorithm] |= going || key_state_signs(&key->state);
    keys->successor[key->algorithm] |= going;
    keys->is_old[key->algorithm] |= key_state_is_old(&key->state, keys->now_s, keys->rotate_s);
    return true;
}

bool key_tending_make(struct signing_keys *keys, const struct config *config, const char *domain,
                      key_tending_story *tell, void *owner, struct error *error)
{
    const char *base = strcmp(config->dkim.selector, "auto") == 0 ? "" : config->dkim.selector;
    struct domain_keys has = {.now_s = now_s(), .rotate_s = config->dkim.rotate_ms / 1000};
    struct stored_key made;
    if (!signing_keys_each(keys, domain, take_in, &has, error))
        return false;
    for (int i = 0; i < DKIM_ALGORITHMS; i++) {
        bool lacks = !has.has[i] || (has.is_old[i] && !has.successor[i]);
        if (!lacks || !config_has_algorithm(config, (enum dkim_algorithm)i))
            continue;
        if (!signing_keys_add(keys, domain, base, (enum dkim_algorithm)i, now_s(), &made, error))
            return false;
        tell(owner, &made, KEY_STAGES);
    }
    return true;
}

/* ---- looks ---- */

struct key_tending {
    const struct config *config;
    const struct key_tending_wish *wish;
    struct signing_keys keys;
    struct wanted_domains wanted;
    struct arena arena;
    struct looked_key *looked; /* keys of one domain are neighbours */
    size_t count;
    uint64_t next_s; /* until the next look */
    /* for the change of one domain */
    size_t first, end;
};

static bool collect(void *owner, const struct stored_key *key)
{
    struct key_tending *tending = owner;
    if (key->fault[0] != '\0')
        tending->wish->tell(tending->wish->owner, key, key->state.stage);
    if (key->public_key[0] == '\0')
        return true;
    uint64_t next_s = key_state_next_look_s(&key->state, now_s());
    if (!tending->wish->now && next_s > 0) {
        tending->next_s = next_s < tending->next_s ? next_s : tending->next_s;
        return true;
    }
    if (tending->count == KEY_LOOKS_MAX) { /* the next time */
        tending->next_s = 0;
        return false;
    }
    struct looked_key *looked = &tending->looked[tending->count++];
    *looked = (struct looked_key){.algorithm = key->algorithm};
    memcpy(looked->domain, key->domain, sizeof looked->domain);
    memcpy(looked->selector, key->selector, sizeof looked->selector);
    looked->public_key = arena_copy(&tending->arena, bytes_of_text(key->public_key));
    return true;
}

static const struct looked_key *look_of(const struct key_tending *tending, const struct stored_key *key)
{
    for (size_t i = tending->first; i < tending->end; i++)
        if (strcmp(tending->looked[i].selector, key->selector) == 0)
            return tending->looked[i].looked ? &tending->looked[i] : NULL;
    return NULL;
}

/* Of each algorithm one key is active. */
static void settle(struct stored_key *of, size_t count, uint64_t at_s)
{
    struct key_state *states[SIGNING_KEYS_OF_DOMAIN_MAX];
    for (int algorithm = 0; algorithm < DKIM_ALGORITHMS; algorithm++) {
        size_t same = 0;
        for (size_t i = 0; i < count; i++)
            if ((int)of[i].algorithm == algorithm)
                states[same++] = &of[i].state;
        key_state_settle(states, same, at_s);
    }
}

/* A key that cannot be used takes no other one's place, whatever DNS shows. */
static bool cannot_follow(const struct stored_key *key)
{
    return key->fault[0] != '\0' && (key->state.stage == KEY_PREPARED || key->state.stage == KEY_PUBLISHED);
}

static void move_domain(void *owner, struct stored_key *of, size_t count)
{
    struct key_tending *tending = owner;
    enum key_stage before[SIGNING_KEYS_OF_DOMAIN_MAX];
    uint64_t at_s = now_s();
    for (size_t i = 0; i < count; i++) {
        const struct looked_key *looked = look_of(tending, &of[i]);
        before[i] = of[i].state.stage;
        if (looked == NULL || cannot_follow(&of[i]))
            continue;
        struct key_look look = looked->look;
        look.now_s = at_s;
        key_state_look(&of[i].state, &look);
    }
    settle(of, count, at_s);
    for (size_t i = 0; i < count; i++) {
        uint64_t next_s = key_state_next_look_s(&of[i].state, at_s);
        tending->next_s = next_s < tending->next_s ? next_s : tending->next_s;
        of[i].forget = key_state_is_over(&of[i].state, at_s);
        if (of[i].forget || of[i].state.stage != before[i])
            tending->wish->tell(tending->wish->owner, &of[i], before[i]);
    }
}

static void move_all(struct key_tending *tending)
{
    struct error error = {0};
    for (tending->first = 0; tending->first < tending->count; tending->first = tending->end) {
        const char *domain = tending->looked[tending->first].domain;
        tending->end = tending->first + 1;
        while (tending->end < tending->count && strcmp(tending->looked[tending->end].domain, domain) == 0)
            tending->end++;
        if (!signing_keys_change(&tending->keys, domain, move_domain, tending, &error))
            log_event(LOG_EVENT_ERROR, "key_not_stored", LOG_TEXT("domain", domain),
                      LOG_TEXT("error", error.text));
    }
}

/* A new key is looked at soon. */
static void tell_made(void *owner, const struct stored_key *key, enum key_stage before)
{
    struct key_tending *tending = owner;
    tending->next_s = KEY_LOOK_OFTEN_S < tending->next_s ? KEY_LOOK_OFTEN_S : tending->next_s;
    tending->wish->tell(tending->wish->owner, key, before);
}

static void make_all(struct key_tending *tending)
{
    struct error error = {0};
    for (size_t i = 0; i < tending->wanted.count; i++) {
        const char *domain = tending->wanted.names[i];
        if (tending->wish->domain != NULL && strcmp(tending->wish->domain, domain) != 0)
            continue;
        if (!key_tending_make(&tending->keys, tending->config, domain, tell_made, tending, &error))
            log_event(LOG_EVENT_ERROR, "key_not_made", LOG_TEXT("domain", domain),
                      LOG_TEXT("error", error.text));
    }
}

static bool tend(struct key_tending *tending, struct error *error)
{
    tending->looked = memory_new(KEY_LOOKS_MAX * sizeof tending->looked[0]);
    if (!signing_keys_each(&tending->keys, tending->wish->domain, collect, tending, error) ||
        !key_looks_run(tending->config, tending->looked, tending->count, error))
        return false;
    move_all(tending);
    make_all(tending); /* after the moves: what has become old gets its successor */
    return true;
}

bool key_tending_run(const struct config *config, const struct key_tending_wish *wish, uint32_t *minutes,
                     struct error *error)
{
    struct key_tending tending = {
        .config = config, .wish = wish, .next_s = (uint64_t)KEY_TENDING_MINUTES_MAX * MINUTE_S};
    find_wanted(&tending.wanted, config);
    bool makes = tending.wanted.count > 0 && config->dkim.algorithm_count > 0;
    bool done = key_tending_open(&tending.keys, config, makes, error);
    if (done)
        signing_keys_adopt(&tending.keys, is_former_user);
    if (done)
        done = tend(&tending, error);
    signing_keys_close(&tending.keys);
    free(tending.looked);
    free_wanted(&tending.wanted);
    arena_clear(&tending.arena);
    if (minutes != NULL)
        *minutes = done ? (uint32_t)(tending.next_s / MINUTE_S) + 1 : KEY_TENDING_MINUTES_MAX;
    return done;
}

/* ---- the chore of the server ---- */

static void log_story(void *owner, const struct stored_key *key, enum key_stage before)
{
    const struct config *config = owner;
    const struct key_record record = signing_keys_record(key);
    struct key_wait_facts facts = key_tending_facts(config);
    struct buffer words = {0};
    bool lost = before == KEY_ACTIVE && key->state.stage == KEY_PREPARED;
    const char *event = key->fault[0] != '\0' ? "key_unusable"
                        : key->forget         ? "key_forgotten"
                        : lost                ? "key_lost"
                                              : "key_state";
    if (key->fault[0] == '\0')
        key_state_words(&record, &key->state, &facts, &words);
    log_event(lost || key->fault[0] != '\0' ? LOG_EVENT_WARN : LOG_EVENT_INFO, event,
              LOG_TEXT("domain", key->domain), LOG_TEXT("selector", key->selector),
              LOG_TEXT("state", key_stage_name(key->state.stage)), LOG_BYTES("hint", buffer_bytes(&words)),
              LOG_TEXT("reason", key->fault));
    buffer_free(&words);
}

uint32_t key_tending_chore(const struct config *config)
{
    struct error error = {0};
    uint32_t minutes;
    const struct key_tending_wish wish = {.tell = log_story, .owner = (void *)(uintptr_t)config};
    if (nice(NICE) == -1) /* it may be so */
        log_event(LOG_EVENT_DEBUG, "keys_not_nice");
    if (!key_tending_run(config, &wish, &minutes, &error))
        log_event(LOG_EVENT_ERROR, "keys_not_tended", LOG_TEXT("error", error.text));
    return minutes;
}
