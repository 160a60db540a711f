/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsrpt_counts: how many sessions with the servers of other domains had TLS, and how many failed, by day,
 * domain, policy, result and host: what a report on TLS tells (RFC 8460 4).
 *
 * relay adds each session and writes what is new as lines behind one another: the same line may occur again,
 * and counts add up. What composes the reports reads all lines with tlsrpt_counts_read(). A line is
 *   tls COUNT DAY POLICY RESULT DOMAIN HOST SENDER RECEIVER TEXT end
 * with "-" for what is missing; the text is last, as it has spaces.
 */
#ifndef MAILBOAT_CORE_TRUST_TLSRPT_COUNTS_H
#define MAILBOAT_CORE_TRUST_TLSRPT_COUNTS_H

#include "base/buffer.h"
#include "base/map.h"

enum tlsrpt_counts_limit {
    TLSRPT_COUNTS_MAX = 20000,          /* different rows; sessions of further ones are not counted */
    TLSRPT_COUNTS_OCTETS_MAX = 8 << 20, /* of all rows */
    TLSRPT_POLICY_TEXT_MAX = 512,       /* octets of a policy that are kept */
    TLSRPT_DAY_MAX = 99999,             /* days since 1970-01-01, UTC: the year 2243 */
};

/* The policy of the domain that a session was held to (RFC 8460 4.4). */
enum tlsrpt_policy { TLSRPT_NO_POLICY, TLSRPT_STS, TLSRPT_TLSA, TLSRPT_POLICIES };
/* "no-policy-found", "sts", "tlsa" */
const char *tlsrpt_policy_name(enum tlsrpt_policy policy);

/* RFC 8460 4.3 */
enum tlsrpt_result {
    TLSRPT_SUCCESS,
    TLSRPT_STARTTLS_NOT_SUPPORTED,
    TLSRPT_CERTIFICATE_HOST_MISMATCH,
    TLSRPT_CERTIFICATE_EXPIRED,
    TLSRPT_CERTIFICATE_NOT_TRUSTED,
    TLSRPT_VALIDATION_FAILURE,
    TLSRPT_TLSA_INVALID,
    TLSRPT_DNSSEC_INVALID,
    TLSRPT_STS_POLICY_FETCH_ERROR,
    TLSRPT_STS_POLICY_INVALID,
    TLSRPT_STS_WEBPKI_INVALID,
    TLSRPT_DANE_REQUIRED,
    TLSRPT_RESULTS
};
const char *tlsrpt_result_name(enum tlsrpt_result result); /* "certificate-expired" */

/* A session; texts are borrowed. */
struct tlsrpt_session {
    uint32_t day; /* days since the epoch */
    enum tlsrpt_policy policy;
    enum tlsrpt_result result;
    struct bytes domain;           /* in A-labels */
    struct bytes host;             /* the MX; empty: unknown */
    struct bytes sender, receiver; /* IP addresses of a session that failed; empty: unknown */
    struct bytes text;             /* the policy's lines with "|" in between; empty: none */
};

struct tlsrpt_counts {
    struct map rows;   /* by the line without its count */
    size_t octets;     /* of the rows */
    uint64_t left_out; /* sessions that were not counted, for a limit */
};

void tlsrpt_counts_start(struct tlsrpt_counts *counts, uint64_t seed);
void tlsrpt_counts_free(struct tlsrpt_counts *counts);
/* Adds `times` sessions. False if nothing was counted: past a limit, or for what cannot be in a line. */
bool tlsrpt_counts_add(struct tlsrpt_counts *counts, const struct tlsrpt_session *session, uint64_t times);
/* Appends a line for each row with sessions that no line has told yet; `all`: for each row, all of them. */
void tlsrpt_counts_write(struct tlsrpt_counts *counts, bool all, struct buffer *out);
/* Adds the sessions of a line, which may be cut, or anything else: then false. They count as told. */
bool tlsrpt_counts_take(struct tlsrpt_counts *counts, struct bytes line);
/* Removes the rows of days before this one; returns true if there were any. */
bool tlsrpt_counts_forget(struct tlsrpt_counts *counts, uint32_t day);

/* Reads a line; its texts borrow from it. False if it is not one. */
bool tlsrpt_counts_read(struct bytes line, struct tlsrpt_session *session, uint64_t *times);
/* Visits all rows: start with *position = 0; false at the end. Texts live as long as the row. */
bool tlsrpt_counts_next(const struct tlsrpt_counts *counts, size_t *position, struct tlsrpt_session *session,
                        uint64_t *times);

/* Appends a line of a policy to its text, as far as there is room: without control characters and "|". */
void tlsrpt_counts_add_text(struct buffer *text, struct bytes line);

#endif
