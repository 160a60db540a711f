/* SPDX-License-Identifier: Apache-2.0 */
#include "service/over_quota_table.h"

#include "base/slots.h"

/* A value: 12 bits of the accounts' version, 28 of the second when it was added. */
enum { VERSION_AT = 28, VERSION_MASK = 0xfff, SECONDS_MASK = 0xfffffff, VALUE_BITS = 40 };

static struct slots table_of(const struct over_quota_table *full)
{
    return (struct slots){.at = (void *)(uintptr_t)full->slots, /* readers map it read-only */
                          .count = OVER_QUOTA_SLOTS,
                          .row = OVER_QUOTA_ROW,
                          .size = sizeof *full->slots,
                          .value_bits = VALUE_BITS};
}

static uint64_t value_of(uint64_t version, uint64_t now_ms)
{
    return (version & VERSION_MASK) << VERSION_AT | (now_ms / 1000 & SECONDS_MASK);
}

static bool is_believed(uint64_t value, uint64_t now)
{
    return value >> VERSION_AT == now >> VERSION_AT && ((now - value) & SECONDS_MASK) < OVER_QUOTA_BELIEVED_S;
}

/* Fresher entries weigh more; expired ones are replaced first. */
static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    uint64_t value = slots_value(slots, slot), now = *(const uint64_t *)context;
    return is_believed(value, now) ? SECONDS_MASK - ((now - value) & SECONDS_MASK) : 0;
}

void over_quota_table_add(struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms)
{
    struct slots slots = table_of(full);
    uint64_t hash = bytes_hash(address, 0), now = value_of(version, now_ms);
    slots_put(&slots, slots_place(&slots, hash, weigh, &now), hash, now);
}

/* Keeps the entry of another mailbox. */
void over_quota_table_remove(struct over_quota_table *full, struct bytes address)
{
    struct slots slots = table_of(full);
    void *slot = slots_find(&slots, bytes_hash(address, 0));
    if (slot != NULL)
        slots_drop(&slots, slot);
}

bool over_quota_table_has(const struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms)
{
    struct slots slots = table_of(full);
    const void *slot = slots_find(&slots, bytes_hash(address, 0));
    return slot != NULL && is_believed(slots_value(&slots, slot), value_of(version, now_ms));
}

void over_quota_table_clear(struct over_quota_table *full)
{
    struct slots slots = table_of(full);
    slots_clear(&slots);
}

const struct shared_memory over_quota_memory = {.name = "full mailboxes",
                                                .octets = sizeof(struct over_quota_table)};
