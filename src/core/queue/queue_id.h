/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_id: a message's queue id. The upper bits are units of 16 us since the epoch, then the node's
 * number (4 bits) and the maker's slot on it (8 bits). Ids grow with time, so that new rows go to the end
 * of the store's tree, and two processes never make the same id, on one node or on several that share a
 * store. Ids of earlier versions, with whole microseconds above the slot, sort among them by time. As text
 * it is lower-case base 32 without look-alikes (0-9, a-z less i, l, o, u), always QUEUE_ID_TEXT_LENGTH
 * characters.
 */
#ifndef MAILBOAT_CORE_QUEUE_QUEUE_ID_H
#define MAILBOAT_CORE_QUEUE_QUEUE_ID_H

#include "base/bytes.h"

enum {
    QUEUE_ID_SLOTS = 256,
    QUEUE_ID_NODES = 16, /* nodes, and microseconds per unit of time */
    QUEUE_ID_TEXT_LENGTH = 12,
};

struct queue_id_maker {
    uint64_t last_unit; /* of 16 us since the epoch */
    uint8_t slot;
    uint8_t node; /* less than QUEUE_ID_NODES; 0 for a single node */
};

/* Returns the next id: never twice from one maker, even if the clock stands still or goes back. */
uint64_t queue_id_next(struct queue_id_maker *maker, uint64_t epoch_us);
/* Writes QUEUE_ID_TEXT_LENGTH characters and a NUL. */
void queue_id_text(uint64_t id, char text[QUEUE_ID_TEXT_LENGTH + 1]);
bool queue_id_parse(struct bytes text, uint64_t *id); /* accepts upper case too */

#endif
