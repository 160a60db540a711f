/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_warning: a message that large receivers can reject because nothing signs it, told by explain before the
 * bounce comes.
 */
#ifndef MAILBOAT_CLI_QUEUE_KEY_WARNING_H
#define MAILBOAT_CLI_QUEUE_KEY_WARNING_H

#include "config/config.h"
#include "store/queue/store.h"

/* Appends a sentence, if the message was submitted here, the recipient is at another server that this one
 * delivers to itself, and no active key of the sender's domain exists (or, for a report of this server, of a
 * domain above it); else nothing. */
void key_warning_add(struct buffer *out, const struct config *config, const struct store_message *message,
                     const struct store_recipient *recipient);

/* True if a user, a local program or this server wrote it: such mail is signed. */
bool key_warning_was_submitted(const struct origin *origin);
/* True if an active key of the host or of a domain above it exists, or the keys cannot be read. */
bool key_warning_host_may_sign(const struct config *config, struct bytes host);

#endif
