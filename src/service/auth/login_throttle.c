/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/login_throttle.h"

#include "store/accounts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

static_assert(GUESSES_SLOTS % GUESSES_ROW == 0 && GUESSES_GOOD % GUESSES_ROW == 0,
              "tables are made of whole rows");

/* Tries that were under way when the predecessor ended may have been looked at: they count. */
static void close_open(struct guesses *guesses)
{
    for (size_t i = 0; i < GUESSES_SLOTS; i++) {
        struct guess *slot = &guesses->slots[i];
        if (slot->open == 0) /* memory that was never used stays untouched */
            continue;
        slot->failures += slot->open;
        slot->open = 0;
    }
}

void guesses_start(struct guesses *guesses, struct guesses_kept *kept, uint64_t seed)
{
    bool fresh = kept->seed == 0;
    if (fresh)
        kept->seed = seed == 0 ? 1 : seed;
    *guesses = (struct guesses){.slots = kept->slots, .good = kept->good, .seed = kept->seed};
    if (!fresh)
        close_open(guesses);
}

/* ---- who ---- */

/* What could disturb a list or a log is not kept. */
static void keep(char *out, size_t size, struct bytes text)
{
    text = bytes_first(text, size - 1);
    for (size_t i = 0; i < text.length; i++)
        out[i] = (unsigned char)text.at[i] < ' ' || text.at[i] == 127 ? '?' : ascii_lower(text.at[i]);
    out[text.length] = '\0';
}

static void keep_prefix(char out[GUESSES_ADDRESS], const struct in6_addr *six, unsigned bits)
{
    struct in6_addr prefix = *six;
    char text[INET6_ADDRSTRLEN];
    memset(&prefix.s6_addr[bits / 8], 0, sizeof prefix.s6_addr - bits / 8);
    inet_ntop(AF_INET6, &prefix, text, sizeof text);
    snprintf(out, GUESSES_ADDRESS, "%s/%u", text, bits);
}

static void keep_address(struct guess_try *tried, struct bytes address)
{
    struct in6_addr six;
    size_t end = bytes_find(address, '/') < bytes_find(address, '%') ? bytes_find(address, '/')
                                                                     : bytes_find(address, '%');
    tried->network[0] = '\0';
    keep(tried->address, sizeof tried->address, bytes_first(address, end));
    if (inet_pton(AF_INET6, tried->address, &six) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        inet_ntop(AF_INET, &six.s6_addr[12], tried->address, sizeof tried->address);
        return;
    }
    keep_prefix(tried->address, &six, 64);
    keep_prefix(tried->network, &six, 48);
}

/* What surrounds an address where it is typed or pasted: space, brackets, a source route, a final dot. */
static struct bytes bare_address(struct bytes typed)
{
    while (typed.length > 0 && ((unsigned char)typed.at[0] <= ' ' || typed.at[0] == '<'))
        typed = bytes_from(typed, 1);
    if (typed.length > 0 && typed.at[0] == '@' && bytes_find(typed, ':') != SIZE_MAX)
        typed = bytes_from(typed, bytes_find(typed, ':') + 1);
    while (typed.length > 0 && ((unsigned char)typed.at[typed.length - 1] <= ' ' ||
                                typed.at[typed.length - 1] == '>' || typed.at[typed.length - 1] == '.'))
        typed.length--;
    return typed;
}

/* Without its tag: "ada+x@example.org" is a way to write ada's name. */
static struct bytes without_tag(struct buffer *canonical)
{
    struct bytes text = buffer_bytes(canonical);
    size_t plus = bytes_find(text, '+'), at = bytes_find_last(text, '@');
    if (plus == SIZE_MAX || plus == 0 || plus > at)
        return text;
    memmove(canonical->at + canonical->start + plus, text.at + at, text.length - at);
    canonical->length -= at - plus;
    return buffer_bytes(canonical);
}

static void keep_account(struct guess_try *tried, struct bytes typed)
{
    struct buffer canonical = {0};
    bool is_address = accounts_canonical(&canonical, typed);
    if (!is_address) {
        buffer_clear(&canonical);
        is_address = accounts_canonical(&canonical, bare_address(typed));
    }
    keep(tried->account, sizeof tried->account,
         is_address ? without_tag(&canonical) : bytes_of_text(GUESSES_NO_NAME));
    buffer_free(&canonical);
}

void guess_try_start(struct guess_try *tried, struct bytes address, struct bytes account)
{
    *tried = (struct guess_try){0};
    keep_address(tried, address);
    keep_account(tried, account);
}

static uint64_t key_of(const struct guesses *guesses, const char *address, const char *account)
{
    uint64_t key = bytes_hash(bytes_of(account, strlen(account) + 1),
                              bytes_hash(bytes_of(address, strlen(address) + 1), guesses->seed));
    return key == 0 ? 1 : key;
}

/* ---- the tables ---- */

static struct guess *row_of(const struct guesses *guesses, uint64_t key)
{
    return &guesses->slots[key % (GUESSES_SLOTS / GUESSES_ROW) * GUESSES_ROW];
}

static struct guess *find(const struct guesses *guesses, const char *address, const char *account)
{
    uint64_t key = key_of(guesses, address, account);
    struct guess *row = row_of(guesses, key);
    for (size_t i = 0; i < GUESSES_ROW; i++)
        if (row[i].key == key)
            return &row[i];
    return NULL;
}

static bool is_old(const struct guess *slot, uint64_t now_ms)
{
    return slot->key == 0 ||
           (slot->open == 0 && now_ms - slot->last_ms > GUESSES_FORGET_MS && slot->locked_until_ms <= now_ms);
}

static uint32_t tries_of(const struct guess *slot)
{
    return slot->failures + slot->open;
}

/* Where a newcomer may stand: a free or forgotten place, else that of the
 * one with the fewest tries. */
static struct guess *make_room(struct guesses *guesses, uint64_t key, uint64_t now_ms)
{
    struct guess *row = row_of(guesses, key), *least = row;
    for (size_t i = 0; i < GUESSES_ROW; i++) {
        if (is_old(&row[i], now_ms))
            return &row[i];
        if (tries_of(&row[i]) < tries_of(least) ||
            (tries_of(&row[i]) == tries_of(least) && row[i].last_ms < least->last_ms))
            least = &row[i];
    }
    return least;
}

static struct good *find_good(const struct guesses *guesses, const struct guess_try *tried, bool make)
{
    uint64_t key = key_of(guesses, tried->address, tried->account);
    struct good *row = &guesses->good[key % (GUESSES_GOOD / GUESSES_ROW) * GUESSES_ROW], *oldest = row;
    for (size_t i = 0; i < GUESSES_ROW; i++) {
        if (row[i].key == key)
            return &row[i];
        if (row[i].last_ms < oldest->last_ms)
            oldest = &row[i];
    }
    if (!make)
        return NULL;
    oldest->key = key;
    return oldest;
}

bool guesses_know(const struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms)
{
    const struct good *good = find_good((struct guesses *)(uintptr_t)guesses, tried, false);
    return good != NULL && now_ms - good->last_ms <= GUESSES_GOOD_MS;
}

/* ---- a try ---- */

/* What a try counts in. */
struct counter {
    const char *address, *account;
    uint32_t free_tries;
};
enum { COUNTERS_MAX = 4 };

/* The account over all addresses comes last. An old password in a program of
 * somebody who is known is no attack on others. */
static size_t counters_of(const struct guess_try *tried, struct counter counters[COUNTERS_MAX])
{
    size_t count = 0;
    counters[count++] =
        (struct counter){tried->address, tried->account, tried->known ? GUESSES_FREE_GOOD : GUESSES_FREE};
    if (tried->known)
        return count;
    counters[count++] = (struct counter){tried->address, "", GUESSES_FREE_ADDRESS};
    if (tried->network[0] != '\0')
        counters[count++] = (struct counter){tried->network, "", GUESSES_FREE_NETWORK};
    if (strcmp(tried->account, GUESSES_NO_NAME) != 0)
        counters[count++] = (struct counter){"", tried->account, GUESSES_FREE_ACCOUNT};
    return count;
}

static enum guess_verdict judge(const struct guess *slot, uint32_t free_tries, uint64_t now_ms)
{
    if (slot == NULL || is_old(slot, now_ms))
        return GUESS_TRY;
    if (slot->locked_until_ms > now_ms)
        return GUESS_LOCKED;
    uint32_t until_lock = slot->failures <= free_tries ? free_tries + 1 - slot->failures : 1;
    return slot->open < until_lock ? GUESS_TRY : GUESS_WAITS;
}

/* At an account that is locked for strangers, one whose address has not failed at it. */
static enum guess_verdict take_turn(struct guess *account, struct guess_try *tried, uint64_t now_ms)
{
    if (tried->turn_ms == 0) {
        uint64_t turn_ms = account->turn_ms > now_ms ? account->turn_ms : now_ms;
        if (turn_ms > now_ms + GUESSES_TURN_WAIT_MS)
            return GUESS_LOCKED;
        tried->turn_ms = turn_ms;
        account->turn_ms = turn_ms + GUESSES_TURN_MS;
    }
    return tried->turn_ms <= now_ms ? GUESS_TRY : GUESS_WAITS;
}

static bool is_newcomer(const struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms)
{
    const struct guess *pair = find(guesses, tried->address, tried->account);
    const struct guess *network = tried->network[0] == '\0' ? NULL : find(guesses, tried->network, "");
    if (network != NULL && !is_old(network, now_ms) && tries_of(network) > GUESSES_FREE)
        return false; /* one /48 has no end of new addresses */
    return pair == NULL || is_old(pair, now_ms) || tries_of(pair) == 0;
}

static struct guess *claim(struct guesses *guesses, const struct counter *counter, uint64_t now_ms)
{
    struct guess *slot = find(guesses, counter->address, counter->account);
    if (slot == NULL || is_old(slot, now_ms)) {
        uint64_t key = key_of(guesses, counter->address, counter->account);
        slot = slot == NULL ? make_room(guesses, key, now_ms) : slot;
        *slot = (struct guess){.key = key};
        memcpy(slot->address, counter->address, strlen(counter->address) + 1);
        memcpy(slot->account, counter->account, strlen(counter->account) + 1);
    }
    slot->last_ms = now_ms;
    return slot;
}

enum guess_verdict guesses_begin(struct guesses *guesses, struct guess_try *tried, uint64_t now_ms)
{
    struct counter counters[COUNTERS_MAX];
    enum guess_verdict verdict = GUESS_TRY;
    tried->known = guesses_know(guesses, tried, now_ms);
    size_t count = counters_of(tried, counters);
    for (size_t i = 0; i < count && verdict != GUESS_LOCKED; i++) {
        struct guess *slot = find(guesses, counters[i].address, counters[i].account);
        enum guess_verdict here = judge(slot, counters[i].free_tries, now_ms);
        if (here == GUESS_LOCKED && counters[i].address[0] == '\0' && is_newcomer(guesses, tried, now_ms))
            here = take_turn(slot, tried, now_ms);
        verdict = here > verdict ? here : verdict;
    }
    for (size_t i = 0; i < count && verdict == GUESS_TRY; i++)
        claim(guesses, &counters[i], now_ms)->open++;
    return verdict;
}

/* ---- how it ends ---- */

/* Returns for how long it is locked now. */
static uint64_t count_failure(struct guesses *guesses, const struct counter *counter, uint64_t now_ms)
{
    struct guess *slot = claim(guesses, counter, now_ms);
    slot->open -= slot->open > 0; /* it may have made room for others meanwhile */
    if (++slot->failures <= counter->free_tries)
        return 0;
    uint32_t doublings = slot->failures - counter->free_tries - 1;
    uint64_t lock_ms = doublings >= 20 ? GUESSES_LOCK_MAX_MS : (uint64_t)GUESSES_LOCK_FIRST_MS << doublings;
    lock_ms = lock_ms < GUESSES_LOCK_MAX_MS ? lock_ms : GUESSES_LOCK_MAX_MS;
    if (now_ms + lock_ms > slot->locked_until_ms)
        slot->locked_until_ms = now_ms + lock_ms;
    return lock_ms;
}

uint64_t guesses_failed(struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms)
{
    struct counter counters[COUNTERS_MAX];
    size_t count = counters_of(tried, counters);
    uint64_t longest_ms = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t lock_ms = count_failure(guesses, &counters[i], now_ms);
        longest_ms = lock_ms > longest_ms ? lock_ms : longest_ms;
    }
    return longest_ms;
}

void guesses_undone(struct guesses *guesses, const struct guess_try *tried)
{
    struct counter counters[COUNTERS_MAX];
    size_t count = counters_of(tried, counters);
    for (size_t i = 0; i < count; i++) {
        struct guess *slot = find(guesses, counters[i].address, counters[i].account);
        if (slot == NULL)
            continue;
        slot->open -= slot->open > 0;
        if (tries_of(slot) == 0)
            *slot = (struct guess){0};
    }
}

void guesses_succeeded(struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms)
{
    guesses_undone(guesses, tried);
    struct guess *pair = find(guesses, tried->address, tried->account);
    if (pair != NULL && pair->open == 0)
        *pair = (struct guess){0};
    else if (pair != NULL)
        pair->failures = 0;
    find_good(guesses, tried, true)->last_ms = now_ms;
}

const struct guess *guesses_next_locked(const struct guesses *guesses, size_t *at, uint64_t now_ms)
{
    while (*at < GUESSES_SLOTS) {
        const struct guess *slot = &guesses->slots[(*at)++];
        if (slot->key != 0 && slot->locked_until_ms > now_ms)
            return slot;
    }
    return NULL;
}

size_t guesses_unlock(struct guesses *guesses, struct bytes who, uint64_t now_ms)
{
    struct guess_try wanted;
    size_t count = 0;
    guess_try_start(&wanted, who, who);
    for (size_t i = 0; i < GUESSES_SLOTS; i++) {
        struct guess *slot = &guesses->slots[i];
        bool named =
            strcmp(wanted.account, GUESSES_NO_NAME) != 0 && strcmp(slot->account, wanted.account) == 0;
        bool meant = named || strcmp(slot->address, wanted.address) == 0 ||
                     (wanted.network[0] != '\0' && strcmp(slot->address, wanted.network) == 0);
        if (slot->key == 0 || !meant)
            continue;
        count += slot->locked_until_ms > now_ms;
        uint32_t open = slot->open;
        if (open == 0)
            *slot = (struct guess){0};
        slot->failures = 0;
        slot->locked_until_ms = slot->turn_ms = 0;
    }
    return count;
}
