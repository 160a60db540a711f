/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reports for other domains are made of: lines of counted sessions, the queue's memory of what it
 * sent, and the results of the process that looks in DNS. What is read is written as it was; nothing else is
 * believed.
 */
#include "choices.h"
#include "core/trust/dmarc_rows.h"
#include "core/trust/report_ledger.h"
#include "core/trust/tlsrpt_counts.h"
#include "service/report_making.h"

enum { DAY = 20788 };

static void read_counts(struct bytes text)
{
    struct tlsrpt_counts counts, again;
    struct tlsrpt_session session;
    struct buffer out = {0};
    uint64_t times;
    tlsrpt_counts_start(&counts, 1);
    tlsrpt_counts_start(&again, 2);
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '\n');
        INSIST(tlsrpt_counts_take(&counts, line) == tlsrpt_counts_read(line, &session, &times));
    }
    for (size_t position = 0; tlsrpt_counts_next(&counts, &position, &session, &times);)
        INSIST(times > 0 && !bytes_has_control(session.domain) && !bytes_has_control(session.text));
    tlsrpt_counts_write(&counts, true, &out);
    for (struct bytes rest = buffer_bytes(&out); rest.length > 0;)
        tlsrpt_counts_take(&again, bytes_split(&rest, '\n'));
    INSIST(again.rows.count <= counts.rows.count && again.octets <= counts.octets);
    tlsrpt_counts_forget(&counts, UINT32_MAX);
    INSIST(counts.rows.count == 0 && counts.octets == 0);
    tlsrpt_counts_free(&counts);
    tlsrpt_counts_free(&again);
    buffer_free(&out);
}

static void read_ledger(struct bytes text)
{
    const struct bytes domain = BYTES("a.test"), address = BYTES("x@a.test");
    struct buffer given = {0}, paused = {0};
    report_ledger_give(&given, text, REPORT_KIND_TLS, DAY, domain, address, DAY + 1);
    INSIST(report_ledger_check(buffer_bytes(&given), REPORT_KIND_TLS, DAY, domain, address, DAY + 1) ==
           REPORT_GIVEN);
    report_ledger_pause(&paused, text, address, DAY);
    enum report_ledger_verdict verdict = report_ledger_check(buffer_bytes(&paused), REPORT_KIND_TLS, DAY,
                                                             domain, address, DAY);
    INSIST(verdict == REPORT_PAUSED || verdict == REPORT_GIVEN);
    INSIST(paused.length <= text.length + 64);
    buffer_free(&given);
    buffer_free(&paused);
}

static void read_results(struct bytes text)
{
    struct made_report made;
    size_t left = text.length;
    while (text.length > 0 && report_making_next(&text, &made)) {
        INSIST(made.kind < MADE_KINDS && text.length < left);
        INSIST(made.content.length + made.address.length + made.domain.length <= left);
        left = text.length;
    }
}

/* Lines of judged messages: what becomes rows is read back from them. */
static void read_rows(struct bytes text)
{
    struct dmarc_rows rows;
    struct dmarc_report_row row;
    struct dmarc_evidence evidence;
    struct buffer out = {0}, xml = {0}, note = {0};
    struct sent_since sent;
    dmarc_rows_start(&rows, 1);
    sent_since_start(&sent, DAY, 1);
    sent_since_take(&sent, text);
    buffer_add_format(&note, "%u\n", (unsigned)DAY);
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '\n');
        if (dmarc_rows_read(line, &row)) {
            INSIST(row.disposition <= DISPOSITION_REJECT && row.override <= OVERRIDE_LOCAL_POLICY);
            dmarc_report_write(&xml, &(struct dmarc_report){.day = DAY, .rows = &row, .row_count = 1});
            INSIST(bytes_is_ascii(buffer_bytes(&xml)));
        }
        if (dmarc_evidence_read(line, &evidence)) {
            dmarc_rows_add(&rows, true, BYTES("192.0.2.1"), DISPOSITION_DELIVER, OVERRIDE_NONE, line);
            buffer_add(&note, evidence.domain);
            buffer_add_octet(&note, '\n');
        }
    }
    sent_since_take(&sent, buffer_bytes(&note));
    dmarc_rows_write(&rows, &sent, &out);
    for (struct bytes rest = buffer_bytes(&out); rest.length > 0;)
        INSIST(dmarc_rows_read(bytes_split(&rest, '\n'), &row));
    sent_since_free(&sent);
    dmarc_rows_free(&rows);
    buffer_free(&out);
    buffer_free(&xml);
    buffer_free(&note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_counts(bytes_of(data, size));
    read_ledger(bytes_of(data, size));
    read_results(bytes_of(data, size));
    read_rows(bytes_of(data, size));
    return 0;
}
