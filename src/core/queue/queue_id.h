/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_id: a message's queue id. Microseconds since the epoch in the upper bits,
 * the maker's slot in the lower eight: ids grow with time, so that new rows
 * go to the end of the store's tree, and two processes never make the same.
 * People see it in lower-case base 32 without look-alikes (0-9, a-z less
 * i, l, o, u), always QUEUE_ID_TEXT_LENGTH characters.
 */
#ifndef MAILBOAT_CORE_QUEUE_QUEUE_ID_H
#define MAILBOAT_CORE_QUEUE_QUEUE_ID_H

#include "base/bytes.h"

enum { QUEUE_ID_SLOTS = 256, QUEUE_ID_TEXT_LENGTH = 12 };

struct queue_id_maker {
    uint64_t last_us;
    uint8_t slot;
};

/* The next id: never twice from one maker, even when the clock stands still or runs back. */
uint64_t queue_id_next(struct queue_id_maker *maker, uint64_t epoch_us);
/* Writes QUEUE_ID_TEXT_LENGTH characters and a NUL. */
void queue_id_text(uint64_t id, char text[QUEUE_ID_TEXT_LENGTH + 1]);
bool queue_id_parse(struct bytes text, uint64_t *id); /* upper case is read too */

#endif
