/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_aggregate: a DMARC aggregate report that another server sent (RFC 9990, and the older form of RFC
 * 7489 appendix C), as the elements of its XML come by.
 *
 * io/report_xml parses the XML and calls report_aggregate_open(), _text() and _close() for each element; the
 * input is untrusted. Elements that are not known are skipped, with all that is in them.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_AGGREGATE_H
#define MAILBOAT_CORE_TRUST_REPORT_AGGREGATE_H

#include "base/arena.h"
#include "base/buffer.h"

enum report_aggregate_limit {
    REPORT_DEPTH_MAX = 32,   /* of elements; a deeper one makes the report invalid */
    REPORT_ROWS_MAX = 50000, /* of one report; further ones are counted in `left_out` */
    REPORT_TEXT_MAX = 255,   /* octets of a value that are kept */
};

enum report_disposition { REPORT_NONE, REPORT_QUARANTINE, REPORT_REJECT, REPORT_PASS, REPORT_DISPOSITIONS };

/* Mail of one source that was judged alike. */
struct report_row {
    struct bytes source; /* an IP address, as it was written */
    uint64_t count;      /* messages */
    enum report_disposition disposition;
    bool dkim, spf;                                       /* aligned, and passed */
    struct bytes header_from;                             /* the author's domain */
    struct bytes dkim_domain, dkim_selector, dkim_result; /* of the first signature; may be empty */
    struct bytes spf_domain, spf_result;
};

struct report_aggregate {
    struct arena *arena;
    struct bytes organization, email, id; /* of the server that reports */
    uint64_t begin_s, end_s;              /* seconds of the Unix clock */
    struct bytes domain, policy;          /* the published policy */
    struct report_row *rows;
    size_t row_count, row_capacity;
    uint64_t left_out; /* rows past REPORT_ROWS_MAX */
    /* ---- while it is read ---- */
    uint8_t stack[REPORT_DEPTH_MAX]; /* elements that are open */
    size_t depth;
    bool is_report, too_deep;
    struct buffer text;
    struct report_row row;
};

/* Begins; texts are copied into `arena`. */
void report_aggregate_start(struct report_aggregate *report, struct arena *arena);
/* An element begins; `name` with or without a prefix ("n:feedback"). */
void report_aggregate_open(struct report_aggregate *report, struct bytes name);
void report_aggregate_text(struct report_aggregate *report, struct bytes text);
void report_aggregate_close(struct report_aggregate *report);
/* Ends; frees what reading needed. False if it was not such a report. */
bool report_aggregate_finish(struct report_aggregate *report);

/* True if receivers took the mail for the domain's own. */
bool report_row_is_aligned(const struct report_row *row);
/* Merges rows that differ in their count alone, the most messages first; returns how many are left. */
size_t report_rows_merge(struct report_row *rows, size_t count);

const char *report_disposition_name(enum report_disposition disposition); /* "quarantine" */

#endif
