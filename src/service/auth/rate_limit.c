/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/rate_limit.h"

#include <assert.h>

#define HOUR_MS ((uint64_t)(ALLOWANCE_PARTS - 1) * ALLOWANCE_PART_MS)

void allowances_start(struct allowances *allowances, struct allowances_kept *kept, uint64_t seed)
{
    if (kept->seed == 0)
        kept->seed = seed == 0 ? 1 : seed;
    *allowances = (struct allowances){.slots = kept->slots, .seed = kept->seed};
}

/* ---- one slot ---- */

static bool counts(const struct allowance *slot, uint64_t part)
{
    return slot->key != 0 && part < slot->part + ALLOWANCE_PARTS;
}

/* Parts that lie more than an hour back count no more. */
static void move_to(struct allowance *slot, uint64_t part)
{
    for (uint64_t at = slot->part + 1; at <= part && at < slot->part + 1 + ALLOWANCE_PARTS; at++)
        slot->messages[at % ALLOWANCE_PARTS] = slot->recipients[at % ALLOWANCE_PARTS] = 0;
    if (part > slot->part)
        slot->part = part;
}

static uint64_t sum(const uint32_t parts[ALLOWANCE_PARTS])
{
    uint64_t all = 0;
    for (size_t i = 0; i < ALLOWANCE_PARTS; i++)
        all += parts[i];
    return all;
}

static bool fits(uint64_t used, uint32_t more, uint32_t limit)
{
    return limit == 0 || used + more <= limit;
}

/* How long until the oldest parts that are in the way count no more. The slot is moved to now. */
static uint64_t wait_ms(const struct allowance *slot, struct allowance_limits limits, uint32_t recipients,
                        uint64_t now_ms)
{
    uint64_t messages = sum(slot->messages), to = sum(slot->recipients);
    uint64_t oldest = slot->part + 1 >= ALLOWANCE_PARTS ? slot->part + 1 - ALLOWANCE_PARTS : 0;
    for (uint64_t at = oldest; at <= slot->part; at++) {
        messages -= slot->messages[at % ALLOWANCE_PARTS];
        to -= slot->recipients[at % ALLOWANCE_PARTS];
        if (fits(messages, 1, limits.messages) && fits(to, recipients, limits.recipients))
            return (at + ALLOWANCE_PARTS) * ALLOWANCE_PART_MS - now_ms;
    }
    return HOUR_MS;
}

/* ---- the table ---- */

static uint64_t key_of(const struct allowances *allowances, struct bytes account)
{
    uint64_t key = bytes_hash(account, allowances->seed);
    return key == 0 ? 1 : key;
}

static struct allowance *find(const struct allowances *allowances, uint64_t key)
{
    for (size_t i = 0; i < ALLOWANCE_REACH; i++) {
        struct allowance *slot = &allowances->slots[(key + i) % ALLOWANCE_SLOTS];
        if (slot->key == key)
            return slot;
    }
    return NULL;
}

static struct allowance *claim(struct allowances *allowances, uint64_t key, uint64_t part)
{
    struct allowance *found = find(allowances, key), *least = NULL;
    uint64_t least_sent = UINT64_MAX;
    for (size_t i = 0; found == NULL && i < ALLOWANCE_REACH; i++) {
        struct allowance *slot = &allowances->slots[(key + i) % ALLOWANCE_SLOTS];
        uint64_t sent = counts(slot, part) ? 1 + sum(slot->messages) + sum(slot->recipients) : 0;
        if (sent < least_sent) {
            least = slot;
            least_sent = sent;
        }
        if (sent == 0)
            break;
    }
    if (found == NULL) {
        found = least;
        *found = (struct allowance){.key = key, .part = part};
    }
    move_to(found, part);
    return found;
}

/* ---- what is asked ---- */

static enum allowance_verdict judge(const struct allowance *slot, struct allowance_limits limits,
                                    uint32_t recipients, uint64_t now_ms, uint32_t *wait_s)
{
    *wait_s = 0;
    if (limits.recipients != 0 && recipients > limits.recipients)
        return ALLOWANCE_NEVER;
    if (fits(sum(slot->messages), 1, limits.messages) &&
        fits(sum(slot->recipients), recipients, limits.recipients))
        return ALLOWANCE_FITS;
    *wait_s = (uint32_t)((wait_ms(slot, limits, recipients, now_ms) + 999) / 1000);
    return ALLOWANCE_REACHED;
}

enum allowance_verdict allowances_take(struct allowances *allowances, struct bytes account,
                                       struct allowance_limits limits, uint32_t recipients, uint64_t now_ms,
                                       struct allowance_taken *taken, uint32_t *wait_s)
{
    *taken = (struct allowance_taken){0};
    *wait_s = 0;
    if (limits.messages == 0 && limits.recipients == 0)
        return ALLOWANCE_FITS;
    uint64_t key = key_of(allowances, account), part = now_ms / ALLOWANCE_PART_MS;
    struct allowance *slot = claim(allowances, key, part);
    enum allowance_verdict verdict = judge(slot, limits, recipients, now_ms, wait_s);
    if (verdict != ALLOWANCE_FITS)
        return verdict;
    slot->messages[part % ALLOWANCE_PARTS]++;
    slot->recipients[part % ALLOWANCE_PARTS] += recipients;
    *taken = (struct allowance_taken){.key = key, .part = part, .recipients = recipients};
    return ALLOWANCE_FITS;
}

enum allowance_verdict allowances_look(const struct allowances *allowances, struct bytes account,
                                       struct allowance_limits limits, uint64_t now_ms, uint32_t *wait_s)
{
    const struct allowance *found = find(allowances, key_of(allowances, account));
    uint64_t part = now_ms / ALLOWANCE_PART_MS;
    *wait_s = 0;
    if (found == NULL || !counts(found, part))
        return ALLOWANCE_FITS;
    struct allowance now = *found;
    move_to(&now, part);
    return judge(&now, limits, 1, now_ms, wait_s);
}

void allowances_give_back(struct allowances *allowances, const struct allowance_taken *taken)
{
    struct allowance *slot = taken->key == 0 ? NULL : find(allowances, taken->key);
    size_t at = taken->part % ALLOWANCE_PARTS;
    /* The part may count no more, and its slot may be another's. */
    if (slot == NULL || taken->part > slot->part || taken->part + ALLOWANCE_PARTS <= slot->part ||
        slot->messages[at] == 0 || slot->recipients[at] < taken->recipients)
        return;
    slot->messages[at]--;
    slot->recipients[at] -= taken->recipients;
}

bool allowances_tell(struct allowances *allowances, struct bytes account, uint64_t now_ms,
                     struct allowance_limits *sent)
{
    struct allowance *slot = find(allowances, key_of(allowances, account));
    if (slot == NULL || (slot->told_ms != 0 && now_ms - slot->told_ms < HOUR_MS))
        return false;
    slot->told_ms = now_ms == 0 ? 1 : now_ms;
    if (sent != NULL)
        *sent = (struct allowance_limits){(uint32_t)sum(slot->messages), (uint32_t)sum(slot->recipients)};
    return true;
}
