/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_throttle: something of the world that fails again and again (no descriptor,
 * no room) and is to be told once, not each time. trouble_met() where it
 * fails says whether to log now; trouble_is_over() where it works says
 * whether to log that it is.
 */
#ifndef MAILBOAT_IO_LOG_THROTTLE_H
#define MAILBOAT_IO_LOG_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TROUBLE_TOLD_MS = 60 * 1000, /* how often a trouble that lasts is told */
    TROUBLE_CALM_MS = 5 * 1000,  /* without it for so long, it is over */
};

/* All zero: none. */
struct trouble {
    bool lasts;
    uint64_t met_ms, told_ms;
    uint64_t times; /* that it was met, since it began */
};

/* It is there (again): true when it is to be told now, with trouble->times. Times are monotonic. */
bool trouble_met(struct trouble *trouble, uint64_t now_ms);
/* True once, when what failed has worked for TROUBLE_CALM_MS. */
bool trouble_is_over(struct trouble *trouble, uint64_t now_ms);

#endif
