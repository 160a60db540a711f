/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_meaning: what the reply of an attempt means, with the names of its transaction, which the reply may
 * repeat. The queue asks when an attempt has ended; subcommands ask again about a stored one.
 */
#ifndef MAILBOAT_CORE_QUEUE_ATTEMPT_MEANING_H
#define MAILBOAT_CORE_QUEUE_ATTEMPT_MEANING_H

#include "core/queue/attempt_record.h"
#include "core/reply/reply_meaning.h"

/* Borrowed; empty: unknown. */
struct attempt_names {
    uint64_t id; /* the message's queue id */
    struct bytes hostname;
    struct bytes sender, recipient;
    struct bytes original; /* the recipient before aliases */
    struct bytes destination;
};

/* Returns NULL if there was no reply, or none of a failure. */
const struct reply_meaning *attempt_meaning_find(const struct attempt_record *attempt,
                                                 const struct attempt_names *names);

#endif
