/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_report.h"

#include <stdlib.h>

enum { DAY_S = 24 * 3600 };

/* ---- XML ---- */

static void add_text(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        char octet = text.at[i];
        switch (octet) {
        case '&': buffer_add_text(out, "&amp;"); break;
        case '<': buffer_add_text(out, "&lt;"); break;
        case '>': buffer_add_text(out, "&gt;"); break;
        default: buffer_add_octet(out, octet < ' ' || octet > '~' ? '?' : octet); break;
        }
    }
}

static void add_element(struct buffer *out, const char *name, struct bytes text)
{
    buffer_add_format(out, "<%s>", name);
    add_text(out, text);
    buffer_add_format(out, "</%s>", name);
}

static void add_word(struct buffer *out, const char *name, const char *word)
{
    add_element(out, name, bytes_of_text(word));
}

static void add_number(struct buffer *out, const char *name, uint64_t number)
{
    buffer_add_format(out, "<%s>%llu</%s>", name, (unsigned long long)number, name);
}

/* ---- the parts ---- */

static void add_metadata(struct buffer *out, const struct dmarc_report *report)
{
    uint64_t begin_s = report->day * (uint64_t)DAY_S;
    buffer_add_text(out, "<report_metadata>");
    add_element(out, "org_name", report->organization);
    add_element(out, "email", report->contact);
    add_element(out, "report_id", report->id);
    buffer_add_text(out, "<date_range>");
    add_number(out, "begin", begin_s);
    add_number(out, "end", begin_s + DAY_S - 1);
    buffer_add_text(out, "</date_range></report_metadata>\n");
}

static void add_policy(struct buffer *out, const char *name, enum dmarc_policy policy)
{
    if (policy != DMARC_POLICY_UNSET)
        add_word(out, name, dmarc_policy_name(policy));
}

static void add_published(struct buffer *out, const struct dmarc_evidence *evidence)
{
    buffer_add_text(out, "<policy_published>");
    add_element(out, "domain", evidence->domain);
    add_word(out, "discovery_method", "treewalk");
    add_word(out, "p", dmarc_policy_name(evidence->p > DMARC_POLICY_NONE ? evidence->p : DMARC_POLICY_NONE));
    add_policy(out, "sp", evidence->sp);
    add_policy(out, "np", evidence->np);
    add_word(out, "adkim", evidence->strict_dkim ? "s" : "r");
    add_word(out, "aspf", evidence->strict_spf ? "s" : "r");
    add_word(out, "testing", evidence->testing ? "y" : "n");
    buffer_add_text(out, "</policy_published>\n");
}

/* "pass" is for a policy that would have done something. */
static const char *disposition_of(const struct dmarc_report_row *row)
{
    const struct dmarc_evidence *evidence = &row->evidence;
    bool passed = evidence->dkim_aligned || evidence->spf_aligned;
    switch (row->disposition) {
    case DISPOSITION_JUNK: return "quarantine";
    case DISPOSITION_DEFER:
    case DISPOSITION_REJECT: return "reject";
    case DISPOSITION_DELIVER: break;
    }
    return passed && evidence->p > DMARC_POLICY_NONE ? "pass" : "none";
}

static void add_evaluated(struct buffer *out, const struct dmarc_report_row *row)
{
    buffer_add_text(out, "<row>");
    add_element(out, "source_ip", row->source);
    add_number(out, "count", row->count);
    buffer_add_text(out, "<policy_evaluated>");
    add_word(out, "disposition", disposition_of(row));
    add_word(out, "dkim", row->evidence.dkim_aligned ? "pass" : "fail");
    add_word(out, "spf", row->evidence.spf_aligned ? "pass" : "fail");
    if (row->override != OVERRIDE_NONE) {
        buffer_add_text(out, "<reason>");
        add_word(out, "type", verdict_override_name(row->override));
        buffer_add_text(out, "</reason>");
    }
    buffer_add_text(out, "</policy_evaluated></row>");
}

static void add_record(struct buffer *out, const struct dmarc_report_row *row)
{
    const struct dmarc_evidence *evidence = &row->evidence;
    buffer_add_text(out, "<record>");
    add_evaluated(out, row);
    buffer_add_text(out, "<identifiers>");
    add_element(out, "header_from", evidence->from);
    if (evidence->envelope.length > 0)
        add_element(out, "envelope_from", evidence->envelope);
    buffer_add_text(out, "</identifiers><auth_results>");
    for (size_t i = 0; i < evidence->dkim_count; i++) {
        buffer_add_text(out, "<dkim>");
        add_element(out, "domain", evidence->dkim[i].domain);
        add_element(out, "selector", evidence->dkim[i].selector);
        add_element(out, "result", evidence->dkim[i].result);
        buffer_add_text(out, "</dkim>");
    }
    if (evidence->spf_domain.length > 0) {
        buffer_add_text(out, "<spf>");
        add_element(out, "domain", evidence->spf_domain);
        add_word(out, "scope", "mfrom");
        add_element(out, "result", evidence->spf_result);
        buffer_add_text(out, "</spf>");
    }
    buffer_add_text(out, "</auth_results></record>\n");
}

static int most_first(const void *left, const void *right)
{
    const struct dmarc_report_row *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return bytes_compare(a->source, b->source);
}

void dmarc_report_write(struct buffer *out, struct dmarc_report *report)
{
    qsort(report->rows, report->row_count, sizeof report->rows[0], most_first);
    buffer_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                         "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"><version>1.0</version>\n");
    add_metadata(out, report);
    add_published(out, &report->rows[0].evidence);
    for (size_t i = 0; i < report->row_count && i < DMARC_REPORT_ROWS_MAX; i++)
        add_record(out, &report->rows[i]);
    buffer_add_text(out, "</feedback>\n");
}
