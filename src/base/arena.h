/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory with one owner and one end. A transaction, a plan or a parsed file allocates what it needs
 * piece by piece and frees all of it together. An all-zero arena is ready for use.
 */
#ifndef MAILBOAT_BASE_ARENA_H
#define MAILBOAT_BASE_ARENA_H

#include "base/bytes.h"
#include "base/memory.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* octets handed out since the last clear */
    size_t block_size;          /* of usual blocks: little for one that holds few texts; 0: 2 KiB */
};

/* Returns `size` zeroed octets, aligned for any type; never NULL: out of memory, the process ends (the
 * supervisor restarts it). */
void *arena_take(struct arena *arena, size_t size);
/* Returns a copy of the octets that lives as long as the arena. A NUL follows it, beyond its length. */
struct bytes arena_copy(struct arena *arena, struct bytes b);
char *arena_text(struct arena *arena, struct bytes b);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Frees everything allocated from the arena and makes it usable again. */
void arena_clear(struct arena *arena);
/* The same for an arena that holds secrets: overwrites the memory before freeing it. */
void arena_wipe(struct arena *arena);

/* Allocates one object: ARENA_NEW(arena, struct envelope). */
#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (count)))

#endif
