/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the store for the simulation and tests; its content ends with the process. */
#ifndef MAILBOAT_STORE_QUEUE_MEMORY_H
#define MAILBOAT_STORE_QUEUE_MEMORY_H

#include "store/queue/store.h"

struct store *memory_store_open(void);
/* Simulates a power failure: uncommitted changes are lost. */
void memory_store_crash(struct store *store);
/* Limits the octets of messages (0: no limit). */
void memory_store_limit(struct store *store, uint64_t octets_max);
/* Makes it unreachable, or reachable again. */
void memory_store_away(struct store *store, bool away);
/* Makes the next commit fail permanently, like a broken disk. */
void memory_store_break(struct store *store);

#endif
