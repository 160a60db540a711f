/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_sending: sends the reports that other domains want on a day that is over: on TLS (RFC 8460), and on
 * DMARC (RFC 9990).
 *
 * The supervisor runs it as a chore, and `mailboat reports send` does when a person does not want to wait.
 * report_making makes the messages, in a process without privileges; the running queue gets them through its
 * control socket, remembers which it got, and sends them as its own mail. A day's reports go out at a time
 * after midnight (UTC) that follows from the hostname, so that not all servers send together (RFC 8460 4.1);
 * those that could not be made within the next day are dropped.
 */
#ifndef MAILBOAT_SERVICE_REPORT_SENDING_H
#define MAILBOAT_SERVICE_REPORT_SENDING_H

#include "config/config.h"
#include "core/trust/report_message.h"

enum report_sending_limit {
    REPORT_SENDING_MINUTES_MAX = 60, /* until it looks again */
    REPORT_DELAY_MIN_S = 10 * 60,    /* after the day's end: its last sessions are counted */
    REPORT_DELAY_SPREAD_S = 4 * 3600,
};

/* The outcome of one report: `why` is NULL if it was queued, else a clause. `address` is empty if DNS did not
 * tell whether there is one. */
typedef void report_sending_story(void *owner, enum report_kind kind, struct bytes domain,
                                  struct bytes address, const char *why);

struct report_sending_wish {
    bool now;     /* `day` now, whatever was sent of it; else the last day, if it is time */
    uint32_t day; /* days since the epoch */
    report_sending_story *tell;
    void *owner;
};

/* False with a reason. *minutes, if not NULL: until the next time. */
bool report_sending_run(const struct config *config, const struct report_sending_wish *wish,
                        uint32_t *minutes, struct error *error);

/* For the service table: sends and logs; returns the minutes until the next time. */
uint32_t report_sending_chore(const struct config *config);

#endif
