/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection: which of the waiting recipients a person means: by sender and
 * age of the message, by address, domain and last reason of the recipient.
 * All that was said must hold. Pure: facts in, yes or no out.
 */
#ifndef MAILBOAT_CLI_QUEUE_SELECTION_H
#define MAILBOAT_CLI_QUEUE_SELECTION_H

#include "base/error.h"
#include "store/queue/store.h"

struct selection {
    bool all; /* said so: everything that the rest lets through */
    bool by_sender, by_recipient, by_domain, by_reason, by_older, by_younger;
    struct bytes sender, recipient; /* an address; "@example.org": anybody there; empty sender: <> */
    struct bytes domain, reason;
    uint64_t older_ms, younger_ms;
};

/* What was typed; NULL where it was not. Texts are borrowed. */
struct selection_texts {
    const char *sender, *recipient, *domain, *older, *younger, *reason;
    bool all;
};
/* False with a sentence on what cannot be. */
bool selection_read(struct selection *selection, const struct selection_texts *texts, struct error *error);

/* Nothing was said, not even `all`. */
bool selection_is_unsaid(const struct selection *selection);
/* `all`, and nothing that makes it less. */
bool selection_is_everything(const struct selection *selection);
/* Could recipients of one message differ in what becomes of them? */
bool selection_looks_at_recipients(const struct selection *selection);

bool selection_takes_message(const struct selection *selection, struct bytes sender, uint64_t arrived_ms,
                             uint64_t now_ms);
bool selection_takes_recipient(const struct selection *selection, const struct store_recipient *recipient);

#endif
