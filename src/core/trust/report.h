/* SPDX-License-Identifier: Apache-2.0 */
/* report: what another server reports of our mail, whatever its kind; io/report_reader reads one. */
#ifndef MAILBOAT_CORE_TRUST_REPORT_H
#define MAILBOAT_CORE_TRUST_REPORT_H

#include "core/trust/report_aggregate.h"
#include "core/trust/report_complaint.h"
#include "core/trust/report_tls.h"

/* These numbers are stored on disk. */
enum report_type {
    REPORT_AGGREGATE = 1, /* DMARC (RFC 9990) */
    REPORT_TLS = 2,       /* RFC 8460 */
    REPORT_COMPLAINT = 3, /* about one message (RFC 5965, RFC 9991) */
    REPORT_TYPES
};

const char *report_type_name(enum report_type kind); /* "dmarc", "tls", "complaint" */

struct report {
    enum report_type kind;
    union {
        struct report_aggregate aggregate;
        struct report_tls tls;
        struct report_complaint complaint;
    };
};

#endif
