/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include <assert.h>
#include <string.h>

static bool slots_are_sound(const struct slots *slots)
{
    return slots->row > 0 && slots->count >= slots->row && slots->count % slots->row == 0 &&
           slots->size >= sizeof(uint64_t) && slots->size % sizeof(uint64_t) == 0 && slots->value_bits < 64;
}

uint64_t slots_word(const void *slot)
{
    return __atomic_load_n((const uint64_t *)slot, __ATOMIC_ACQUIRE);
}

static void store(void *slot, uint64_t word)
{
    __atomic_store_n((uint64_t *)slot, word, __ATOMIC_RELAXED);
}

static uint64_t value_mask(const struct slots *slots)
{
    return (UINT64_C(1) << slots->value_bits) - 1;
}

/* Never 0, which means free. */
static uint64_t tag_of(const struct slots *slots, uint64_t key)
{
    uint64_t tag = key & ~value_mask(slots);
    return tag == 0 ? UINT64_C(1) << slots->value_bits : tag;
}

static char *row_of(const struct slots *slots, uint64_t key)
{
    assert(slots_are_sound(slots));
    return (char *)slots->at + key % (slots->count / slots->row) * slots->row * slots->size;
}

void *slots_find(const struct slots *slots, uint64_t key)
{
    char *row = row_of(slots, key);
    for (size_t i = 0; i < slots->row; i++)
        if (slots_is_of(slots, row + i * slots->size, key))
            return row + i * slots->size;
    return NULL;
}

void *slots_place(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context)
{
    char *own = slots_find(slots, key), *row = row_of(slots, key), *least = row;
    uint64_t least_weight = UINT64_MAX;
    for (size_t i = 0; own == NULL && least_weight > 0 && i < slots->row; i++) {
        char *slot = row + i * slots->size;
        uint64_t word = slots_word(slot), its_weight = word == 0 ? 0 : weight(slots, slot, context);
        if (slots_word_is_of(slots, word, key)) { /* another process has just made it the key's */
            own = slot;
        } else if (its_weight < least_weight) {
            least_weight = its_weight;
            least = slot;
        }
    }
    return own != NULL ? own : least;
}

void *slots_claim(const struct slots *slots, uint64_t key, slots_weight *weight, const void *context)
{
    char *slot = slots_place(slots, key, weight, context);
    if (!slots_is_of(slots, slot, key)) {
        memset(slot + sizeof(uint64_t), 0, slots->size - sizeof(uint64_t));
        slots_put(slots, slot, key, 0);
    }
    return slot;
}

bool slots_word_is_of(const struct slots *slots, uint64_t word, uint64_t key)
{
    return (word & ~value_mask(slots)) == tag_of(slots, key);
}

bool slots_is_of(const struct slots *slots, const void *slot, uint64_t key)
{
    return slots_word_is_of(slots, slots_word(slot), key);
}

uint64_t slots_word_value(const struct slots *slots, uint64_t word)
{
    return word & value_mask(slots);
}

uint64_t slots_value(const struct slots *slots, const void *slot)
{
    return slots_word_value(slots, slots_word(slot));
}

static uint64_t word_of(const struct slots *slots, uint64_t key, uint64_t value)
{
    return tag_of(slots, key) | (value & value_mask(slots));
}

void slots_put(const struct slots *slots, void *slot, uint64_t key, uint64_t value)
{
    store(slot, word_of(slots, key, value));
}

bool slots_replace(const struct slots *slots, void *slot, uint64_t word, uint64_t key, uint64_t value)
{
    return __atomic_compare_exchange_n((uint64_t *)slot, &word, word_of(slots, key, value), false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void slots_drop(const struct slots *slots, void *slot)
{
    store(slot, 0);
    memset((char *)slot + sizeof(uint64_t), 0, slots->size - sizeof(uint64_t));
}

void slots_clear(const struct slots *slots)
{
    assert(slots_are_sound(slots));
    for (size_t i = 0; i < slots->count; i++) {
        char *slot = (char *)slots->at + i * slots->size;
        if (slots_word(slot) != 0)
            slots_drop(slots, slot);
    }
}
