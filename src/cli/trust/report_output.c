/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/report_output.h"

#include <stdio.h>
#include <time.h>

json_t *report_output_text(struct bytes text)
{
    json_t *value = json_stringn(text.at == NULL ? "" : text.at, text.length);
    return value != NULL ? value : json_string("(not UTF-8)");
}

const char *report_output_day(uint64_t time_s, char buffer[32])
{
    time_t when = (time_t)time_s;
    struct tm fields;
    if (time_s > INT32_MAX || gmtime_r(&when, &fields) == NULL ||
        strftime(buffer, 32, "%Y-%m-%d", &fields) == 0)
        snprintf(buffer, 32, "?");
    return buffer;
}

/* ---- who sends ---- */

json_t *report_output_row_json(const struct report_row *row)
{
    return json_pack("{s:o, s:I, s:b, s:s, s:s, s:s, s:o}", "source", report_output_text(row->source),
                     "messages", (json_int_t)row->count, "aligned", report_row_is_aligned(row), "disposition",
                     report_disposition_name(row->disposition), "dkim", row->dkim ? "pass" : "fail", "spf",
                     row->spf ? "pass" : "fail", "header_from", report_output_text(row->header_from));
}

void report_output_source(struct report_output_sums *sums, const struct report_row *row)
{
    if (sums->rows++ == 0)
        printf("\n%10s  %-7s  %-39s  %-10s  %s\n", "messages", "aligned", "source", "receivers", "as");
    sums->messages += row->count;
    sums->aligned += report_row_is_aligned(row) ? row->count : 0;
    if (sums->rows > REPORT_OUTPUT_SOURCES)
        return;
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

void report_output_sources_end(const struct report_output_sums *sums, uint64_t left_out)
{
    if (sums->rows > REPORT_OUTPUT_SOURCES)
        printf("%10s  and %llu more; all of them: --json\n", "",
               (unsigned long long)(sums->rows - REPORT_OUTPUT_SOURCES));
    if (sums->rows > 0)
        printf("-> %llu of %llu messages are aligned%s\n", (unsigned long long)sums->aligned,
               (unsigned long long)sums->messages,
               sums->aligned == sums->messages
                   ? ""
                   : "; the others are forged, forwarded, or sent by a program of "
                     "yours that neither signs nor is in SPF");
    if (left_out > 0)
        printf("-> %llu rows past the limit were left out\n", (unsigned long long)left_out);
}

/* ---- TLS ---- */

void report_output_policy(struct bytes domain, struct bytes kind, uint64_t successes, uint64_t failures)
{
    printf("  %.*s (%.*s): %llu sessions were secure, %llu failed\n", BYTES_ARG(domain), BYTES_ARG(kind),
           (unsigned long long)successes, (unsigned long long)failures);
}

void report_output_failure(const struct report_tls_failure *failure)
{
    printf("    %llu %.*s%s%.*s%s%.*s\n", (unsigned long long)failure->sessions, BYTES_ARG(failure->kind),
           failure->sender.length > 0 ? " from " : "", BYTES_ARG(failure->sender),
           failure->receiver.length > 0 ? " to " : "", BYTES_ARG(failure->receiver));
}

json_t *report_output_failure_json(const struct report_tls_failure *failure)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "type", report_output_text(failure->kind), "sender",
                     report_output_text(failure->sender), "receiver", report_output_text(failure->receiver),
                     "sessions", (json_int_t)failure->sessions);
}

/* ---- complaints ---- */

void report_output_complaint(const char *when, const struct report_complaint *complaint)
{
    printf("%s  %.*s  %.*s about mail of %.*s", when, BYTES_ARG(complaint->type),
           BYTES_ARG(complaint->address.length > 0 ? complaint->address : BYTES("(not told who)")),
           BYTES_ARG(complaint->domain.length > 0 ? complaint->domain : BYTES("(not told which domain)")));
    if (complaint->source.length > 0)
        printf(", sent by %.*s", BYTES_ARG(complaint->source));
    if (complaint->incidents > 1)
        printf(", %llu messages", (unsigned long long)complaint->incidents);
    putchar('\n');
}

json_t *report_output_complaint_json(const struct report_complaint *complaint)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "feedback",
                     report_output_text(complaint->type), "address", report_output_text(complaint->address),
                     "sender", report_output_text(complaint->sender), "domain",
                     report_output_text(complaint->domain), "source", report_output_text(complaint->source),
                     "message_id", report_output_text(complaint->message_id), "reporter",
                     report_output_text(complaint->reporter), "incidents", (json_int_t)complaint->incidents);
}
