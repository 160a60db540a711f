/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_lock: one process at a time writes the folder DATA/queue. The writer
 * holds a record lock on its file `lock`, which has the writer's pid in it for
 * people; others can ask for it without taking it. The lock goes with the process.
 */
#ifndef MAILBOAT_STORE_QUEUE_STORE_LOCK_H
#define MAILBOAT_STORE_QUEUE_STORE_LOCK_H

#include "base/error.h"

/* Takes the lock of the folder open at `folder`; `path` is its name, for the
 * message. The descriptor that holds it, the caller's; -1 with the error when
 * another process has it. */
int store_lock_take(int folder, const char *path, struct error *error);

/* The pid of the process that holds it, 0 when nobody does. */
long store_lock_owner(const char *folder);
long store_lock_owner_at(int folder); /* by its descriptor */

#endif
