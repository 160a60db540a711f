/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest_entry: the counts of one client (core/server/harvest.h) in a table of fixed size that all smtpd
 * processes share. Each change is by compare-and-swap: none is lost when two processes count at the same
 * time, and no process waits for another, which may be dead or taken over.
 *
 * An entry is two words, each with its owner: the counts, and the state (when they faded, until when the
 * client is blocked, how often it was). Bounds: base/slots.h; in a full row the lightest entry goes.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_HARVEST_ENTRY_H
#define MAILBOAT_SERVICE_SMTPD_HARVEST_ENTRY_H

#include <stdatomic.h>

#include "base/slots.h"
#include "core/server/harvest.h"

enum {
    HARVEST_ROW = 4, /* possible slots of a client */
    HARVEST_ENTRY_MINUTE_MAX = (1 << 22) - 1,
    /* after so many collisions a count is given up: more than so many processes do not meet by chance */
    HARVEST_ENTRY_TRIES_MAX = 1000,
};

struct harvest_slot {
    _Atomic uint64_t counts, state;
};

/* `at`: zeroed memory, maybe shared; `count`: a multiple of HARVEST_ROW. */
struct slots harvest_entry_table(struct harvest_slot *at, size_t count);

/* Returns the client's counts; all 0 if it has none. `mark`: a hash with a secret; `minute`: 1 to
 * HARVEST_ENTRY_MINUTE_MAX, of any monotonic clock. */
struct harvest harvest_entry_read(const struct slots *slots, uint64_t mark, uint32_t minute);
/* harvest_refused() and harvest_accepted() on it; `after` is what they made of it. */
enum harvest_news harvest_entry_refused(const struct slots *slots, uint64_t mark, uint32_t free,
                                        uint32_t fresh, uint32_t minute, struct harvest *after);
void harvest_entry_accepted(const struct slots *slots, uint64_t mark, uint32_t free, uint32_t fresh,
                            uint32_t repeats, uint32_t minute);

#endif
