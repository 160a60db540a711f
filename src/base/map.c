/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

enum { FIRST_CAPACITY = 16, INLINE_KEY = 8 };

struct map_entry {
    void *value; /* NULL: free, or removed where `removed` */
    uint64_t hash;
    size_t key_length;
    bool removed;
    union {
        char octets[INLINE_KEY]; /* short keys: no allocation */
        char *at;
    } key;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

static uint64_t key_hash(const struct map *map, struct bytes key)
{
    return mix(bytes_hash(key, map->seed) + map->seed);
}

static struct bytes entry_key(const struct map_entry *entry)
{
    const char *at = entry->key_length <= INLINE_KEY ? entry->key.octets : entry->key.at;
    return bytes_of(at, entry->key_length);
}

static void entry_forget_key(struct map_entry *entry)
{
    if (entry->key_length > INLINE_KEY)
        free(entry->key.at);
    entry->key_length = 0;
}

void map_start(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_free(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value != NULL)
            entry_forget_key(&map->entries[i]);
    free(map->entries);
    map_start(map, map->seed);
}

/* Returns the entry that holds the key, or NULL. */
static struct map_entry *find(const struct map *map, struct bytes key, uint64_t hash)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t i = (size_t)hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct map_entry *entry = &map->entries[i];
        if (entry->value == NULL && !entry->removed)
            return NULL;
        if (entry->value != NULL && entry->hash == hash && bytes_equal(entry_key(entry), key))
            return entry;
    }
}

static struct map_entry *find_free(const struct map *map, uint64_t hash)
{
    size_t i = (size_t)hash & (map->capacity - 1);
    while (map->entries[i].value != NULL)
        i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

static void grow(struct map *map)
{
    struct map larger = {.seed = map->seed, .count = map->count, .filled = map->count};
    larger.capacity = FIRST_CAPACITY;
    while (larger.capacity < map->count * 2 + 2)
        larger.capacity *= 2;
    larger.entries = memory_new(larger.capacity * sizeof *larger.entries);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value != NULL)
            *find_free(&larger, map->entries[i].hash) = map->entries[i];
    free(map->entries);
    *map = larger;
}

void *map_get(const struct map *map, struct bytes key)
{
    struct map_entry *entry = find(map, key, key_hash(map, key));
    return entry == NULL ? NULL : entry->value;
}

void map_put(struct map *map, struct bytes key, void *value)
{
    assert(value != NULL);
    uint64_t hash = key_hash(map, key);
    struct map_entry *entry = find(map, key, hash);
    if (entry != NULL) {
        entry->value = value;
        return;
    }
    if ((map->filled + 1) * 4 > map->capacity * 3)
        grow(map);
    entry = find_free(map, hash);
    map->filled += entry->removed ? 0 : 1;
    map->count++;
    *entry = (struct map_entry){.value = value, .hash = hash, .key_length = key.length};
    char *buffer = entry->key.octets;
    if (key.length > INLINE_KEY)
        buffer = entry->key.at = memory_new(key.length);
    if (key.length > 0)
        memcpy(buffer, key.at, key.length);
}

void *map_remove(struct map *map, struct bytes key)
{
    struct map_entry *entry = find(map, key, key_hash(map, key));
    if (entry == NULL)
        return NULL;
    void *value = entry->value;
    entry_forget_key(entry);
    entry->value = NULL;
    entry->removed = true;
    map->count--;
    return value;
}

static struct bytes number_key(const uint64_t *key)
{
    return bytes_of(key, sizeof *key);
}

void *map_get_u64(const struct map *map, uint64_t key)
{
    return map_get(map, number_key(&key));
}

void map_put_u64(struct map *map, uint64_t key, void *value)
{
    map_put(map, number_key(&key), value);
}

void *map_remove_u64(struct map *map, uint64_t key)
{
    return map_remove(map, number_key(&key));
}

bool map_next(const struct map *map, size_t *position, struct bytes *key, void **value)
{
    for (; *position < map->capacity; (*position)++) {
        struct map_entry *entry = &map->entries[*position];
        if (entry->value == NULL)
            continue;
        if (key != NULL)
            *key = entry_key(entry);
        if (value != NULL)
            *value = entry->value;
        (*position)++;
        return true;
    }
    return false;
}
