/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_memory: memory shared by several processes of the server: zeroed at first, it lives as long as
 * the supervisor.
 *
 * A row of the service table lists its shared memory (run/service.h). The supervisor maps it once, before
 * the first process: shared_memory_map(). A fresh process keeps only the memory of its row:
 * shared_memory_keep().
 */
#ifndef MAILBOAT_RUN_SHARED_MEMORY_H
#define MAILBOAT_RUN_SHARED_MEMORY_H

#include "base/bytes.h"
#include "base/error.h"

enum { SHARED_MEMORIES_MAX = 8 };

struct shared_memory {
    const char *name; /* for errors */
    size_t octets;
    bool (*start)(void *at, struct error *error); /* in the supervisor, once; may be NULL */
    /* In the supervisor: the process with this number, one that may write to it, has ended. May be NULL. */
    void (*forget)(void *at, uint32_t number);
};

struct service_share {
    const struct shared_memory *memory; /* NULL ends the list */
    bool reads_only;
};

struct shared_mapping {
    const struct shared_memory *memory;
    void *at;
};

struct shared_mappings {
    struct shared_mapping mappings[SHARED_MEMORIES_MAX];
    size_t count;
};

/* Returns `octets` of zeroes, shared with processes forked later; NULL with errno. */
void *shared_memory_new(size_t octets);
/* Maps unmapped memory of `shares`; skips entries without memory. `shares_max`: entries at most. */
bool shared_memory_map(struct shared_mappings *mappings, const struct service_share *shares,
                       size_t shares_max, struct error *error);
/* In a fresh process: unmaps memory not in `shares`, and makes read-only what it only reads. */
bool shared_memory_keep(struct shared_mappings *mappings, const struct service_share *shares,
                        size_t shares_max, struct error *error);
/* Returns its address; NULL if not mapped. */
void *shared_memory_at(const struct shared_mappings *mappings, const struct shared_memory *memory);
/* Notifies all memory that the process with this number could write to of its end. */
void shared_memory_forget(const struct shared_mappings *mappings, const struct service_share *shares,
                          size_t shares_max, uint32_t number);

#endif
