/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_memory: memory that several processes of the server share: all zeros
 * at first, it lives as long as the supervisor.
 *
 * A row of the service table names what it shares (run/service.h). The
 * supervisor maps it once, before the first process: shared_memory_map(). A
 * fresh process keeps what its row names, shared_memory_keep(), and nothing else.
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
    /* In the supervisor: of those processes that may write to it, the one of this number ended. May be NULL.
     */
    void (*forget)(void *at, uint32_t number);
};

struct service_share {
    const struct shared_memory *memory; /* NULL: none more */
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

/* `octets` of zeros, shared with processes that are forked from now on; NULL with errno. */
void *shared_memory_new(size_t octets);
/* Maps what is named in `shares` and is not mapped yet. `shares_max`: of them, those without memory are
 * passed over. */
bool shared_memory_map(struct shared_mappings *mappings, const struct service_share *shares,
                       size_t shares_max, struct error *error);
/* In a fresh process: unmaps what `shares` does not name, and makes read-only what it only reads. */
bool shared_memory_keep(struct shared_mappings *mappings, const struct service_share *shares,
                        size_t shares_max, struct error *error);
/* Where it is mapped; NULL where it is not. */
void *shared_memory_at(const struct shared_mappings *mappings, const struct shared_memory *memory);
/* Tells all that a process of this number may have written to that it ended. */
void shared_memory_forget(const struct shared_mappings *mappings, const struct service_share *shares,
                          size_t shares_max, uint32_t number);

#endif
