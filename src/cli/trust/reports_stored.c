/* SPDX-License-Identifier: Apache-2.0 */
/* reports_stored: the reports that have arrived, as one, and the messages that could not be read. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "cli/trust/report_output.h"
#include "cli/trust/reports.h"
#include "core/text/quantity.h"
#include "io/clock.h"
#include "run/data_dir.h"
#include "store/accounts.h"
#include "store/report_store.h"

/* One call of a verb. */
struct stored_view {
    const struct reports_wish *wish;
    struct report_store *store; /* NULL: nothing has arrived yet */
    struct report_filter filter;
    struct buffer domain;
    struct error error;
    /* ---- counted ---- */
    uint64_t of_kind[REPORT_TYPES], left_out, kept;
    struct report_output_sums sums;
    uint64_t rows; /* of the list that is printed */
};

/* ---- options ---- */

/* "2026-11-24": its beginning in UTC. */
static bool read_day(const char *text, uint64_t *time_s)
{
    struct tm day = {0}, wanted;
    const char *end = strptime(text, "%Y-%m-%d", &day);
    wanted = day;
    time_t seconds = timegm(&day);
    if (end == NULL || *end != '\0' || seconds < 0 || day.tm_mday != wanted.tm_mday)
        return false;
    *time_s = (uint64_t)seconds;
    return true;
}

static bool read_since(const char *text, uint64_t *time_s, struct error *error)
{
    uint64_t ms, now_ms = clock_epoch_ms();
    *time_s = 0;
    if (text == NULL || read_day(text, time_s))
        return true;
    if (!quantity_duration(bytes_of_text(text), &ms))
        return error_set(error, EX_USAGE,
                         "--since: '%.40s' is neither a time such as 7d nor a day such as 2026-11-24", text);
    *time_s = ms < now_ms ? (now_ms - ms) / 1000 : 0;
    return true;
}

static bool read_domain(const char *text, struct buffer *domain, struct error *error)
{
    return text == NULL || accounts_domain(domain, bytes_of_text(text)) ||
           error_set(error, EX_USAGE, "--domain: '%.200s' is not a domain such as example.org", text);
}

/* ---- opening ---- */

static void view_close(struct stored_view *view)
{
    report_store_close(view->store);
    buffer_free(&view->domain);
}

/* Opens the reports as their owner. EX_OK also if there are none yet. */
static int view_open(struct stored_view *view, const struct reports_wish *wish)
{
    struct config config;
    char folder[4096];
    int exit_code = EX_OK;
    *view = (struct stored_view){.wish = wish};
    if (!read_since(wish->since, &view->filter.since_s, &view->error) ||
        !read_domain(wish->domain, &view->domain, &view->error))
        return command_fail(&reports_command, &view->error);
    view->filter.domain = buffer_bytes(&view->domain);
    if (!options_config(&reports_command, wish->config, &config, &exit_code))
        return exit_code;
    snprintf(folder, sizeof folder, "%s/" REPORT_STORE_FOLDER, config.data_dir);
    if (data_dir_act_in(folder, &view->error))
        view->store = report_store_open(folder, REPORT_STORE_READ, &view->error);
    config_free(&config);
    return view->store != NULL || view->error.exit_code == EX_NOINPUT
               ? EX_OK
               : command_fail(&reports_command, &view->error);
}

/* ---- JSON: one list after the other, row by row ---- */

static void print_row(struct stored_view *view, json_t *row)
{
    fputs(view->rows++ == 0 ? "" : ",", stdout);
    format_print_json(row);
}

static void report_json(void *owner, const struct stored_report *report)
{
    print_row(owner,
              json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "type",
                        report_type_name(report->kind), "received", (json_int_t)report->at_s, "organization",
                        report_output_text(report->organization), "id", report_output_text(report->id),
                        "domain", report_output_text(report->domain), "policy",
                        report_output_text(report->policy), "begin", (json_int_t)report->begin_s, "end",
                        (json_int_t)report->end_s, "left_out", (json_int_t)report->left_out));
}

static void source_json(void *owner, const struct report_row *row)
{
    print_row(owner, report_output_row_json(row));
}

static void policy_json(void *owner, const struct stored_tls_policy *policy)
{
    print_row(owner, json_pack("{s:o, s:o, s:I, s:I}", "domain", report_output_text(policy->domain), "policy",
                               report_output_text(policy->kind), "successes", (json_int_t)policy->successes,
                               "failures", (json_int_t)policy->failures));
}

static void failure_json(void *owner, struct bytes domain, const struct report_tls_failure *failure)
{
    json_t *row = report_output_failure_json(failure);
    json_object_set_new(row, "domain", report_output_text(domain));
    print_row(owner, row);
}

static void complaint_json(void *owner, const struct stored_complaint *complaint)
{
    json_t *row = report_output_complaint_json(&complaint->complaint);
    json_object_set_new(row, "received", json_integer((json_int_t)complaint->at_s));
    print_row(owner, row);
}

static void kept_json(void *owner, const struct kept_message *kept)
{
    print_row(owner, json_pack("{s:I, s:I, s:o, s:o, s:o, s:I}", "number", (json_int_t)kept->number,
                               "received", (json_int_t)kept->at_s, "sender", format_json(kept->sender),
                               "recipient", format_json(kept->recipient), "reason", format_json(kept->reason),
                               "bytes", (json_int_t)kept->octets));
}

static bool list_reports(struct stored_view *view)
{
    return report_store_reports(view->store, &view->filter, report_json, view, &view->error);
}

static bool list_sources(struct stored_view *view)
{
    return report_store_sources(view->store, &view->filter, source_json, view, &view->error);
}

static bool list_policies(struct stored_view *view)
{
    return report_store_policies(view->store, &view->filter, policy_json, view, &view->error);
}

static bool list_failures(struct stored_view *view)
{
    return report_store_failures(view->store, &view->filter, failure_json, view, &view->error);
}

static bool list_complaints(struct stored_view *view)
{
    return report_store_complaints(view->store, &view->filter, complaint_json, view, &view->error);
}

static bool list_unread(struct stored_view *view)
{
    return report_store_kept(view->store, &view->filter, kept_json, view, &view->error);
}

/* All lists; empty ones where nothing has arrived. */
static bool show_json(struct stored_view *view)
{
    static const struct {
        const char *name;
        bool (*print)(struct stored_view *view);
    } lists[] = {{"reports", list_reports},       {"sources", list_sources},       {"tls", list_policies},
                 {"tls_failures", list_failures}, {"complaints", list_complaints}, {"kept", list_unread}};
    bool done = true;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        printf("%s\"%s\":[", i == 0 ? "{" : ",", lists[i].name);
        view->rows = 0;
        done = done && (view->store == NULL || lists[i].print(view));
        putchar(']');
    }
    puts("}");
    return done;
}

/* ---- text ---- */

static void count_report(void *owner, const struct stored_report *report)
{
    struct stored_view *view = owner;
    view->of_kind[report->kind]++;
    view->left_out += report->left_out;
}

static void count_kept(void *owner, const struct kept_message *kept)
{
    struct stored_view *view = owner;
    view->kept++;
}

static void print_source(void *owner, const struct report_row *row)
{
    struct stored_view *view = owner;
    report_output_source(&view->sums, row);
}

static void print_policy(void *owner, const struct stored_tls_policy *policy)
{
    struct stored_view *view = owner;
    if (view->rows++ == 0)
        puts("\nTLS sessions of mail to us");
    report_output_policy(policy->domain, policy->kind, policy->successes, policy->failures);
}

static void print_failure(void *owner, struct bytes domain, const struct report_tls_failure *failure)
{
    report_output_failure(failure);
}

static void print_complaint(void *owner, const struct stored_complaint *complaint)
{
    struct stored_view *view = owner;
    char when[FORMAT_TIME_SIZE], shown[FORMAT_TIME_SIZE];
    if (view->rows++ == 0)
        puts("\ncomplaints");
    snprintf(shown, sizeof shown, "%.19s", format_time(complaint->at_s * 1000, when));
    report_output_complaint(shown, &complaint->complaint);
}

static void print_heading(const struct stored_view *view)
{
    char day[32];
    uint64_t aggregates = view->of_kind[REPORT_AGGREGATE], on_tls = view->of_kind[REPORT_TLS],
             complaints = view->of_kind[REPORT_COMPLAINT];
    bool any = aggregates + on_tls + complaints > 0;
    if (any)
        printf("%s of DMARC, %llu on TLS, %s", COUNT_OF(aggregates, "report"), (unsigned long long)on_tls,
               COUNT_OF(complaints, "complaint"));
    else
        fputs("no report", stdout);
    if (view->filter.domain.length > 0)
        printf(" of %.*s", BYTES_ARG(view->filter.domain));
    if (view->filter.since_s > 0)
        printf(" since %s", report_output_day(view->filter.since_s, day));
    else
        printf(" in the last %d days", REPORT_STORE_DAYS);
    puts(any ? "" : ": mailboat dns prints the records that tell other servers where to send them");
}

static bool show_text(struct stored_view *view)
{
    struct report_store *store = view->store;
    const struct report_filter *filter = &view->filter;
    bool done = store == NULL || (report_store_reports(store, filter, count_report, view, &view->error) &&
                                  report_store_kept(store, filter, count_kept, view, &view->error));
    if (done)
        print_heading(view);
    if (store == NULL || !done)
        return done;
    done = report_store_sources(store, filter, print_source, view, &view->error);
    report_output_sources_end(&view->sums, view->left_out);
    view->rows = 0;
    done = done && report_store_policies(store, filter, print_policy, view, &view->error) &&
           report_store_failures(store, filter, print_failure, view, &view->error);
    view->rows = 0;
    done = done && report_store_complaints(store, filter, print_complaint, view, &view->error);
    if (view->kept > 0)
        printf("\n-> %s could not be read as reports, or did not count: mailboat reports kept\n",
               COUNT_OF(view->kept, "message"));
    return done;
}

int reports_show(const struct verb_call *call)
{
    struct stored_view view;
    int exit_code = view_open(&view, call->wish);
    if (exit_code == EX_OK && !(view.wish->json ? show_json(&view) : show_text(&view)))
        exit_code = command_fail(&reports_command, &view.error);
    view_close(&view);
    return exit_code;
}

/* ---- messages that could not be read ---- */

static void print_kept(void *owner, const struct kept_message *kept)
{
    char when[FORMAT_TIME_SIZE];
    struct buffer line = {0};
    buffer_add_format(&line, "%4llu  %.19s  ", (unsigned long long)kept->number,
                      format_time(kept->at_s * 1000, when));
    format_add_clean(&line, kept->sender.length > 0 ? kept->sender : BYTES("<>"));
    buffer_add_text(&line, " to ");
    format_add_clean(&line, kept->recipient);
    buffer_add_format(&line, ", %s: ", COUNT_OF(kept->octets, "byte"));
    format_add_clean(&line, kept->reason);
    puts(buffer_text(&line));
    buffer_free(&line);
}

/* To a terminal without control characters, line by line. */
static void print_message(void *owner, const struct kept_message *kept)
{
    struct bytes rest = kept->message;
    if (isatty(STDOUT_FILENO) == 0) {
        fwrite(rest.at, 1, rest.length, stdout);
        return;
    }
    while (rest.length > 0) {
        struct bytes line = bytes_split(&rest, '\n');
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        format_print(line);
        putchar('\n');
    }
}

static bool list_kept(struct stored_view *view)
{
    bool json = view->wish->json;
    fputs(json ? "[" : "", stdout);
    bool done = view->store == NULL || report_store_kept(view->store, &view->filter,
                                                         json ? kept_json : print_kept, view, &view->error);
    fputs(json ? "]\n" : "", stdout);
    return done;
}

static bool print_one(struct stored_view *view, const char *text)
{
    uint64_t number;
    bool found = false, json = view->wish->json;
    if (!bytes_to_u64(bytes_of_text(text), INT64_MAX, &number))
        return error_set(&view->error, EX_USAGE, "'%.40s' is not a number that mailboat reports kept lists",
                         text);
    bool done = view->store == NULL ||
                report_store_kept_message(view->store, number, json ? kept_json : print_message, view, &found,
                                          &view->error);
    if (json && found)
        putchar('\n');
    return done && (found || error_set(&view->error, EX_NOINPUT, "there is no message %s", text));
}

int reports_kept(const struct verb_call *call)
{
    struct stored_view view;
    int exit_code = view_open(&view, call->wish);
    if (exit_code == EX_OK && !(call->count > 0 ? print_one(&view, call->arguments[0]) : list_kept(&view)))
        exit_code = command_fail(&reports_command, &view.error);
    view_close(&view);
    return exit_code;
}
