/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpointer: moves SQLite's log (WAL) into the database beside the commits.
 *
 * A checkpoint of a long log writes and syncs for 10 to 30 ms, and would stand inside one turn of the queue.
 * So a thread with a connection of its own moves what is in the log, while commits go on behind it; again,
 * as long as much is left; and the small rest is moved by the caller, right after a commit, so that the next
 * one starts the log from its beginning. SQLite lets one connection write and another one move
 * (SQLITE_CHECKPOINT_PASSIVE); what a crash leaves is the same.
 * checkpoint_pace.h decides when.
 */
#ifndef MAILBOAT_STORE_QUEUE_CHECKPOINTER_H
#define MAILBOAT_STORE_QUEUE_CHECKPOINTER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/queue/checkpoint_pace.h"

struct checkpointer;

/* For the database at `path`, which is in use already; the path is the caller's, and absolute. The thread and
 * its connection are made when the log is long for the first time: in the sandbox, which lets the process
 * open the files of its own folder. Where one of them cannot be made, the caller moves all. */
struct checkpointer *checkpointer_open(const char *path, uint32_t start);
/* Waits until the pass that is under way ends. NULL is allowed. */
void checkpointer_close(struct checkpointer *checkpointer);
/* After each commit: starts a pass if it is time; true if the caller is to move the rest itself, and to say
 * what came of it by checkpointer_moved(). `code`: SQLite's of the last pass that failed, once; SQLITE_OK. */
bool checkpointer_committed(struct checkpointer *checkpointer, uint32_t length, int *code);
void checkpointer_moved(struct checkpointer *checkpointer, uint32_t moved);
/* Passes that ended, for tests. */
uint64_t checkpointer_passes(struct checkpointer *checkpointer);

#endif
