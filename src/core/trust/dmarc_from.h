/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_from: the author domains of a From field (RFC 9989 4.2, RFC 5322 3.6.2). The input is untrusted: a
 * field that two programs could read differently is malformed, and no domain is picked from it in silence.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_FROM_H
#define MAILBOAT_CORE_TRUST_DMARC_FROM_H

#include "base/arena.h"

enum dmarc_from_limit {
    DMARC_FROM_DOMAINS_MAX = 10, /* different domains; a field with more is malformed */
};

struct dmarc_from {
    struct bytes domains[DMARC_FROM_DOMAINS_MAX]; /* different ones, in lower case; literals with brackets */
    size_t count;
    bool malformed; /* something in the field is not a mailbox, or there is none (empty groups aside) */
};

/* Reads the value of one From field. U-labels stay as they are: the shell turns them into A-labels before
 * DMARC judges (dmarc.h). Domains are in `arena`. */
void dmarc_from_read(struct bytes value, struct arena *arena, struct dmarc_from *from);

#endif
