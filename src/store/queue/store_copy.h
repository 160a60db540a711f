/* SPDX-License-Identifier: Apache-2.0 */
/* store_copy: copies a store's message into another arena, which then owns its texts. */
#ifndef MAILBOAT_STORE_QUEUE_STORE_COPY_H
#define MAILBOAT_STORE_QUEUE_STORE_COPY_H

#include "store/queue/store.h"

struct recipient store_copy_recipient(struct arena *arena, const struct recipient *from);
/* With its prefix; without recipients and content. */
struct store_message store_copy_message(struct arena *arena, const struct store_message *from);
struct store_recipient store_copy_row(struct arena *arena, const struct store_recipient *from);

#endif
