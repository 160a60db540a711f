/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_cache: remembers answers of DNS for as long as they say, within bounds, so that the next message of
 * the same sender costs no question. libunbound remembers too, but each question to it passes through two
 * threads.
 *
 * An answer is kept for its TTL, at least a minute and at most a day; that there is nothing, at most five
 * minutes; a failure not at all. Answers over ANSWER_CACHE_ENTRY_MAX are not kept. When it is full, an answer
 * that was not used since the hand passed it last goes (second chance).
 */
#ifndef MAILBOAT_SERVICE_TRUST_ANSWER_CACHE_H
#define MAILBOAT_SERVICE_TRUST_ANSWER_CACHE_H

#include "base/map.h"
#include "core/trust/dns_facts.h"

enum answer_cache_limit {
    ANSWER_CACHE_MAX = 4096,                    /* answers */
    ANSWER_CACHE_ENTRY_MAX = 16 * 1024,         /* octets of one */
    ANSWER_CACHE_OCTETS_MAX = 16 * 1024 * 1024, /* of all */
    ANSWER_CACHE_MIN_S = 60,
    ANSWER_CACHE_MAX_S = 24 * 60 * 60,
    ANSWER_CACHE_NEGATIVE_MAX_S = 5 * 60,
};

struct answer_cache {
    struct map known; /* by the text of a key */
    struct answer_cache_entry *entries[ANSWER_CACHE_MAX];
    size_t count, hand, octets;
};

void answer_cache_start(struct answer_cache *cache, uint64_t seed);
void answer_cache_free(struct answer_cache *cache);
/* False if it is not known; the answer is valid until the next call. Time is monotonic. */
bool answer_cache_get(struct answer_cache *cache, struct dns_fact_key key, uint64_t now_ms,
                      struct dns_answer *answer);
void answer_cache_put(struct answer_cache *cache, struct dns_fact_key key, uint64_t now_ms,
                      const struct dns_answer *answer);

#endif
