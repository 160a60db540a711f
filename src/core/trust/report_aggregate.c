/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_aggregate.h"

#include <assert.h>
#include <stdlib.h>

enum report_element {
    ELEMENT_OTHER,
    ELEMENT_FEEDBACK,
    ELEMENT_METADATA,
    ELEMENT_ORGANIZATION,
    ELEMENT_EMAIL,
    ELEMENT_ID,
    ELEMENT_RANGE,
    ELEMENT_BEGIN,
    ELEMENT_END,
    ELEMENT_PUBLISHED,
    ELEMENT_DOMAIN,
    ELEMENT_P,
    ELEMENT_RECORD,
    ELEMENT_ROW,
    ELEMENT_SOURCE,
    ELEMENT_COUNT,
    ELEMENT_EVALUATED,
    ELEMENT_DISPOSITION,
    ELEMENT_DKIM,
    ELEMENT_SPF,
    ELEMENT_IDENTIFIERS,
    ELEMENT_HEADER_FROM,
    ELEMENT_RESULTS,
    ELEMENT_RESULT,
    ELEMENT_SELECTOR,
};

static const struct {
    const char *name;
    enum report_element element;
} elements[] = {
    {"feedback", ELEMENT_FEEDBACK},
    {"report_metadata", ELEMENT_METADATA},
    {"org_name", ELEMENT_ORGANIZATION},
    {"email", ELEMENT_EMAIL},
    {"report_id", ELEMENT_ID},
    {"date_range", ELEMENT_RANGE},
    {"begin", ELEMENT_BEGIN},
    {"end", ELEMENT_END},
    {"policy_published", ELEMENT_PUBLISHED},
    {"domain", ELEMENT_DOMAIN},
    {"p", ELEMENT_P},
    {"record", ELEMENT_RECORD},
    {"row", ELEMENT_ROW},
    {"source_ip", ELEMENT_SOURCE},
    {"count", ELEMENT_COUNT},
    {"policy_evaluated", ELEMENT_EVALUATED},
    {"disposition", ELEMENT_DISPOSITION},
    {"dkim", ELEMENT_DKIM},
    {"spf", ELEMENT_SPF},
    {"identifiers", ELEMENT_IDENTIFIERS},
    {"identities", ELEMENT_IDENTIFIERS}, /* of drafts before RFC 7489 */
    {"header_from", ELEMENT_HEADER_FROM},
    {"auth_results", ELEMENT_RESULTS},
    {"result", ELEMENT_RESULT},
    {"selector", ELEMENT_SELECTOR},
};

static const char *const disposition_names[REPORT_DISPOSITIONS] = {[REPORT_NONE] = "none",
                                                                   [REPORT_QUARANTINE] = "quarantine",
                                                                   [REPORT_REJECT] = "reject",
                                                                   [REPORT_PASS] = "pass"};

const char *report_disposition_name(enum report_disposition disposition)
{
    assert(disposition < REPORT_DISPOSITIONS);
    return disposition_names[disposition];
}

static void assert_report(const struct report_aggregate *report)
{
    assert(report->arena != NULL && report->depth <= REPORT_DEPTH_MAX);
    assert(report->row_count <= report->row_capacity && report->row_count <= REPORT_ROWS_MAX);
}

void report_aggregate_start(struct report_aggregate *report, struct arena *arena)
{
    *report = (struct report_aggregate){.arena = arena};
    assert_report(report);
}

static enum report_element element_of(struct bytes name)
{
    size_t colon = bytes_find_last(name, ':');
    if (colon != SIZE_MAX)
        name = bytes_from(name, colon + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(elements); i++)
        if (bytes_is(name, elements[i].name))
            return elements[i].element;
    return ELEMENT_OTHER;
}

void report_aggregate_open(struct report_aggregate *report, struct bytes name)
{
    assert_report(report);
    if (report->depth == REPORT_DEPTH_MAX) {
        report->too_deep = true;
        return;
    }
    enum report_element element = element_of(name);
    report->stack[report->depth++] = (uint8_t)element;
    report->is_report = report->is_report || (report->depth == 1 && element == ELEMENT_FEEDBACK);
    if (report->depth == 2 && element == ELEMENT_RECORD)
        report->row = (struct report_row){.count = 0};
    buffer_clear(&report->text);
}

void report_aggregate_text(struct report_aggregate *report, struct bytes text)
{
    size_t room = REPORT_TEXT_MAX - report->text.length;
    buffer_add(&report->text, bytes_first(text, room));
}

/* ---- values ---- */

static struct bytes value_of(const struct report_aggregate *report)
{
    struct buffer clean = {0};
    buffer_add_clean(&clean, bytes_trim(buffer_bytes(&report->text)), true);
    struct bytes value = arena_copy(report->arena, buffer_bytes(&clean));
    buffer_free(&clean);
    return value;
}

/* Some write times with a fraction: "1337270400.0". */
static uint64_t number_of(struct bytes text)
{
    uint64_t number;
    return bytes_to_u64(bytes_first(text, bytes_find(text, '.')), INT64_MAX, &number) ? number : 0;
}

static enum report_disposition disposition_of(struct bytes text)
{
    for (int i = 0; i < REPORT_DISPOSITIONS; i++)
        if (bytes_is_nocase(text, disposition_names[i]))
            return (enum report_disposition)i;
    return REPORT_NONE;
}

static enum report_element above(const struct report_aggregate *report, size_t levels)
{
    return report->depth > levels ? (enum report_element)report->stack[report->depth - 1 - levels]
                                  : ELEMENT_OTHER;
}

/* A value that counts once: the first signature's, the first SPF's. */
static void set_once(struct bytes *at, struct bytes value)
{
    if (at->length == 0)
        *at = value;
}

static void take_result(struct report_row *row, enum report_element element, bool dkim, struct bytes value)
{
    if (element == ELEMENT_DOMAIN)
        set_once(dkim ? &row->dkim_domain : &row->spf_domain, value);
    else if (element == ELEMENT_RESULT)
        set_once(dkim ? &row->dkim_result : &row->spf_result, value);
    else if (element == ELEMENT_SELECTOR && dkim)
        set_once(&row->dkim_selector, value);
}

static void take_row(struct report_row *row, enum report_element element, struct bytes value)
{
    if (element == ELEMENT_SOURCE)
        row->source = value;
    else if (element == ELEMENT_COUNT)
        row->count = number_of(value);
}

static void take_evaluation(struct report_row *row, enum report_element element, struct bytes value)
{
    if (element == ELEMENT_DISPOSITION)
        row->disposition = disposition_of(value);
    else if (element == ELEMENT_DKIM)
        row->dkim = bytes_is_nocase(value, "pass");
    else if (element == ELEMENT_SPF)
        row->spf = bytes_is_nocase(value, "pass");
}

static void take_head(struct report_aggregate *report, enum report_element parent,
                      enum report_element element, struct bytes value)
{
    if (parent == ELEMENT_METADATA && element == ELEMENT_ORGANIZATION)
        report->organization = value;
    else if (parent == ELEMENT_METADATA && element == ELEMENT_EMAIL)
        report->email = value;
    else if (parent == ELEMENT_METADATA && element == ELEMENT_ID)
        report->id = value;
    else if (parent == ELEMENT_RANGE && element == ELEMENT_BEGIN)
        report->begin_s = number_of(value);
    else if (parent == ELEMENT_RANGE && element == ELEMENT_END)
        report->end_s = number_of(value);
    else if (parent == ELEMENT_PUBLISHED && element == ELEMENT_DOMAIN)
        report->domain = value;
    else if (parent == ELEMENT_PUBLISHED && element == ELEMENT_P)
        report->policy = value;
}

static void add_row(struct report_aggregate *report)
{
    if (report->row_count == REPORT_ROWS_MAX) {
        report->left_out++;
        return;
    }
    if (report->row_count == report->row_capacity) {
        size_t capacity = report->row_capacity == 0 ? 16 : 2 * report->row_capacity;
        struct report_row *rows = ARENA_ARRAY(report->arena, struct report_row, capacity);
        if (report->row_count > 0)
            memcpy(rows, report->rows, report->row_count * sizeof *rows);
        report->rows = rows;
        report->row_capacity = capacity;
    }
    report->rows[report->row_count++] = report->row;
    assert_report(report);
}

void report_aggregate_close(struct report_aggregate *report)
{
    assert_report(report);
    if (report->depth == 0 || report->too_deep)
        return;
    enum report_element element = above(report, 0), parent = above(report, 1), over = above(report, 2);
    bool in_record = report->depth > 1 && report->stack[1] == ELEMENT_RECORD;
    if (report->depth == 2 && element == ELEMENT_RECORD)
        add_row(report);
    else if (!in_record && element != ELEMENT_OTHER)
        take_head(report, parent, element, value_of(report));
    else if (parent == ELEMENT_ROW)
        take_row(&report->row, element, value_of(report));
    else if (parent == ELEMENT_EVALUATED)
        take_evaluation(&report->row, element, value_of(report));
    else if (parent == ELEMENT_IDENTIFIERS && element == ELEMENT_HEADER_FROM)
        report->row.header_from = value_of(report);
    else if ((parent == ELEMENT_DKIM || parent == ELEMENT_SPF) && over == ELEMENT_RESULTS)
        take_result(&report->row, element, parent == ELEMENT_DKIM, value_of(report));
    report->depth--;
    buffer_clear(&report->text);
}

bool report_aggregate_finish(struct report_aggregate *report)
{
    buffer_free(&report->text);
    return report->is_report && !report->too_deep && report->depth == 0;
}

/* ---- by source ---- */

bool report_row_is_aligned(const struct report_row *row)
{
    return row->dkim || row->spf;
}

static int compare_kinds(const struct report_row *a, const struct report_row *b)
{
    int order = bytes_compare(a->source, b->source);
    if (order == 0)
        order = bytes_compare(a->header_from, b->header_from);
    if (order == 0)
        order = (int)a->disposition - (int)b->disposition;
    if (order == 0)
        order = (a->dkim * 2 + a->spf) - (b->dkim * 2 + b->spf);
    return order;
}

static int by_kind(const void *a, const void *b)
{
    return compare_kinds(a, b);
}

static int by_count(const void *a, const void *b)
{
    const struct report_row *one = a, *other = b;
    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    return compare_kinds(one, other);
}

size_t report_rows_merge(struct report_row *rows, size_t count)
{
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(rows, count, sizeof *rows, by_kind);
    for (size_t i = 1; i < count; i++) {
        if (compare_kinds(&rows[kept], &rows[i]) == 0)
            rows[kept].count += rows[i].count;
        else
            rows[++kept] = rows[i];
    }
    qsort(rows, kept + 1, sizeof *rows, by_count);
    return kept + 1;
}
