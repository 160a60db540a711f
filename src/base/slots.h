/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots: a hash table of fixed size that evicts entries. Data about untrusted keys (clients, accounts,
 * passwords) is stored in such tables: no flood makes them grow, and when a row is full the entry of the
 * least weight is replaced.
 *
 * Bounds: `count` slots of `size` octets, never more, in zeroed memory of the caller; it may be shared
 * with other processes, and unused pages are never allocated. Collisions: a key can be in the `row`
 * neighbouring slots that its lower bits select; only if all are in use one is evicted, that of the least
 * weight. Keys are hashes with a secret, so that clients cannot choose whom to evict.
 *
 * A slot begins with its word: the upper bits identify its key, the lower `value_bits` are the user's
 * value; 0: free. Two keys with the same row and upper bits are confused: 2^-(64 - value_bits) for each in
 * the row.
 *
 * Concurrency: words are read and written atomically. A table whose slots are only a word may be written
 * by several processes: of two that put into the same slot one wins, and slots_replace() says which, so that
 * what is counted in a word is counted once for each. Data after the word is not protected: such a table has
 * one writer, or identifies the key in all its words.
 */
#ifndef MAILBOAT_BASE_SLOTS_H
#define MAILBOAT_BASE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
    void *at;
    size_t count;        /* a multiple of row */
    size_t row;          /* possible slots of a key */
    size_t size;         /* octets of a slot, a multiple of 8, including the word */
    unsigned value_bits; /* of the word: 0 to 63 */
};

/* Returns the weight of another key's slot; 0: none, it may be replaced immediately. */
typedef uint64_t slots_weight(const struct slots *slots, const void *slot, const void *context);

/* Returns the key's slot; NULL if it has none. */
void *slots_find(const struct slots *slots, uint64_t key);
/* Returns the key's slot, or the one that it may take: a free one, else the first of the least weight.
 * Changes nothing: see slots_put() and slots_claim(). */
void *slots_place(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context);
/* The same, and assigns the slot to the key: if it was another's, clears its value and all data after the
 * word. */
void *slots_claim(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context);

bool slots_is_of(const struct slots *slots, const void *slot, uint64_t key);
uint64_t slots_value(const struct slots *slots, const void *slot);
/* Writes only the word, with the lower `value_bits` of the value. */
void slots_put(const struct slots *slots, void *slot, uint64_t key, uint64_t value);
/* Writes only the word, if it still is `word` (of slots_word()): false if another process changed it. */
bool slots_replace(const struct slots *slots, void *slot, uint64_t word, uint64_t key, uint64_t value);
/* Returns the word of the slot as it is now, and what slots_is_of() and slots_value() say of such a word. */
uint64_t slots_word(const void *slot);
bool slots_word_is_of(const struct slots *slots, uint64_t word, uint64_t key);
uint64_t slots_word_value(const struct slots *slots, uint64_t word);
/* Frees the slot. */
void slots_drop(const struct slots *slots, void *slot);
/* Frees all. Does not touch unused memory. */
void slots_clear(const struct slots *slots);

#endif
