/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_pattern: which rows of reply_rows have a text that occurs in the words of a reply. One pass over the
 * words with the automaton of all rows: time is linear in the words, and memory is bounded, whatever they
 * are.
 */
#ifndef MAILBOAT_CORE_REPLY_REPLY_PATTERN_H
#define MAILBOAT_CORE_REPLY_REPLY_PATTERN_H

#include "core/reply/reply_rows.h"

/* States that are active at a time; more are ignored, which only words without sense reach. */
enum { REPLY_PATTERN_ACTIVE_MAX = 1024 };

struct reply_pattern_rows {
    uint64_t bits[REPLY_ROWS_MAX / 64];
};

void reply_pattern_search(struct bytes words, struct reply_pattern_rows *found);

static inline bool reply_pattern_has(const struct reply_pattern_rows *rows, size_t row)
{
    return (rows->bits[row / 64] >> (row % 64) & 1) != 0;
}

#endif
