/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_pace: when SQLite's log of the queue is moved into the database, and whether beside the commits
 * or by one (checkpointer.h). Lengths are in pages of the log, as SQLite counts them: from its beginning,
 * also those that were moved.
 */
#ifndef MAILBOAT_STORE_QUEUE_CHECKPOINT_PACE_H
#define MAILBOAT_STORE_QUEUE_CHECKPOINT_PACE_H

#include <stdint.h>

enum checkpoint_limit {
    CHECKPOINT_START = 2000, /* pages of the log from which on it is moved */
    CHECKPOINT_REST = 64,    /* pages that a commit may move itself, beside twice what it wrote: 1 MiB */
    CHECKPOINT_STEP = 500,   /* while a reader keeps the log from its beginning: pages until the next pass */
    CHECKPOINT_LONG = 8000,  /* pages: moved by the caller, at whatever cost */
};

enum checkpoint_step { CHECKPOINT_NONE, CHECKPOINT_BESIDE, CHECKPOINT_HERE };

struct checkpoint_pace {
    uint32_t start;  /* CHECKPOINT_START, less in tests */
    uint32_t due;    /* nothing is moved before */
    uint32_t length; /* of the log, at the last commit */
    uint32_t added;  /* by that commit */
    uint32_t moved;  /* in the database; more than length if a pass moved what came after that commit */
};

void checkpoint_pace_start(struct checkpoint_pace *pace, uint32_t start);
/* After each commit: the log has this length. */
void checkpoint_pace_commit(struct checkpoint_pace *pace, uint32_t length);
/* Then, unless a pass is under way: what to do with the log. */
enum checkpoint_step checkpoint_pace_step(const struct checkpoint_pace *pace);
/* A pass has ended, beside or here: so many of the log's pages are in the database now. */
void checkpoint_pace_moved(struct checkpoint_pace *pace, enum checkpoint_step by, uint32_t moved);

#endif
