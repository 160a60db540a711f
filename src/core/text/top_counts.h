/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_counts: counts by name in bounded memory. top_counts_at() returns the counts of a name to add to.
 * Beyond `max` names, the smaller half is merged into the rest: the largest counts stay right, or nearly
 * so for names that appeared late.
 */
#ifndef MAILBOAT_CORE_TEXT_TOP_COUNTS_H
#define MAILBOAT_CORE_TEXT_TOP_COUNTS_H

#include "base/buffer.h"
#include "base/map.h"

enum { TOP_COUNTS_KINDS = 4 };

struct top_counts_entry {
    struct bytes name; /* follows the struct in memory */
    uint64_t counts[TOP_COUNTS_KINDS], total;
    uint64_t first_ms; /* the earliest time that was noted; 0: none */
};

struct top_counts {
    struct map map;
    struct top_counts_entry **entries;
    size_t count, max;
    struct top_counts_entry rest;
    uint64_t rest_names; /* lower bound; some names may be counted twice */
};

void top_counts_start(struct top_counts *tally, size_t max); /* max: 2 or more */
void top_counts_free(struct top_counts *tally);

/* Adds one of this kind (below TOP_COUNTS_KINDS). */
void top_counts_add(struct top_counts *tally, struct bytes name, unsigned kind, uint64_t first_ms);
/* Sorts the entries by total, largest first, then by name. */
void top_counts_sort(struct top_counts *tally);

/* Appends a reply's text without its variable parts: words with a digit become "#", words with an '@'
 * "<address>". Cut at `max`. */
void top_counts_likeness(struct buffer *out, struct bytes text, size_t max);

#endif
