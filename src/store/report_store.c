/* SPDX-License-Identifier: Apache-2.0 */
/* report_store: changes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "store/report_store_file.h"

enum { DAY_S = 24 * 60 * 60 };

static uint64_t count_of(uint64_t count)
{
    return count < REPORT_STORE_COUNT_MAX ? count : REPORT_STORE_COUNT_MAX;
}

static void assert_store(const struct report_store *store)
{
    for (int kind = 0; kind < REPORT_TYPES; kind++)
        assert(store->day_rows[kind] <= REPORT_STORE_DAY_ROWS_MAX &&
               store->rows[kind] <= REPORT_STORE_ROWS_MAX);
    assert(store->kept <= REPORT_STORE_KEPT_MAX);
}

/* ---- the transaction ---- */

/* Sums up the rows by kind of the reports that arrived from `since_s` on. */
static bool sum_rows(struct report_store *store, uint64_t since_s, uint64_t rows[REPORT_TYPES],
                     struct error *error)
{
    sqlite3_stmt *statement = report_store_prepare(
        store, error, "SELECT kind, sum(rows) FROM report WHERE at_s >= ?1 GROUP BY kind", "n", since_s);
    int step = SQLITE_DONE;
    memset(rows, 0, REPORT_TYPES * sizeof *rows);
    while (statement != NULL && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t kind = sqlite3_column_int64(statement, 0);
        if (kind > 0 && kind < REPORT_TYPES)
            rows[kind] = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    bool summed = statement != NULL && (step == SQLITE_DONE || report_store_fail(store, error));
    sqlite3_finalize(statement);
    return summed;
}

static bool count_kept(struct report_store *store, struct error *error)
{
    sqlite3_stmt *statement = report_store_prepare(store, error, "SELECT count(*) FROM kept", "");
    bool counted = statement != NULL &&
                   (sqlite3_step(statement) == SQLITE_ROW || report_store_fail(store, error));
    if (counted)
        store->kept = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return counted;
}

/* Removes the reports that the condition lists, whose numbers `value` bounds, with their rows. */
static bool forget(struct report_store *store, const char *which, uint64_t kind, uint64_t value,
                   struct error *error)
{
    static const char *const tables[] = {"source", "tls_policy", "tls_failure", "complaint"};
    char sql[256];
    for (size_t i = 0; i < ARRAY_LENGTH(tables); i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE report IN (%s)", tables[i], which);
        if (!report_store_run(store, error, sql, "nn", kind, value))
            return false;
    }
    snprintf(sql, sizeof sql, "DELETE FROM report WHERE number IN (%s)", which);
    return report_store_run(store, error, sql, "nn", kind, value);
}

static bool forget_old(struct report_store *store, uint64_t now_s, struct error *error)
{
    uint64_t oldest_s = now_s > (uint64_t)REPORT_STORE_DAYS * DAY_S
                            ? now_s - (uint64_t)REPORT_STORE_DAYS * DAY_S
                            : 0;
    for (uint64_t kind = 1; kind < REPORT_TYPES; kind++)
        if (!forget(store, "SELECT number FROM report WHERE kind = ?1 AND at_s < ?2", kind, oldest_s, error))
            return false;
    return report_store_run(store, error, "DELETE FROM kept WHERE at_s < ?1", "n", oldest_s);
}

/* Counts once a day, and after a change that failed. */
static bool count(struct report_store *store, uint64_t now_s, struct error *error)
{
    uint64_t day = now_s / DAY_S;
    if (store->counted && store->day == day)
        return true;
    store->day = day;
    store->counted = forget_old(store, now_s, error) && count_kept(store, error) &&
                     sum_rows(store, day * DAY_S, store->day_rows, error) &&
                     sum_rows(store, 0, store->rows, error);
    return store->counted;
}

bool report_store_begin(struct report_store *store, uint64_t now_s, struct error *error)
{
    if (!report_store_run(store, error, "BEGIN IMMEDIATE", ""))
        return false;
    if (count(store, now_s, error)) {
        assert_store(store);
        return true;
    }
    report_store_roll_back(store);
    return false;
}

bool report_store_commit(struct report_store *store, struct error *error)
{
    return report_store_run(store, error, "COMMIT", "");
}

void report_store_roll_back(struct report_store *store)
{
    store->counted = false;
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- rows of a report ---- */

/* Runs a statement that is bound; it is reused. */
static bool step(struct report_store *store, sqlite3_stmt *statement, struct error *error)
{
    return sqlite3_step(statement) == SQLITE_DONE || report_store_fail(store, error);
}

static bool add_sources(struct report_store *store, uint64_t number, const struct report_aggregate *report,
                        size_t count, struct error *error)
{
    sqlite3_stmt *statement = report_store_prepare(
        store, error, "INSERT INTO source VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", "");
    bool added = statement != NULL;
    for (size_t i = 0; i < count && added; i++) {
        const struct report_row *row = &report->rows[i];
        report_store_bind(statement, "nttnnnn", number, row->source, row->header_from, count_of(row->count),
                          (uint64_t)row->disposition, (uint64_t)row->dkim, (uint64_t)row->spf);
        added = step(store, statement, error);
    }
    sqlite3_finalize(statement);
    return added;
}

static bool add_failures(struct report_store *store, sqlite3_stmt *statement, uint64_t number,
                         const struct report_tls_policy *policy, size_t *left, struct error *error)
{
    for (size_t i = 0; i<policy->detail_count && * left> 0; i++, --*left) {
        const struct report_tls_failure *failure = &policy->details[i];
        report_store_bind(statement, "nttttn", number, policy->domain, failure->kind, failure->sender,
                          failure->receiver, count_of(failure->sessions));
        if (!step(store, statement, error))
            return false;
    }
    return true;
}

/* Adds the policies, and as many failures as fit into `left` rows. */
static bool add_policies(struct report_store *store, uint64_t number, const struct report_tls *report,
                         size_t left, struct error *error)
{
    sqlite3_stmt *statement = report_store_prepare(
        store, error, "INSERT INTO tls_failure VALUES (?1, ?2, ?3, ?4, ?5, ?6)", "");
    bool added = statement != NULL;
    for (size_t i = 0; i < report->policy_count && added; i++) {
        const struct report_tls_policy *policy = &report->policies[i];
        added = report_store_run(store, error, "INSERT INTO tls_policy VALUES (?1, ?2, ?3, ?4, ?5)", "nttnn",
                                 number, policy->domain, policy->kind, count_of(policy->successes),
                                 count_of(policy->failures)) &&
                add_failures(store, statement, number, policy, &left, error);
    }
    sqlite3_finalize(statement);
    return added;
}

static bool add_complaint(struct report_store *store, uint64_t number,
                          const struct report_complaint *complaint, struct error *error)
{
    return report_store_run(store, error, "INSERT INTO complaint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                            "nttttttn", number, complaint->type, complaint->address, complaint->sender,
                            complaint->source, complaint->message_id, complaint->reporter,
                            count_of(complaint->incidents));
}

/* ---- a report ---- */

/* The row of a report, of any kind. */
struct report_head {
    struct bytes organization, id, domain, policy;
    uint64_t begin_s, end_s, left_out;
    size_t rows; /* with the report itself */
};

static uint64_t time_of(uint64_t time_s)
{
    return time_s < UINT32_MAX ? time_s : 0; /* later than 2106: not believed */
}

static struct report_head head_of_aggregate(struct report_aggregate *report)
{
    size_t merged = report_rows_merge(report->rows, report->row_count),
           most = REPORT_STORE_REPORT_ROWS_MAX - 1, kept = merged < most ? merged : most;
    return (struct report_head){.organization = report->organization.length > 0 ? report->organization
                                                                                : report->email,
                                .id = report->id,
                                .domain = report->domain,
                                .policy = report->policy,
                                .begin_s = time_of(report->begin_s),
                                .end_s = time_of(report->end_s),
                                .left_out = count_of(report->left_out + (merged - kept)),
                                .rows = kept + 1};
}

static struct report_head head_of_tls(const struct report_tls *report)
{
    size_t rows = 1 + report->policy_count, most = REPORT_STORE_REPORT_ROWS_MAX;
    for (size_t i = 0; i < report->policy_count; i++)
        rows += report->policies[i].detail_count;
    return (struct report_head){
        .organization = report->organization.length > 0 ? report->organization : report->contact,
        .id = report->id,
        .domain = report->policy_count > 0 ? report->policies[0].domain : bytes_none(),
        .left_out = rows > most ? rows - most : 0,
        .rows = rows > most ? most : rows};
}

static struct report_head head_of(struct report *report, const struct report_arrival *arrival)
{
    struct report_head head = {.rows = 1};
    switch (report->kind) {
    case REPORT_AGGREGATE: head = head_of_aggregate(&report->aggregate); break;
    case REPORT_TLS: head = head_of_tls(&report->tls); break;
    case REPORT_COMPLAINT:
        head.organization = report->complaint.reporter;
        head.domain = report->complaint.domain;
        break;
    case REPORT_TYPES: assert(false);
    }
    if (head.id.length == 0)
        head.id = arrival->id;
    assert(head.rows > 0 && head.rows <= REPORT_STORE_REPORT_ROWS_MAX);
    return head;
}

/* Forgets the oldest reports of a kind until so many rows fit. */
static bool make_room(struct report_store *store, enum report_type kind, size_t rows, struct error *error)
{
    while (store->rows[kind] + rows > REPORT_STORE_ROWS_MAX) {
        sqlite3_stmt *statement = report_store_prepare(
            store, error, "SELECT number, rows FROM report WHERE kind = ?1 ORDER BY at_s, number LIMIT 1",
            "n", (uint64_t)kind);
        if (statement == NULL)
            return false;
        bool found = sqlite3_step(statement) == SQLITE_ROW || report_store_fail(store, error);
        uint64_t number = found ? (uint64_t)sqlite3_column_int64(statement, 0) : 0,
                 freed = found ? (uint64_t)sqlite3_column_int64(statement, 1) : 0;
        sqlite3_finalize(statement);
        if (!found ||
            !forget(store, "SELECT number FROM report WHERE kind = ?1 AND number = ?2", kind, number, error))
            return false;
        store->rows[kind] -= freed < store->rows[kind] ? freed : store->rows[kind];
    }
    return true;
}

static bool add_rows(struct report_store *store, uint64_t number, const struct report *report,
                     const struct report_head *head, struct error *error)
{
    switch (report->kind) {
    case REPORT_AGGREGATE: return add_sources(store, number, &report->aggregate, head->rows - 1, error);
    case REPORT_TLS:
        return add_policies(store, number, &report->tls, head->rows - 1 - report->tls.policy_count, error);
    case REPORT_COMPLAINT: return add_complaint(store, number, &report->complaint, error);
    case REPORT_TYPES: break;
    }
    return false;
}

static bool is_known(struct report_store *store, const struct report *report, const struct report_head *head,
                     bool *known, struct error *error)
{
    sqlite3_stmt *statement = report_store_prepare(
        store, error,
        "SELECT 1 FROM report WHERE kind = ?1 AND organization = ?2 AND id = ?3 AND domain = ?4", "nttt",
        (uint64_t)report->kind, head->organization, head->id, head->domain);
    int found = statement == NULL ? SQLITE_ERROR : sqlite3_step(statement);
    *known = found == SQLITE_ROW;
    bool asked = found == SQLITE_ROW || found == SQLITE_DONE ||
                 (statement != NULL && report_store_fail(store, error));
    sqlite3_finalize(statement);
    return asked;
}

enum report_added report_store_add(struct report_store *store, struct report *report,
                                   const struct report_arrival *arrival, struct error *error)
{
    struct report_head head = head_of(report, arrival);
    bool known;
    assert_store(store);
    if (!is_known(store, report, &head, &known, error))
        return REPORT_ADD_FAILED;
    if (known)
        return REPORT_ADDED_BEFORE;
    if (store->day_rows[report->kind] + head.rows > REPORT_STORE_DAY_ROWS_MAX)
        return REPORT_ADDED_NOT;
    if (!make_room(store, report->kind, head.rows, error) ||
        !report_store_run(
            store, error,
            "INSERT INTO report (kind, at_s, organization, id, domain, policy, begin_s, end_s, rows,"
            " left_out) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            "nnttttnnnn", (uint64_t)report->kind, arrival->at_s, head.organization, head.id, head.domain,
            head.policy, head.begin_s, head.end_s, (uint64_t)head.rows, head.left_out) ||
        !add_rows(store, (uint64_t)sqlite3_last_insert_rowid(store->db), report, &head, error))
        return REPORT_ADD_FAILED;
    store->rows[report->kind] += head.rows;
    store->day_rows[report->kind] += head.rows;
    assert_store(store);
    return REPORT_ADDED;
}

/* ---- what could not be read ---- */

bool report_store_keep(struct report_store *store, const struct report_arrival *arrival, const char *reason,
                       struct bytes message, struct error *error)
{
    assert_store(store);
    if (store->kept == REPORT_STORE_KEPT_MAX) {
        if (!report_store_run(store, error, "DELETE FROM kept WHERE number = (SELECT min(number) FROM kept)",
                              ""))
            return false;
        store->kept--;
    }
    if (!report_store_run(
            store, error,
            "INSERT INTO kept (at_s, octets, sender, recipient, reason, message) VALUES (?1, ?2,"
            " ?3, ?4, ?5, ?6)",
            "nntttb", arrival->at_s, (uint64_t)message.length, arrival->sender, arrival->recipient,
            bytes_of_text(reason), bytes_first(message, REPORT_STORE_KEPT_OCTETS_MAX)))
        return false;
    store->kept++;
    return true;
}
