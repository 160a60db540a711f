/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/race_pace.h"

static uint64_t between(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* In which an answer comes, with some of it to spare. */
static uint64_t answer_ms(uint64_t round_trip_ms)
{
    return round_trip_ms + round_trip_ms / 2;
}

static uint64_t resend_ms(const struct race *race)
{
    uint64_t varies_ms = 2 * race->round_trip_ms;
    return race->round_trip_ms + (varies_ms < RACE_RESEND_MIN_MS ? RACE_RESEND_MIN_MS : varies_ms);
}

uint64_t race_pace_stagger_ms(const struct race *race)
{
    return between(answer_ms(race->options.round_trip_ms), RACE_STAGGER_MS, RACE_STAGGER_MAX_MS);
}

uint64_t race_pace_knock_ms(const struct race *race)
{
    return between(answer_ms(race->options.round_trip_ms), RACE_KNOCK_MS, race_pace_stagger_ms(race));
}

uint64_t race_pace_greeting_ms(const struct race *race)
{
    return between(answer_ms(race->round_trip_ms), RACE_STAGGER_MS, RACE_STAGGER_MAX_MS);
}

uint64_t race_pace_grace_ms(const struct race *race, const struct race_attempt *attempt)
{
    if (!attempt->connected)
        return attempt->started_ms + answer_ms(race->round_trip_ms) + RACE_KNOCK_MARGIN_MS;
    if (!attempt->heard)
        return attempt->connected_ms + 2 * resend_ms(race);
    return attempt->progress_ms + 4 * resend_ms(race);
}

uint64_t race_pace_answering_ms(const struct race *race)
{
    uint64_t until_ms = 0, stagger_ms = race_pace_stagger_ms(race);
    for (size_t i = 0; race->options.round_trip_ms > 0 && i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        if (a->connected && race_attempt_is_in_progress(a) && a->step_ms + stagger_ms > until_ms)
            until_ms = a->step_ms + stagger_ms;
    }
    return until_ms;
}
