/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judgements_walk: what mail authentication found lately, from the queue's store, where the queue keeps it
 * for QUEUE_JUDGED_DAYS and STORE_EVENTS_MAX messages.
 */
#ifndef MAILBOAT_QUEUE_JUDGEMENTS_WALK_H
#define MAILBOAT_QUEUE_JUDGEMENTS_WALK_H

#include "core/event/mail_event.h"
#include "store/queue/store.h"

/* Calls `visit` for each, oldest first, while it returns true. The event's texts live until it returns. */
typedef bool judgement_visit(void *owner, const struct mail_event *event);
void judgements_walk(struct store *store, judgement_visit *visit, void *owner);

#endif
