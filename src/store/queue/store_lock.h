/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_lock: lets only one process write the folder DATA/queue. The writer holds a record lock on its
 * file `lock`, which contains the writer's pid for information; others can query the lock without taking
 * it. The lock ends with the process.
 */
#ifndef MAILBOAT_STORE_QUEUE_STORE_LOCK_H
#define MAILBOAT_STORE_QUEUE_STORE_LOCK_H

#include "base/error.h"

/* Takes the lock of the folder open at `folder`; `path` is its name, for the message. Returns the
 * descriptor that holds it, owned by the caller; -1 with the error if another process has it. */
int store_lock_take(int folder, const char *path, struct error *error);

/* Returns the pid of the process that holds it, 0 if none does. */
long store_lock_owner(const char *folder);
long store_lock_owner_at(int folder); /* by its descriptor */

#endif
