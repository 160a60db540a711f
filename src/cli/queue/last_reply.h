/* SPDX-License-Identifier: Apache-2.0 */
/*
 * last_reply: what the last reply to a queued recipient means, found anew from the stored reply: for explain
 * and queue show.
 */
#ifndef MAILBOAT_CLI_QUEUE_LAST_REPLY_H
#define MAILBOAT_CLI_QUEUE_LAST_REPLY_H

#include <jansson.h>

#include "cli/queue/recipient_wait.h"
#include "core/reply/reply_meaning.h"

/* Returns NULL if there was no reply, or none of a failure. */
const struct reply_meaning *last_reply_meaning(const struct queue_view *view,
                                               const struct store_message *message,
                                               const struct store_recipient *recipient);
/* Appends "The mailbox is full. (mailbox_full, about the recipient)". */
void last_reply_add(struct buffer *out, const struct reply_meaning *meaning);
/* Returns its class, about, retry, reason and hint; JSON's null for NULL. */
json_t *last_reply_json(const struct reply_meaning *meaning);

#endif
