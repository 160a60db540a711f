/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_log_throttle: keeps a flood of connections from flooding the log. Repeated events of one client,
 * or of the network around it, are logged once a minute, with their number; and all clients together are
 * limited to so many lines a minute.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_CLIENT_LOG_THROTTLE_H
#define MAILBOAT_SERVICE_SMTPD_CLIENT_LOG_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_LOG_SLOTS = 1024, /* remembered: base/slots.h */
    CLIENT_LOG_ROW = 4,
    CLIENT_LOG_PERIOD_MS = 60 * 1000,
    CLIENT_LOG_LINES_MAX = 100, /* lines per minute, per process */
};

enum client_log_kind { CLIENT_LOG_FULL, CLIENT_LOG_TOO_MANY, CLIENT_LOG_BLOCKED, CLIENT_LOG_SLOWED };

struct client_log_throttle {
    struct client_log_slot {
        uint64_t key;      /* hash of client and event */
        uint64_t since_ms; /* it was last told */
        uint64_t times;    /* untold ones since */
    } slots[CLIENT_LOG_SLOTS];
    uint64_t period_ms; /* start of the period of the line count */
    uint32_t lines;
};

/* True if it is to be logged now; `times` gets the occurrences, including this one. */
bool client_log_throttle_is_due(struct client_log_throttle *client_log, enum client_log_kind kind,
                                const uint64_t who[2], uint64_t now_ms, uint64_t *times);

#endif
