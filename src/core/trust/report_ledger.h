/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_ledger: what the queue remembers of the reports that it was given for other domains: which, so that
 * none goes twice and not too many on a day, and which addresses do not take them. It is text, one line each:
 *   given KIND DAY NUMBER     a report of that day, by the hash of its domain and address
 *   done KIND DAY             all of that day
 *   paused UNTIL ADDRESS      the address was refused for good: none until that day
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_LEDGER_H
#define MAILBOAT_CORE_TRUST_REPORT_LEDGER_H

#include "core/trust/report_message.h"

enum report_ledger_limit {
    REPORTS_A_DAY_MAX = 500,  /* of a kind */
    REPORT_PAUSE_DAYS = 30,   /* for an address that was refused */
    REPORT_PAUSES_MAX = 1000, /* addresses; the oldest go first */
    REPORT_DAYS_KEPT = 3,     /* before the newest day, lines are kept so long */
    REPORT_ADDRESS_MAX = 320, /* octets */
};

enum report_ledger_verdict {
    REPORT_DUE,
    REPORT_GIVEN,    /* it was before */
    REPORT_PAUSED,   /* its address refuses reports */
    REPORT_TOO_MANY, /* REPORTS_A_DAY_MAX */
};

/* `today`: the day of the clock, in days since the epoch. */
enum report_ledger_verdict report_ledger_check(struct bytes ledger, enum report_kind kind, uint32_t day,
                                               struct bytes domain, struct bytes address, uint32_t today);
bool report_ledger_is_done(struct bytes ledger, enum report_kind kind, uint32_t day);

/* Each writes the ledger with one more fact, without what is too old. */
void report_ledger_give(struct buffer *out, struct bytes ledger, enum report_kind kind, uint32_t day,
                        struct bytes domain, struct bytes address, uint32_t today);
void report_ledger_finish(struct buffer *out, struct bytes ledger, enum report_kind kind, uint32_t day,
                          uint32_t today);
void report_ledger_pause(struct buffer *out, struct bytes ledger, struct bytes address, uint32_t today);

#endif
