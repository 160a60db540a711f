/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_store: the reports of other servers that arrived in the last 90 days, in DATA/reports/reports.db
 * (SQLite with a rollback journal). The process `report` is its only writer; `mailboat reports` reads it,
 * as the same user.
 *
 *     store = report_store_open(folder, REPORT_STORE_WRITE, error)
 *     report_store_begin(store, now_s, error)      then for each message
 *     report_store_add(store, &report, &arrival, error), or report_store_keep() if it cannot be read
 *     report_store_commit(store, error)
 *
 * Anybody can send a report, so each kind has limits of its own: what is past those of a day is left out, and
 * past those of all days the oldest goes. A report that arrives twice is counted once.
 */
#ifndef MAILBOAT_STORE_REPORT_STORE_H
#define MAILBOAT_STORE_REPORT_STORE_H

#include "base/error.h"
#include "core/trust/report.h"

enum report_store_limit {
    REPORT_STORE_DAYS = 90,
    REPORT_STORE_ROWS_MAX = 250000,            /* of one kind */
    REPORT_STORE_DAY_ROWS_MAX = 50000,         /* of one kind, that arrive on one day (UTC) */
    REPORT_STORE_REPORT_ROWS_MAX = 2000,       /* of one report: those with the most messages */
    REPORT_STORE_KEPT_MAX = 400,               /* messages that could not be read; then the oldest goes */
    REPORT_STORE_KEPT_OCTETS_MAX = 256 * 1024, /* of one of them; the rest is cut off */
    REPORT_STORE_TEXT_MAX = 1024,              /* octets of one text; a longer one is cut */
};
/* Larger numbers of messages or sessions are not believed; sums of them all still fit 63 bits. */
#define REPORT_STORE_COUNT_MAX ((uint64_t)1 << 40)

#define REPORT_STORE_FOLDER "reports" /* in the data directory */

struct report_store;

enum report_store_access {
    REPORT_STORE_READ,  /* the file must exist */
    REPORT_STORE_WRITE, /* creates it; one that is damaged is set aside first (see report_store_has_set_aside)
                         */
};
/* NULL with a reason: EX_NOINPUT if there is none yet. */
struct report_store *report_store_open(const char *folder, enum report_store_access access,
                                       struct error *error);
void report_store_close(struct report_store *store);
/* True if a damaged file was renamed to reports.db.damaged when this one was opened. */
bool report_store_has_set_aside(const struct report_store *store);

/* ---- changes: within a transaction; false with a reason, and then only roll_back may follow ---- */

/* Begins, and forgets what is older than REPORT_STORE_DAYS. */
bool report_store_begin(struct report_store *store, uint64_t now_s, struct error *error);
bool report_store_commit(struct report_store *store, struct error *error);
void report_store_roll_back(struct report_store *store);

/* The message that brought a report. */
struct report_arrival {
    uint64_t at_s;                  /* seconds of the Unix clock */
    struct bytes id;                /* its queue id, as text: names a report that has no id of its own */
    struct bytes recipient, sender; /* of the envelope */
};

enum report_added {
    REPORT_ADDED,
    REPORT_ADDED_BEFORE, /* of the same organization, id and domain */
    REPORT_ADDED_NOT,    /* the limit of the day is reached: left out */
    REPORT_ADD_FAILED    /* with a reason */
};
/* Orders the rows of an aggregate report. */
enum report_added report_store_add(struct report_store *store, struct report *report,
                                   const struct report_arrival *arrival, struct error *error);
/* Keeps a message that could not be read for the postmaster. */
bool report_store_keep(struct report_store *store, const struct report_arrival *arrival, const char *reason,
                       struct bytes message, struct error *error);

/* ---- queries: each calls back with texts that live until it returns; false with a reason ---- */

struct report_filter {
    struct bytes domain; /* this one and all below it; empty: all */
    uint64_t since_s;    /* arrived from then on */
};

struct stored_report {
    enum report_type kind;
    uint64_t at_s, begin_s, end_s; /* 0: not told */
    struct bytes organization, id, domain, policy;
    uint64_t left_out; /* rows that did not fit */
};
typedef void report_store_report(void *owner, const struct stored_report *report);
bool report_store_reports(struct report_store *store, const struct report_filter *filter,
                          report_store_report *each, void *owner, struct error *error);

/* Rows of all aggregate reports, merged; the most messages first. */
typedef void report_store_source(void *owner, const struct report_row *row);
bool report_store_sources(struct report_store *store, const struct report_filter *filter,
                          report_store_source *each, void *owner, struct error *error);

/* Sessions of all reports on TLS, by domain and kind of policy. */
struct stored_tls_policy {
    struct bytes domain, kind;
    uint64_t successes, failures;
};
typedef void report_store_policy(void *owner, const struct stored_tls_policy *policy);
bool report_store_policies(struct report_store *store, const struct report_filter *filter,
                           report_store_policy *each, void *owner, struct error *error);
/* Their failures by host, kind and sender, most sessions first; `domain` is the policy's. */
typedef void report_store_failure(void *owner, struct bytes domain, const struct report_tls_failure *failure);
bool report_store_failures(struct report_store *store, const struct report_filter *filter,
                           report_store_failure *each, void *owner, struct error *error);

/* A complaint about one message, the newest first. `complaint.address`: who complains, empty if that was not
 * told; `complaint.type`: "abuse" and so on, see report_complaint.h. Only genuine ones are added: what
 * follows from it is for the caller to decide. */
struct stored_complaint {
    uint64_t at_s;
    struct report_complaint complaint;
};
typedef void report_store_complaint(void *owner, const struct stored_complaint *complaint);
bool report_store_complaints(struct report_store *store, const struct report_filter *filter,
                             report_store_complaint *each, void *owner, struct error *error);

/* The messages that could not be read, the newest first. */
struct kept_message {
    uint64_t number, at_s, octets; /* octets: of the whole message */
    struct bytes sender, recipient, reason;
    struct bytes message; /* as far as it was kept; only from report_store_kept_message() */
};
typedef void report_store_kept_visitor(void *owner, const struct kept_message *kept);
bool report_store_kept(struct report_store *store, const struct report_filter *filter,
                       report_store_kept_visitor *each, void *owner, struct error *error);
/* *found: whether there is one with this number. */
bool report_store_kept_message(struct report_store *store, uint64_t number, report_store_kept_visitor *each,
                               void *owner, bool *found, struct error *error);

#endif
