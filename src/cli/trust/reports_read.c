/* SPDX-License-Identifier: Apache-2.0 */
/* reports_read: reports in files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/trust/report_output.h"
#include "cli/trust/reports.h"
#include "io/report_reader.h"

enum {
    READ_SIZE = 64 * 1024,
    ROWS_MAX = 200000, /* of all files */
};

struct reports_reading {
    struct arena arena;
    bool json;
    json_t *list;
    struct report_row *rows; /* of all aggregate reports */
    size_t row_count;
    uint64_t left_out;
};

/* ---- one file ---- */

static bool read_file(const char *name, struct buffer *out, struct error *error)
{
    size_t count;
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");
    if (file == NULL)
        return error_set_errno(error, EX_NOINPUT, "%s", name);
    do {
        count = fread(buffer_reserve(out, READ_SIZE), 1, READ_SIZE, file);
        buffer_written(out, count);
    } while (count > 0 && out->length <= REPORT_MESSAGE_MAX);
    bool failed = ferror(file) != 0;
    if (failed)
        error_set_errno(error, EX_IOERR, "%s", name);
    if (!standard)
        fclose(file);
    if (failed)
        return false;
    return out->length <= REPORT_MESSAGE_MAX ||
           error_set(error, EX_DATAERR, "it is larger than %d MiB", REPORT_MESSAGE_MAX / (1024 * 1024));
}

/* With what the first signature and SPF were. */
static json_t *row_json(const struct report_row *row)
{
    json_t *json = report_output_row_json(row);
    json_object_set_new(json, "dkim_domain", report_output_text(row->dkim_domain));
    json_object_set_new(json, "dkim_selector", report_output_text(row->dkim_selector));
    json_object_set_new(json, "dkim_result", report_output_text(row->dkim_result));
    json_object_set_new(json, "spf_domain", report_output_text(row->spf_domain));
    json_object_set_new(json, "spf_result", report_output_text(row->spf_result));
    return json;
}

static void keep_rows(struct reports_reading *all, const struct report_aggregate *report)
{
    for (size_t i = 0; i < report->row_count; i++)
        if (all->row_count < ROWS_MAX)
            all->rows[all->row_count++] = report->rows[i];
        else
            all->left_out++;
    all->left_out += report->left_out;
}

static void tell_aggregate(struct reports_reading *all, const char *file,
                           const struct report_aggregate *report)
{
    char begin[32], end[32];
    keep_rows(all, report);
    if (!all->json) {
        printf("%.*s on mail of %.*s, %s to %s (policy %.*s, report %.*s)\n", BYTES_ARG(report->organization),
               BYTES_ARG(report->domain), report_output_day(report->begin_s, begin),
               report_output_day(report->end_s, end), BYTES_ARG(report->policy), BYTES_ARG(report->id));
        return;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < report->row_count; i++)
        json_array_append_new(rows, row_json(&report->rows[i]));
    json_array_append_new(
        all->list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "file", file, "type",
                             "dmarc", "organization", report_output_text(report->organization), "email",
                             report_output_text(report->email), "id", report_output_text(report->id), "begin",
                             (json_int_t)report->begin_s, "end", (json_int_t)report->end_s, "domain",
                             report_output_text(report->domain), "policy", report_output_text(report->policy),
                             "rows", rows));
}

static void print_tls(const struct report_tls *report)
{
    printf("%.*s on TLS, %.*s to %.*s (report %.*s)\n", BYTES_ARG(report->organization),
           BYTES_ARG(report->begin), BYTES_ARG(report->end), BYTES_ARG(report->id));
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct report_tls_policy *policy = &report->policies[i];
        report_output_policy(policy->domain, policy->kind, policy->successes, policy->failures);
        for (size_t k = 0; k < policy->detail_count; k++)
            report_output_failure(&policy->details[k]);
    }
}

static json_t *tls_json(const char *file, const struct report_tls *report)
{
    json_t *policies = json_array();
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct report_tls_policy *policy = &report->policies[i];
        json_t *failures = json_array();
        for (size_t k = 0; k < policy->detail_count; k++)
            json_array_append_new(failures, report_output_failure_json(&policy->details[k]));
        json_array_append_new(policies,
                              json_pack("{s:o, s:o, s:I, s:I, s:o}", "type", report_output_text(policy->kind),
                                        "domain", report_output_text(policy->domain), "successes",
                                        (json_int_t)policy->successes, "failures",
                                        (json_int_t)policy->failures, "details", failures));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "file", file, "type", "tls", "organization",
                     report_output_text(report->organization), "id", report_output_text(report->id), "begin",
                     report_output_text(report->begin), "end", report_output_text(report->end), "policies",
                     policies);
}

static void tell_tls(struct reports_reading *all, const char *file, const struct report_tls *report)
{
    if (all->json)
        json_array_append_new(all->list, tls_json(file, report));
    else
        print_tls(report);
}

static void tell_complaint(struct reports_reading *all, const char *file,
                           const struct report_complaint *complaint)
{
    if (!all->json) {
        report_output_complaint("complaint:", complaint);
        return;
    }
    json_t *told = json_pack("{s:s, s:s}", "file", file, "type", "complaint"),
           *more = report_output_complaint_json(complaint);
    json_object_update(told, more);
    json_decref(more);
    json_array_append_new(all->list, told);
}

static void tell(struct reports_reading *all, const char *file, const struct report *report)
{
    switch (report->kind) {
    case REPORT_AGGREGATE: tell_aggregate(all, file, &report->aggregate); break;
    case REPORT_TLS: tell_tls(all, file, &report->tls); break;
    case REPORT_COMPLAINT: tell_complaint(all, file, &report->complaint); break;
    case REPORT_TYPES: break;
    }
}

static bool read_one(struct reports_reading *all, const char *name, struct error *error)
{
    struct buffer file = {0};
    struct report *report = memory_new(sizeof *report);
    bool fine = read_file(name, &file, error) &&
                report_reader_read(buffer_bytes(&file), &all->arena, report, error);
    if (fine)
        tell(all, name, report);
    buffer_free(&file);
    free(report);
    return fine;
}

/* ---- all of them ---- */

static void print_sources(struct reports_reading *all)
{
    struct report_output_sums sums = {0};
    size_t sources = report_rows_merge(all->rows, all->row_count);
    for (size_t i = 0; i < sources; i++)
        report_output_source(&sums, &all->rows[i]);
    report_output_sources_end(&sums, all->left_out);
}

int reports_read(const struct verb_call *call)
{
    const struct reports_wish *wish = call->wish;
    struct reports_reading all = {.json = wish->json, .list = json_array()};
    int exit_code = EX_OK;
    all.rows = memory_new(ROWS_MAX * sizeof *all.rows);
    for (size_t i = 0; i < call->count; i++) {
        struct error error = {0};
        if (!read_one(&all, call->arguments[i], &error)) {
            fprintf(stderr, "mailboat reports: %s%s%s\n", call->arguments[i],
                    error.exit_code == EX_DATAERR ? ": " : ": cannot be read: ", error.text);
            exit_code = error.exit_code;
        }
    }
    if (all.json) {
        json_dumpf(all.list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
        putchar('\n');
    } else if (all.row_count > 0) {
        print_sources(&all);
    }
    json_decref(all.list);
    free(all.rows);
    arena_clear(&all.arena);
    return exit_code;
}
