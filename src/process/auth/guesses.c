/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/guesses.h"

#include "arena.h"

#include <stdlib.h>

void guesses_start(struct guesses *guesses, uint64_t seed)
{
    guesses->slots = memory_new(GUESSES_SLOTS * sizeof *guesses->slots);
    guesses->seed = seed;
}

void guesses_free(struct guesses *guesses)
{
    free(guesses->slots);
    guesses->slots = NULL;
}

/* Account names are compared as they are typed, without regard to case. */
static uint64_t key_of(const struct guesses *guesses, struct bytes address, struct bytes account)
{
    uint64_t key = bytes_hash(address, guesses->seed);
    for (size_t i = 0; i < account.length; i++) {
        char c = ascii_lower(account.at[i]);
        key = bytes_hash(bytes_of(&c, 1), key);
    }
    return key == 0 ? 1 : key;
}

static struct guess *slot_of(const struct guesses *guesses, uint64_t key)
{
    return &guesses->slots[key % GUESSES_SLOTS];
}

static bool is_locked(const struct guesses *guesses, uint64_t key, uint64_t now_ms)
{
    const struct guess *slot = slot_of(guesses, key);
    return slot->key == key && slot->locked_until_ms > now_ms;
}

bool guesses_locked(const struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms)
{
    return is_locked(guesses, key_of(guesses, address, account), now_ms) || is_locked(guesses, key_of(guesses, address, bytes_none()), now_ms);
}

static void count_failure(struct guesses *guesses, uint64_t key, uint32_t free_tries, uint64_t now_ms)
{
    struct guess *slot = slot_of(guesses, key);
    if (slot->key != key || now_ms - slot->last_ms > GUESSES_FORGET_MS)
        *slot = (struct guess){.key = key};
    slot->last_ms = now_ms;
    if (++slot->failures <= free_tries)
        return;
    uint32_t doublings = slot->failures - free_tries - 1;
    uint64_t lock_ms = doublings >= 20 ? GUESSES_LOCK_MAX_MS : (uint64_t)GUESSES_LOCK_FIRST_MS << doublings;
    slot->locked_until_ms = now_ms + (lock_ms < GUESSES_LOCK_MAX_MS ? lock_ms : GUESSES_LOCK_MAX_MS);
}

void guesses_failed(struct guesses *guesses, struct bytes address, struct bytes account, uint64_t now_ms)
{
    count_failure(guesses, key_of(guesses, address, account), GUESSES_FREE, now_ms);
    count_failure(guesses, key_of(guesses, address, bytes_none()), GUESSES_FREE_ADDRESS, now_ms);
}

void guesses_succeeded(struct guesses *guesses, struct bytes address, struct bytes account)
{
    uint64_t key = key_of(guesses, address, account);
    struct guess *slot = slot_of(guesses, key);
    if (slot->key == key)
        *slot = (struct guess){0};
}
