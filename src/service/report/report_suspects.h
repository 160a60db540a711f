/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_suspects: messages that ended the process `report` while it read them. It outlives the process: set
 * `reading` before a message is read, and 0 afterwards; the successor calls report_suspects_take() when it
 * starts. All zero: none.
 */
#ifndef MAILBOAT_SERVICE_REPORT_REPORT_SUSPECTS_H
#define MAILBOAT_SERVICE_REPORT_REPORT_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

enum report_suspects_limit {
    REPORT_SUSPECTS_MAX = 16, /* that are remembered: the last ones */
    REPORT_CRASHES_MAX = 2,   /* of one message; then it is not read any more */
};

struct report_suspects {
    uint64_t reading; /* the message that is read just now; 0: none */
    struct report_suspect {
        uint64_t id;
        uint32_t crashes;
    } at[REPORT_SUSPECTS_MAX];
    uint32_t next;
};

/* Counts what the predecessor was reading when it ended. */
void report_suspects_take(struct report_suspects *suspects);
/* True once the message has ended the process REPORT_CRASHES_MAX times. */
bool report_suspects_has(const struct report_suspects *suspects, uint64_t id);

#endif
