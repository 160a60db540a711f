/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of other servers: found in their messages, unpacked within limits, and read; bombs are not. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/smtp/address.h"
#include "core/trust/report_address.h"
#include "core/trust/report_complaint.h"
#include "core/trust/report_mail.h"
#include "io/report_json.h"
#include "io/report_reader.h"
#include "io/report_xml.h"
#include "io/unpack.h"
#include "unit.h"

static struct arena arena;
static struct error error;

static int clear(void **state)
{
    arena_clear(&arena);
    return 0;
}

#define HEAD                                                                                            \
    "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>a&#155;.test</org_name><report_id> 7 " \
    "</report_id>"                                                                                      \
    "<date_range><begin>100</begin><end>200</end></date_range></"                                       \
    "report_metadata><policy_published><domain>example.org"                                             \
    "</domain><p>reject</p></policy_published>"
#define ROW(ip, count, dkim, spf)                                                                     \
    "<record><row><source_ip>" ip "</source_ip><count>" count "</count><policy_evaluated>"            \
    "<disposition>quarantine</disposition><dkim>" dkim "</dkim><spf>" spf                             \
    "</spf></policy_evaluated></row><identifiers>"                                                    \
    "<header_from>example.org</header_from></identifiers><auth_results><dkim><domain>example.org</"   \
    "domain><selector>s1"                                                                             \
    "</selector><result>pass</result></dkim><dkim><domain>other.test</domain><result>fail</result></" \
    "dkim><spf><domain>"                                                                              \
    "mx.example.org</domain><result>softfail</result></spf></auth_results></record>"

static bool read_xml(const char *text, struct report_aggregate *report)
{
    return report_xml_read(bytes_of_text(text), &arena, report, &error);
}

static void a_report_is_read(void **state)
{
    struct report_aggregate r;
    assert_true(read_xml(HEAD ROW("192.0.2.1", "3", "pass", "fail") "</feedback>", &r));
    assert_text(r.organization, "a?.test");
    assert_text(r.id, "7");
    assert_text(r.domain, "example.org");
    assert_text(r.policy, "reject");
    assert_true(r.begin_s == 100 && r.end_s == 200 && r.row_count == 1);
    assert_true(r.rows[0].count == 3 && r.rows[0].dkim && !r.rows[0].spf && report_row_is_aligned(r.rows));
    assert_int_equal(r.rows[0].disposition, REPORT_QUARANTINE);
    assert_text(r.rows[0].dkim_domain, "example.org"); /* of the first signature */
    assert_text(r.rows[0].dkim_result, "pass");
    assert_text(r.rows[0].dkim_selector, "s1");
    assert_text(r.rows[0].spf_domain, "mx.example.org");
    assert_text(r.rows[0].spf_result, "softfail");
    assert_true(read_xml(
        "<n:feedback xmlns:n='urn:x'><n:record><n:row><n:count>5</n:count></n:row></n:record></n:feedback>",
        &r));
    assert_true(r.row_count == 1 && r.rows[0].count == 5);
    assert_true(read_xml("<feedback><record><row><count>-5</count></row></record></feedback>", &r));
    assert_int_equal(r.rows[0].count, 0);
    assert_true(read_xml(
        "<?xml version=\"1.0\" encoding=\"windows-1252\"?><feedback><report_metadata><org_name>caf\xe9"
        "</org_name><date_range><begin>100.0</begin></date_range></report_metadata></feedback>",
        &r));
    assert_text(r.organization, "caf\xc3\xa9");
    assert_int_equal(r.begin_s, 100);
}

static void other_xml_is_no_report(void **state)
{
    struct report_aggregate r;
    static const char *const wrong[] = {"",
                                        "<a/>",
                                        "<feedback>",
                                        "<feedback></feedbacks>",
                                        "x",
                                        "<a><feedback/></a>",
                                        "<!DOCTYPE feedback [<!ENTITY x \"y\">]><feedback>&x;</feedback>",
                                        "<!DOCTYPE feedback SYSTEM \"file:///etc/passwd\"><feedback/>",
                                        "<feedback>&undefined;</feedback>"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (read_xml(wrong[i], &r) || error.exit_code != 65)
            fail_msg("%s", wrong[i]);
}

static void elements_may_be_as_deep_as_the_limit(void **state)
{
    for (size_t depth = REPORT_DEPTH_MAX; depth <= REPORT_DEPTH_MAX + 1; depth++) {
        struct buffer text = {0};
        struct report_aggregate r;
        buffer_add_text(&text, "<feedback>");
        for (size_t i = 1; i < depth; i++)
            buffer_add_text(&text, "<a>");
        for (size_t i = 1; i < depth; i++)
            buffer_add_text(&text, "</a>");
        buffer_add_text(&text, "</feedback>");
        assert_int_equal(report_xml_read(buffer_bytes(&text), &arena, &r, &error), depth == REPORT_DEPTH_MAX);
        buffer_free(&text);
    }
}

static void rows_past_the_limit_are_counted(void **state)
{
    struct report_aggregate r;
    report_aggregate_start(&r, &arena);
    report_aggregate_open(&r, BYTES("feedback"));
    for (size_t i = 0; i < REPORT_ROWS_MAX + 2; i++) {
        report_aggregate_open(&r, BYTES("record"));
        report_aggregate_close(&r);
    }
    report_aggregate_close(&r);
    assert_true(report_aggregate_finish(&r));
    assert_true(r.row_count == REPORT_ROWS_MAX && r.left_out == 2);
}

static void equal_rows_are_merged(void **state)
{
    struct report_aggregate r;
    assert_true(read_xml(HEAD ROW("192.0.2.1", "3", "pass", "fail") ROW("192.0.2.2", "9", "fail", "fail")
                             ROW("192.0.2.1", "4", "pass", "fail")
                                 ROW("192.0.2.1", "1", "fail", "fail") "</feedback>",
                         &r));
    assert_int_equal(report_rows_merge(r.rows, r.row_count), 3);
    assert_true(r.rows[0].count == 9 && r.rows[1].count == 7 && r.rows[2].count == 1);
    assert_false(report_row_is_aligned(&r.rows[0]));
    assert_int_equal(report_rows_merge(r.rows, 0), 0);
}

static void a_report_on_tls_is_read(void **state)
{
    struct report_tls r;
    assert_true(
        report_json_read(BYTES("{\"organization-name\": \"a\", \"policies\": [{\"policy\": {\"policy-type\": "
                               "\"sts\", \"policy-domain\": \"example.org\"},"
                               "\"summary\": {\"total-successful-session-count\": 5, "
                               "\"total-failure-session-count\": 2}, \"failure-details\": [{\"result-type\":"
                               "\"certificate-expired\", \"sending-mta-ip\": \"192.0.2.1\", "
                               "\"failed-session-count\": 2}, 7]}, 8]}"),
                         &arena, &r, &error));
    assert_true(r.policy_count == 2 && r.policies[0].successes == 5 && r.policies[0].failures == 2 &&
                r.policies[0].detail_count == 2);
    assert_text(r.policies[0].details[0].kind, "certificate-expired");
    assert_false(report_json_read(BYTES("{\"policies\": 5}"), &arena, &r, &error));
    assert_false(report_json_read(BYTES("{"), &arena, &r, &error));
    assert_false(report_json_read(bytes_none(), &arena, &r, &error));
}

/* ---- messages ---- */

static void the_report_is_found_in_its_message(void **state)
{
    struct bytes found;
    static const char *const with[] = {
        "Content-Type: text/xml\r\n\r\n<feedback/>",
        "Content-Type: application/gzip\nContent-Transfer-Encoding: base64\n\nPGZlZWRi\nYWNrLz4=\n",
        ("Content-Type: multipart/mixed;\r\n boundary=\"b\"\r\n\r\n--b\r\nContent-Type: "
         "text/plain\r\n\r\nHello\r\n--b\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
         "PGZlZWRiYWNrLz4=\r\n--b--\r\n"),
        ("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; "
         "boundary=c\r\n\r\n--c\r\n\r\n<feedback/>\r\n--c--\r\n--b--\r\n"),
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n<feedback/>", /* cut */
    };
    static const char *const without[] = {"",
                                          "a",
                                          "Subject: x\r\n\r\nhello",
                                          "Content-Type: multipart/mixed; boundary=b\r\n\r\n<feedback/>",
                                          "Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n\r\nx\r\n",
                                          "Content-Transfer-Encoding: base64\r\n\r\n!!!"};
    for (size_t i = 0; i < ARRAY_LENGTH(with); i++)
        if (!report_mail_find(bytes_of_text(with[i]), &arena, &found) ||
            report_mail_form(found) != REPORT_FORM_XML)
            fail_msg("%s", with[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(without); i++)
        if (report_mail_find(bytes_of_text(without[i]), &arena, &found))
            fail_msg("%s", without[i]);
}

static void multiparts_are_looked_into_as_deep_as_the_limit(void **state)
{
    for (int depth = REPORT_MAIL_DEPTH_MAX; depth <= REPORT_MAIL_DEPTH_MAX + 1; depth++) {
        struct buffer text = {0};
        struct bytes found;
        for (int i = 0; i < depth; i++)
            buffer_add_format(&text, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
        buffer_add_text(&text, "\r\n{}\r\n");
        assert_int_equal(report_mail_find(buffer_bytes(&text), &arena, &found),
                         depth == REPORT_MAIL_DEPTH_MAX);
        buffer_free(&text);
    }
}

/* ---- complaints ---- */

#define ARF(fields, copy)                                                                             \
    "From: Feedback <fbl@there.net>\r\nContent-Type: multipart/report; report-type=feedback-report; " \
    "boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThis is a complaint.\r\n--b\r\n"    \
    "Content-Type: message/feedback-report\r\n\r\n" fields                                            \
    "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" copy "\r\n--b--\r\n"

static bool read_complaint(const char *text, struct report_complaint *complaint)
{
    return report_complaint_read(bytes_of_text(text), &arena, complaint);
}

static void a_complaint_is_read(void **state)
{
    struct report_complaint c;
    assert_true(read_complaint(ARF("Feedback-Type: Abuse\r\nUser-Agent: X/1\r\nVersion: 1\r\n"
                                   "Original-Mail-From: <bounce@example.org>\r\nOriginal-Rcpt-To:\r\n "
                                   "<Bob@There.net>\r\nSource-IP: 192.0.2.1\r\nReported-Domain: other.org\r\n"
                                   "Incidents: 3\r\n",
                                   "From: \"Shop, The\" <news@example.org>\r\nTo: x@there.net\r\n"
                                   "Message-ID: <1@example.org>\r\n\r\nBuy\r\n"),
                               &c));
    assert_text(c.type, "abuse");
    assert_text(c.address, "Bob@there.net");
    assert_text(c.sender, "bounce@example.org");
    assert_text(c.domain, "example.org");
    assert_text(c.source, "192.0.2.1");
    assert_text(c.message_id, "<1@example.org>");
    assert_text(c.reporter, "fbl@there.net");
    assert_int_equal(c.incidents, 3);
    /* who complains may be told by the message alone */
    assert_true(read_complaint(ARF("\r\nFeedback-Type: opt-out (x)\r\nIncidents: 0",
                                   "X-HmXmrOriginalRecipient: carl@there.net\r\nTo: list@example.org\r\n"),
                               &c));
    assert_text(c.type, "opt-out");
    assert_text(c.address, "carl@there.net");
    assert_true(c.incidents == 1 && c.domain.length == 0);
    assert_true(read_complaint("Content-Type: message/feedback-report\nContent-Transfer-Encoding: base64\n\n"
                               "RmVlZGJhY2stVHlwZTogYXV0aC1mYWlsdXJlCg==\n",
                               &c));
    assert_text(c.type, "auth-failure");
    assert_int_equal(c.address.length, 0);
}

static void other_mail_is_no_complaint(void **state)
{
    struct report_complaint c;
    static const char *const wrong[] = {
        "", "Subject: x\r\n\r\nFeedback-Type: abuse\r\n", ARF("Version: 1\r\n", "To: a@b.test\r\n"),
        ARF("Feedback-Type: \xff\xfe\r\n", ""),
        "Content-Type: message/feedback-reports\r\n\r\nFeedback-Type: abuse\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (read_complaint(wrong[i], &c))
            fail_msg("%s", wrong[i]);
}

static void what_a_complaint_says_is_as_long_as_the_limit(void **state)
{
    for (size_t over = 0; over <= 1; over++) {
        struct buffer text = {0};
        struct report_complaint c;
        buffer_add_text(&text, "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: ");
        for (size_t i = 0; i < COMPLAINT_TYPE_MAX + over; i++)
            buffer_add_octet(&text, 'x');
        buffer_add_text(&text, "\r\nSource-IP: ");
        for (size_t i = 0; i < COMPLAINT_TEXT_MAX + over; i++)
            buffer_add_octet(&text, '1');
        buffer_add_text(&text, "\r\nOriginal-Mail-From: ");
        for (size_t i = 0; i < LOCAL_PART_MAX + over; i++)
            buffer_add_octet(&text, 'a');
        buffer_add_text(&text, "@there.net\r\n");
        assert_true(report_complaint_read(buffer_bytes(&text), &arena, &c));
        assert_int_equal(c.type.length, COMPLAINT_TYPE_MAX);
        assert_int_equal(c.source.length, COMPLAINT_TEXT_MAX);
        assert_int_equal(c.sender.length, over == 0 ? LOCAL_PART_MAX + strlen("@there.net") : 0);
        buffer_free(&text);
    }
}

static void addresses_for_reports_are_known_by_name(void **state)
{
    static const char *const names[] = {"dmarc-reports", "TLS-Reports", "feedback-reports",
                                        "dmarc-reports+x"};
    static const char *const others[] = {"", "+", "dmarc-report", "dmarc-reportss", "+dmarc-reports", "tls"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_true(report_address_is(bytes_of_text(names[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(report_address_is(bytes_of_text(others[i])));
}

/* ---- any report ---- */

static void a_report_is_known_by_what_it_is(void **state)
{
    static const struct {
        const char *text;
        enum report_type kind; /* 0: none */
    } cases[] = {{"<feedback/>", REPORT_AGGREGATE},
                 {"Subject: x\r\n\r\n<feedback/>", REPORT_AGGREGATE},
                 {"{\"policies\": []}", REPORT_TLS},
                 {ARF("Feedback-Type: abuse\r\n", "To: a@b.test\r\n\r\n<feedback/>"), REPORT_COMPLAINT},
                 {"Subject: hello\r\n\r\nhello\r\n", 0},
                 {"Subject: x\r\n\r\n<feedback>", 0},
                 {"", 0}};
    struct report *report = malloc(sizeof *report);
    assert_non_null(report);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool read = report_reader_read(bytes_of_text(cases[i].text), &arena, report, &error);
        if (read != (cases[i].kind != 0) || (read && report->kind != cases[i].kind) ||
            (!read && error.exit_code != 65))
            fail_msg("%s", cases[i].text);
    }
    free(report);
}

static void json_has_as_many_values_as_the_limit(void **state)
{
    for (size_t over = 0; over <= 1; over++) {
        struct buffer text = {0};
        struct report_tls report;
        buffer_add_text(&text, "{\"policies\":["); /* three */
        for (size_t i = 0; i < REPORT_JSON_VALUES_MAX - 3 + over; i++)
            buffer_add_text(&text, "0,");
        buffer_add_text(&text, "0]}");
        assert_int_equal(report_json_read(buffer_bytes(&text), &arena, &report, &error), over == 0);
        buffer_free(&text);
    }
    assert_non_null(strstr(error.text, "more than 200000 values"));
}

static void a_message_is_as_large_as_the_limit(void **state)
{
    struct buffer text = {0};
    struct report *report = malloc(sizeof *report);
    assert_non_null(report);
    buffer_add_text(&text, "Content-Type: text/xml\r\nX: ");
    size_t rest = REPORT_MESSAGE_MAX - text.length - strlen("\r\n\r\n<feedback/>");
    memset(buffer_reserve(&text, rest), 'x', rest);
    buffer_written(&text, rest);
    buffer_add_text(&text, "\r\n\r\n<feedback/>");
    assert_int_equal(text.length, REPORT_MESSAGE_MAX);
    assert_true(report_reader_read(buffer_bytes(&text), &arena, report, &error));
    buffer_add_octet(&text, ' ');
    assert_false(report_reader_read(buffer_bytes(&text), &arena, report, &error));
    assert_non_null(strstr(error.text, "it is larger than 14 MiB"));
    free(report);
    buffer_free(&text);
}

/* ---- packed ---- */

static void pack(struct buffer *out, const void *content, size_t length, int window)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)content, .avail_in = (uInt)length};
    assert_int_equal(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    size_t room = deflateBound(&stream, length);
    stream.next_out = (Bytef *)buffer_reserve(out, room);
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    buffer_written(out, room - stream.avail_out);
    deflateEnd(&stream);
}

static void zip_head(struct buffer *out, int method, unsigned size)
{
    const char head[30] = {'P', 'K', 3, 4, 20, 0, 0, 0, (char)method, [18] = (char)size, [26] = 5};
    buffer_add(out, bytes_of(head, sizeof head));
    buffer_add_text(out, "a.xml");
}

static void expect_unpacked(struct buffer *packed, const char *wanted)
{
    struct buffer out = {0};
    bool fine = unpack_content(buffer_bytes(packed), &out, &error);
    if (fine != (wanted != NULL) || (fine && !bytes_is(buffer_bytes(&out), wanted)))
        fail_msg("%s: %s", wanted == NULL ? "it was unpacked" : wanted, error.text);
    buffer_free(&out);
    buffer_clear(packed);
}

static void packed_content_is_unpacked_once(void **state)
{
    struct buffer packed = {0}, twice = {0};
    buffer_add_text(&packed, "<feedback/>");
    expect_unpacked(&packed, "<feedback/>");
    pack(&packed, "hello", 5, 31);
    pack(&twice, packed.length > 0 ? buffer_bytes(&packed).at : "", packed.length, 31);
    expect_unpacked(&packed, "hello");
    expect_unpacked(&twice, NULL);
    zip_head(&packed, 8, 0);
    pack(&packed, "hello", 5, -15);
    buffer_add_text(&packed, "PK\1\2 and the directory");
    expect_unpacked(&packed, "hello");
    zip_head(&packed, 0, 5);
    buffer_add_text(&packed, "hello");
    expect_unpacked(&packed, "hello");
    zip_head(&packed, 0, 6); /* cut */
    buffer_add_text(&packed, "hello");
    expect_unpacked(&packed, NULL);
    zip_head(&packed, 12, 5); /* bzip2 */
    expect_unpacked(&packed, NULL);
    buffer_add_text(&packed, "\x1f\x8b\x08 damaged");
    expect_unpacked(&packed, NULL);
    buffer_add_text(&packed, "PK\3\4");
    buffer_add_octet(&packed, '\0');
    expect_unpacked(&packed, NULL);
    buffer_free(&packed);
    buffer_free(&twice);
}

static void bombs_are_refused(void **state)
{
    struct buffer packed = {0}, out = {0};
    char *zeros = memory_new(UNPACK_MAX + 1);
    pack(&packed, zeros, UNPACK_RATIO_FREE, 31); /* small ones compress as they like */
    assert_true(unpack_content(buffer_bytes(&packed), &out, &error) && out.length == UNPACK_RATIO_FREE);
    buffer_clear(&packed);
    buffer_clear(&out);
    pack(&packed, zeros, UNPACK_MAX, 31);
    assert_false(unpack_content(buffer_bytes(&packed), &out, &error));
    assert_non_null(strstr(error.text, "100 times"));
    buffer_clear(&packed);
    buffer_clear(&out);
    for (size_t i = 0; i < UNPACK_MAX; i += 64) /* one octet of each line costs more than a hundredth */
        memcpy(zeros + i, &(uint64_t){i * 0x9e3779b97f4a7c15U}, 8);
    pack(&packed, zeros, UNPACK_MAX + 1, 31);
    error = (struct error){0};
    assert_false(unpack_content(buffer_bytes(&packed), &out, &error));
    assert_non_null(strstr(error.text, "larger than"));
    assert_false(unpack_content(bytes_of(zeros, UNPACK_PACKED_MAX + 1), &out, &error));
    buffer_clear(&out);
    zeros[0] = 'x';
    assert_true(unpack_content(bytes_of(zeros, UNPACK_PACKED_MAX), &out, &error));
    free(zeros);
    buffer_free(&packed);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_report_is_read, clear),
        cmocka_unit_test_teardown(other_xml_is_no_report, clear),
        cmocka_unit_test_teardown(elements_may_be_as_deep_as_the_limit, clear),
        cmocka_unit_test_teardown(rows_past_the_limit_are_counted, clear),
        cmocka_unit_test_teardown(equal_rows_are_merged, clear),
        cmocka_unit_test_teardown(a_report_on_tls_is_read, clear),
        cmocka_unit_test_teardown(the_report_is_found_in_its_message, clear),
        cmocka_unit_test_teardown(multiparts_are_looked_into_as_deep_as_the_limit, clear),
        cmocka_unit_test_teardown(a_complaint_is_read, clear),
        cmocka_unit_test_teardown(other_mail_is_no_complaint, clear),
        cmocka_unit_test_teardown(what_a_complaint_says_is_as_long_as_the_limit, clear),
        cmocka_unit_test_teardown(addresses_for_reports_are_known_by_name, clear),
        cmocka_unit_test_teardown(a_report_is_known_by_what_it_is, clear),
        cmocka_unit_test_teardown(json_has_as_many_values_as_the_limit, clear),
        cmocka_unit_test_teardown(a_message_is_as_large_as_the_limit, clear),
        cmocka_unit_test_teardown(packed_content_is_unpacked_once, clear),
        cmocka_unit_test_teardown(bombs_are_refused, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
