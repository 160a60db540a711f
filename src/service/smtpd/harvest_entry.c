/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/harvest_entry.h"

#include <assert.h>

/* Both words contain their owner, so that halves of different entries are never combined. */
enum { COUNT_BITS = 16, MINUTE_BITS = 22, OFFENCE_BITS = 4 };

static uint64_t pack_counts(const struct harvest *harvest)
{
    return (uint64_t)harvest->bad << COUNT_BITS | harvest->good;
}

static uint64_t pack_state(uint64_t mark, const struct harvest *harvest)
{
    uint64_t minutes = (uint64_t)harvest->minute << MINUTE_BITS | harvest->blocked_until_min;
    return (mark >> 48) << 48 | (uint64_t)harvest->offences << (2 * MINUTE_BITS) | minutes;
}

static struct harvest unpack(uint64_t counts, uint64_t state)
{
    uint32_t minute_mask = HARVEST_ENTRY_MINUTE_MAX;
    return (struct harvest){.bad = (uint16_t)(counts >> COUNT_BITS),
                            .good = (uint16_t)counts,
                            .minute = (uint32_t)(state >> MINUTE_BITS) & minute_mask,
                            .blocked_until_min = (uint32_t)state & minute_mask,
                            .offences = (uint8_t)(state >> (2 * MINUTE_BITS)) & ((1 << OFFENCE_BITS) - 1)};
}

struct slots harvest_entry_table(struct harvest_slot *at, size_t count)
{
    return (struct slots){
        .at = at, .count = count, .row = HARVEST_ROW, .size = sizeof *at, .value_bits = 2 * COUNT_BITS};
}

static uint64_t state_of(const void *slot)
{
    return atomic_load_explicit(&((const struct harvest_slot *)slot)->state, memory_order_acquire);
}

/* Returns what the two words say of this client. The state of another owner counts for nothing. */
static struct harvest understood(uint64_t mark, uint64_t value, uint64_t state, uint32_t minute)
{
    bool own = state != 0 && state >> 48 == mark >> 48;
    return unpack(value, own ? state : pack_state(mark, &(struct harvest){.minute = minute}));
}

static uint64_t weigh(const struct slots *slots, const void *slot, const void *minute)
{
    uint64_t state = state_of(slot);
    struct harvest harvest = unpack(slots_value(slots, slot), state);
    harvest_fade(&harvest, *(const uint32_t *)minute);
    return state == 0 ? 0 : (uint64_t)harvest_weight(&harvest) + 1;
}

struct harvest harvest_entry_read(const struct slots *slots, uint64_t mark, uint32_t minute)
{
    const void *slot = slots_place(slots, mark, weigh, &minute);
    uint64_t word = slots_word(slot); /* before the state: see write() */
    if (!slots_word_is_of(slots, word, mark))
        return (struct harvest){.minute = minute};
    return understood(mark, slots_word_value(slots, word), state_of(slot), minute);
}

/* ---- changes ---- */

/* One change, and what came of it. */
struct harvest_change {
    uint64_t mark;
    bool refused; /* or accepted */
    uint32_t free, fresh, repeats, minute;
    struct harvest after;
    enum harvest_news news;
};

static void apply(struct harvest_change *change, struct harvest before)
{
    change->after = before;
    if (change->refused)
        change->news = harvest_refused(&change->after, change->free, change->fresh, change->minute);
    else
        harvest_accepted(&change->after, change->free, change->fresh, change->repeats, change->minute);
}

/* Adds what other processes have counted since the word was `before`; false if they did more than that. */
static bool add_others(struct harvest *after, uint64_t before, uint64_t now)
{
    struct harvest then = unpack(before, 0), seen = unpack(now, 0);
    uint32_t bad = (uint32_t)after->bad + seen.bad - then.bad,
             good = (uint32_t)after->good + seen.good - then.good;
    if (seen.bad < then.bad || seen.good < then.good || bad > HARVEST_COUNT_MAX || good > HARVEST_COUNT_MAX)
        return false;
    after->bad = (uint16_t)bad;
    after->good = (uint16_t)good;
    return true;
}

/* The state has been changed by this process, from which others see that the counts are faded, or that the
 * client is blocked: now the counts become so. */
static bool write_counts(const struct slots *slots, struct harvest_slot *slot, struct harvest_change *change,
                         uint64_t word)
{
    while (!slots_replace(slots, slot, word, change->mark, pack_counts(&change->after))) {
        uint64_t now = slots_word(slot);
        if (!slots_word_is_of(slots, now, change->mark) || !add_others(&change->after, word, now))
            return false;
        word = now;
    }
    return true;
}

/* Makes the state that of `change->after`, then the counts. */
static bool write_both(const struct slots *slots, struct harvest_slot *slot, struct harvest_change *change,
                       uint64_t word, uint64_t state)
{
    uint64_t wanted = pack_state(change->mark, &change->after);
    return atomic_compare_exchange_strong(&slot->state, &state, wanted) &&
           write_counts(slots, slot, change, word);
}

/* Makes the slot, which is free or another's, the client's. */
static bool claim(const struct slots *slots, struct harvest_slot *slot, struct harvest_change *change,
                  uint64_t word, uint64_t state)
{
    apply(change, (struct harvest){.minute = change->minute});
    if (!slots_replace(slots, slot, word, change->mark, pack_counts(&change->after)))
        return false;
    /* the counts decide whose it is; a process that found them first has written the state */
    atomic_compare_exchange_strong(&slot->state, &state, pack_state(change->mark, &change->after));
    return true;
}

/* False if all is to be read again: another process changed the words meanwhile, or the counts have just
 * faded. Fading is a step of its own, so that a count is always judged by all that came before it. */
static bool write(const struct slots *slots, struct harvest_slot *slot, struct harvest_change *change,
                  uint64_t word, uint64_t state)
{
    if (!slots_word_is_of(slots, word, change->mark))
        return claim(slots, slot, change, word, state);
    struct harvest before = understood(change->mark, slots_word_value(slots, word), state, change->minute);
    change->after = before;
    harvest_fade(&change->after, change->minute);
    if (pack_state(change->mark, &change->after) != state) {
        write_both(slots, slot, change, word, state);
        return false;
    }
    apply(change, before);
    if (pack_state(change->mark, &change->after) != state) /* it is blocked */
        return write_both(slots, slot, change, word, state);
    if (!slots_replace(slots, slot, word, change->mark, pack_counts(&change->after)))
        return false;
    /* A client that was blocked meanwhile, and counted up to the same word again, is blocked. */
    if (state_of(slot) != state) {
        change->after = harvest_entry_read(slots, change->mark, change->minute);
        change->news = HARVEST_NOTHING_NEW;
    }
    return true;
}

static void change_entry(const struct slots *slots, struct harvest_change *change)
{
    for (int tries = 0; tries < HARVEST_ENTRY_TRIES_MAX; tries++) {
        struct harvest_slot *slot = slots_place(slots, change->mark, weigh, &change->minute);
        uint64_t word = slots_word(slot);
        if (write(slots, slot, change, word, state_of(slot)))
            return;
    }
    /* Given up: another process is between its two words, and the state, which is first, tells. */
    change->after = harvest_entry_read(slots, change->mark, change->minute);
    change->news = HARVEST_NOTHING_NEW;
}

enum harvest_news harvest_entry_refused(const struct slots *slots, uint64_t mark, uint32_t free,
                                        uint32_t fresh, uint32_t minute, struct harvest *after)
{
    struct harvest_change change = {
        .mark = mark, .refused = true, .free = free, .fresh = fresh, .minute = minute};
    change_entry(slots, &change);
    *after = change.after;
    return change.news;
}

void harvest_entry_accepted(const struct slots *slots, uint64_t mark, uint32_t free, uint32_t fresh,
                            uint32_t repeats, uint32_t minute)
{
    struct harvest_change change = {
        .mark = mark, .free = free, .fresh = fresh, .repeats = repeats, .minute = minute};
    change_entry(slots, &change);
}
