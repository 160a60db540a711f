/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: what a queue told in its events. Their ids grow, also from one life
 * of the queue to the next, and no recipient comes to two ends.
 */
#ifndef MAILBOAT_SIMULATION_LEDGER_H
#define MAILBOAT_SIMULATION_LEDGER_H

#include "queue/queue.h"

struct ledger {
    struct map ends; /* of recipients, by message and number */
    uint64_t last_id;
    unsigned received, ended, twice, backward;
};

void ledger_start(struct ledger *ledger);
void ledger_free(struct ledger *ledger);
/* All that waits to be taken; right behind a commit. */
void ledger_take(struct ledger *ledger, struct queue *queue);
/* False with what is wrong in `problem`. */
bool ledger_check(const struct ledger *ledger, struct buffer *problem);

#endif
