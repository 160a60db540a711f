/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_open: opens the configured store. Only store/ knows which kinds exist and where they keep their
 * data: the queue process, the subcommands and mailq pass the place, and get a struct store
 * (queue/store.h).
 */
#ifndef MAILBOAT_STORE_STORE_OPEN_H
#define MAILBOAT_STORE_STORE_OPEN_H

#include "base/error.h"

struct store;

/* In the order of the choices of the configuration's `store`. */
enum store_kind { STORE_SQLITE, STORE_KINDS };

/* WRITE: by one process at a time. READ: concurrently with it. */
enum store_access { STORE_WRITE, STORE_READ };

struct store_place {
    int kind;           /* of enum store_kind: config.store */
    const char *folder; /* DATA/queue; the node's own data is here, for any kind */
};

/* NULL with the error: its exit code is EX_TEMPFAIL if another process writes there, EX_DATAERR if the
 * data is unusable, EX_NOINPUT if there is nothing to read yet. store_close() ends it. */
struct store *store_open(const struct store_place *place, enum store_access access, struct error *error);

/* Checks whether there is anything to open for reading. Returns 0, or an errno: ENOENT if nothing was ever
 * stored, EACCES without permission. */
int store_open_check(const struct store_place *place);

#endif
