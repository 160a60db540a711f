/* SPDX-License-Identifier: Apache-2.0 */
#include "service/over_quota_table.h"

#include <stdatomic.h>

/* A slot: 24 bits, whose it is; 12 of the accounts' version;
 * 28, the second when it was found. 0: nobody's. */
enum { WHOSE_AT = 40, VERSION_AT = 28, VERSION_MASK = 0xfff, SECONDS_MASK = 0xfffffff };

static uint64_t slot_of(uint64_t hash, uint64_t version, uint64_t now_ms)
{
    return hash >> WHOSE_AT << WHOSE_AT | (version & VERSION_MASK) << VERSION_AT |
           (now_ms / 1000 & SECONDS_MASK);
}

void over_quota_table_add(struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms)
{
    uint64_t hash = bytes_hash(address, 0);
    atomic_store_explicit(&full->slots[hash % OVER_QUOTA_SLOTS], slot_of(hash, version, now_ms),
                          memory_order_relaxed);
}

/* That of another mailbox stays. */
void over_quota_table_remove(struct over_quota_table *full, struct bytes address)
{
    uint64_t hash = bytes_hash(address, 0);
    uint64_t slot = atomic_load_explicit(&full->slots[hash % OVER_QUOTA_SLOTS], memory_order_relaxed);
    if (slot != 0 && slot >> WHOSE_AT == hash >> WHOSE_AT)
        atomic_store_explicit(&full->slots[hash % OVER_QUOTA_SLOTS], 0, memory_order_relaxed);
}

bool over_quota_table_has(const struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms)
{
    uint64_t hash = bytes_hash(address, 0), now = slot_of(hash, version, now_ms);
    uint64_t slot = atomic_load_explicit(&full->slots[hash % OVER_QUOTA_SLOTS], memory_order_relaxed);
    return slot != 0 && slot >> VERSION_AT == now >> VERSION_AT &&
           ((now - slot) & SECONDS_MASK) < OVER_QUOTA_BELIEVED_S;
}

void over_quota_table_clear(struct over_quota_table *full)
{
    for (size_t i = 0; i < OVER_QUOTA_SLOTS; i++)
        if (atomic_load_explicit(&full->slots[i], memory_order_relaxed) != 0)
            atomic_store_explicit(&full->slots[i], 0, memory_order_relaxed);
}

const struct shared_memory over_quota_memory = {.name = "full mailboxes",
                                                .octets = sizeof(struct over_quota_table)};
