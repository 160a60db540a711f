/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaky: a store that dies before or after any of its operations, as when
 * the process or the machine under it goes: from then on it does nothing.
 * What was not committed is gone when it is revived.
 */
#ifndef MAILBOAT_SIMULATION_SHAKY_H
#define MAILBOAT_SIMULATION_SHAKY_H

#include "store.h"

struct shaky {
    struct store store;  /* what the queue is given */
    struct store *inner; /* in memory */
    uint64_t operations_left; /* until it dies; 0: it does not */
    bool after;          /* it dies behind the last operation, not before it */
    bool dying, dead;
};

void shaky_start(struct shaky *shaky);
void shaky_free(struct shaky *shaky);
void shaky_revive(struct shaky *shaky);

#endif
