/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/rate_limit.h"

#include <assert.h>

#include "base/slots.h"

#define HOUR_MS ((uint64_t)(RATE_LIMIT_PARTS - 1) * RATE_LIMIT_PART_MS)

void rate_limit_start(struct rate_limits *rate_limits, struct rate_limits_kept *kept, uint64_t seed)
{
    if (kept->seed == 0)
        kept->seed = seed == 0 ? 1 : seed;
    *rate_limits = (struct rate_limits){.slots = kept->slots, .seed = kept->seed};
}

/* ---- one slot ---- */

static bool counts(const struct rate_limit_slot *slot, uint64_t part)
{
    return slot->key != 0 && part < slot->part + RATE_LIMIT_PARTS;
}

/* Expires parts that are more than an hour old. */
static void move_to(struct rate_limit_slot *slot, uint64_t part)
{
    for (uint64_t at = slot->part + 1; at <= part && at < slot->part + 1 + RATE_LIMIT_PARTS; at++)
        slot->messages[at % RATE_LIMIT_PARTS] = slot->recipients[at % RATE_LIMIT_PARTS] = 0;
    if (part > slot->part)
        slot->part = part;
}

static uint64_t sum(const uint32_t parts[RATE_LIMIT_PARTS])
{
    uint64_t all = 0;
    for (size_t i = 0; i < RATE_LIMIT_PARTS; i++)
        all += parts[i];
    return all;
}

static bool fits(uint64_t used, uint32_t more, uint32_t limit)
{
    return limit == 0 || used + more <= limit;
}

/* Returns the time until enough old parts expire. The slot is moved to now. */
static uint64_t wait_ms(const struct rate_limit_slot *slot, struct rate_limit_max limits, uint32_t recipients,
                        uint64_t now_ms)
{
    uint64_t messages = sum(slot->messages), to = sum(slot->recipients);
    uint64_t oldest = slot->part + 1 >= RATE_LIMIT_PARTS ? slot->part + 1 - RATE_LIMIT_PARTS : 0;
    for (uint64_t at = oldest; at <= slot->part; at++) {
        messages -= slot->messages[at % RATE_LIMIT_PARTS];
        to -= slot->recipients[at % RATE_LIMIT_PARTS];
        if (fits(messages, 1, limits.messages) && fits(to, recipients, limits.recipients))
            return (at + RATE_LIMIT_PARTS) * RATE_LIMIT_PART_MS - now_ms;
    }
    return HOUR_MS;
}

/* ---- the table ---- */

static uint64_t key_of(const struct rate_limits *rate_limits, struct bytes account)
{
    uint64_t key = bytes_hash(account, rate_limits->seed);
    return key == 0 ? 1 : key;
}

static struct slots table_of(const struct rate_limits *rate_limits)
{
    return (struct slots){.at = rate_limits->slots,
                          .count = RATE_LIMIT_SLOTS,
                          .row = RATE_LIMIT_ROW,
                          .size = sizeof *rate_limits->slots};
}

static struct rate_limit_slot *find(const struct rate_limits *rate_limits, uint64_t key)
{
    struct slots slots = table_of(rate_limits);
    return slots_find(&slots, key);
}

/* Returns the messages sent within the hour. */
static uint64_t weigh(const struct slots *slots, const void *at, const void *part)
{
    const struct rate_limit_slot *slot = at;
    return counts(slot, *(const uint64_t *)part) ? 1 + sum(slot->messages) + sum(slot->recipients) : 0;
}

static struct rate_limit_slot *claim(struct rate_limits *rate_limits, uint64_t key, uint64_t part)
{
    struct slots slots = table_of(rate_limits);
    struct rate_limit_slot *slot = slots_claim(&slots, key, weigh, &part);
    if (slot->part == 0) /* it is new */
        slot->part = part;
    move_to(slot, part);
    return slot;
}

/* ---- public functions ---- */

static enum rate_limit_verdict check_slot(const struct rate_limit_slot *slot, struct rate_limit_max limits,
                                          uint32_t recipients, uint64_t now_ms, uint32_t *wait_s)
{
    *wait_s = 0;
    if (limits.recipients != 0 && recipients > limits.recipients)
        return RATE_LIMIT_NEVER;
    if (fits(sum(slot->messages), 1, limits.messages) &&
        fits(sum(slot->recipients), recipients, limits.recipients))
        return RATE_LIMIT_FITS;
    *wait_s = (uint32_t)((wait_ms(slot, limits, recipients, now_ms) + 999) / 1000);
    return RATE_LIMIT_REACHED;
}

enum rate_limit_verdict rate_limit_take(struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint32_t recipients, uint64_t now_ms,
                                        struct rate_limit_taken *taken, uint32_t *wait_s)
{
    *taken = (struct rate_limit_taken){0};
    *wait_s = 0;
    if (limits.messages == 0 && limits.recipients == 0)
        return RATE_LIMIT_FITS;
    uint64_t key = key_of(rate_limits, account), part = now_ms / RATE_LIMIT_PART_MS;
    struct rate_limit_slot *slot = claim(rate_limits, key, part);
    enum rate_limit_verdict verdict = check_slot(slot, limits, recipients, now_ms, wait_s);
    if (verdict != RATE_LIMIT_FITS)
        return verdict;
    slot->messages[part % RATE_LIMIT_PARTS]++;
    slot->recipients[part % RATE_LIMIT_PARTS] += recipients;
    *taken = (struct rate_limit_taken){.key = key, .part = part, .recipients = recipients};
    return RATE_LIMIT_FITS;
}

enum rate_limit_verdict rate_limit_look(const struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint64_t now_ms, uint32_t *wait_s)
{
    const struct rate_limit_slot *found = find(rate_limits, key_of(rate_limits, account));
    uint64_t part = now_ms / RATE_LIMIT_PART_MS;
    *wait_s = 0;
    if (found == NULL || !counts(found, part))
        return RATE_LIMIT_FITS;
    struct rate_limit_slot now = *found;
    move_to(&now, part);
    return check_slot(&now, limits, 1, now_ms, wait_s);
}

void rate_limit_give_back(struct rate_limits *rate_limits, const struct rate_limit_taken *taken)
{
    struct rate_limit_slot *slot = taken->key == 0 ? NULL : find(rate_limits, taken->key);
    size_t at = taken->part % RATE_LIMIT_PARTS;
    /* The part may have expired, and its slot may belong to another. */
    if (slot == NULL || taken->part > slot->part || taken->part + RATE_LIMIT_PARTS <= slot->part ||
        slot->messages[at] == 0 || slot->recipients[at] < taken->recipients)
        return;
    slot->messages[at]--;
    slot->recipients[at] -= taken->recipients;
}

bool rate_limit_log_is_due(struct rate_limits *rate_limits, struct bytes account, uint64_t now_ms,
                           struct rate_limit_max *sent)
{
    struct rate_limit_slot *slot = find(rate_limits, key_of(rate_limits, account));
    if (slot == NULL || (slot->logged_ms != 0 && now_ms - slot->logged_ms < HOUR_MS))
        return false;
    slot->logged_ms = now_ms == 0 ? 1 : now_ms;
    if (sent != NULL)
        *sent = (struct rate_limit_max){(uint32_t)sum(slot->messages), (uint32_t)sum(slot->recipients)};
    return true;
}
