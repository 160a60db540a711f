/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite: the store on disk, in the folder DATA/queue, which must exist:
 *   mailboat.db (-wal, -shm)   SQLite, WAL, synchronous=FULL
 *   content/XX/ID              large contents, named by queue id
 *   spool/N, spool/ID.new      incoming contents; swept at open and when a batch ends
 *   lock                       held by the only writer (store_lock.h)
 * store_open() calls this; tests do, for features of this kind.
 */
#ifndef MAILBOAT_STORE_QUEUE_SQLITE_H
#define MAILBOAT_STORE_QUEUE_SQLITE_H

#include "store/queue/store.h"
#include "store/store_open.h"

#define SQLITE_STORE_FILE "mailboat.db" /* in the folder */

/* Rejects a damaged database or one of a later version, with the remedy, and never changes it; the writer
 * migrates an earlier version. Files created here belong to the folder's owner. NULL with the error. */
struct store *sqlite_store_open(const char *folder, enum store_access access, struct error *error);

/* Test hooks: maximum pages of the database (0: unlimited), pages of the log before a checkpoint that the
 * commit makes itself, or that a thread makes (checkpointer.h) and how often it has, how long to wait for a
 * lock, and whether every query uses an index. */
void sqlite_store_limit_pages(struct store *store, unsigned pages_max);
void sqlite_store_checkpoint_every(struct store *store, unsigned pages);
void sqlite_store_checkpoint_beside(struct store *store, unsigned pages);
uint64_t sqlite_store_passes(struct store *store);
void sqlite_store_wait(struct store *store, unsigned lock_wait_ms);
bool sqlite_store_plans_are_seeks(struct store *store, struct error *error);

#endif
