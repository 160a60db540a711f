/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expansion_member: the key under which an expansion records a member. The same address has different keys
 * as a mailbox, an address elsewhere, or one that expands; the tag of RCPT does not matter.
 */
#ifndef MAILBOAT_STORE_QUEUE_EXPANSION_MEMBER_H
#define MAILBOAT_STORE_QUEUE_EXPANSION_MEMBER_H

#include "base/buffer.h"
#include "core/smtp/envelope.h"

/* Never empty; clears `scratch` first. */
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
