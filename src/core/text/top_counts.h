/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_counts: counts by name in bounded memory. tally_at() gives the counts of a
 * name to add to. Where there would be more than `max` names, those with the
 * least half are summed up as the rest: then the greatest are still right,
 * or nearly so where they came late.
 */
#ifndef MAILBOAT_CORE_TEXT_TOP_COUNTS_H
#define MAILBOAT_CORE_TEXT_TOP_COUNTS_H

#include "base/buffer.h"
#include "base/map.h"

enum { TALLY_KINDS = 4 };

struct tally_entry {
    struct bytes name; /* behind the struct */
    uint64_t counts[TALLY_KINDS], total;
    uint64_t first_ms; /* the earliest time that was noted; 0: none */
};

struct tally {
    struct map map;
    struct tally_entry **entries;
    size_t count, max;
    struct tally_entry rest;
    uint64_t rest_names; /* at least so many; some may be counted twice */
};

void tally_start(struct tally *tally, size_t max); /* max: 2 or more */
void tally_free(struct tally *tally);

/* One more of this kind (below TALLY_KINDS). */
void tally_add(struct tally *tally, struct bytes name, unsigned kind, uint64_t first_ms);
/* The entries by their total, the greatest first; then by name. */
void tally_sort(struct tally *tally);

/* A reply's text without what differs from one to the next: words with a
 * digit become "#", words with an '@' "<address>". Appended, cut at `max`. */
void tally_likeness(struct buffer *out, struct bytes text, size_t max);

#endif
