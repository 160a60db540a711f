/* SPDX-License-Identifier: Apache-2.0 */
/* reports: what other servers report of a domain's mail: who sends as it, aligned or not, and TLS failures.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/options.h"
#include "cli/trust/reports_send.h"
#include "core/trust/report_mail.h"
#include "io/report_json.h"
#include "io/report_xml.h"
#include "io/unpack.h"

extern const struct command reports_command;

enum {
    READ_SIZE = 64 * 1024,
    /* octets of a file: a packed report in base64, with its header */
    FILE_MAX = UNPACK_PACKED_MAX / 3 * 4 + 1024 * 1024,
    ROWS_MAX = 200000, /* of all files */
    SOURCES_SHOWN = 40,
};

struct reports_wish {
    bool json;
    const char *config, *day; /* of `send` */
};

struct reports_read {
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
    } while (count > 0 && out->length <= FILE_MAX);
    bool failed = ferror(file) != 0;
    if (failed)
        error_set_errno(error, EX_IOERR, "%s", name);
    if (!standard)
        fclose(file);
    if (failed)
        return false;
    return out->length <= FILE_MAX ||
           error_set(error, EX_DATAERR, "it is larger than %d MiB", FILE_MAX / (1024 * 1024));
}

static json_t *text_json(struct bytes text)
{
    return json_stringn(text.at == NULL ? "" : text.at, text.length);
}

static json_t *row_json(const struct report_row *row)
{
    return json_pack("{s:o, s:I, s:b, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "source",
                     text_json(row->source), "messages", (json_int_t)row->count, "aligned",
                     report_row_is_aligned(row), "disposition", report_disposition_name(row->disposition),
                     "dkim", row->dkim ? "pass" : "fail", "spf", row->spf ? "pass" : "fail", "header_from",
                     text_json(row->header_from), "dkim_domain", text_json(row->dkim_domain), "dkim_selector",
                     text_json(row->dkim_selector), "dkim_result", text_json(row->dkim_result), "spf_domain",
                     text_json(row->spf_domain), "spf_result", text_json(row->spf_result));
}

static const char *day_of(uint64_t time_s, char buffer[32])
{
    time_t when = (time_t)time_s;
    struct tm fields;
    if (time_s > INT32_MAX || gmtime_r(&when, &fields) == NULL ||
        strftime(buffer, 32, "%Y-%m-%d", &fields) == 0)
        snprintf(buffer, 32, "?");
    return buffer;
}

static void keep_rows(struct reports_read *all, const struct report_aggregate *report)
{
    for (size_t i = 0; i < report->row_count; i++)
        if (all->row_count < ROWS_MAX)
            all->rows[all->row_count++] = report->rows[i];
        else
            all->left_out++;
    all->left_out += report->left_out;
}

static void tell_aggregate(struct reports_read *all, const char *file, const struct report_aggregate *report)
{
    char begin[32], end[32];
    keep_rows(all, report);
    if (!all->json) {
        printf("%.*s on mail of %.*s, %s to %s (policy %.*s, report %.*s)\n", BYTES_ARG(report->organization),
               BYTES_ARG(report->domain), day_of(report->begin_s, begin), day_of(report->end_s, end),
               BYTES_ARG(report->policy), BYTES_ARG(report->id));
        return;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < report->row_count; i++)
        json_array_append_new(rows, row_json(&report->rows[i]));
    json_array_append_new(
        all->list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "file", file, "type",
                             "dmarc", "organization", text_json(report->organization), "email",
                             text_json(report->email), "id", text_json(report->id), "begin",
                             (json_int_t)report->begin_s, "end", (json_int_t)report->end_s, "domain",
                             text_json(report->domain), "policy", text_json(report->policy), "rows", rows));
}

static void print_tls(const struct report_tls *report)
{
    printf("%.*s on TLS, %.*s to %.*s (report %.*s)\n", BYTES_ARG(report->organization),
           BYTES_ARG(report->begin), BYTES_ARG(report->end), BYTES_ARG(report->id));
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct report_tls_policy *policy = &report->policies[i];
        printf("  %.*s (%.*s): %llu sessions were secure, %llu failed\n", BYTES_ARG(policy->domain),
               BYTES_ARG(policy->kind), (unsigned long long)policy->successes,
               (unsigned long long)policy->failures);
        for (size_t k = 0; k < policy->detail_count; k++)
            printf("    %llu %.*s%s%.*s%s%.*s\n", (unsigned long long)policy->details[k].sessions,
                   BYTES_ARG(policy->details[k].kind), policy->details[k].sender.length > 0 ? " from " : "",
                   BYTES_ARG(policy->details[k].sender), policy->details[k].receiver.length > 0 ? " to " : "",
                   BYTES_ARG(policy->details[k].receiver));
    }
}

static json_t *tls_json(const char *file, const struct report_tls *report)
{
    json_t *policies = json_array();
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct report_tls_policy *policy = &report->policies[i];
        json_t *failures = json_array();
        for (size_t k = 0; k < policy->detail_count; k++)
            json_array_append_new(failures, json_pack("{s:o, s:o, s:o, s:I}", "type",
                                                      text_json(policy->details[k].kind), "sender",
                                                      text_json(policy->details[k].sender), "receiver",
                                                      text_json(policy->details[k].receiver), "sessions",
                                                      (json_int_t)policy->details[k].sessions));
        json_array_append_new(
            policies, json_pack("{s:o, s:o, s:I, s:I, s:o}", "type", text_json(policy->kind), "domain",
                                text_json(policy->domain), "successes", (json_int_t)policy->successes,
                                "failures", (json_int_t)policy->failures, "details", failures));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "file", file, "type", "tls", "organization",
                     text_json(report->organization), "id", text_json(report->id), "begin",
                     text_json(report->begin), "end", text_json(report->end), "policies", policies);
}

static bool read_report(struct reports_read *all, const char *file, struct bytes document,
                        struct error *error)
{
    struct report_aggregate aggregate;
    struct report_tls tls;
    switch (report_mail_form(document)) {
    case REPORT_FORM_XML:
        if (!report_xml_read(document, &all->arena, &aggregate, error))
            return false;
        tell_aggregate(all, file, &aggregate);
        return true;
    case REPORT_FORM_JSON:
        if (!report_json_read(document, &all->arena, &tls, error))
            return false;
        if (all->json)
            json_array_append_new(all->list, tls_json(file, &tls));
        else
            print_tls(&tls);
        return true;
    case REPORT_FORM_NONE:
    case REPORT_FORM_GZIP:
    case REPORT_FORM_ZIP: break;
    }
    return error_set(error, EX_DATAERR,
                     "it is not a report: neither XML nor JSON, packed or not, nor a message with one");
}

static bool read_one(struct reports_read *all, const char *name, struct error *error)
{
    struct buffer file = {0}, document = {0};
    bool fine = read_file(name, &file, error);
    struct bytes content = buffer_bytes(&file);
    if (fine && report_mail_form(content) == REPORT_FORM_NONE)
        report_mail_find(buffer_bytes(&file), &all->arena, &content);
    fine = fine && unpack_content(content, &document, error) &&
           read_report(all, name, buffer_bytes(&document), error);
    buffer_free(&file);
    buffer_free(&document);
    return fine;
}

/* ---- all of them ---- */

static void print_sources(struct reports_read *all)
{
    uint64_t messages = 0, aligned = 0;
    size_t sources = report_rows_merge(all->rows, all->row_count);
    for (size_t i = 0; i < sources; i++) {
        messages += all->rows[i].count;
        aligned += report_row_is_aligned(&all->rows[i]) ? all->rows[i].count : 0;
    }
    printf("\n%10s  %-7s  %-39s  %-10s  %s\n", "messages", "aligned", "source", "receivers", "as");
    for (size_t i = 0; i < sources && i < SOURCES_SHOWN; i++) {
        const struct report_row *row = &all->rows[i];
        printf("%10llu  %-7s  %-39.*s  %-10s  %.*s\n", (unsigned long long)row->count,
               row->dkim && row->spf ? "both"
               : row->dkim           ? "DKIM"
               : row->spf            ? "SPF"
                                     : "no",
               BYTES_ARG(row->source),
               row->disposition == REPORT_NONE || row->disposition == REPORT_PASS
                   ? "accepted"
                   : report_disposition_name(row->disposition),
               BYTES_ARG(row->header_from));
    }
    if (sources > SOURCES_SHOWN)
        printf("%10s  and %zu more; all of them: --json\n", "", sources - SOURCES_SHOWN);
    printf("-> %llu of %llu messages are aligned%s\n", (unsigned long long)aligned,
           (unsigned long long)messages,
           aligned == messages ? ""
                               : "; the others are forged, forwarded, or sent by a program of yours that "
                                 "neither signs nor is in SPF");
    if (all->left_out > 0)
        printf("-> %llu rows past the limit were left out\n", (unsigned long long)all->left_out);
}

static int read_all(const struct verb_call *call)
{
    const struct reports_wish *wish = call->wish;
    struct reports_read all = {.json = wish->json, .list = json_array()};
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

static int send_all(const struct verb_call *call)
{
    const struct reports_wish *wish = call->wish;
    return reports_send(&reports_command, wish->config, wish->day, wish->json);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {
        {"read", "FILE...", "json", read_all}, {"send", "", "json day", send_all}, {.name = NULL}};
    struct reports_wish wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "day", 0, &wish.day},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&reports_command, argc, argv, rules, verbs, &wish);
}

const struct command reports_command = {
    .name = "reports",
    .summary = "read what other servers report: who sends as a domain, and TLS failures",
    .help = "usage: mailboat reports read FILE... [--json]\n"
            "       mailboat reports send [--day DAY] [--json]\n"
            "\n"
            "Reads reports that other servers sent: DMARC aggregate reports (RFC 9990, and the\n"
            "form before it) and TLS reports (RFC 8460). FILE is the whole message, or the\n"
            "report alone, packed (gzip, zip) or not; '-' is standard input. Prints each report,\n"
            "then who sends as the domain: for each source the number of messages, whether DKIM\n"
            "or SPF aligned with the author, and what receivers did with them.\n"
            "\n"
            "At most 10 MiB packed and 64 MiB unpacked, 100 times the packed size; XML with a DTD\n"
            "and archives inside of archives are refused. One file that cannot be read does not\n"
            "stop the others.\n"
            "\n"
            "send hands the reports of a day that other domains want to the running server, without\n"
            "waiting for their time: those that trust.reports.send names. A report that was sent\n"
            "before is not sent again.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --day DAY       2026-11-30 (UTC); default: yesterday\n"
            "      --json   print JSON: one object for each report, with all rows\n"
            "\n"
            "exit codes: 0 all were read; 65 one is not a report, damaged or too large; 66 no file\n"
            "\n"
            "example: mailboat reports read Maildir/new/*\n",
    .run = run,
};
