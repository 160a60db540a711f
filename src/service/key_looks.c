/* SPDX-License-Identifier: Apache-2.0 */
#include "service/key_looks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "dial/key_lookup.h"
#include "run/subprocess.h"
#include "service/dns_worker.h"

/* One of the looks that are under way. */
struct looking {
    struct key_lookup lookup;
    struct key_looks *of;
    size_t at; /* in `keys` */
    struct timer next;
};

struct key_looks {
    const struct config *config;
    struct looked_key *keys;
    size_t count, begun, done;
    struct dns_worker worker;
    struct timer limit;
    struct looking looking[KEY_LOOKS_AT_ONCE];
};

/* The answer of the process: one for each key, in their order. */
struct key_looks_answer {
    struct key_look look;
    bool looked;
};

/* ---- in the process ---- */

static void on_looked(void *owner)
{
    struct looking *looking = owner;
    struct looked_key *key = &looking->of->keys[looking->at];
    key->look = looking->lookup.look;
    key->looked = true;
    looking->of->done++;
    timer_set(&looking->next, 0); /* the lookup's functions are on the stack */
}

static void begin_next(void *owner)
{
    struct looking *looking = owner;
    struct key_looks *looks = looking->of;
    key_lookup_end(&looking->lookup);
    if (looks->done == looks->count)
        loop_stop(&looks->worker.loop);
    if (looks->begun == looks->count)
        return;
    looking->at = looks->begun++;
    const struct looked_key *key = &looks->keys[looking->at];
    const struct key_record record = {bytes_of_text(key->domain), bytes_of_text(key->selector),
                                      key->algorithm, key->public_key};
    key_lookup_start(&looking->lookup, &looks->worker.loop, looks->worker.dns, &record, NULL, on_looked,
                     looking);
}

static void limit_passed(void *owner)
{
    loop_stop(owner);
}

static void look_at_all(struct key_looks *looks)
{
    timer_start(&looks->limit, &looks->worker.loop, limit_passed, &looks->worker.loop);
    timer_set(&looks->limit, KEY_LOOKS_MS);
    for (size_t i = 0; i < KEY_LOOKS_AT_ONCE; i++) {
        struct looking *looking = &looks->looking[i];
        looking->of = looks;
        timer_start(&looking->next, &looks->worker.loop, begin_next, looking);
        timer_set(&looking->next, 0);
    }
    loop_run(&looks->worker.loop);
}

static bool work(void *owner, struct buffer *out, struct error *error)
{
    struct key_looks *looks = owner;
    if (!dns_worker_start(&looks->worker, looks->config, "keys", error))
        return false;
    look_at_all(looks);
    for (size_t i = 0; i < looks->count; i++) {
        struct key_looks_answer answer = {looks->keys[i].look, looks->keys[i].looked};
        buffer_add(out, bytes_of(&answer, sizeof answer));
    }
    return true;
}

/* ---- the caller ---- */

bool key_looks_run(const struct config *config, struct looked_key *keys, size_t count, struct error *error)
{
    struct buffer out = {0};
    assert(count <= KEY_LOOKS_MAX);
    if (count == 0)
        return true;
    struct key_looks *looks = memory_new(sizeof *looks);
    *looks = (struct key_looks){.config = config, .keys = keys, .count = count};
    bool done = subprocess_run(work, looks, &out, error);
    if (done && out.length != count * sizeof(struct key_looks_answer))
        done = error_set(error, EX_SOFTWARE, "the process that looks in DNS sent an invalid answer");
    for (size_t i = 0; i < count && done; i++) {
        struct key_looks_answer answer;
        memcpy(&answer, buffer_bytes(&out).at + i * sizeof answer, sizeof answer);
        bool valid = answer.look.resolver < KEY_SEEN_KINDS && answer.look.servers < KEY_SEEN_KINDS;
        keys[i].look = answer.look;
        keys[i].looked = answer.looked && valid;
    }
    buffer_free(&out);
    free(looks);
    return done;
}
