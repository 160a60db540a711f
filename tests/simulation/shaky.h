/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaky: a store that dies before or after any of its operations, as when
 * the process or the machine under it goes: from then on it does nothing.
 * What was not committed is gone when it is revived. Or it is far away: a
 * commit takes its time, and for a while nobody reaches it, so that it answers
 * nothing and a commit says so. The store behind it is
 * the one in memory, or the one of life, SQLite's, on a drive that itself
 * may die at any write.
 */
#ifndef MAILBOAT_SIMULATION_SHAKY_H
#define MAILBOAT_SIMULATION_SHAKY_H

#include "drive.h"
#include "store/queue/store_kind.h"

/* Where the store of life is kept; NULL: the one in memory does. */
struct shaky_ground {
    struct drive drive;
    const char *folder; /* a real one, for what does not lie on the drive: the lock */
};

struct shaky {
    struct store store;  /* what the queue is given */
    struct store *inner; /* NULL while it is not open */
    struct shaky_ground *ground;
    uint64_t operations_left; /* until it dies; 0: it does not */
    bool after;               /* it dies behind the last operation, not before it */
    bool dying, dead;
    struct world *world;
    bool far;    /* commits take time */
    bool away;   /* nobody reaches it */
    bool missed; /* something of this batch did not reach it */
    bool committing;
    uint64_t commit_end_ms;                  /* of the one under way */
    uint64_t commits_waited, batches_missed; /* in all, for the tally */
};

/* Open at once where it is in memory; else shaky_open() is to follow. */
void shaky_start(struct shaky *shaky, struct world *world, struct shaky_ground *ground);
void shaky_free(struct shaky *shaky);
/* The process is gone, and with chance the power with it. */
void shaky_fall(struct shaky *shaky);
/* False: not now (no room, dead again while it opened); `damaged` when never more. */
bool shaky_open(struct shaky *shaky, bool *damaged);
/* At most so many octets more fit (0: any number). */
void shaky_limit(struct shaky *shaky, uint64_t octets);

#endif
