/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/guesses.h"

#include <arpa/inet.h>
#include <assert.h>

static_assert(GUESSES_SLOTS % GUESSES_ROW == 0 && GUESSES_GOOD % GUESSES_ROW == 0, "tables are made of whole rows");

void guesses_start(struct guesses *guesses, struct guesses_kept *kept, uint64_t seed)
{
    if (kept->seed == 0)
        kept->seed = seed == 0 ? 1 : seed;
    *guesses = (struct guesses){.slots = kept->slots, .good = kept->good, .seed = kept->seed};
}

/* ---- who ---- */

struct who {
    char address[48];          /* of IPv6 the first 64 bits */
    char account[GUESSES_WHO]; /* as it is typed, without regard to case; a long one is cut */
};

/* What could disturb a list or a log is not kept. */
static void keep(char *out, size_t size, struct bytes text)
{
    text = bytes_first(text, size - 1);
    for (size_t i = 0; i < text.length; i++)
        out[i] = (unsigned char)text.at[i] < ' ' || text.at[i] == 127 ? '?' : ascii_lower(text.at[i]);
    out[text.length] = '\0';
}

static void keep_address(char *out, size_t size, struct bytes address)
{
    struct in6_addr six;
    keep(out, size, address);
    char *slash = strchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET6, out, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six))
        return;
    memset(&six.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &six, out, (socklen_t)size);
    strncat(out, "/64", size - strlen(out) - 1);
}

static struct who who_of(struct bytes address, struct bytes account)
{
    struct who who;
    keep_address(who.address, sizeof who.address, address);
    keep(who.account, sizeof who.account, account);
    return who;
}

static uint64_t key_of(const struct guesses *guesses, const char *address, const char *account)
{
    uint64_t key = bytes_hash(bytes_of(account, strlen(account) + 1), bytes_hash(bytes_of(address, strlen(address) + 1), guesses->seed));
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
    return slot->key == 0 || (now_ms - slot->last_ms > GUESSES_FORGET_MS && slot->locked_until_ms <= now_ms);
}

/* Where a newcomer may stand: a free or forgotten place, else that of the
 * one with the fewest failures. */
static struct guess *make_room(struct guesses *guesses, uint64_t key, uint64_t now_ms)
{
    struct guess *row = row_of(guesses, key), *least = row;
    for (size_t i = 0; i < GUESSES_ROW; i++) {
        if (is_old(&row[i], now_ms))
            return &row[i];
        if (row[i].failures < least->failures || (row[i].failures == least->failures && row[i].last_ms < least->last_ms))
            least = &row[i];
    }
    return least;
}

static struct good *find_good(const struct guesses *guesses, const struct who *who, bool make)
{
    uint64_t key = key_of(guesses, who->address, who->account);
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

static bool is_good(const struct guesses *guesses, const struct who *who, uint64_t now_ms)
{
    const struct good *good = find_good(guesses, who, false);
    return good != NULL && now_ms - good->last_ms <= GUESSES_GOOD_MS;
}

/* ---- what others ask ---- */

static bool is_locked(const struct guess *slot, uint64_t now_ms)
{
    return slot != NULL && slot->locked_until_ms > now_ms;
}

bool guesses_locked(const struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms)
{
    struct who who = who_of(address, account);
    if (is_locked(find(guesses, who.address, who.account), now_ms))
        return true;
    return !is_good(guesses, &who, now_ms) && (is_locked(find(guesses, who.address, ""), now_ms) || is_locked(find(guesses, "", who.account), now_ms));
}

/* Returns for how long it is locked now. */
static uint64_t count_failure(struct guesses *guesses, const char *address, const char *account, uint32_t free_tries, uint64_t now_ms)
{
    struct guess *slot = find(guesses, address, account);
    if (slot == NULL || is_old(slot, now_ms)) {
        uint64_t key = key_of(guesses, address, account);
        slot = slot == NULL ? make_room(guesses, key, now_ms) : slot;
        *slot = (struct guess){.key = key};
        memcpy(slot->address, address, strlen(address) + 1);
        memcpy(slot->account, account, strlen(account) + 1);
    }
    slot->last_ms = now_ms;
    if (++slot->failures <= free_tries)
        return 0;
    uint32_t doublings = slot->failures - free_tries - 1;
    uint64_t lock_ms = doublings >= 20 ? GUESSES_LOCK_MAX_MS : (uint64_t)GUESSES_LOCK_FIRST_MS << doublings;
    lock_ms = lock_ms < GUESSES_LOCK_MAX_MS ? lock_ms : GUESSES_LOCK_MAX_MS;
    if (now_ms + lock_ms > slot->locked_until_ms)
        slot->locked_until_ms = now_ms + lock_ms;
    return lock_ms;
}

uint64_t guesses_failed(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms)
{
    struct who who = who_of(address, account);
    bool good = is_good(guesses, &who, now_ms);
    uint64_t pair_ms = count_failure(guesses, who.address, who.account, good ? GUESSES_FREE_GOOD : GUESSES_FREE, now_ms);
    if (good) /* an old password in one of its programs is no attack on others */
        return pair_ms;
    uint64_t address_ms = count_failure(guesses, who.address, "", GUESSES_FREE_ADDRESS, now_ms);
    uint64_t account_ms = count_failure(guesses, "", who.account, GUESSES_FREE_ACCOUNT, now_ms);
    uint64_t longest_ms = pair_ms > address_ms ? pair_ms : address_ms;
    return longest_ms > account_ms ? longest_ms : account_ms;
}

void guesses_succeeded(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms)
{
    struct who who = who_of(address, account);
    struct guess *slot = find(guesses, who.address, who.account);
    if (slot != NULL)
        *slot = (struct guess){0};
    find_good(guesses, &who, true)->last_ms = now_ms;
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
    struct who wanted = who_of(who, who);
    size_t count = 0;
    for (size_t i = 0; i < GUESSES_SLOTS; i++) {
        struct guess *slot = &guesses->slots[i];
        if (slot->key == 0 || (strcmp(slot->account, wanted.account) != 0 && strcmp(slot->address, wanted.address) != 0))
            continue;
        count += slot->locked_until_ms > now_ms;
        *slot = (struct guess){0};
    }
    return count;
}
