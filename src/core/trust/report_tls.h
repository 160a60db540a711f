/* SPDX-License-Identifier: Apache-2.0 */
/* report_tls: a report on TLS that another server sent (RFC 8460 4), as io/report_json reads it. */
#ifndef MAILBOAT_CORE_TRUST_REPORT_TLS_H
#define MAILBOAT_CORE_TRUST_REPORT_TLS_H

#include "base/bytes.h"

enum report_tls_limit {
    REPORT_TLS_POLICIES_MAX = 64,
    REPORT_TLS_FAILURES_MAX = 256, /* of one policy; further ones are counted, not kept */
};

struct report_tls_failure {
    struct bytes kind;             /* "certificate-expired" (RFC 8460 4.3) */
    struct bytes sender, receiver; /* the address that sent, the host that was tried; may be empty */
    uint64_t sessions;
};

struct report_tls_policy {
    struct bytes kind, domain; /* "sts", "tlsa", "no-policy-found" */
    uint64_t successes, failures;
    struct report_tls_failure details[REPORT_TLS_FAILURES_MAX];
    size_t detail_count;
};

struct report_tls {
    struct bytes organization, contact, id, begin, end; /* times as written (RFC 3339) */
    struct report_tls_policy *policies;
    size_t policy_count;
};

#endif
