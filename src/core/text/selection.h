/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection: matches queued recipients by filters: sender and age of the message, address, domain and last
 * reason of the recipient. All given filters must match.
 */
#ifndef MAILBOAT_CORE_TEXT_SELECTION_H
#define MAILBOAT_CORE_TEXT_SELECTION_H

#include "base/error.h"
#include "core/queue/attempt_record.h"
#include "core/smtp/envelope.h"

struct selection {
    bool all; /* --all: everything that matches the other filters */
    bool by_sender, by_recipient, by_domain, by_reason, by_older, by_younger;
    struct bytes sender, recipient; /* an address; "@example.org": any address there; empty sender: <> */
    struct bytes domain, reason;
    uint64_t older_ms, younger_ms;
    const char *state; /* --state, as the table of states has it; NULL: any */
};

/* The options as typed; NULL if not given. Texts are borrowed. */
struct selection_texts {
    const char *sender, *recipient, *domain, *older, *younger, *reason, *state;
    bool all;
};
/* False with a sentence about an invalid option. */
bool selection_read(struct selection *selection, const struct selection_texts *texts, struct error *error);

/* True if nothing was given, not even `all`. */
bool selection_is_unsaid(const struct selection *selection);
/* True for `all` without other filters. */
bool selection_is_everything(const struct selection *selection);
/* True if it may match only some recipients of a message. */
bool selection_looks_at_recipients(const struct selection *selection);

bool selection_takes_message(const struct selection *selection, struct bytes sender, uint64_t arrived_ms,
                             uint64_t now_ms);
/* `last`: its last attempt; all empty if there was none. */
bool selection_takes_recipient(const struct selection *selection, const struct recipient *recipient,
                               const struct attempt_record *last);

/* True for a recipient in this state: one of the four ("waiting"), and why ("retry"). */
bool selection_takes_state(const struct selection *selection, const char *state, const char *why);

#endif
