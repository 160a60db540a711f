/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_open: the store that the configuration names. Nobody outside store/
 * knows which kinds there are or where they keep what: the queue process, the
 * subcommands and mailq say the place, and get a struct store (queue/store.h).
 */
#ifndef MAILBOAT_STORE_STORE_OPEN_H
#define MAILBOAT_STORE_STORE_OPEN_H

#include "base/error.h"

struct store;

/* In the order of what the configuration's `store` may be. */
enum store_kind { STORE_SQLITE, STORE_KINDS };

/* WRITE: by one process at a time. READ: beside it. */
enum store_access { STORE_WRITE, STORE_READ };

struct store_place {
    int kind;           /* of enum store_kind: config.store */
    const char *folder; /* DATA/queue; what the node itself keeps is here, whatever the kind */
};

/* NULL with the error: its exit code is EX_TEMPFAIL where another process
 * writes there, EX_DATAERR where what is there cannot be used, EX_NOINPUT where
 * there is nothing to read yet. store_close() ends it. */
struct store *store_open(const struct store_place *place, enum store_access access, struct error *error);

/* Is there anything to open for reading? 0, or the errno: ENOENT where nothing
 * was ever kept, EACCES where it is not for this user. */
int store_open_check(const struct store_place *place);

#endif
