/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal_note: whether a message that is forwarded for others will be sealed (ARC) when it leaves, told by
 * explain. That it was sealed is in the log: arc_sealed.
 */
#ifndef MAILBOAT_CLI_QUEUE_SEAL_NOTE_H
#define MAILBOAT_CLI_QUEUE_SEAL_NOTE_H

#include "config/config.h"
#include "store/queue/store.h"

/* Appends "will be sealed …" or "will not be sealed …: why", if the message came from another server, an
 * address here sends it on to one, and forward.seal is on; else nothing. */
void seal_note_add(struct buffer *out, const struct config *config, const struct store_message *message,
                   const struct store_recipient *recipient);

#endif
