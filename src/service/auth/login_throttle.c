/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/login_throttle.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

#include "base/slots.h"
#include "store/accounts.h"

static_assert(LOGIN_THROTTLE_SLOTS % LOGIN_THROTTLE_ROW == 0 &&
                  LOGIN_THROTTLE_TRUSTED % LOGIN_THROTTLE_ROW == 0,
              "tables are made of whole rows");

/* Counts the tries in progress when the predecessor ended: their passwords may have been checked. */
static void close_open(struct login_throttle *throttle)
{
    for (size_t i = 0; i < LOGIN_THROTTLE_SLOTS; i++) {
        struct throttle_slot *slot = &throttle->slots[i];
        if (slot->open == 0) /* does not touch unused memory */
            continue;
        slot->failures += slot->open;
        slot->open = 0;
    }
}

void login_throttle_start(struct login_throttle *throttle, struct login_throttle_kept *kept, uint64_t seed)
{
    bool fresh = kept->seed == 0;
    if (fresh)
        kept->seed = seed == 0 ? 1 : seed;
    *throttle = (struct login_throttle){.slots = kept->slots, .good = kept->good, .seed = kept->seed};
    if (!fresh)
        close_open(throttle);
}

/* ---- keys ---- */

/* Copies a text without characters that could disturb a list or a log. */
static void keep(char *out, size_t size, struct bytes text)
{
    text = bytes_first(text, size - 1);
    for (size_t i = 0; i < text.length; i++)
        out[i] = (unsigned char)text.at[i] < ' ' || text.at[i] == 127 ? '?' : ascii_lower(text.at[i]);
    out[text.length] = '\0';
}

static void keep_prefix(char out[LOGIN_THROTTLE_ADDRESS], const struct in6_addr *six, unsigned bits)
{
    struct in6_addr prefix = *six;
    char text[INET6_ADDRSTRLEN];
    memset(&prefix.s6_addr[bits / 8], 0, sizeof prefix.s6_addr - bits / 8);
    inet_ntop(AF_INET6, &prefix, text, sizeof text);
    snprintf(out, LOGIN_THROTTLE_ADDRESS, "%s/%u", text, bits);
}

static void keep_address(struct throttle_try *tried, struct bytes address)
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

/* Strips what may surround a typed or pasted address: spaces, brackets, a source route, a final dot. */
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

/* Removes the tag: "ada+x@example.org" is an alias of ada's address. */
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

static void keep_account(struct throttle_try *tried, struct bytes typed)
{
    struct buffer canonical = {0};
    bool is_address = accounts_canonical(&canonical, typed);
    if (!is_address) {
        buffer_clear(&canonical);
        is_address = accounts_canonical(&canonical, bare_address(typed));
    }
    keep(tried->account, sizeof tried->account,
         is_address ? without_tag(&canonical) : bytes_of_text(LOGIN_THROTTLE_NO_NAME));
    buffer_free(&canonical);
}

void login_throttle_try_start(struct throttle_try *tried, struct bytes address, struct bytes account)
{
    *tried = (struct throttle_try){0};
    keep_address(tried, address);
    keep_account(tried, account);
}

static uint64_t key_of(const struct login_throttle *throttle, const char *address, const char *account)
{
    uint64_t key = bytes_hash(bytes_of(account, strlen(account) + 1),
                              bytes_hash(bytes_of(address, strlen(address) + 1), throttle->seed));
    return key == 0 ? 1 : key;
}

/* ---- the tables ---- */

static struct slots slots_of(const struct login_throttle *throttle)
{
    return (struct slots){.at = throttle->slots,
                          .count = LOGIN_THROTTLE_SLOTS,
                          .row = LOGIN_THROTTLE_ROW,
                          .size = sizeof *throttle->slots};
}

static struct slots good_of(const struct login_throttle *throttle)
{
    return (struct slots){.at = throttle->good,
                          .count = LOGIN_THROTTLE_TRUSTED,
                          .row = LOGIN_THROTTLE_ROW,
                          .size = sizeof *throttle->good};
}

static struct throttle_slot *find(const struct login_throttle *throttle, const char *address,
                                  const char *account)
{
    struct slots slots = slots_of(throttle);
    return slots_find(&slots, key_of(throttle, address, account));
}

static bool is_old(const struct throttle_slot *slot, uint64_t now_ms)
{
    return slot->key == 0 || (slot->open == 0 && now_ms - slot->last_ms > LOGIN_THROTTLE_FORGET_MS &&
                              slot->locked_until_ms <= now_ms);
}

static uint32_t tries_of(const struct throttle_slot *slot)
{
    return slot->failures + slot->open;
}

/* A forgotten one goes first, else the one with the fewest tries; of equal ones the older. */
static uint64_t weigh(const struct slots *slots, const void *at, const void *now_ms)
{
    enum { TIME_BITS = 44, TRIES_MAX = (1 << 20) - 2 }; /* five hundred years */
    const struct throttle_slot *slot = at;
    uint64_t tries = tries_of(slot) < TRIES_MAX ? tries_of(slot) : TRIES_MAX;
    uint64_t time_ms = slot->last_ms & ((UINT64_C(1) << TIME_BITS) - 1);
    return is_old(slot, *(const uint64_t *)now_ms) ? 0 : (tries + 1) << TIME_BITS | time_ms;
}

static uint64_t weigh_good(const struct slots *slots, const void *slot, const void *context)
{
    return ((const struct trusted_pair *)slot)->last_ms;
}

bool login_throttle_know(const struct login_throttle *throttle, const struct throttle_try *tried,
                         uint64_t now_ms)
{
    struct slots slots = good_of(throttle);
    const struct trusted_pair *good = slots_find(&slots, key_of(throttle, tried->address, tried->account));
    return good != NULL && now_ms - good->last_ms <= LOGIN_THROTTLE_TRUSTED_MS;
}

/* ---- tries ---- */

/* A counter of a try. */
struct throttle_counter {
    const char *address, *account;
    uint32_t free_tries;
};
enum { COUNTERS_MAX = 4 };

/* Lists the counters; the account over all addresses comes last. An old password in a known client's
 * program is not an attack on others. */
static size_t counters_of(const struct throttle_try *tried, struct throttle_counter counters[COUNTERS_MAX])
{
    size_t count = 0;
    counters[count++] = (struct throttle_counter){
        tried->address, tried->account, tried->known ? LOGIN_THROTTLE_FREE_TRUSTED : LOGIN_THROTTLE_FREE};
    if (tried->known)
        return count;
    counters[count++] = (struct throttle_counter){tried->address, "", LOGIN_THROTTLE_FREE_ADDRESS};
    if (tried->network[0] != '\0')
        counters[count++] = (struct throttle_counter){tried->network, "", LOGIN_THROTTLE_FREE_NETWORK};
    if (strcmp(tried->account, LOGIN_THROTTLE_NO_NAME) != 0)
        counters[count++] = (struct throttle_counter){"", tried->account, LOGIN_THROTTLE_FREE_ACCOUNT};
    return count;
}

static enum throttle_verdict check_slot(const struct throttle_slot *slot, uint32_t free_tries,
                                        uint64_t now_ms)
{
    if (slot == NULL || is_old(slot, now_ms))
        return LOGIN_TRY;
    if (slot->locked_until_ms > now_ms)
        return LOGIN_LOCKED;
    uint32_t until_lock = slot->failures <= free_tries ? free_tries + 1 - slot->failures : 1;
    return slot->open < until_lock ? LOGIN_TRY : LOGIN_WAITS;
}

/* At an account locked for strangers: grants a turn to an address without failures at it. */
static enum throttle_verdict take_turn(struct throttle_slot *account, struct throttle_try *tried,
                                       uint64_t now_ms)
{
    if (tried->turn_ms == 0) {
        uint64_t turn_ms = account->turn_ms > now_ms ? account->turn_ms : now_ms;
        if (turn_ms > now_ms + LOGIN_THROTTLE_TURN_WAIT_MS)
            return LOGIN_LOCKED;
        tried->turn_ms = turn_ms;
        account->turn_ms = turn_ms + LOGIN_THROTTLE_TURN_MS;
    }
    return tried->turn_ms <= now_ms ? LOGIN_TRY : LOGIN_WAITS;
}

static bool is_newcomer(const struct login_throttle *throttle, const struct throttle_try *tried,
                        uint64_t now_ms)
{
    const struct throttle_slot *pair = find(throttle, tried->address, tried->account);
    const struct throttle_slot *network = tried->network[0] == '\0' ? NULL
                                                                    : find(throttle, tried->network, "");
    if (network != NULL && !is_old(network, now_ms) && tries_of(network) > LOGIN_THROTTLE_FREE)
        return false; /* a /48 has unlimited new addresses */
    return pair == NULL || is_old(pair, now_ms) || tries_of(pair) == 0;
}

static struct throttle_slot *claim(struct login_throttle *throttle, const struct throttle_counter *counter,
                                   uint64_t now_ms)
{
    struct throttle_slot *slot = find(throttle, counter->address, counter->account);
    if (slot == NULL || is_old(slot, now_ms)) {
        struct slots slots = slots_of(throttle);
        uint64_t key = key_of(throttle, counter->address, counter->account);
        slot = slots_claim(&slots, key, weigh, &now_ms);
        *slot = (struct throttle_slot){.key = key};
        memcpy(slot->address, counter->address, strlen(counter->address) + 1);
        memcpy(slot->account, counter->account, strlen(counter->account) + 1);
    }
    slot->last_ms = now_ms;
    return slot;
}

enum throttle_verdict login_throttle_begin(struct login_throttle *throttle, struct throttle_try *tried,
                                           uint64_t now_ms)
{
    struct throttle_counter counters[COUNTERS_MAX];
    enum throttle_verdict verdict = LOGIN_TRY;
    tried->known = login_throttle_know(throttle, tried, now_ms);
    size_t count = counters_of(tried, counters);
    for (size_t i = 0; i < count && verdict != LOGIN_LOCKED; i++) {
        struct throttle_slot *slot = find(throttle, counters[i].address, counters[i].account);
        enum throttle_verdict here = check_slot(slot, counters[i].free_tries, now_ms);
        if (here == LOGIN_LOCKED && counters[i].address[0] == '\0' && is_newcomer(throttle, tried, now_ms))
            here = take_turn(slot, tried, now_ms);
        verdict = here > verdict ? here : verdict;
    }
    for (size_t i = 0; i < count && verdict == LOGIN_TRY; i++)
        claim(throttle, &counters[i], now_ms)->open++;
    return verdict;
}

/* ---- results ---- */

/* Counts a failure; returns the duration of the resulting lockout. */
static uint64_t count_failure(struct login_throttle *throttle, const struct throttle_counter *counter,
                              uint64_t now_ms)
{
    struct throttle_slot *slot = claim(throttle, counter, now_ms);
    slot->open -= slot->open > 0; /* its entry may have been replaced meanwhile */
    if (++slot->failures <= counter->free_tries)
        return 0;
    uint32_t doublings = slot->failures - counter->free_tries - 1;
    uint64_t lock_ms = doublings >= 20 ? LOGIN_THROTTLE_LOCK_MAX_MS
                                       : (uint64_t)LOGIN_THROTTLE_LOCK_FIRST_MS << doublings;
    lock_ms = lock_ms < LOGIN_THROTTLE_LOCK_MAX_MS ? lock_ms : LOGIN_THROTTLE_LOCK_MAX_MS;
    if (now_ms + lock_ms > slot->locked_until_ms)
        slot->locked_until_ms = now_ms + lock_ms;
    return lock_ms;
}

uint64_t login_throttle_failed(struct login_throttle *throttle, const struct throttle_try *tried,
                               uint64_t now_ms)
{
    struct throttle_counter counters[COUNTERS_MAX];
    size_t count = counters_of(tried, counters);
    uint64_t longest_ms = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t lock_ms = count_failure(throttle, &counters[i], now_ms);
        longest_ms = lock_ms > longest_ms ? lock_ms : longest_ms;
    }
    return longest_ms;
}

void login_throttle_undone(struct login_throttle *throttle, const struct throttle_try *tried)
{
    struct throttle_counter counters[COUNTERS_MAX];
    size_t count = counters_of(tried, counters);
    for (size_t i = 0; i < count; i++) {
        struct throttle_slot *slot = find(throttle, counters[i].address, counters[i].account);
        if (slot == NULL)
            continue;
        slot->open -= slot->open > 0;
        if (tries_of(slot) == 0)
            *slot = (struct throttle_slot){0};
    }
}

void login_throttle_succeeded(struct login_throttle *throttle, const struct throttle_try *tried,
                              uint64_t now_ms)
{
    login_throttle_undone(throttle, tried);
    struct throttle_slot *pair = find(throttle, tried->address, tried->account);
    if (pair != NULL && pair->open == 0)
        *pair = (struct throttle_slot){0};
    else if (pair != NULL)
        pair->failures = 0;
    struct slots slots = good_of(throttle);
    struct trusted_pair *good = slots_claim(&slots, key_of(throttle, tried->address, tried->account),
                                            weigh_good, NULL);
    good->last_ms = now_ms;
}

const struct throttle_slot *login_throttle_next_locked(const struct login_throttle *throttle, size_t *at,
                                                       uint64_t now_ms)
{
    while (*at < LOGIN_THROTTLE_SLOTS) {
        const struct throttle_slot *slot = &throttle->slots[(*at)++];
        if (slot->key != 0 && slot->locked_until_ms > now_ms)
            return slot;
    }
    return NULL;
}

size_t login_throttle_unlock(struct login_throttle *throttle, struct bytes who, uint64_t now_ms)
{
    struct throttle_try wanted;
    size_t count = 0;
    login_throttle_try_start(&wanted, who, who);
    for (size_t i = 0; i < LOGIN_THROTTLE_SLOTS; i++) {
        struct throttle_slot *slot = &throttle->slots[i];
        bool named = strcmp(wanted.account, LOGIN_THROTTLE_NO_NAME) != 0 &&
                     strcmp(slot->account, wanted.account) == 0;
        bool meant = named || strcmp(slot->address, wanted.address) == 0 ||
                     (wanted.network[0] != '\0' && strcmp(slot->address, wanted.network) == 0);
        if (slot->key == 0 || !meant)
            continue;
        count += slot->locked_until_ms > now_ms;
        uint32_t open = slot->open;
        if (open == 0)
            *slot = (struct throttle_slot){0};
        slot->failures = 0;
        slot->locked_until_ms = slot->turn_ms = 0;
    }
    return count;
}
