/* SPDX-License-Identifier: Apache-2.0 */
/* Reports for other domains: what is counted survives on disk, and what is written is read as others' are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message/date.h"
#include "core/trust/report_ledger.h"
#include "core/trust/report_mail.h"
#include "core/trust/tlsrpt_report.h"
#include "io/pack.h"
#include "io/report_json.h"
#include "io/unpack.h"
#include "unit.h"

enum { DAY = 20788, DAY_MS = 24 * 3600 * 1000 };

static const struct tlsrpt_session example = {
    .day = DAY,
    .policy = TLSRPT_STS,
    .result = TLSRPT_CERTIFICATE_EXPIRED,
    .domain = BYTES("Example.org"),
    .host = BYTES("mx.example.org"),
    .sender = BYTES("192.0.2.1"),
    .receiver = BYTES("2001:db8::5"),
    .text = BYTES("version: STSv1|mode: enforce|mx: mx.example.org|mx: *.b.test|max_age: 86400")};

/* ---- counts ---- */

static uint64_t count_of(struct tlsrpt_counts *counts, enum tlsrpt_result result)
{
    struct tlsrpt_session session;
    uint64_t times, all = 0;
    for (size_t position = 0; tlsrpt_counts_next(counts, &position, &session, &times);)
        all += session.result == result ? times : 0;
    return all;
}

static void lines_add_up(void **state)
{
    struct tlsrpt_counts counts, again;
    struct buffer file = {0};
    struct tlsrpt_session other = example;
    tlsrpt_counts_start(&counts, 1);
    tlsrpt_counts_start(&again, 2);
    other.result = TLSRPT_SUCCESS;
    other.host = other.sender = other.receiver = other.text = bytes_none();
    other.policy = TLSRPT_NO_POLICY;
    assert_true(tlsrpt_counts_add(&counts, &example, 2));
    assert_true(tlsrpt_counts_add(&counts, &other, 1));
    tlsrpt_counts_write(&counts, false, &file);
    assert_true(tlsrpt_counts_add(&counts, &example, 3));
    tlsrpt_counts_write(&counts, false, &file); /* only what is new */
    tlsrpt_counts_write(&counts, false, &file);
    for (struct bytes rest = buffer_bytes(&file); rest.length > 0;)
        assert_true(tlsrpt_counts_take(&again, bytes_split(&rest, '\n')));
    assert_int_equal(count_of(&again, TLSRPT_CERTIFICATE_EXPIRED), 5);
    assert_int_equal(count_of(&again, TLSRPT_SUCCESS), 1);
    assert_int_equal(again.rows.count, 2);
    buffer_clear(&file);
    tlsrpt_counts_write(&again, false, &file); /* all was in the file */
    assert_int_equal(file.length, 0);
    tlsrpt_counts_write(&again, true, &file);
    assert_true(file.length > 0);
    tlsrpt_counts_free(&counts);
    tlsrpt_counts_free(&again);
    buffer_free(&file);
}

static void a_line_is_read_as_it_was_written(void **state)
{
    struct tlsrpt_counts counts;
    struct tlsrpt_session session;
    struct buffer file = {0};
    uint64_t times;
    tlsrpt_counts_start(&counts, 1);
    tlsrpt_counts_add(&counts, &example, 7);
    tlsrpt_counts_write(&counts, false, &file);
    struct bytes line = bytes_first(buffer_bytes(&file), file.length - 1);
    assert_true(tlsrpt_counts_read(line, &session, &times));
    assert_true(times == 7 && session.day == DAY && session.policy == TLSRPT_STS &&
                session.result == TLSRPT_CERTIFICATE_EXPIRED);
    assert_text(session.domain, "example.org"); /* names are the same in any case */
    assert_text(session.host, "mx.example.org");
    assert_text(session.sender, "192.0.2.1");
    assert_text(session.receiver, "2001:db8::5");
    assert_true(bytes_equal(session.text, example.text));
    for (size_t i = 0; i < line.length; i++) /* a crash cuts it anywhere */
        assert_false(tlsrpt_counts_read(bytes_first(line, i), &session, &times));
    tlsrpt_counts_free(&counts);
    buffer_free(&file);
}

static void what_is_no_line_is_not_counted(void **state)
{
    static const char *const wrong[] = {"",
                                        "tls",
                                        "tls 0 20788 sts success a.test - - - - end",
                                        "tls -1 20788 sts success a.test - - - - end",
                                        "tls 1 100000 sts success a.test - - - - end",
                                        "tls 1 20788 other success a.test - - - - end",
                                        "tls 1 20788 sts failure a.test - - - - end",
                                        "tls 1 20788 sts success - - - - - end",
                                        "tls 1 20788 sts success a..test - - - - end",
                                        "tls 1 20788 sts success a.test m\"x - - - end",
                                        "tls 1 20788 sts success a.test - 1.2.3 - - end",
                                        "tls 1 20788 sts success a.test - - ::g - end",
                                        "tls 1 20788 sts success a.test - - - a\tb end",
                                        "tls 1 20788 sts success a.test - - - -",
                                        "sts 1 20788 sts success a.test - - - - end"};
    struct tlsrpt_counts counts;
    tlsrpt_counts_start(&counts, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(tlsrpt_counts_take(&counts, bytes_of_text(wrong[i])));
    assert_true(tlsrpt_counts_take(&counts, BYTES("tls 1 20788 sts success a.test - - - - end")));
    struct tlsrpt_session session = example;
    session.domain = BYTES("a b.test");
    assert_false(tlsrpt_counts_add(&counts, &session, 1));
    assert_int_equal(counts.rows.count, 1);
    assert_int_equal(counts.left_out, 0);
    tlsrpt_counts_free(&counts);
}

static void rows_are_limited(void **state)
{
    struct tlsrpt_counts counts;
    struct tlsrpt_session session = example;
    char host[32];
    tlsrpt_counts_start(&counts, 1);
    session.text = bytes_none();
    for (int i = 0; i < TLSRPT_COUNTS_MAX; i++) {
        snprintf(host, sizeof host, "mx%d.test", i);
        session.host = bytes_of_text(host);
        assert_true(tlsrpt_counts_add(&counts, &session, 1));
    }
    session.host = BYTES("one.more.test");
    assert_false(tlsrpt_counts_add(&counts, &session, 4));
    assert_int_equal(counts.left_out, 4);
    session.host = BYTES("mx7.test"); /* a row that is there still counts */
    assert_true(tlsrpt_counts_add(&counts, &session, 1));
    assert_false(tlsrpt_counts_forget(&counts, DAY));
    assert_true(tlsrpt_counts_forget(&counts, DAY + 1));
    assert_true(counts.rows.count == 0 && counts.octets == 0);
    tlsrpt_counts_free(&counts);
}

static void octets_of_rows_are_limited(void **state)
{
    struct tlsrpt_counts counts;
    struct tlsrpt_session session = example;
    char host[32], text[TLSRPT_POLICY_TEXT_MAX + 2];
    int i = 0;
    memset(text, 'x', sizeof text);
    tlsrpt_counts_start(&counts, 1);
    session.text = bytes_of(text, TLSRPT_POLICY_TEXT_MAX);
    for (; i < TLSRPT_COUNTS_MAX; i++) {
        snprintf(host, sizeof host, "mx%d.test", i);
        session.host = bytes_of_text(host);
        if (!tlsrpt_counts_add(&counts, &session, 1))
            break;
    }
    assert_true(i > 1000 && i < TLSRPT_COUNTS_MAX && counts.octets <= TLSRPT_COUNTS_OCTETS_MAX);
    session.text = bytes_of(text, TLSRPT_POLICY_TEXT_MAX + 1);
    session.host = BYTES("mx1.test");
    assert_false(tlsrpt_counts_add(&counts, &session, 1));
    tlsrpt_counts_free(&counts);
}

static void a_policy_is_cut_at_a_line(void **state)
{
    struct buffer text = {0};
    tlsrpt_counts_add_text(&text, BYTES("mode: a|b\r\n\xc3\xa4"));
    assert_string_equal(buffer_text(&text), "mode: a?b????");
    while (text.length + 8 <= TLSRPT_POLICY_TEXT_MAX)
        tlsrpt_counts_add_text(&text, BYTES("mx: a.b"));
    size_t full = text.length;
    tlsrpt_counts_add_text(&text, BYTES("mx: a.b"));
    assert_int_equal(text.length, full);
    buffer_free(&text);
}

/* ---- the report ---- */

static struct arena arena;
static struct error error;

/* As it would go out, and come in at the other side. */
static void send_and_read(struct tlsrpt_report *report, struct report_tls *read)
{
    struct buffer text = {0}, packed = {0}, mail = {0}, unpacked = {0};
    struct bytes found;
    tlsrpt_report_write(&text, report);
    assert_true(pack_gzip(buffer_bytes(&text), &packed));
    const struct report_message message = {.kind = REPORT_KIND_TLS,
                                           .hostname = report->organization,
                                           .from = report->contact,
                                           .to = BYTES("tls@example.org"),
                                           .domain = report->domain,
                                           .id = report->id,
                                           .day = report->day,
                                           .date_ms = (report->day + 1) * (uint64_t)DAY_MS,
                                           .packed = buffer_bytes(&packed)};
    report_message_write(&mail, &message);
    struct bytes mail_bytes = buffer_bytes(&mail);
    assert_true(bytes_is_ascii(mail_bytes));
    for (struct bytes rest = mail_bytes; rest.length > 0;) {
        struct bytes line = bytes_split(&rest, '\n');
        assert_true(line.length > 0 && line.length <= 999 && line.at[line.length - 1] == '\r');
    }
    static const char *const fields[] = {
        "\r\nTo: <tls@example.org>\r\n",
        "\r\nTLS-Report-Domain: example.org\r\n",
        "\r\nTLS-Report-Submitter: mx.here.test\r\n",
        "\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        ("\r\nSubject: Report Domain: example.org\r\n Submitter: mx.here.test\r\n Report-ID: "
         "<20788.example.org@mx.here.test>\r\n"),
        "\r\nContent-Type: application/tlsrpt+gzip\r\n",
        "filename=\"mx.here.test!example.org!1796083200!1796169599.json.gz\""};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        assert_true(bytes_search(mail_bytes, bytes_of_text(fields[i])) != SIZE_MAX);
    assert_true(report_mail_find(mail_bytes, &arena, &found));
    assert_int_equal(report_mail_form(found), REPORT_FORM_GZIP);
    assert_true(unpack_content(found, &unpacked, &error));
    assert_true(bytes_equal(buffer_bytes(&unpacked), buffer_bytes(&text)));
    assert_true(report_json_read(buffer_bytes(&unpacked), &arena, read, &error));
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&mail);
    buffer_free(&unpacked);
}

static struct tlsrpt_report report_of(struct tlsrpt_report_row *rows, size_t count, struct buffer *id)
{
    report_message_add_id(id, DAY, BYTES("example.org"), BYTES("mx.here.test"));
    return (struct tlsrpt_report){.organization = BYTES("mx.here.test"),
                                  .contact = BYTES("postmaster@mx.here.test"),
                                  .domain = BYTES("example.org"),
                                  .day = DAY,
                                  .id = buffer_bytes(id),
                                  .rows = rows,
                                  .row_count = count};
}

static void a_report_is_read_back(void **state)
{
    struct tlsrpt_report_row rows[5];
    struct buffer id = {0};
    struct report_tls read;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        rows[i] = (struct tlsrpt_report_row){example, i + 1};
    rows[0].session.result = rows[3].session.result = TLSRPT_SUCCESS; /* 1 and 4 */
    rows[0].session.policy = TLSRPT_NO_POLICY;
    rows[0].session.text = bytes_none();
    rows[4].session.result = TLSRPT_STARTTLS_NOT_SUPPORTED;
    rows[4].session.sender = bytes_none();
    struct tlsrpt_report report = report_of(rows, ARRAY_LENGTH(rows), &id);
    send_and_read(&report, &read);
    assert_text(read.organization, "mx.here.test");
    assert_text(read.contact, "postmaster@mx.here.test");
    assert_text(read.id, "20788.example.org@mx.here.test");
    assert_text(read.begin, "2026-12-01T00:00:00Z");
    assert_text(read.end, "2026-12-01T23:59:59Z");
    assert_int_equal(read.policy_count, 2);
    assert_text(read.policies[0].kind, "no-policy-found");
    assert_true(read.policies[0].successes == 1 && read.policies[0].failures == 0);
    const struct report_tls_policy *sts = &read.policies[1];
    assert_text(sts->kind, "sts");
    assert_text(sts->domain, "example.org");
    assert_true(sts->successes == 4 && sts->failures == 2 + 3 + 5 && sts->detail_count == 3);
    assert_text(sts->details[0].kind, "starttls-not-supported");
    assert_text(sts->details[0].sender, "");
    assert_text(sts->details[1].kind, "certificate-expired");
    assert_text(sts->details[1].sender, "192.0.2.1");
    assert_text(sts->details[1].receiver, "mx.example.org");
    buffer_free(&id);
    arena_clear(&arena);
}

static void a_report_has_limits(void **state)
{
    enum { POLICIES = TLSRPT_REPORT_POLICIES_MAX + 1, DETAILS = TLSRPT_REPORT_DETAILS_MAX + 1 };
    static struct tlsrpt_report_row rows[DETAILS + POLICIES];
    static char texts[DETAILS + POLICIES][24];
    struct buffer id = {0};
    struct report_tls read;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        snprintf(texts[i], sizeof texts[i], "%c%zu.test", i < DETAILS ? 'a' : 'b', i);
        rows[i] = (struct tlsrpt_report_row){example, 1};
        *(i < DETAILS ? &rows[i].session.host : &rows[i].session.text) = bytes_of_text(texts[i]);
        if (i < DETAILS)
            rows[i].session.text = BYTES("a");
    }
    struct tlsrpt_report report = report_of(rows, ARRAY_LENGTH(rows), &id);
    send_and_read(&report, &read);
    assert_int_equal(read.policy_count, TLSRPT_REPORT_POLICIES_MAX);
    assert_int_equal(read.policies[0].failures, DETAILS); /* all are counted */
    assert_int_equal(read.policies[0].detail_count, TLSRPT_REPORT_DETAILS_MAX);
    buffer_free(&id);
    arena_clear(&arena);
}

static void every_result_has_its_name(void **state)
{
    struct tlsrpt_session session = example, read;
    uint64_t times;
    for (int result = 0; result < TLSRPT_RESULTS; result++)
        for (int policy = 0; policy < TLSRPT_POLICIES; policy++) {
            struct tlsrpt_counts counts;
            struct buffer file = {0};
            tlsrpt_counts_start(&counts, 1);
            session.result = (enum tlsrpt_result)result;
            session.policy = (enum tlsrpt_policy)policy;
            assert_true(tlsrpt_counts_add(&counts, &session, 1));
            tlsrpt_counts_write(&counts, true, &file);
            assert_true(tlsrpt_counts_read(bytes_first(buffer_bytes(&file), file.length - 1), &read, &times));
            assert_true(read.result == session.result && read.policy == session.policy);
            tlsrpt_counts_free(&counts);
            buffer_free(&file);
        }
}

/* ---- the ledger ---- */

static struct buffer ledger;

static struct bytes so_far(void)
{
    return arena_copy(&arena, buffer_bytes(&ledger));
}

static void give(const char *domain, const char *address)
{
    struct bytes before = so_far();
    buffer_clear(&ledger);
    report_ledger_give(&ledger, before, REPORT_KIND_TLS, DAY, bytes_of_text(domain), bytes_of_text(address),
                       DAY + 1);
}

static enum report_ledger_verdict check(const char *domain, const char *address, uint32_t today)
{
    return report_ledger_check(buffer_bytes(&ledger), REPORT_KIND_TLS, DAY, bytes_of_text(domain),
                               bytes_of_text(address), today);
}

static int clear_ledger(void **state)
{
    buffer_free(&ledger);
    arena_clear(&arena);
    return 0;
}

static void a_report_is_given_once(void **state)
{
    assert_int_equal(check("a.test", "x@a.test", DAY + 1), REPORT_DUE);
    give("a.test", "x@a.test");
    assert_int_equal(check("A.test", "X@a.test", DAY + 1), REPORT_GIVEN);
    assert_int_equal(check("b.test", "x@a.test", DAY + 1), REPORT_DUE);
    assert_int_equal(report_ledger_check(buffer_bytes(&ledger), REPORT_KIND_DMARC, DAY, BYTES("a.test"),
                                         BYTES("x@a.test"), DAY + 1),
                     REPORT_DUE);
    assert_int_equal(report_ledger_check(buffer_bytes(&ledger), REPORT_KIND_TLS, DAY + 1, BYTES("a.test"),
                                         BYTES("x@a.test"), DAY + 1),
                     REPORT_DUE);
}

static void a_day_has_a_limit(void **state)
{
    char domain[32];
    for (int i = 0; i < REPORTS_A_DAY_MAX; i++) {
        snprintf(domain, sizeof domain, "d%d.test", i);
        assert_int_equal(check(domain, "x@a.test", DAY + 1), REPORT_DUE);
        give(domain, "x@a.test");
    }
    assert_int_equal(check("more.test", "x@a.test", DAY + 1), REPORT_TOO_MANY);
    assert_int_equal(check("d7.test", "x@a.test", DAY + 1), REPORT_GIVEN);
}

static void an_address_that_refuses_is_spared(void **state)
{
    report_ledger_pause(&ledger, bytes_none(), BYTES("X@a.test"), DAY);
    assert_int_equal(check("a.test", "x@a.test", DAY + 1), REPORT_PAUSED);
    assert_int_equal(check("a.test", "y@a.test", DAY + 1), REPORT_DUE);
    assert_int_equal(check("a.test", "x@a.test", DAY + REPORT_PAUSE_DAYS - 1), REPORT_PAUSED);
    assert_int_equal(check("a.test", "x@a.test", DAY + REPORT_PAUSE_DAYS), REPORT_DUE);
}

static void pauses_are_limited(void **state)
{
    char address[32];
    for (int i = 0; i <= REPORT_PAUSES_MAX; i++) {
        struct bytes before = so_far();
        snprintf(address, sizeof address, "x%d@a.test", i);
        buffer_clear(&ledger);
        report_ledger_pause(&ledger, before, bytes_of_text(address), DAY);
        arena_clear(&arena);
    }
    assert_int_equal(check("a.test", "x0@a.test", DAY), REPORT_DUE); /* the oldest has gone */
    assert_int_equal(check("a.test", "x1@a.test", DAY), REPORT_PAUSED);
    assert_int_equal(check("a.test", address, DAY), REPORT_PAUSED);
}

static void a_day_is_done_and_forgotten(void **state)
{
    give("a.test", "x@a.test");
    struct bytes before = so_far();
    buffer_clear(&ledger);
    report_ledger_finish(&ledger, before, REPORT_KIND_TLS, DAY, DAY + 1);
    assert_true(report_ledger_is_done(buffer_bytes(&ledger), REPORT_KIND_TLS, DAY));
    assert_false(report_ledger_is_done(buffer_bytes(&ledger), REPORT_KIND_DMARC, DAY));
    before = so_far();
    buffer_clear(&ledger);
    report_ledger_finish(&ledger, before, REPORT_KIND_TLS, DAY + 9, DAY + 10);
    assert_false(report_ledger_is_done(buffer_bytes(&ledger), REPORT_KIND_TLS, DAY));
    assert_true(report_ledger_is_done(buffer_bytes(&ledger), REPORT_KIND_TLS, DAY + 9));
    assert_int_equal(check("a.test", "x@a.test", DAY + 10), REPORT_DUE);
}

static void what_is_no_ledger_says_nothing(void **state)
{
    struct buffer out = {0};
    const struct bytes odd = BYTES("given tls\ngiven other 20788 1\ndone tls x\npaused\n\npaused 99999999999 "
                                   "a@b.test\nnothing");
    assert_int_equal(report_ledger_check(odd, REPORT_KIND_TLS, DAY, BYTES("a"), BYTES("b"), DAY), REPORT_DUE);
    assert_false(report_ledger_is_done(odd, REPORT_KIND_TLS, DAY));
    report_ledger_pause(&out, odd, BYTES("a@b.test\ndone tls 20788"), DAY);
    assert_int_equal(out.length, 0);
    buffer_free(&out);
}

static void days_are_read_and_written(void **state)
{
    static const char *const wrong[] = {"",           "2026-1-1",   "2026-02-29", "2026-13-01", "2026-00-10",
                                        "1969-12-31", "2200-01-01", "2026/01/01", "2026-04-31", "x026-01-01"};
    struct buffer text = {0};
    uint32_t day = 0;
    for (uint32_t i = 0; i < 84006; i += i < 30000 ? 1 : 7) {
        buffer_clear(&text);
        date_add_iso_day(&text, i * (uint64_t)DAY_MS);
        assert_true(date_read_iso_day(buffer_bytes(&text), &day) && day == i);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(date_read_iso_day(bytes_of_text(wrong[i]), &day));
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_add_up),
        cmocka_unit_test(a_line_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_line_is_not_counted),
        cmocka_unit_test(rows_are_limited),
        cmocka_unit_test(octets_of_rows_are_limited),
        cmocka_unit_test(a_policy_is_cut_at_a_line),
        cmocka_unit_test(a_report_is_read_back),
        cmocka_unit_test(a_report_has_limits),
        cmocka_unit_test(every_result_has_its_name),
        cmocka_unit_test_teardown(a_report_is_given_once, clear_ledger),
        cmocka_unit_test_teardown(a_day_has_a_limit, clear_ledger),
        cmocka_unit_test_teardown(an_address_that_refuses_is_spared, clear_ledger),
        cmocka_unit_test_teardown(pauses_are_limited, clear_ledger),
        cmocka_unit_test_teardown(a_day_is_done_and_forgotten, clear_ledger),
        cmocka_unit_test(what_is_no_ledger_says_nothing),
        cmocka_unit_test(days_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
