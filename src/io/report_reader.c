/* SPDX-License-Identifier: Apache-2.0 */
#include "io/report_reader.h"

#include <sysexits.h>

#include "core/trust/report_mail.h"
#include "io/report_json.h"
#include "io/report_xml.h"

static bool read_document(struct bytes document, struct arena *arena, struct report *report,
                          struct error *error)
{
    switch (report_mail_form(document)) {
    case REPORT_FORM_XML:
        report->kind = REPORT_AGGREGATE;
        return report_xml_read(document, arena, &report->aggregate, error);
    case REPORT_FORM_JSON:
        report->kind = REPORT_TLS;
        return report_json_read(document, arena, &report->tls, error);
    case REPORT_FORM_NONE:
    case REPORT_FORM_GZIP:
    case REPORT_FORM_ZIP: break;
    }
    return error_set(error, EX_DATAERR,
                     "it is not a report: neither XML nor JSON, packed or not, nor a message with one");
}

bool report_reader_read(struct bytes content, struct arena *arena, struct report *report, struct error *error)
{
    struct buffer document = {0};
    if (content.length > REPORT_MESSAGE_MAX)
        return error_set(error, EX_DATAERR, "it is larger than %d MiB", REPORT_MESSAGE_MAX / (1024 * 1024));
    if (report_mail_form(content) == REPORT_FORM_NONE) {
        report->kind = REPORT_COMPLAINT;
        if (report_complaint_read(content, arena, &report->complaint))
            return true;
        report_mail_find(content, arena, &content);
    }
    bool read = unpack_content(content, &document, error) &&
                read_document(buffer_bytes(&document), arena, report, error);
    buffer_free(&document);
    return read;
}
