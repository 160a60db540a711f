/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drop: a message with its envelope as one file, for when the server is not running. sendmail writes it
 * into DATA/drop; the pickup process reads it there and trusts nothing in it.
 *
 * MAILBOAT-DROP 1
 *   MAIL FROM:<ada@example.org> SIZE=1234 ...
 *   RCPT TO:<bob@example.com> ...              one or more
 *   DATA
 *   1234 octets: the message, CRLF lines, nothing after it
 *
 * The lines of the head end in LF; their grammar is that of smtp/command.h, in capitals, with SIZE the
 * exact size of the message.
 */
#ifndef MAILBOAT_CORE_MESSAGE_DROP_H
#define MAILBOAT_CORE_MESSAGE_DROP_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/smtp/envelope.h"

enum drop_limit {
    DROP_HEAD_MAX = 2 * 1024 * 1024, /* octets of the head */
    DROP_LINE_MAX = 2048,            /* octets of one of its lines */
    DROP_RECIPIENTS_MAX = 5000,      /* the maximum of limits.recipients */
};

/* Appends the head; envelope->size is the size of the message and not 0. */
void drop_head_add(struct buffer *out, const struct envelope *envelope);

/* Parses a head at the start of `text` (up to DROP_HEAD_MAX octets of the file). *used gets its octets,
 * the envelope's texts live in `arena`. False with *wrong, a sentence, if malformed. */
bool drop_head_parse(struct bytes text, struct arena *arena, struct envelope *envelope, size_t *used,
                     const char **wrong);

#endif
