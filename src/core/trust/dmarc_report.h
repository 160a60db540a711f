/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_report: writes an aggregate report (RFC 9990 3): XML, from the evidence of a day's messages that
 * claimed to be from a domain. Reports of the same kind that others send are read by report_aggregate.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_REPORT_H
#define MAILBOAT_CORE_TRUST_DMARC_REPORT_H

#include "core/trust/dmarc_evidence.h"

enum dmarc_report_limit {
    DMARC_REPORT_ROWS_MAX = 2000, /* of a report, the ones with most messages; the others are left out */
};

/* Messages that were judged alike. */
struct dmarc_report_row {
    struct dmarc_evidence evidence;
    struct bytes source; /* address of the client */
    enum disposition disposition;
    enum verdict_override override;
    uint64_t count;
};

struct dmarc_report {
    struct bytes organization, contact, id;
    uint32_t day;                  /* days since the epoch */
    struct dmarc_report_row *rows; /* of one policy domain, at least one; they are sorted */
    size_t row_count;
};

void dmarc_report_write(struct buffer *out, struct dmarc_report *report);

#endif
