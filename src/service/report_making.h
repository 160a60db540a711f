/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_making: makes the reports of a day for other domains, in a short-lived process without privileges
 * (dns_worker.h): reads what relay has counted, or the lines of report_evidence, asks DNS which of the
 * domains want reports and where, and writes the messages. report_sending hands them to the queue.
 */
#ifndef MAILBOAT_SERVICE_REPORT_MAKING_H
#define MAILBOAT_SERVICE_REPORT_MAKING_H

#include "config/config.h"
#include "core/trust/report_message.h"

enum report_making_limit {
    REPORT_LOOKS_AT_ONCE = 8,           /* concurrent */
    REPORT_LOOKS_MS = 10 * 60 * 1000,   /* for all; the other domains have their turn later */
    REPORTS_MADE_OCTETS_MAX = 12 << 20, /* of all messages of one go, the same */
    REPORT_ROWS_READ_MAX = 64 << 20,    /* octets of what relay has counted */
};

/* One result; its texts borrow from the buffer. */
struct made_report {
    enum made_report_kind {
        MADE_REPORT, /* a message for `address` */
        MADE_LATER,  /* DNS did not tell whether the domain wants one, or there was no time */
        MADE_LATE,   /* the day before has something of this domain, too */
        MADE_KINDS
    } kind;
    struct bytes domain, address, content;
};

struct report_making_wish {
    enum report_kind kind;
    uint32_t day;          /* since the epoch */
    struct bytes evidence; /* DMARC: the lines of dmarc_rows_write() */
};

/* Appends the results. False with a reason if it could not begin. */
bool report_making_run(const struct config *config, const struct report_making_wish *wish, struct buffer *out,
                       struct error *error);
/* Reads the next result of them; false at the end. What the process sent is not trusted. */
bool report_making_next(struct bytes *rest, struct made_report *made);

#endif
