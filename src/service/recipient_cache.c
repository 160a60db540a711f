/* SPDX-License-Identifier: Apache-2.0 */
#include "service/recipient_cache.h"

void answers_start(struct answers *answers, uint64_t seed)
{
    *answers = (struct answers){0};
    map_start(&answers->known, seed);
}

void answers_free(struct answers *answers)
{
    map_free(&answers->known);
    arena_clear(&answers->arena);
}

struct bytes answers_key(struct buffer *room, enum answers_kind kind, struct bytes account, struct bytes address)
{
    buffer_clear(room);
    buffer_add_octet(room, (char)kind);
    buffer_add(room, account);
    buffer_add_octet(room, '\n'); /* stands in neither */
    buffer_add(room, address);
    return buffer_bytes(room);
}

static void forget(struct answers *answers)
{
    uint64_t seed = answers->known.seed;
    map_free(&answers->known);
    map_start(&answers->known, seed);
    arena_clear(&answers->arena);
}

void answers_check(struct answers *answers, uint64_t version)
{
    if (version == answers->version)
        return;
    forget(answers);
    answers->version = version;
}

const struct answer *answers_find(const struct answers *answers, struct bytes key)
{
    return map_get(&answers->known, key);
}

void answers_keep(struct answers *answers, struct bytes key, const struct answer *answer)
{
    if (answers->known.count >= ANSWERS_MAX)
        forget(answers);
    struct answer *kept = ARENA_NEW(&answers->arena, struct answer);
    *kept = *answer;
    kept->targets = ARENA_ARRAY(&answers->arena, struct recipient, answer->target_count);
    for (size_t i = 0; i < answer->target_count; i++) {
        kept->targets[i] = answer->targets[i];
        kept->targets[i].address = arena_copy(&answers->arena, answer->targets[i].address);
        kept->targets[i].original = arena_copy(&answers->arena, answer->targets[i].original);
        kept->targets[i].via = arena_copy(&answers->arena, answer->targets[i].via);
    }
    map_put(&answers->known, key, kept);
}
