/* SPDX-License-Identifier: Apache-2.0 */
/* report_store_list: queries. */
#include "store/report_store_file.h"

/* Conditions on a report: it arrived since ?1, and the domain is ?2 or below it; ?2 is "" for all. */
#define IN_TIME "report.at_s >= ?1"
#define OF_DOMAIN(column) "(?2 = '' OR " column " = ?2 OR substr(" column ", -length(?2) - 1) = '.' || ?2)"

/* Called for each row; texts of its columns live until it returns. */
typedef void list_row(void *owner, sqlite3_stmt *statement);

/* Steps through the rows; finalizes the statement. */
static bool each_row(struct report_store *store, sqlite3_stmt *statement, list_row *each, void *owner,
                     struct error *error)
{
    int step = SQLITE_ERROR;
    while (statement != NULL && (step = sqlite3_step(statement)) == SQLITE_ROW)
        each(owner, statement);
    bool done = statement != NULL && (step == SQLITE_DONE || report_store_fail(store, error));
    sqlite3_finalize(statement);
    return done;
}

static bool list(struct report_store *store, const char *sql, const struct report_filter *filter,
                 list_row *each, void *owner, struct error *error)
{
    return each_row(store, report_store_prepare(store, error, sql, "nt", filter->since_s, filter->domain),
                    each, owner, error);
}

static struct bytes text_at(sqlite3_stmt *statement, int column)
{
    const void *at = sqlite3_column_blob(statement, column);
    return bytes_of(at, at == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column));
}

static uint64_t number_at(sqlite3_stmt *statement, int column)
{
    int64_t number = sqlite3_column_int64(statement, column);
    return number < 0 ? 0 : (uint64_t)number;
}

/* ---- reports ---- */

struct report_visit {
    report_store_report *each;
    void *owner;
};

static void take_report(void *owner, sqlite3_stmt *statement)
{
    const struct report_visit *visit = owner;
    uint64_t kind = number_at(statement, 0);
    if (kind == 0 || kind >= REPORT_TYPES)
        return;
    visit->each(visit->owner, &(struct stored_report){.kind = (enum report_type)kind,
                                                      .at_s = number_at(statement, 1),
                                                      .begin_s = number_at(statement, 2),
                                                      .end_s = number_at(statement, 3),
                                                      .organization = text_at(statement, 4),
                                                      .id = text_at(statement, 5),
                                                      .domain = text_at(statement, 6),
                                                      .policy = text_at(statement, 7),
                                                      .left_out = number_at(statement, 8)});
}

bool report_store_reports(struct report_store *store, const struct report_filter *filter,
                          report_store_report *each, void *owner, struct error *error)
{
    struct report_visit visit = {each, owner};
    return list(store,
                "SELECT kind, at_s, begin_s, end_s, organization, id, domain, policy, left_out FROM report"
                " WHERE " IN_TIME " AND " OF_DOMAIN("domain") " ORDER BY at_s DESC, number DESC",
                filter, take_report, &visit, error);
}

/* ---- who sends ---- */

struct source_visit {
    report_store_source *each;
    void *owner;
};

static void take_source(void *owner, sqlite3_stmt *statement)
{
    const struct source_visit *visit = owner;
    uint64_t disposition = number_at(statement, 3);
    visit->each(visit->owner, &(struct report_row){.source = text_at(statement, 0),
                                                   .header_from = text_at(statement, 1),
                                                   .count = number_at(statement, 2),
                                                   .disposition = disposition < REPORT_DISPOSITIONS
                                                                      ? (enum report_disposition)disposition
                                                                      : REPORT_NONE,
                                                   .dkim = number_at(statement, 4) != 0,
                                                   .spf = number_at(statement, 5) != 0});
}

bool report_store_sources(struct report_store *store, const struct report_filter *filter,
                          report_store_source *each, void *owner, struct error *error)
{
    struct source_visit visit = {each, owner};
    return list(store,
                "SELECT source, header_from, sum(messages), disposition, dkim, spf FROM source JOIN report ON"
                " report.number = source.report WHERE " IN_TIME
                " AND (" OF_DOMAIN("report.domain") " OR " OF_DOMAIN(
                    "header_from") ") GROUP BY source, header_from, disposition,"
                                   " dkim, spf ORDER BY sum(messages) DESC, source, header_from, "
                                   "disposition, dkim, spf",
                filter, take_source, &visit, error);
}

/* ---- TLS ---- */

struct policy_visit {
    report_store_policy *each;
    void *owner;
};

static void take_policy(void *owner, sqlite3_stmt *statement)
{
    const struct policy_visit *visit = owner;
    visit->each(visit->owner, &(struct stored_tls_policy){.domain = text_at(statement, 0),
                                                          .kind = text_at(statement, 1),
                                                          .successes = number_at(statement, 2),
                                                          .failures = number_at(statement, 3)});
}

bool report_store_policies(struct report_store *store, const struct report_filter *filter,
                           report_store_policy *each, void *owner, struct error *error)
{
    struct policy_visit visit = {each, owner};
    return list(
        store,
        "SELECT tls_policy.domain, tls_policy.kind, sum(successes), sum(failures) FROM tls_policy JOIN"
        " report ON report.number = tls_policy.report WHERE " IN_TIME
        " AND " OF_DOMAIN("tls_policy.domain") " GROUP BY 1, 2 ORDER BY 1, 2",
        filter, take_policy, &visit, error);
}

struct failure_visit {
    report_store_failure *each;
    void *owner;
};

static void take_failure(void *owner, sqlite3_stmt *statement)
{
    const struct failure_visit *visit = owner;
    visit->each(visit->owner, text_at(statement, 0),
                &(struct report_tls_failure){.kind = text_at(statement, 1),
                                             .sender = text_at(statement, 2),
                                             .receiver = text_at(statement, 3),
                                             .sessions = number_at(statement, 4)});
}

bool report_store_failures(struct report_store *store, const struct report_filter *filter,
                           report_store_failure *each, void *owner, struct error *error)
{
    struct failure_visit visit = {each, owner};
    return list(
        store,
        "SELECT tls_failure.domain, tls_failure.kind, sender, receiver, sum(sessions) FROM tls_failure"
        " JOIN report ON report.number = tls_failure.report WHERE " IN_TIME
        " AND " OF_DOMAIN("tls_failure.domain") " GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 4, 2, 3",
        filter, take_failure, &visit, error);
}

/* ---- complaints ---- */

struct complaint_visit {
    report_store_complaint *each;
    void *owner;
};

static void take_complaint(void *owner, sqlite3_stmt *statement)
{
    const struct complaint_visit *visit = owner;
    struct report_complaint complaint = {.type = text_at(statement, 1),
                                         .address = text_at(statement, 2),
                                         .sender = text_at(statement, 3),
                                         .domain = text_at(statement, 4),
                                         .source = text_at(statement, 5),
                                         .message_id = text_at(statement, 6),
                                         .reporter = text_at(statement, 7),
                                         .incidents = number_at(statement, 8)};
    visit->each(visit->owner, &(struct stored_complaint){number_at(statement, 0), complaint});
}

bool report_store_complaints(struct report_store *store, const struct report_filter *filter,
                             report_store_complaint *each, void *owner, struct error *error)
{
    struct complaint_visit visit = {each, owner};
    return list(store,
                "SELECT at_s, type, address, sender, domain, source, message_id, reporter, incidents FROM"
                " complaint JOIN report ON report.number = complaint.report WHERE " IN_TIME
                " AND " OF_DOMAIN("domain") " ORDER BY at_s DESC, report.number DESC",
                filter, take_complaint, &visit, error);
}

/* ---- what could not be read ---- */

struct kept_visit {
    report_store_kept_visitor *each;
    void *owner;
    bool found;
};

static void take_kept(void *owner, sqlite3_stmt *statement)
{
    struct kept_visit *visit = owner;
    visit->found = true;
    visit->each(visit->owner, &(struct kept_message){.number = number_at(statement, 0),
                                                     .at_s = number_at(statement, 1),
                                                     .octets = number_at(statement, 2),
                                                     .sender = text_at(statement, 3),
                                                     .recipient = text_at(statement, 4),
                                                     .reason = text_at(statement, 5),
                                                     .message = text_at(statement, 6)});
}

bool report_store_kept(struct report_store *store, const struct report_filter *filter,
                       report_store_kept_visitor *each, void *owner, struct error *error)
{
    struct kept_visit visit = {each, owner, false};
    return list(store,
                "SELECT number, at_s, octets, sender, recipient, reason, '' FROM kept WHERE at_s >= ?1 AND"
                " " OF_DOMAIN("substr(recipient, instr(recipient, '@') + 1)") " ORDER BY number DESC",
                filter, take_kept, &visit, error);
}

bool report_store_kept_message(struct report_store *store, uint64_t number, report_store_kept_visitor *each,
                               void *owner, bool *found, struct error *error)
{
    struct kept_visit visit = {each, owner, false};
    sqlite3_stmt *statement = report_store_prepare(
        store, error,
        "SELECT number, at_s, octets, sender, recipient, reason, message FROM kept WHERE number = ?1", "n",
        number);
    bool done = each_row(store, statement, take_kept, &visit, error);
    *found = visit.found;
    return done;
}
