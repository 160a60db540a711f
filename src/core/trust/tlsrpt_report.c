/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/tlsrpt_report.h"

#include <stdlib.h>

#include "core/message/date.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* ---- JSON ---- */

/* Octets that are not printable ASCII are in no text that reaches this. */
static void add_string(struct buffer *out, struct bytes text)
{
    buffer_add_octet(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        unsigned char octet = (unsigned char)text.at[i];
        if (octet == '"' || octet == '\\')
            buffer_add_octet(out, '\\');
        if (octet < ' ' || octet > '~')
            buffer_add_format(out, "\\u%04x", (unsigned)octet);
        else
            buffer_add_octet(out, (char)octet);
    }
    buffer_add_octet(out, '"');
}

static void add_member(struct buffer *out, const char *name, struct bytes text)
{
    buffer_add_format(out, "\"%s\":", name);
    add_string(out, text);
}

/* ---- the rows ---- */

static int compare_rows(const void *left, const void *right)
{
    const struct tlsrpt_session *a = &((const struct tlsrpt_report_row *)left)->session;
    const struct tlsrpt_session *b = &((const struct tlsrpt_report_row *)right)->session;
    int order = (int)a->policy - (int)b->policy;
    if (order == 0)
        order = bytes_compare(a->text, b->text);
    if (order == 0)
        order = (int)a->result - (int)b->result;
    if (order == 0)
        order = bytes_compare(a->host, b->host);
    return order;
}

static bool is_same_policy(const struct tlsrpt_session *a, const struct tlsrpt_session *b)
{
    return a->policy == b->policy && bytes_equal(a->text, b->text);
}

/* Returns the end of the rows of one policy that begin at `first`. */
static size_t policy_end(const struct tlsrpt_report *report, size_t first)
{
    size_t end = first + 1;
    while (end < report->row_count &&
           is_same_policy(&report->rows[end].session, &report->rows[first].session))
        end++;
    return end;
}

/* ---- a policy ---- */

/* Appends the lines of a policy, and the hosts that an MTA-STS policy lists. */
static void add_lines(struct buffer *out, struct bytes text, const char *only)
{
    bool first = true;
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '|');
        if (only != NULL && !bytes_starts_nocase(line, only))
            continue;
        buffer_add_text(out, first ? "" : ",");
        add_string(out, only == NULL ? line : bytes_trim(bytes_from(line, strlen(only))));
        first = false;
    }
}

static void add_policy(struct buffer *out, const struct tlsrpt_report *report,
                       const struct tlsrpt_session *session)
{
    buffer_add_text(out, "{\"policy\":{");
    add_member(out, "policy-type", bytes_of_text(tlsrpt_policy_name(session->policy)));
    if (session->text.length > 0) {
        buffer_add_text(out, ",\"policy-string\":[");
        add_lines(out, session->text, NULL);
        buffer_add_text(out, "]");
    }
    buffer_add_octet(out, ',');
    add_member(out, "policy-domain", report->domain);
    if (session->policy == TLSRPT_STS && session->text.length > 0) {
        buffer_add_text(out, ",\"mx-host\":[");
        add_lines(out, session->text, "mx:");
        buffer_add_text(out, "]");
    }
    buffer_add_text(out, "}");
}

static void add_detail(struct buffer *out, const struct tlsrpt_report_row *row)
{
    const struct tlsrpt_session *session = &row->session;
    buffer_add_octet(out, '{');
    add_member(out, "result-type", bytes_of_text(tlsrpt_result_name(session->result)));
    const struct {
        const char *name;
        struct bytes text;
    } members[] = {{"sending-mta-ip", session->sender},
                   {"receiving-mx-hostname", session->host},
                   {"receiving-ip", session->receiver}};
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
        if (members[i].text.length > 0) {
            buffer_add_octet(out, ',');
            add_member(out, members[i].name, members[i].text);
        }
    buffer_add_format(out, ",\"failed-session-count\":%llu}", (unsigned long long)row->times);
}

static void add_rows(struct buffer *out, const struct tlsrpt_report *report, size_t first, size_t end)
{
    uint64_t successes = 0, failures = 0;
    size_t details = 0;
    for (size_t i = first; i < end; i++)
        *(report->rows[i].session.result == TLSRPT_SUCCESS ? &successes : &failures) += report->rows[i].times;
    add_policy(out, report, &report->rows[first].session);
    buffer_add_format(
        out, ",\"summary\":{\"total-successful-session-count\":%llu,\"total-failure-session-count\":%llu}",
        (unsigned long long)successes, (unsigned long long)failures);
    for (size_t i = first; i < end && details < TLSRPT_REPORT_DETAILS_MAX; i++) {
        if (report->rows[i].session.result == TLSRPT_SUCCESS)
            continue;
        buffer_add_text(out, details++ == 0 ? ",\"failure-details\":[" : ",");
        add_detail(out, &report->rows[i]);
    }
    buffer_add_text(out, details > 0 ? "]}" : "}");
}

void tlsrpt_report_write(struct buffer *out, struct tlsrpt_report *report)
{
    size_t policies = 0;
    qsort(report->rows, report->row_count, sizeof report->rows[0], compare_rows);
    buffer_add_octet(out, '{');
    add_member(out, "organization-name", report->organization);
    buffer_add_text(out, ",\"date-range\":{\"start-datetime\":\"");
    date_add_iso_day(out, report->day * (uint64_t)DAY_MS);
    buffer_add_text(out, "T00:00:00Z\",\"end-datetime\":\"");
    date_add_iso_day(out, report->day * (uint64_t)DAY_MS);
    buffer_add_text(out, "T23:59:59Z\"},");
    add_member(out, "contact-info", report->contact);
    buffer_add_octet(out, ',');
    add_member(out, "report-id", report->id);
    buffer_add_text(out, ",\"policies\":[");
    for (size_t i = 0, end; i < report->row_count && policies < TLSRPT_REPORT_POLICIES_MAX; i = end) {
        end = policy_end(report, i);
        buffer_add_text(out, policies++ > 0 ? "," : "");
        add_rows(out, report, i, end);
    }
    buffer_add_text(out, "]}\n");
}
