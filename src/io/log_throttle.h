/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_throttle: something of the world that fails again and again (no descriptor,
 * no room) and is to be told once, not each time. log_throttle_is_due() where it
 * fails says whether to log now; log_throttle_recovered() where it works says
 * whether to log that it is.
 */
#ifndef MAILBOAT_IO_LOG_THROTTLE_H
#define MAILBOAT_IO_LOG_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_THROTTLE_REPEAT_MS = 60 * 1000, /* how often a failure that lasts is told */
    LOG_THROTTLE_CALM_MS = 5 * 1000,    /* without it for so long, it is over */
};

/* All zero: none. */
struct log_throttle {
    bool lasts;
    uint64_t met_ms, logged_ms;
    uint64_t times; /* that it was met, since it began */
};

/* It is there (again): true when it is to be told now, with trouble->times. Times are monotonic. */
bool log_throttle_is_due(struct log_throttle *throttle, uint64_t now_ms);
/* True once, when what failed has worked for LOG_THROTTLE_CALM_MS. */
bool log_throttle_recovered(struct log_throttle *throttle, uint64_t now_ms);

#endif
