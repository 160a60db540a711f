/* SPDX-License-Identifier: Apache-2.0 */
/* report_output: prints what other servers report: rows of who sends as a domain, failures of TLS,
 * complaints. The same for reports in files and for those that arrived. */
#ifndef MAILBOAT_CLI_TRUST_REPORT_OUTPUT_H
#define MAILBOAT_CLI_TRUST_REPORT_OUTPUT_H

#include <jansson.h>

#include "core/trust/report.h"

enum report_output_limit {
    REPORT_OUTPUT_SOURCES = 40, /* that are shown; all of them: --json */
};

json_t *report_output_text(struct bytes text);
const char *report_output_day(uint64_t time_s, char buffer[32]); /* "2026-11-24", or "?" */

/* The sums of a table that is printed row by row. All zero: it begins. */
struct report_output_sums {
    uint64_t rows, messages, aligned;
};
/* Prints one row of the table, the heading before the first; only counts it past REPORT_OUTPUT_SOURCES. */
void report_output_source(struct report_output_sums *sums, const struct report_row *row);
void report_output_sources_end(const struct report_output_sums *sums, uint64_t left_out);
json_t *report_output_row_json(const struct report_row *row);

void report_output_policy(struct bytes domain, struct bytes kind, uint64_t successes, uint64_t failures);
void report_output_failure(const struct report_tls_failure *failure);
json_t *report_output_failure_json(const struct report_tls_failure *failure);

/* `when`: how it is dated. */
void report_output_complaint(const char *when, const struct report_complaint *complaint);
json_t *report_output_complaint_json(const struct report_complaint *complaint);

#endif
