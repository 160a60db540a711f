/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expansion_member: the name under which an expansion remembers whom it had. The same
 * address is another one as a mailbox, as somebody elsewhere, or as what
 * stands for others; with the tag of RCPT or without it is the same.
 */
#ifndef MAILBOAT_STORE_QUEUE_EXPANSION_MEMBER_H
#define MAILBOAT_STORE_QUEUE_EXPANSION_MEMBER_H

#include "base/buffer.h"
#include "core/smtp/envelope.h"

/* Never empty; `scratch` is emptied first. */
static inline struct bytes expansion_member_key(struct buffer *scratch, const struct recipient *recipient)
{
    static const char expanding[EXPANDS_KINDS] = {[EXPANDS_ALIAS] = 'x', [EXPANDS_USER] = 'u'};
    buffer_clear(scratch);
    buffer_add_octet(scratch, recipient->expands != EXPANDS_NOT ? expanding[recipient->expands]
                              : recipient->local                ? 'l'
                                                                : 'a');
    buffer_add(scratch, recipient->address);
    return buffer_bytes(scratch);
}

#endif
