/* SPDX-License-Identifier: Apache-2.0 */
/* The store of reports: what is added comes back as one, once, for 90 days, and within its limits. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/report_store.h"
#include "unit.h"

enum { NOW_S = 1796083200, DAY_S = 86400 }; /* the beginning of a day */

static struct {
    char folder[64];
    struct report_store *store;
    struct arena arena;
    struct error error;
    struct buffer told;
    uint64_t count, rows;
} g;

/* ---- the store ---- */

static int start(void **state)
{
    strcpy(g.folder, "/tmp/mailboat-reports-XXXXXX");
    assert_non_null(mkdtemp(g.folder));
    g.store = report_store_open(g.folder, REPORT_STORE_WRITE, &g.error);
    assert_non_null(g.store);
    return 0;
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", g.folder, name);
    unlink(path);
}

static int end(void **state)
{
    report_store_close(g.store);
    g.store = NULL;
    remove_file("reports.db");
    remove_file("reports.db-journal");
    remove_file("reports.db.damaged");
    assert_int_equal(rmdir(g.folder), 0);
    arena_clear(&g.arena);
    buffer_free(&g.told);
    return 0;
}

static enum report_added add_at(struct report *report, uint64_t at_s)
{
    static unsigned number;
    const struct report_arrival arrival = {.at_s = at_s,
                                           .id = bytes_of_text(arena_format(&g.arena, "queue%u", ++number))};
    return report_store_add(g.store, report, &arrival, &g.error);
}

static void begin_at(uint64_t now_s)
{
    assert_true(report_store_begin(g.store, now_s, &g.error));
}

static void commit(void)
{
    assert_true(report_store_commit(g.store, &g.error));
}

/* ---- reports ---- */

static struct report aggregate(const char *organization, const char *id, const char *domain, size_t rows)
{
    struct report report = {.kind = REPORT_AGGREGATE};
    report.aggregate = (struct report_aggregate){.arena = &g.arena,
                                                 .organization = bytes_of_text(organization),
                                                 .id = bytes_of_text(id),
                                                 .domain = bytes_of_text(domain),
                                                 .policy = BYTES("none"),
                                                 .begin_s = NOW_S - DAY_S,
                                                 .end_s = NOW_S,
                                                 .row_count = rows,
                                                 .rows = ARENA_ARRAY(&g.arena, struct report_row, rows + 1)};
    for (size_t i = 0; i < rows; i++)
        report.aggregate.rows[i] = (struct report_row){
            .source = bytes_of_text(arena_format(&g.arena, "192.0.2.%zu", i)),
            .header_from = bytes_of_text(domain),
            .count = i + 1,
            .dkim = i % 2 == 0,
            .disposition = i % 2 == 0 ? REPORT_NONE : REPORT_REJECT};
    return report;
}

static struct report tls(const char *id, size_t failures)
{
    struct report report = {.kind = REPORT_TLS};
    struct report_tls_policy *policy = ARENA_NEW(&g.arena, struct report_tls_policy);
    *policy = (struct report_tls_policy){.kind = BYTES("sts"),
                                         .domain = BYTES("example.org"),
                                         .successes = 5,
                                         .failures = failures,
                                         .detail_count = failures};
    for (size_t i = 0; i < failures; i++)
        policy->details[i] = (struct report_tls_failure){
            .kind = BYTES("certificate-expired"), .receiver = BYTES("mx.example.org"), .sessions = 1};
    report.tls = (struct report_tls){
        .organization = BYTES("there.net"), .id = bytes_of_text(id), .policies = policy, .policy_count = 1};
    return report;
}

static struct report complaint(const char *address, const char *type)
{
    struct report report = {.kind = REPORT_COMPLAINT};
    report.complaint = (struct report_complaint){.type = bytes_of_text(type),
                                                 .address = bytes_of_text(address),
                                                 .domain = BYTES("example.org"),
                                                 .reporter = BYTES("fbl@there.net"),
                                                 .incidents = 1};
    return report;
}

/* ---- what is told ---- */

static void tell_source(void *owner, const struct report_row *row)
{
    buffer_add_format(&g.told, "%llu %.*s as %.*s %s%s; ", (unsigned long long)row->count,
                      BYTES_ARG(row->source), BYTES_ARG(row->header_from),
                      report_disposition_name(row->disposition), row->dkim ? " aligned" : "");
}

static void tell_report(void *owner, const struct stored_report *report)
{
    g.count++;
    g.rows = report->left_out;
    buffer_add_format(&g.told, "%s %.*s %.*s %.*s; ", report_type_name(report->kind),
                      BYTES_ARG(report->organization), BYTES_ARG(report->id), BYTES_ARG(report->domain));
}

static void tell_policy(void *owner, const struct stored_tls_policy *policy)
{
    buffer_add_format(&g.told, "%.*s %.*s %llu %llu; ", BYTES_ARG(policy->domain), BYTES_ARG(policy->kind),
                      (unsigned long long)policy->successes, (unsigned long long)policy->failures);
}

static void tell_failure(void *owner, struct bytes domain, const struct report_tls_failure *failure)
{
    buffer_add_format(&g.told, "%llu %.*s to %.*s; ", (unsigned long long)failure->sessions,
                      BYTES_ARG(failure->kind), BYTES_ARG(failure->receiver));
}

static void tell_complaint(void *owner, const struct stored_complaint *stored)
{
    buffer_add_format(&g.told, "%llu %.*s %.*s; ", (unsigned long long)stored->at_s,
                      BYTES_ARG(stored->complaint.address), BYTES_ARG(stored->complaint.type));
}

static void tell_kept(void *owner, const struct kept_message *kept)
{
    g.count++;
    g.rows = kept->octets;
    buffer_add_format(&g.told, "%llu %.*s: %.*s %zu; ", (unsigned long long)kept->number,
                      BYTES_ARG(kept->recipient), BYTES_ARG(kept->reason), kept->message.length);
}

static const struct report_filter all;

/* Returns what all the lists tell, each begun by its name. */
static const char *told_of(const struct report_filter *filter)
{
    buffer_clear(&g.told);
    assert_true(report_store_sources(g.store, filter, tell_source, NULL, &g.error));
    buffer_add_text(&g.told, "| ");
    assert_true(report_store_policies(g.store, filter, tell_policy, NULL, &g.error));
    assert_true(report_store_failures(g.store, filter, tell_failure, NULL, &g.error));
    buffer_add_text(&g.told, "| ");
    assert_true(report_store_complaints(g.store, filter, tell_complaint, NULL, &g.error));
    return buffer_text(&g.told);
}

static uint64_t count_reports(const struct report_filter *filter)
{
    buffer_clear(&g.told);
    g.count = 0;
    assert_true(report_store_reports(g.store, filter, tell_report, NULL, &g.error));
    return g.count;
}

/* ---- tests ---- */

static void reports_are_shown_as_one(void **state)
{
    struct report one = aggregate("a.test", "1", "example.org", 2),
                  two = aggregate("b.test", "1", "example.org", 1),
                  other = aggregate("a.test", "2", "other.example", 1), on_tls = tls("1", 2),
                  more_tls = tls("2", 0), spam = complaint("bob@there.net", "abuse"),
                  out = complaint("", "opt-out");
    begin_at(NOW_S);
    assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&two, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&other, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&on_tls, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&more_tls, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&spam, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&out, NOW_S + 1), REPORT_ADDED);
    commit();
    assert_string_equal(
        told_of(&all),
        "2 192.0.2.0 as example.org none aligned; 2 192.0.2.1 as example.org reject; "
        "1 192.0.2.0 as other.example none aligned; | example.org sts 10 2; 2 "
        "certificate-expired to mx.example.org; | 1796083201  opt-out; 1796083200 bob@there.net "
        "abuse; ");
    assert_int_equal(count_reports(&all), 7);
    const struct report_filter below = {.domain = BYTES("example")}, late = {.since_s = NOW_S + 1},
                               part = {.domain = BYTES("le.org")};
    assert_string_equal(told_of(&below), "1 192.0.2.0 as other.example none aligned; | | ");
    assert_string_equal(told_of(&late), "| | 1796083201  opt-out; ");
    assert_string_equal(told_of(&part), "| | ");
}

static void a_report_counts_once(void **state)
{
    struct report one = aggregate("a.test", "1", "example.org", 1),
                  again = aggregate("a.test", "1", "example.org", 5),
                  other_domain = aggregate("a.test", "1", "other.example", 1), on_tls = tls("1", 1),
                  nameless = aggregate("a.test", "", "example.org", 1);
    begin_at(NOW_S);
    assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&again, NOW_S), REPORT_ADDED_BEFORE);
    assert_int_equal(add_at(&other_domain, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&on_tls, NOW_S), REPORT_ADDED);
    commit();
    begin_at(NOW_S + 5);
    assert_int_equal(add_at(&again, NOW_S), REPORT_ADDED_BEFORE);
    assert_int_equal(add_at(&on_tls, NOW_S), REPORT_ADDED_BEFORE);
    /* without an id of their own they are named by their message */
    assert_int_equal(add_at(&nameless, NOW_S), REPORT_ADDED);
    assert_int_equal(add_at(&nameless, NOW_S), REPORT_ADDED);
    commit();
    assert_int_equal(count_reports(&all), 5);
}

static void what_was_rolled_back_is_not_there(void **state)
{
    struct report one = aggregate("a.test", "1", "example.org", 1);
    begin_at(NOW_S);
    assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    report_store_roll_back(g.store);
    begin_at(NOW_S);
    assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    commit();
    assert_int_equal(count_reports(&all), 1);
}

static void reports_are_forgotten_after_their_days(void **state)
{
    const uint64_t end_s = NOW_S + (uint64_t)REPORT_STORE_DAYS * DAY_S;
    struct report one = aggregate("a.test", "1", "example.org", 1),
                  spam = complaint("bob@there.net", "abuse");
    const struct report_arrival arrival = {.at_s = NOW_S, .recipient = BYTES("tls-reports@example.org")};
    begin_at(NOW_S);
    add_at(&one, NOW_S);
    add_at(&spam, NOW_S);
    assert_true(report_store_keep(g.store, &arrival, "why", BYTES("x"), &g.error));
    commit();
    begin_at(end_s);
    commit();
    assert_int_equal(count_reports(&all), 2);
    begin_at(end_s + DAY_S); /* looked at once a day */
    commit();
    assert_int_equal(count_reports(&all), 0);
    assert_string_equal(told_of(&all), "| | ");
    g.count = 0;
    assert_true(report_store_kept(g.store, &all, tell_kept, NULL, &g.error));
    assert_int_equal(g.count, 0);
}

static void a_report_has_as_many_rows_as_the_limit(void **state)
{
    for (size_t over = 0; over <= 1; over++) {
        struct report one = aggregate("a.test", over == 0 ? "1" : "2", "example.org",
                                      REPORT_STORE_REPORT_ROWS_MAX - 1 + over);
        begin_at(NOW_S);
        assert_int_equal(add_at(&one, NOW_S + over), REPORT_ADDED);
        commit();
        const struct report_filter this = {.since_s = NOW_S + over};
        assert_int_equal(count_reports(&this), 1);
        assert_int_equal(g.rows, over); /* left out */
    }
}

static void a_day_has_as_many_rows_as_the_limit(void **state)
{
    enum { REPORTS = REPORT_STORE_DAY_ROWS_MAX / REPORT_STORE_REPORT_ROWS_MAX };
    struct report last = aggregate("a.test", "last", "example.org", 1), on_tls = tls("1", 1);
    begin_at(NOW_S);
    for (int i = 0; i < REPORTS; i++) {
        struct report one = aggregate("a.test", arena_format(&g.arena, "%d", i), "example.org",
                                      REPORT_STORE_REPORT_ROWS_MAX - 1);
        assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    }
    assert_int_equal(add_at(&last, NOW_S), REPORT_ADDED_NOT);
    assert_int_equal(add_at(&on_tls, NOW_S), REPORT_ADDED); /* another kind has its own */
    commit();
    report_store_close(g.store);
    g.store = report_store_open(g.folder, REPORT_STORE_WRITE, &g.error);
    assert_non_null(g.store);
    begin_at(NOW_S + DAY_S - 1);
    assert_int_equal(add_at(&last, NOW_S + DAY_S - 1), REPORT_ADDED_NOT);
    commit();
    begin_at(NOW_S + DAY_S);
    assert_int_equal(add_at(&last, NOW_S + DAY_S), REPORT_ADDED);
    commit();
}

static void past_the_limit_the_oldest_go(void **state)
{
    enum {
        REPORTS = REPORT_STORE_ROWS_MAX / REPORT_STORE_REPORT_ROWS_MAX,
        A_DAY = REPORT_STORE_DAY_ROWS_MAX / REPORT_STORE_REPORT_ROWS_MAX
    };
    for (int i = 0; i <= REPORTS; i++) {
        uint64_t at_s = NOW_S + (uint64_t)(i / A_DAY) * DAY_S;
        struct report one = aggregate("a.test", arena_format(&g.arena, "%d", i), "example.org",
                                      REPORT_STORE_REPORT_ROWS_MAX - 1);
        if (i % A_DAY == 0)
            begin_at(at_s);
        assert_int_equal(add_at(&one, at_s), REPORT_ADDED);
        if (i % A_DAY == A_DAY - 1 || i == REPORTS)
            commit();
        if (i >= REPORTS - 1)
            assert_int_equal(count_reports(&all), REPORTS);
    }
    assert_null(strstr(buffer_text(&g.told), "a.test 0 example.org"));
    assert_non_null(strstr(buffer_text(&g.told), "a.test 1 example.org"));
}

static void messages_are_kept_up_to_the_limit(void **state)
{
    struct buffer message = {0};
    bool found;
    memset(buffer_reserve(&message, REPORT_STORE_KEPT_OCTETS_MAX + 1), 'x', REPORT_STORE_KEPT_OCTETS_MAX + 1);
    buffer_written(&message, REPORT_STORE_KEPT_OCTETS_MAX + 1);
    const struct report_arrival arrival = {
        .at_s = NOW_S, .recipient = BYTES("tls-reports@example.org"), .sender = BYTES("a@b.test")};
    begin_at(NOW_S);
    for (int i = 0; i < REPORT_STORE_KEPT_MAX; i++)
        assert_true(report_store_keep(g.store, &arrival, "why", BYTES("x"), &g.error));
    commit();
    g.count = 0;
    assert_true(report_store_kept(g.store, &all, tell_kept, NULL, &g.error));
    assert_int_equal(g.count, REPORT_STORE_KEPT_MAX);
    begin_at(NOW_S);
    assert_true(report_store_keep(g.store, &arrival, "too large", buffer_bytes(&message), &g.error));
    commit();
    g.count = 0;
    buffer_clear(&g.told);
    assert_true(report_store_kept(g.store, &all, tell_kept, NULL, &g.error));
    assert_int_equal(g.count, REPORT_STORE_KEPT_MAX);
    assert_int_equal(strncmp(buffer_text(&g.told), "401 tls-reports@example.org: too large 0; ", 42), 0);
    buffer_clear(&g.told);
    assert_true(
        report_store_kept_message(g.store, REPORT_STORE_KEPT_MAX + 1, tell_kept, NULL, &found, &g.error));
    assert_true(found && g.rows == REPORT_STORE_KEPT_OCTETS_MAX + 1); /* all of it, but cut */
    assert_string_equal(buffer_text(&g.told), "401 tls-reports@example.org: too large 262144; ");
    assert_true(report_store_kept_message(g.store, 1, tell_kept, NULL, &found, &g.error));
    assert_false(found);
    const struct report_filter other = {.domain = BYTES("other.example")},
                               here = {.domain = BYTES("example.org")};
    g.count = 0;
    assert_true(report_store_kept(g.store, &other, tell_kept, NULL, &g.error));
    assert_int_equal(g.count, 0);
    assert_true(report_store_kept(g.store, &here, tell_kept, NULL, &g.error));
    assert_int_equal(g.count, REPORT_STORE_KEPT_MAX);
    buffer_free(&message);
}

static void numbers_and_texts_past_the_limit_are_cut(void **state)
{
    struct report one = aggregate("a.test", "1", "example.org", 2);
    char *name = arena_take(&g.arena, REPORT_STORE_TEXT_MAX + 2);
    memset(name, 'n', REPORT_STORE_TEXT_MAX + 1);
    one.aggregate.rows[0].count = UINT64_MAX;
    one.aggregate.rows[0].source = BYTES("198.51.100.1");
    one.aggregate.rows[1].count = REPORT_STORE_COUNT_MAX;
    one.aggregate.rows[1].source = BYTES("198.51.100.2");
    one.aggregate.organization = bytes_of(name, REPORT_STORE_TEXT_MAX + 1);
    one.aggregate.begin_s = one.aggregate.end_s = UINT64_MAX;
    begin_at(NOW_S);
    assert_int_equal(add_at(&one, NOW_S), REPORT_ADDED);
    commit();
    assert_non_null(strstr(told_of(&all), "1099511627776 198.51.100.1 as"));
    assert_non_null(strstr(buffer_text(&g.told), "1099511627776 198.51.100.2 as"));
    assert_int_equal(count_reports(&all), 1);
    assert_int_equal(g.told.length, strlen("dmarc  1 example.org; ") + REPORT_STORE_TEXT_MAX);
}

static void a_reader_sees_what_was_committed(void **state)
{
    struct report one = aggregate("a.test", "1", "example.org", 1);
    struct report_store *writer = g.store;
    begin_at(NOW_S);
    add_at(&one, NOW_S);
    commit();
    g.store = report_store_open(g.folder, REPORT_STORE_READ, &g.error);
    assert_non_null(g.store);
    assert_int_equal(count_reports(&all), 1);
    assert_false(report_store_begin(g.store, NOW_S, &g.error)); /* a reader changes nothing */
    report_store_close(g.store);
    g.store = writer;
}

static void a_damaged_file_is_set_aside(void **state)
{
    char path[128];
    report_store_close(g.store);
    snprintf(path, sizeof path, "%s/reports.db", g.folder);
    int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(file, "this is no database, and long enough to see", 43), 43);
    close(file);
    assert_null(report_store_open(g.folder, REPORT_STORE_READ, &g.error));
    assert_int_equal(g.error.exit_code, EX_DATAERR);
    g.store = report_store_open(g.folder, REPORT_STORE_WRITE, &g.error);
    assert_non_null(g.store);
    assert_true(report_store_has_set_aside(g.store));
    assert_int_equal(count_reports(&all), 0);
    snprintf(path, sizeof path, "%s/reports.db.damaged", g.folder);
    assert_int_equal(access(path, F_OK), 0);
}

static void without_a_file_there_is_nothing(void **state)
{
    report_store_close(g.store);
    g.store = NULL;
    remove_file("reports.db");
    assert_null(report_store_open(g.folder, REPORT_STORE_READ, &g.error));
    assert_int_equal(g.error.exit_code, EX_NOINPUT);
}

#define TESTED(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(reports_are_shown_as_one),
        TESTED(a_report_counts_once),
        TESTED(what_was_rolled_back_is_not_there),
        TESTED(reports_are_forgotten_after_their_days),
        TESTED(a_report_has_as_many_rows_as_the_limit),
        TESTED(a_day_has_as_many_rows_as_the_limit),
        TESTED(past_the_limit_the_oldest_go),
        TESTED(messages_are_kept_up_to_the_limit),
        TESTED(numbers_and_texts_past_the_limit_are_cut),
        TESTED(a_reader_sees_what_was_committed),
        TESTED(a_damaged_file_is_set_aside),
        TESTED(without_a_file_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
