/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_history: the earlier attempts of a recipient, as text in its row: one line per attempt, oldest
 * first, with tabs between fields. It grows only when a recipient is deferred again, and never beyond
 * STORE_ATTEMPTS_MAX - 1 lines: mail delivered at the first attempt has none. Used by all kinds of store.
 */
#ifndef MAILBOAT_STORE_QUEUE_ATTEMPT_HISTORY_H
#define MAILBOAT_STORE_QUEUE_ATTEMPT_HISTORY_H

#include "base/buffer.h"
#include "store/queue/store.h"

/* Appends `before` followed by the previous last attempt; drops the oldest lines beyond the limit. */
void attempt_history_add(struct buffer *out, struct bytes before, const struct attempt_record *last);
/* Reads at most STORE_ATTEMPTS_MAX - 1, oldest first; the texts borrow from `history`. Skips malformed
 * lines. */
size_t attempt_history_read(struct bytes history, struct attempt_record *found);

#endif
