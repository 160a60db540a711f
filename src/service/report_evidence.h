/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_evidence: reads what a day's reports on DMARC tell from the queue's judgements, in a short-lived
 * process with the queue's user: the lines of dmarc_rows_write().
 */
#ifndef MAILBOAT_SERVICE_REPORT_EVIDENCE_H
#define MAILBOAT_SERVICE_REPORT_EVIDENCE_H

#include "config/config.h"

/* Appends the lines of `day` (days since the epoch); *late: the day before has messages, too. Nothing if
 * nothing was ever queued. False with a reason. */
bool report_evidence_read(const struct config *config, uint32_t day, struct buffer *lines, bool *late,
                          struct error *error);

#endif
