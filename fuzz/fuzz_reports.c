/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of other servers: any message, archive, XML or JSON is read within the limits or refused with a
 * reason, and what is kept of it is fit for a terminal.
 */
#include "choices.h"
#include "core/smtp/address.h"
#include "core/trust/report_mail.h"
#include "io/report_json.h"
#include "io/report_reader.h"
#include "io/report_xml.h"
#include "io/unpack.h"

static void check_text(struct bytes text)
{
    INSIST(text.length <= 3 * REPORT_TEXT_MAX); /* ADDRESS_MAX is less */
    INSIST(!bytes_has_control_character(text) && bytes_is_utf8(text));
}

static void read_xml(struct bytes document, struct arena *arena)
{
    struct report_aggregate report;
    struct error error = {0};
    if (!report_xml_read(document, arena, &report, &error)) {
        INSIST(error.exit_code != 0 && error.text[0] != '\0');
        return;
    }
    INSIST(report.row_count <= REPORT_ROWS_MAX);
    check_text(report.organization);
    check_text(report.domain);
    for (size_t i = 0; i < report.row_count; i++) {
        check_text(report.rows[i].source);
        check_text(report.rows[i].header_from);
        check_text(report.rows[i].dkim_result);
        INSIST(report.rows[i].disposition < REPORT_DISPOSITIONS);
    }
    INSIST(report_rows_merge(report.rows, report.row_count) <= report.row_count);
}

static void read_json(struct bytes document, struct arena *arena)
{
    struct report_tls report;
    struct error error = {0};
    if (!report_json_read(document, arena, &report, &error)) {
        INSIST(error.exit_code != 0);
        return;
    }
    INSIST(report.policy_count <= REPORT_TLS_POLICIES_MAX);
    check_text(report.organization);
    for (size_t i = 0; i < report.policy_count; i++) {
        INSIST(report.policies[i].detail_count <= REPORT_TLS_FAILURES_MAX);
        check_text(report.policies[i].domain);
    }
}

static void check_complaint(const struct report_complaint *complaint)
{
    INSIST(complaint->type.length > 0 && complaint->type.length <= COMPLAINT_TYPE_MAX);
    INSIST(complaint->address.length <= ADDRESS_MAX && complaint->sender.length <= ADDRESS_MAX);
    check_text(complaint->address);
    check_text(complaint->sender);
    check_text(complaint->domain);
    check_text(complaint->source);
    check_text(complaint->message_id);
    check_text(complaint->reporter);
    INSIST(complaint->incidents > 0);
}

/* As the process `report` reads it. */
static void read_any(struct bytes input, struct arena *arena)
{
    static struct report report;
    struct error error = {0};
    if (!report_reader_read(input, arena, &report, &error))
        INSIST(error.exit_code == 65 && error.text[0] != '\0');
    else if (report.kind == REPORT_COMPLAINT)
        check_complaint(&report.complaint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buffer document = {0};
    struct error error = {0};
    struct bytes input = bytes_of(data, size), content = input;
    if (report_mail_form(input) == REPORT_FORM_NONE && !report_mail_find(input, &arena, &content))
        content = input;
    if (unpack_content(content, &document, &error)) {
        INSIST(document.length <= UNPACK_MAX);
        read_xml(buffer_bytes(&document), &arena);
        read_json(buffer_bytes(&document), &arena);
    }
    read_any(input, &arena);
    buffer_free(&document);
    arena_clear(&arena);
    return 0;
}
