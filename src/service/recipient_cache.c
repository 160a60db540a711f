/* SPDX-License-Identifier: Apache-2.0 */
#include "service/recipient_cache.h"

void recipient_cache_start(struct recipient_cache *recipient_cache, uint64_t seed)
{
    *recipient_cache = (struct recipient_cache){0};
    map_start(&recipient_cache->known, seed);
}

void recipient_cache_free(struct recipient_cache *recipient_cache)
{
    map_free(&recipient_cache->known);
    arena_clear(&recipient_cache->arena);
}

struct bytes recipient_cache_key(struct buffer *scratch, enum recipient_cache_kind kind, struct bytes account,
                                 struct bytes address)
{
    buffer_clear(scratch);
    buffer_add_octet(scratch, (char)kind);
    buffer_add(scratch, account);
    buffer_add_octet(scratch, '\n'); /* occurs in neither */
    buffer_add(scratch, address);
    return buffer_bytes(scratch);
}

static void forget(struct recipient_cache *recipient_cache)
{
    uint64_t seed = recipient_cache->known.seed;
    map_free(&recipient_cache->known);
    map_start(&recipient_cache->known, seed);
    arena_clear(&recipient_cache->arena);
}

void recipient_cache_check(struct recipient_cache *recipient_cache, uint64_t version)
{
    if (version == recipient_cache->version)
        return;
    forget(recipient_cache);
    recipient_cache->version = version;
}

const struct cached_recipient *recipient_cache_find(const struct recipient_cache *recipient_cache,
                                                    struct bytes key)
{
    return map_get(&recipient_cache->known, key);
}

void recipient_cache_keep(struct recipient_cache *recipient_cache, struct bytes key,
                          const struct cached_recipient *answer)
{
    if (recipient_cache->known.count >= RECIPIENT_CACHE_MAX)
        forget(recipient_cache);
    struct cached_recipient *kept = ARENA_NEW(&recipient_cache->arena, struct cached_recipient);
    *kept = *answer;
    kept->targets = ARENA_ARRAY(&recipient_cache->arena, struct recipient, answer->target_count);
    for (size_t i = 0; i < answer->target_count; i++) {
        kept->targets[i] = answer->targets[i];
        kept->targets[i].address = arena_copy(&recipient_cache->arena, answer->targets[i].address);
        kept->targets[i].original = arena_copy(&recipient_cache->arena, answer->targets[i].original);
        kept->targets[i].via = arena_copy(&recipient_cache->arena, answer->targets[i].via);
        kept->targets[i].forwarder = arena_copy(&recipient_cache->arena, answer->targets[i].forwarder);
        kept->targets[i].sent_as = arena_copy(&recipient_cache->arena, answer->targets[i].sent_as);
    }
    map_put(&recipient_cache->known, key, kept);
}
