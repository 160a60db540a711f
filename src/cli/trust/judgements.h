/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judgements: what mail authentication found lately, from the queue's store, where the queue keeps it for
 * QUEUE_JUDGED_DAYS and STORE_EVENTS_MAX messages; and how it is said. explain, queue show and trust log use
 * it.
 */
#ifndef MAILBOAT_CLI_TRUST_JUDGEMENTS_H
#define MAILBOAT_CLI_TRUST_JUDGEMENTS_H

#include <jansson.h>

#include "core/event/mail_event.h"
#include "store/queue/store.h"

/* Calls `visit` for each, oldest first, while it returns true. The event's texts live until it returns. */
typedef bool judgement_visit(void *owner, const struct mail_event *event);
void judgements_walk(struct store *store, judgement_visit *visit, void *owner);

/* Appends "junk" or, with mode observe, "deliver (enforce: reject)". */
void judgement_add_outcome(struct buffer *out, const struct trust_record *record);
/* Appends the lines of explain and queue show, each with its line end and after two spaces, without control
 * characters; nothing if nothing was checked. */
void judgement_add_lines(struct buffer *out, const struct trust_record *record);
/* Returns an object, null if nothing was checked; owned by the caller. */
json_t *judgement_json(const struct trust_record *record);

#endif
