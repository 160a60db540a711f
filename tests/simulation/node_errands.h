/* SPDX-License-Identifier: Apache-2.0 */
/* node_errands: what the local process and auth do for the queue: deliveries into mailboxes, look-ups,
 * expansions. */
#ifndef MAILBOAT_SIMULATION_NODE_ERRANDS_H
#define MAILBOAT_SIMULATION_NODE_ERRANDS_H

#include "node.h"

/* Its result comes by itself, while the queue that asked is up. */
void node_errand_begin(struct node *node, enum schedule_transport transport,
                       const struct ipc_deliver *deliver);
/* The queue that asked is gone. */
void node_errand_forget(struct node_errand *errand);
struct envelope node_copy_envelope(struct arena *arena, const struct envelope *from);

#endif
