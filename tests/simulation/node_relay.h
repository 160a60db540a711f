/* SPDX-License-Identifier: Apache-2.0 */
/* node_relay: the relay of a node: one core/client/delivery per connection to a server far away, kept for the
 * next message to the same destination. */
#ifndef MAILBOAT_SIMULATION_NODE_RELAY_H
#define MAILBOAT_SIMULATION_NODE_RELAY_H

#include "node.h"

/* Its result comes by itself, while the queue that asked is up. */
void node_relay_begin(struct node *node, const struct ipc_deliver *deliver);
/* The queue that asked is gone: what was not sent yet is not sent. */
void node_relay_forget_queue(struct node *node);
/* All connections end; what was sent may have arrived. */
void node_relay_drop(struct node *node);

#endif
