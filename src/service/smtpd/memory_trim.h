/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_trim: returns memory to the system once many connections have ended. The C library keeps what they
 * used, since a page is returned only from the end of the heap, where one connection that stays holds all
 * of it.
 *
 * memory_trim_count() is called whenever a connection begins or ends. When their number has fallen to half of
 * the most since the last return, and by MEMORY_TRIM_CONNECTIONS_MIN, the memory is returned
 * MEMORY_TRIM_AFTER_MS later, unless as many have come again: bursts that repeat keep theirs.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_MEMORY_TRIM_H
#define MAILBOAT_SERVICE_SMTPD_MEMORY_TRIM_H

#include "io/timer.h"

enum { MEMORY_TRIM_CONNECTIONS_MIN = 200, MEMORY_TRIM_AFTER_MS = 2000 };

struct memory_trim {
    size_t count, most; /* connections: now, and the most since the last return */
    bool waits;
    uint64_t returns; /* so far */
    struct timer timer;
};

void memory_trim_start(struct memory_trim *trim, struct loop *loop);
void memory_trim_count(struct memory_trim *trim, size_t count);

#endif
