/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the store of the simulation and of tests; what is in it goes with the process. */
#ifndef MAILBOAT_STORE_QUEUE_MEMORY_H
#define MAILBOAT_STORE_QUEUE_MEMORY_H

#include "store/queue/store.h"

struct store *memory_store_open(void);
/* The power fails: what was not committed is gone. */
void memory_store_crash(struct store *store);
/* From now on at most so many octets of messages fit (0: any number). */
void memory_store_limit(struct store *store, uint64_t octets_max);
/* Nobody reaches it until it is said to be there again. */
void memory_store_away(struct store *store, bool away);
/* The next commit fails for good, as when the disk is broken. */
void memory_store_break(struct store *store);

#endif
