/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_rows: the table of what replies of servers mean, as compile_rows.py writes it from reply_rows.json:
 * rows in the order of their precedence, and one automaton for the texts of all rows. Read by reply_meaning
 * (the conditions) and reply_pattern (the automaton) alone.
 */
#ifndef MAILBOAT_CORE_REPLY_REPLY_ROWS_H
#define MAILBOAT_CORE_REPLY_REPLY_ROWS_H

#include "core/reply/reply_meaning.h"

/* The limits of the generator too. */
enum { REPLY_ROWS_MAX = 1024, REPLY_STATES_MAX = 32768 };

/* Both ends included. */
struct reply_code_range {
    uint16_t low, high;
};

/* Enhanced status codes (RFC 3463): x.7.26 to x.7.29 */
struct reply_status_range {
    uint8_t class; /* 4, 5, or 0: either */
    uint16_t subject, low, high;
};

/* All conditions must hold; one without alternatives always holds. */
struct reply_row {
    struct reply_meaning meaning;
    uint16_t first_code, code_count, first_status, status_count, first_peer, peer_count;
    bool has_text;
};

struct reply_edge {
    uint8_t low, high; /* octets that lead to it, both included */
    uint16_t state;
};

struct reply_accept {
    uint16_t row;
    bool at_end; /* only where the text ends */
};

/* State n has the edges first_edge[n] to first_edge[n + 1]; the states up to `accepting_count` have rows
 * likewise. From the start, which is before each octet, an octet leads to the states `starts`; state 1 is
 * before the first octet only. */
struct reply_table {
    const struct reply_row *rows;
    size_t row_count;
    const struct reply_code_range *codes;
    const struct reply_status_range *statuses;
    const char *const *peers; /* suffixes, with their dot */
    const struct reply_edge *edges;
    const uint16_t *first_edge;
    const struct reply_accept *accepts;
    const uint16_t *first_accept;
    const uint16_t *starts;
    const uint16_t *first_start; /* 257 */
    uint16_t state_count, accepting_count;
};

extern const struct reply_table reply_rows_table;

#endif
