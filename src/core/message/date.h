/* SPDX-License-Identifier: Apache-2.0 */
/* date: RFC 5322 3.3 dates in UTC, without the C library's clock or locale. */
#ifndef MAILBOAT_CORE_MESSAGE_DATE_H
#define MAILBOAT_CORE_MESSAGE_DATE_H

#include "base/buffer.h"

/* Appends "Mon, 23 Nov 2026 12:05:17 +0000". */
void date_add(struct buffer *out, uint64_t epoch_ms);
/* Appends "Mon, 23 Nov 2026 12:05:17 GMT" (RFC 9110 5.6.7). */
void date_add_http(struct buffer *out, uint64_t epoch_ms);
/* "202611" */
void date_add_month(struct buffer *out, uint64_t epoch_ms);
/* "23 Nov 2026" */
void date_add_day(struct buffer *out, uint64_t epoch_ms);
/* "2026-11-23" (RFC 3339 full-date) */
void date_add_iso_day(struct buffer *out, uint64_t epoch_ms);
/* Reads the same: *day is in days since the epoch. False for what is not a day from 1970 to 2199. */
bool date_read_iso_day(struct bytes text, uint32_t *day);

#endif
