/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_log_throttle: a flood of connections is no flood of log lines. What one client, or
 * the network around it, has done again and again is told once a minute, with
 * how often; and all clients together have so many lines a minute.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_CLIENT_LOG_THROTTLE_H
#define MAILBOAT_SERVICE_SMTPD_CLIENT_LOG_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_LOG_SLOTS = 1024, /* that are remembered: base/slots.h */
    CLIENT_LOG_ROW = 4,
    CLIENT_LOG_PERIOD_MS = 60 * 1000,
    CLIENT_LOG_LINES_MAX = 100, /* lines, of one process */
};

enum client_log_kind { CLIENT_LOG_FULL, CLIENT_LOG_TOO_MANY, CLIENT_LOG_BLOCKED, CLIENT_LOG_SLOWED };

struct client_log_throttle {
    struct client_log_slot {
        uint64_t key;      /* who and what */
        uint64_t since_ms; /* it was last told */
        uint64_t times;    /* untold ones since */
    } slots[CLIENT_LOG_SLOTS];
    uint64_t period_ms; /* when the lines were last counted from */
    uint32_t lines;
};

/* True when it shall be told now; `times` says how often it happened, this time too. */
bool client_log_throttle_is_due(struct client_log_throttle *client_log, enum client_log_kind kind,
                                const uint64_t who[2], uint64_t now_ms, uint64_t *times);

#endif
