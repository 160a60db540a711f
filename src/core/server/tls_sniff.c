/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/tls_sniff.h"

#include <assert.h>
#include <stddef.h>

/* The lengths of waits: few, since timeouts of one length share a queue (io/timer.h). */
static const uint16_t steps_ms[] = {0, 3, 6, 12, 25, 50, TLS_SNIFF_WAIT_MS, 200, 400, TLS_SNIFF_WAIT_MAX_MS};
enum { STEPS = sizeof steps_ms / sizeof steps_ms[0] };

enum { STEP_BITS = 4, ORDERLY_BITS = 3, DAY_BITS = 12 };
static const uint32_t day_mask = (1u << DAY_BITS) - 1;

static_assert(STEPS <= 1 << STEP_BITS && TLS_SNIFF_ORDERLY_MAX < 1 << ORDERLY_BITS &&
                  STEP_BITS + ORDERLY_BITS + 1 + 2 * DAY_BITS == TLS_SNIFF_WORD_BITS,
              "a history fits into its word");

static bool is_sound(const struct tls_sniff *history)
{
    return history->wait_ms <= TLS_SNIFF_WAIT_MAX_MS && history->orderly <= TLS_SNIFF_ORDERLY_MAX &&
           history->hello_day <= day_mask && history->day <= day_mask;
}

/* Returns the index of the shortest wait that is at least so long; the longest for all beyond. */
static uint32_t step_of(uint64_t wait_ms)
{
    uint32_t step = 0;
    while (step < STEPS - 1 && steps_ms[step] < wait_ms)
        step++;
    return step;
}

static uint32_t age(uint32_t then, uint32_t day)
{
    return (day - then) & day_mask;
}

static void expire(struct tls_sniff *history, uint32_t day)
{
    uint32_t days_max = history->signed_in ? TLS_SNIFF_FORGET_SIGNED_IN_DAYS : TLS_SNIFF_FORGET_DAYS;
    if (age(history->hello_day, day) > TLS_SNIFF_FORGET_DAYS)
        history->wait_ms = 0;
    if (age(history->day, day) > days_max) {
        history->orderly = 0;
        history->signed_in = false;
    }
}

/* Returns the wait for a ClientHello of which no sign was seen. */
static uint32_t doubtful_ms(const struct tls_sniff *history)
{
    bool known = history->orderly == TLS_SNIFF_ORDERLY_MAX || (history->signed_in && history->wait_ms == 0);
    return known ? 0 : (uint32_t)TLS_SNIFF_WAIT_MS >> history->orderly;
}

uint32_t tls_sniff_wait_ms(const struct tls_sniff *history, uint32_t round_trip_us, uint32_t day)
{
    struct tls_sniff now = *history;
    assert(is_sound(history));
    expire(&now, day);
    uint32_t wait_ms = doubtful_ms(&now), varies_ms = round_trip_us / 2000;
    if (now.wait_ms > wait_ms)
        wait_ms = now.wait_ms;
    if (wait_ms > 0 && varies_ms > wait_ms)
        wait_ms = varies_ms;
    wait_ms = steps_ms[step_of(wait_ms)];
    assert(wait_ms <= TLS_SNIFF_WAIT_MAX_MS);
    return wait_ms;
}

bool tls_sniff_hello(struct tls_sniff *history, uint64_t after_ms, uint32_t day)
{
    struct tls_sniff before = *history;
    assert(is_sound(history));
    expire(history, day);
    uint64_t bounded_ms = after_ms < TLS_SNIFF_WAIT_MAX_MS ? after_ms : TLS_SNIFF_WAIT_MAX_MS;
    uint32_t wait_ms = steps_ms[step_of((bounded_ms + 1) * TLS_SNIFF_MARGIN)];
    if (wait_ms > history->wait_ms) { /* of another program, or on a busier machine: what else may come? */
        history->wait_ms = wait_ms;
        history->orderly = 0;
    }
    history->hello_day = day & day_mask;
    assert(history->wait_ms > 0 && is_sound(history));
    return before.wait_ms != history->wait_ms || before.hello_day != history->hello_day;
}

bool tls_sniff_waited(struct tls_sniff *history, uint32_t day)
{
    struct tls_sniff before = *history;
    assert(is_sound(history));
    expire(history, day);
    if (history->orderly < TLS_SNIFF_ORDERLY_MAX)
        history->orderly++;
    if (!history->signed_in) /* else its age is that of the sign-in */
        history->day = day & day_mask;
    assert(history->orderly > 0 && is_sound(history));
    return before.orderly != history->orderly || before.day != history->day;
}

bool tls_sniff_signed_in(struct tls_sniff *history, uint32_t day)
{
    struct tls_sniff before = *history;
    assert(is_sound(history));
    expire(history, day);
    history->signed_in = true;
    history->day = day & day_mask;
    assert(is_sound(history));
    return !before.signed_in || before.day != history->day;
}

/* ---- as a word ---- */

uint32_t tls_sniff_pack(const struct tls_sniff *history)
{
    assert(is_sound(history));
    uint32_t word = step_of(history->wait_ms);
    word = word << ORDERLY_BITS | history->orderly;
    word = word << 1 | history->signed_in;
    word = word << DAY_BITS | history->hello_day;
    return word << DAY_BITS | history->day;
}

struct tls_sniff tls_sniff_unpack(uint32_t word, uint32_t day)
{
    uint32_t step = word >> (ORDERLY_BITS + 1 + 2 * DAY_BITS);
    uint32_t orderly = word >> (1 + 2 * DAY_BITS) & ((1u << ORDERLY_BITS) - 1);
    struct tls_sniff history = {.wait_ms = steps_ms[step < STEPS ? step : STEPS - 1],
                                .orderly = orderly < TLS_SNIFF_ORDERLY_MAX ? orderly : TLS_SNIFF_ORDERLY_MAX,
                                .signed_in = (word >> (2 * DAY_BITS) & 1) != 0,
                                .hello_day = word >> DAY_BITS & day_mask,
                                .day = word & day_mask};
    expire(&history, day);
    assert(is_sound(&history));
    return history;
}

uint32_t tls_sniff_weight(uint32_t word, uint32_t day)
{
    struct tls_sniff history = tls_sniff_unpack(word, day);
    bool orderly = history.signed_in || history.orderly > 0;
    uint32_t latest = orderly ? age(history.day, day) : day_mask;
    if (history.wait_ms > 0 && age(history.hello_day, day) < latest)
        latest = age(history.hello_day, day);
    if (history.wait_ms == 0 && !orderly)
        return 0;
    return (history.signed_in ? 1u << (DAY_BITS + 1) : 1u) + (day_mask - latest);
}
