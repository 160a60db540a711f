/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/shared_memory.h"

#include <assert.h>
#include <sys/mman.h>
#include <sysexits.h>

void *shared_memory_new(size_t octets)
{
    void *at = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void *shared_memory_at(const struct shared_mappings *mappings, const struct shared_memory *memory)
{
    for (size_t i = 0; i < mappings->count; i++)
        if (mappings->mappings[i].memory == memory)
            return mappings->mappings[i].at;
    return NULL;
}

static bool map_one(struct shared_mappings *mappings, const struct shared_memory *memory, struct error *error)
{
    assert(mappings->count < SHARED_MEMORIES_MAX);
    void *at = shared_memory_new(memory->octets);
    if (at == NULL)
        return error_set_errno(error, EX_OSERR, "no memory to share for %s", memory->name);
    mappings->mappings[mappings->count++] = (struct shared_mapping){memory, at};
    return memory->start == NULL || memory->start(at, error);
}

bool shared_memory_map(struct shared_mappings *mappings, const struct service_share *shares,
                       size_t shares_max, struct error *error)
{
    for (size_t i = 0; i < shares_max; i++)
        if (shares[i].memory != NULL && shared_memory_at(mappings, shares[i].memory) == NULL &&
            !map_one(mappings, shares[i].memory, error))
            return false;
    return true;
}

static const struct service_share *share_of(const struct service_share *shares, size_t shares_max,
                                            const struct shared_memory *memory)
{
    for (size_t i = 0; i < shares_max; i++)
        if (shares[i].memory == memory)
            return &shares[i];
    return NULL;
}

bool shared_memory_keep(struct shared_mappings *mappings, const struct service_share *shares,
                        size_t shares_max, struct error *error)
{
    size_t kept = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        struct shared_mapping mapping = mappings->mappings[i];
        const struct service_share *share = share_of(shares, shares_max, mapping.memory);
        if (share == NULL) {
            munmap(mapping.at, mapping.memory->octets);
            continue;
        }
        if (share->reads_only && mprotect(mapping.at, mapping.memory->octets, PROT_READ) != 0)
            return error_set_errno(error, EX_OSERR, "cannot make %s read-only", mapping.memory->name);
        mappings->mappings[kept++] = mapping;
    }
    mappings->count = kept;
    return true;
}

void shared_memory_forget(const struct shared_mappings *mappings, const struct service_share *shares,
                          size_t shares_max, uint32_t number)
{
    for (size_t i = 0; i < mappings->count; i++) {
        const struct shared_mapping *mapping = &mappings->mappings[i];
        const struct service_share *share = share_of(shares, shares_max, mapping->memory);
        if (share != NULL && !share->reads_only && mapping->memory->forget != NULL)
            mapping->memory->forget(mapping->at, number);
    }
}
