/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race_pace: how long a race waits for an answer, from the round trip as it is known. Milliseconds.
 *
 * TCP sends a lost SYN again after a second, and after the first round trip what is lost later after
 * resend_ms (RFC 6298 2.1 to 2.4, with the minimum of Linux).
 */
#ifndef MAILBOAT_CORE_PORT_RACE_PACE_H
#define MAILBOAT_CORE_PORT_RACE_PACE_H

#include "core/port/race.h"

static inline bool race_attempt_is_in_progress(const struct race_attempt *a)
{
    return a->stage == ATTEMPT_CONNECTING || a->stage == ATTEMPT_SHAKING || a->stage == ATTEMPT_TALKING;
}

/* It is connected, and the server says nothing. */
static inline bool race_attempt_is_mute(const struct race_attempt *a)
{
    return a->stage == ATTEMPT_TALKING && !a->heard;
}

static inline bool race_attempt_has_no_answer(const struct race_attempt *a)
{
    return a->stage == ATTEMPT_CONNECTING || race_attempt_is_mute(a);
}

/* Until the next port is tried: an answer comes after a round trip, and until then it would be tried in vain.
 */
uint64_t race_pace_stagger_ms(const struct race *race);
/* Until a port without an answer is knocked at again: twice in a stagger, unless answers are known to take
 * longer. */
uint64_t race_pace_knock_ms(const struct race *race);
/* The same for a port that took the connection and does not greet: the last packet of the connection may be
 * lost, and then the server does not know of it. */
uint64_t race_pace_greeting_ms(const struct race *race);
/* Returns the time until which other ports wait for one that answers, at a host that is known from before. */
uint64_t race_pace_answering_ms(const struct race *race);
/* Returns the time until which an attempt in progress may only have lost packets. With each answer it gains
 * more. */
uint64_t race_pace_grace_ms(const struct race *race, const struct race_attempt *attempt);

#endif
