/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_counts: counts by name in bounded memory. top_counts_at() gives the counts of a
 * name to add to. Where there would be more than `max` names, those with the
 * least half are summed up as the rest: then the greatest are still right,
 * or nearly so where they came late.
 */
#ifndef MAILBOAT_CORE_TEXT_TOP_COUNTS_H
#define MAILBOAT_CORE_TEXT_TOP_COUNTS_H

#include "base/buffer.h"
#include "base/map.h"

enum { TOP_COUNTS_KINDS = 4 };

struct top_counts_entry {
    struct bytes name; /* behind the struct */
    uint64_t counts[TOP_COUNTS_KINDS], total;
    uint64_t first_ms; /* the earliest time that was noted; 0: none */
};

struct top_counts {
    struct map map;
    struct top_counts_entry **entries;
    size_t count, max;
    struct top_counts_entry rest;
    uint64_t rest_names; /* at least so many; some may be counted twice */
};

void top_counts_start(struct top_counts *tally, size_t max); /* max: 2 or more */
void top_counts_free(struct top_counts *tally);

/* One more of this kind (below TOP_COUNTS_KINDS). */
void top_counts_add(struct top_counts *tally, struct bytes name, unsigned kind, uint64_t first_ms);
/* The entries by their total, the greatest first; then by name. */
void top_counts_sort(struct top_counts *tally);

/* A reply's text without what differs from one to the next: words with a
 * digit become "#", words with an '@' "<address>". Appended, cut at `max`. */
void top_counts_likeness(struct buffer *out, struct bytes text, size_t max);

#endif
