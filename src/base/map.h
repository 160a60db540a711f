/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: finds a pointer by octets or by number. Keys are copied, values are borrowed. With a random seed
 * from the caller, hostile keys cannot be made to collide. Open addressing; grows at three quarters full.
 */
#ifndef MAILBOAT_BASE_MAP_H
#define MAILBOAT_BASE_MAP_H

#include "base/bytes.h"

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;    /* entries in use */
    size_t filled;   /* entries in use or removed */
    uint64_t seed;
};

void map_start(struct map *map, uint64_t seed);
void map_free(struct map *map); /* values stay with their owner */

void *map_get(const struct map *map, struct bytes key);
/* Adds or replaces; `value` must not be NULL. */
void map_put(struct map *map, struct bytes key, void *value);
/* Removes the key; returns its value, or NULL if absent. */
void *map_remove(struct map *map, struct bytes key);

void *map_get_u64(const struct map *map, uint64_t key);
void map_put_u64(struct map *map, uint64_t key, void *value);
void *map_remove_u64(struct map *map, uint64_t key);

/* Visits every entry: start with *position = 0; false at the end. No entry may be added meanwhile;
 * removing the visited one is allowed. */
bool map_next(const struct map *map, size_t *position, struct bytes *key, void **value);

#endif
