/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots: a table of a fixed size that forgets. What is counted or remembered of
 * strangers (clients, accounts, passwords) lies in such tables: no flood makes
 * them grow, and in a crowd the one that matters least makes room.
 *
 * Bounds: `count` slots of `size` octets, never more, in memory of the caller that
 * is all zeros at first; it may be shared with other processes, and what nobody
 * used of it is not there. Collisions: a key may stand in the `row` neighbouring
 * slots that its lower bits choose; only where those are all taken somebody has
 * to go, the one of the least weight. Keys are hashes under a secret, so that
 * nobody chooses whom to push out.
 *
 * A slot begins with its word: in the upper bits whose it is, in the lower
 * `value_bits` whatever the user keeps; 0: free. Two keys with the same row and
 * upper bits are taken for one: 2^-(64 - value_bits) for each in the row.
 *
 * Concurrency: words are read and written whole. A table whose slots are
 * nothing but a word may be written by many processes at once: of two that write
 * the same slot one wins. What stands behind the word is not protected: such a
 * table has one writer, or says in all its words whose they are.
 */
#ifndef MAILBOAT_BASE_SLOTS_H
#define MAILBOAT_BASE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
    void *at;
    size_t count;        /* a multiple of row */
    size_t row;          /* slots where a key may stand */
    size_t size;         /* octets of a slot, a multiple of 8, the word among them */
    unsigned value_bits; /* of the word: 0 to 63 */
};

/* What a slot that is another's matters; 0: nothing, it may go at once. */
typedef uint64_t slots_weight(const struct slots *slots, const void *slot, const void *context);

/* The key's slot; NULL: it has none. */
void *slots_find(const struct slots *slots, uint64_t key);
/* The key's slot, or the one that it may take: a free one, else the first of the
 * least weight. Nothing is changed: see slots_put() and slots_claim(). */
void *slots_place(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context);
/* The same, and the slot is the key's from now on: where it was another's its value is 0 and
 * all behind the word too. */
void *slots_claim(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context);

bool slots_is_of(const struct slots *slots, const void *slot, uint64_t key);
uint64_t slots_value(const struct slots *slots, const void *slot);
/* Writes the word alone. Of the value the lower `value_bits` count. */
void slots_put(const struct slots *slots, void *slot, uint64_t key, uint64_t value);
/* The slot is free again. */
void slots_drop(const struct slots *slots, void *slot);
/* All are. Memory that was never used stays untouched. */
void slots_clear(const struct slots *slots);

#endif
