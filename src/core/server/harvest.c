/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/harvest.h"

#include <assert.h>

enum { FORGOTTEN_AFTER_HALVES = 24 };

/* Halves per half-life, linearly in between. */
static uint16_t faded(uint16_t count, uint32_t minutes)
{
    uint32_t left = (uint32_t)count >> (minutes / HARVEST_HALF_LIFE_MIN);
    return (uint16_t)(left - left * (minutes % HARVEST_HALF_LIFE_MIN) / (2 * HARVEST_HALF_LIFE_MIN));
}

void harvest_fade(struct harvest *harvest, uint32_t minute)
{
    uint32_t minutes = minute - harvest->minute;
    if (minutes >= HARVEST_HALF_LIFE_MIN * FORGOTTEN_AFTER_HALVES) {
        *harvest = (struct harvest){.minute = minute};
        return;
    }
    uint16_t bad = faded(harvest->bad, minutes), good = faded(harvest->good, minutes);
    if (minutes > 0 && bad == harvest->bad && good == harvest->good && minutes < HARVEST_HALF_LIFE_MIN)
        return; /* too short to count yet: the minutes accumulate */
    harvest->bad = bad;
    harvest->good = good;
    harvest->minute = minute;
}

static void make_room(struct harvest *harvest, uint32_t parts)
{
    while (harvest->bad + parts > HARVEST_COUNT_MAX || harvest->good + parts > HARVEST_COUNT_MAX) {
        harvest->bad /= 2;
        harvest->good /= 2;
    }
}

/* Returns the parts of unknown recipients that are not offset. */
static uint32_t unexcused(const struct harvest *harvest, uint32_t fresh)
{
    uint64_t excused = (harvest->good + (uint64_t)fresh * HARVEST_PART) / HARVEST_GOOD_FOR_BAD;
    return harvest->bad > excused ? harvest->bad - (uint32_t)excused : 0;
}

static uint32_t block_for_min(uint8_t offences)
{
    uint32_t minutes = HARVEST_BLOCK_FIRST_MIN;
    for (uint8_t i = 1; i < offences && minutes < HARVEST_BLOCK_MAX_MIN; i++)
        minutes *= 2;
    return minutes < HARVEST_BLOCK_MAX_MIN ? minutes : HARVEST_BLOCK_MAX_MIN;
}

/* Blocks the client. After the block it starts with its free number used up. */
static void block(struct harvest *harvest, uint32_t free, uint32_t minute)
{
    if (harvest->offences < HARVEST_OFFENCES_MAX)
        harvest->offences++;
    harvest->blocked_until_min = minute + block_for_min(harvest->offences);
    harvest->bad = (uint16_t)(free * HARVEST_PART);
    harvest->good = 0;
}

enum harvest_news harvest_refused(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t minute)
{
    assert(free > 0 && free <= HARVEST_FREE_MAX);
    harvest_fade(harvest, minute);
    bool slow_before = unexcused(harvest, fresh) > free * HARVEST_PART;
    make_room(harvest, HARVEST_PART);
    harvest->bad = (uint16_t)(harvest->bad + HARVEST_PART);
    uint32_t left = unexcused(harvest, fresh);
    if (harvest_blocked_min(harvest, minute) > 0)
        return HARVEST_NOTHING_NEW;
    if (left > 2 * free * HARVEST_PART) {
        block(harvest, free, minute);
        return HARVEST_BLOCKED;
    }
    return left > free * HARVEST_PART && !slow_before ? HARVEST_SLOWED : HARVEST_NOTHING_NEW;
}

static uint32_t parts_of(uint32_t recipients)
{
    uint32_t most = HARVEST_COUNT_MAX / (2 * HARVEST_PART);
    return (recipients < most ? recipients : most) * HARVEST_PART;
}

/* Returns the maximum credit for repeated mail to the same recipients. */
static uint32_t repeats_max(uint32_t free)
{
    uint32_t most = free * HARVEST_REPEATS_EXCUSE * HARVEST_GOOD_FOR_BAD * HARVEST_PART;
    return most < HARVEST_COUNT_MAX ? most : HARVEST_COUNT_MAX;
}

void harvest_accepted(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t repeats,
                      uint32_t minute)
{
    assert(free > 0 && free <= HARVEST_FREE_MAX);
    harvest_fade(harvest, minute);
    make_room(harvest, parts_of(fresh));
    harvest->good = (uint16_t)(harvest->good + parts_of(fresh));
    uint32_t most = repeats_max(free), sum = harvest->good + parts_of(repeats);
    if (harvest->good < most)
        harvest->good = (uint16_t)(sum < most ? sum : most);
}

uint32_t harvest_delay_ms(const struct harvest *harvest, uint32_t free, uint32_t fresh)
{
    uint32_t left = unexcused(harvest, fresh), first = free * HARVEST_PART;
    if (left <= first)
        return 0;
    uint32_t delay_ms = HARVEST_DELAY_FIRST_MS;
    for (uint32_t over = (left - first) * 4 / first; over > 0 && delay_ms < HARVEST_DELAY_MAX_MS; over--)
        delay_ms *= 2;
    return delay_ms < HARVEST_DELAY_MAX_MS ? delay_ms : HARVEST_DELAY_MAX_MS;
}

uint32_t harvest_blocked_min(const struct harvest *harvest, uint32_t minute)
{
    return harvest->blocked_until_min > minute ? harvest->blocked_until_min - minute : 0;
}

bool harvest_is_good(const struct harvest *harvest)
{
    return harvest->good > 0 && unexcused(harvest, 0) == 0;
}

bool harvest_is_hopeless(const struct harvest *harvest, uint32_t free)
{
    return unexcused(harvest, 0) > HARVEST_HOPELESS * free * HARVEST_PART;
}

uint32_t harvest_weight(const struct harvest *harvest)
{
    return (harvest->blocked_until_min > 0 ? HARVEST_COUNT_MAX : 0) + (uint32_t)harvest->bad +
           harvest->good / HARVEST_GOOD_FOR_BAD;
}
