/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rude: a far server that misbehaves once in each dialogue: it refuses,
 * is busy, speaks nonsense, answers twice, never stops, sends garbage, half a
 * reply, or nothing, or hangs up, at any step. Only one thing it never does:
 * say 250 to a message that it does not keep. No client can help that.
 */
#ifndef MAILBOAT_SIMULATION_RUDE_H
#define MAILBOAT_SIMULATION_RUDE_H

#include "letters.h"

/* Greets at this end of the link, or does not. */
void rude_open(struct letters *letters, struct end *end);

#endif
