/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_throttle: rate-limits the log of a persistent failure (no descriptors, disk full): first occurrence,
 * then once per minute, then recovery. Call log_throttle_is_due() at each failure and
 * log_throttle_recovered() at each success; true means: log now.
 */
#ifndef MAILBOAT_IO_LOG_THROTTLE_H
#define MAILBOAT_IO_LOG_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_THROTTLE_REPEAT_MS = 60 * 1000, /* interval between log lines of a persistent failure */
    LOG_THROTTLE_CALM_MS = 5 * 1000,    /* so long without a failure, it has recovered */
};

/* All zero: no failure. */
struct log_throttle {
    bool lasts;
    uint64_t met_ms, logged_ms;
    uint64_t times; /* occurrences since it began */
};

/* Counts a failure: true if it is to be logged now, with throttle->times. Times are monotonic. */
bool log_throttle_is_due(struct log_throttle *throttle, uint64_t now_ms);
/* True once, after LOG_THROTTLE_CALM_MS without a failure. */
bool log_throttle_recovered(struct log_throttle *throttle, uint64_t now_ms);

#endif
