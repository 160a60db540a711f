/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsrpt_report: writes the report on TLS of a day for one domain (RFC 8460 4): JSON, from the rows of
 * tlsrpt_counts. What other servers send of the same kind is read by io/report_json.
 */
#ifndef MAILBOAT_CORE_TRUST_TLSRPT_REPORT_H
#define MAILBOAT_CORE_TRUST_TLSRPT_REPORT_H

#include "core/trust/tlsrpt_counts.h"

enum tlsrpt_report_limit {
    TLSRPT_REPORT_POLICIES_MAX = 32, /* of a report; sessions with further ones are left out */
    TLSRPT_REPORT_DETAILS_MAX = 200, /* kinds of failures of a policy that are told apart */
};

struct tlsrpt_report_row {
    struct tlsrpt_session session;
    uint64_t times;
};

struct tlsrpt_report {
    struct bytes organization; /* the name of this server */
    struct bytes contact;      /* an address */
    struct bytes domain;       /* that the report is about */
    uint32_t day;
    struct bytes id;
    struct tlsrpt_report_row *rows; /* of this domain and day, at least one; they are sorted */
    size_t row_count;
};

void tlsrpt_report_write(struct buffer *out, struct tlsrpt_report *report);

#endif
