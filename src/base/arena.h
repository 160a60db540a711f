/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory with one owner and one end. A transaction, a plan or a
 * parsed file takes what it needs piece by piece and gives it all back at
 * once. An arena that is all zero octets is ready for use.
 */
#ifndef MAILBOAT_BASE_ARENA_H
#define MAILBOAT_BASE_ARENA_H

#include "base/bytes.h"
#include "base/memory.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* octets handed out since the last clear */
};

/* `size` octets of zeroes, aligned for any type; never NULL: when the
 * machine has no memory left the process ends (the supervisor restarts it). */
void *arena_take(struct arena *arena, size_t size);
/* A copy of the octets that lives as long as the arena. A NUL stands behind
 * it, beyond its length. */
struct bytes arena_copy(struct arena *arena, struct bytes b);
char *arena_text(struct arena *arena, struct bytes b);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes it usable again: all that was taken is gone. */
void arena_clear(struct arena *arena);
/* The same where secrets were among it: nothing is left in the memory that is given back. */
void arena_wipe(struct arena *arena);

/* One thing taken from an arena: ARENA_NEW(arena, struct envelope). */
#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (count)))

#endif
