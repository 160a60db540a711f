/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_history: the attempts at a recipient before its last one, as text in its
 * row: a line each, oldest first, fields apart by tabs. It grows only when a
 * recipient is deferred again, and never beyond STORE_ATTEMPTS_MAX - 1 lines:
 * mail that is delivered at once has none. Both kinds of store keep it so.
 */
#ifndef MAILBOAT_STORE_QUEUE_ATTEMPT_HISTORY_H
#define MAILBOAT_STORE_QUEUE_ATTEMPT_HISTORY_H

#include "base/buffer.h"
#include "store/queue/store.h"

/* `before` and behind it what was the last attempt until now; the oldest
 * lines go where there would be too many. */
void attempt_history_add(struct buffer *out, struct bytes before, const struct attempt_record *last);
/* At most STORE_ATTEMPTS_MAX - 1, oldest first; the texts borrow from
 * `history`. Lines that cannot be read are left out. */
size_t attempt_history_read(struct bytes history, struct attempt_record *found);

#endif
