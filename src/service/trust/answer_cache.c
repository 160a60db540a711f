/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trust/answer_cache.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/dns/host.h"

enum { KEY_TEXT_MAX = DOMAIN_NAME_MAX + 32 };

struct answer_cache_entry {
    struct arena arena;
    struct dns_answer answer;
    struct bytes key;
    uint64_t until_ms;
    size_t at; /* in entries */
    bool used;
};

static void assert_cache(const struct answer_cache *cache)
{
    assert(cache->count <= ANSWER_CACHE_MAX && cache->known.count == cache->count);
    assert(cache->octets <= ANSWER_CACHE_OCTETS_MAX);
    assert((cache->octets == 0) == (cache->count == 0));
}

static struct bytes key_text(struct dns_fact_key key, char text[KEY_TEXT_MAX])
{
    int length = snprintf(text, KEY_TEXT_MAX, "%u %s %.*s", (unsigned)key.type,
                          key.prefix == NULL ? "" : key.prefix, BYTES_ARG(key.name));
    return length < 0 || length >= KEY_TEXT_MAX ? bytes_none() : bytes_of(text, (size_t)length);
}

void answer_cache_start(struct answer_cache *cache, uint64_t seed)
{
    *cache = (struct answer_cache){0};
    map_start(&cache->known, seed);
}

static void drop(struct answer_cache *cache, size_t at)
{
    struct answer_cache_entry *entry = cache->entries[at];
    map_remove(&cache->known, entry->key);
    cache->octets -= entry->arena.used;
    cache->entries[at] = cache->entries[--cache->count];
    cache->entries[at]->at = at;
    arena_clear(&entry->arena);
    free(entry);
}

void answer_cache_free(struct answer_cache *cache)
{
    while (cache->count > 0)
        drop(cache, cache->count - 1);
    map_free(&cache->known);
}

bool answer_cache_get(struct answer_cache *cache, struct dns_fact_key key, uint64_t now_ms,
                      struct dns_answer *answer)
{
    char text[KEY_TEXT_MAX];
    assert_cache(cache);
    struct answer_cache_entry *entry = map_get(&cache->known, key_text(key, text));
    if (entry == NULL || entry->until_ms <= now_ms)
        return false;
    entry->used = true;
    *answer = entry->answer;
    return true;
}

static uint64_t keep_ms(const struct dns_answer *answer)
{
    uint32_t most_s = answer->status == DNS_FOUND ? ANSWER_CACHE_MAX_S : ANSWER_CACHE_NEGATIVE_MAX_S;
    uint32_t ttl_s = answer->ttl_s < ANSWER_CACHE_MIN_S ? ANSWER_CACHE_MIN_S : answer->ttl_s;
    return 1000ULL * (ttl_s > most_s ? most_s : ttl_s);
}

static struct answer_cache_entry *copy_of(const struct dns_answer *answer, struct bytes key)
{
    struct answer_cache_entry *entry = memory_new(sizeof *entry);
    struct dns_record *records = ARENA_ARRAY(&entry->arena, struct dns_record, answer->count + 1);
    for (size_t i = 0; i < answer->count; i++) {
        records[i] = answer->records[i];
        records[i].name = arena_copy(&entry->arena, records[i].name);
        records[i].data = arena_copy(&entry->arena, records[i].data);
    }
    entry->answer = *answer;
    entry->answer.records = records;
    entry->answer.canonical = arena_copy(&entry->arena, answer->canonical);
    entry->key = arena_copy(&entry->arena, key);
    return entry;
}

/* Makes room: an entry that was used gets a second chance, once. */
static void drop_one(struct answer_cache *cache)
{
    while (cache->entries[cache->hand % cache->count]->used)
        cache->entries[cache->hand++ % cache->count]->used = false;
    drop(cache, cache->hand % cache->count);
}

static void forget(struct answer_cache *cache, struct bytes key)
{
    const struct answer_cache_entry *entry = map_get(&cache->known, key);
    if (entry != NULL)
        drop(cache, entry->at);
}

void answer_cache_put(struct answer_cache *cache, struct dns_fact_key key, uint64_t now_ms,
                      const struct dns_answer *answer)
{
    char text[KEY_TEXT_MAX];
    struct bytes name = key_text(key, text);
    assert_cache(cache);
    if (name.length == 0 || !dns_status_is_told(answer->status))
        return;
    forget(cache, name);
    struct answer_cache_entry *entry = copy_of(answer, name);
    if (entry->arena.used > ANSWER_CACHE_ENTRY_MAX) {
        arena_clear(&entry->arena);
        free(entry);
        return;
    }
    while (cache->count == ANSWER_CACHE_MAX || cache->octets + entry->arena.used > ANSWER_CACHE_OCTETS_MAX)
        drop_one(cache);
    entry->until_ms = now_ms + keep_ms(answer);
    entry->at = cache->count;
    cache->entries[cache->count++] = entry;
    cache->octets += entry->arena.used;
    map_put(&cache->known, entry->key, entry);
    assert_cache(cache);
}
