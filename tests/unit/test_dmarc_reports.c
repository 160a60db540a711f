/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregate reports for other domains: what a judgement leaves behind, which rows it becomes, and that the
 * report is read as those of others are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/trust/dmarc_rows.h"
#include "core/trust/report_ledger.h"
#include "core/trust/report_mail.h"
#include "core/trust/report_readers.h"
#include "io/pack.h"
#include "io/report_xml.h"
#include "io/unpack.h"
#include "unit.h"

static struct judgement *j;
static struct arena arena;
static struct error error;
static struct buffer line;

/* A message of shop.example that passes by the second of two signatures. */
static int judge(void **state)
{
    static const char header[] = "From: a@shop.example\r\nSubject: hello\r\n\r\n";
    j = memory_new(sizeof *j);
    dkim_begin(&j->dkim, bytes_of_text(header), &arena);
    j->dkim.signatures = ARENA_ARRAY(&arena, struct dkim_signature, 2);
    j->question.mail_from = BYTES("bounce@mail.Shop.example");
    j->spf = (struct spf_verdict){.result = SPF_SOFTFAIL, .domain = BYTES("mail.shop.example")};
    j->dkim.signatures[0].field.domain = BYTES("lists.example");
    j->dkim.signatures[0].field.selector = BYTES("l1");
    j->dkim.signatures[0].result = DKIM_FAIL;
    j->dkim.signatures[1].field.domain = BYTES("shop.example");
    j->dkim.signatures[1].field.selector = BYTES("S1");
    j->dkim.signatures[1].result = DKIM_PASS;
    j->dkim.count = j->identifiers.dkim_count = 2;
    j->compared[0] = 1;
    j->compared[1] = 0;
    j->dmarc = (struct dmarc_verdict){.result = DMARC_PASS,
                                      .author = BYTES("shop.example"),
                                      .record_domain = BYTES("example"),
                                      .record = {.usable = true,
                                                 .p = DMARC_POLICY_REJECT,
                                                 .sp = DMARC_POLICY_QUARANTINE,
                                                 .strict_spf = true,
                                                 .rua = {.count = 1}}};
    j->dmarc.dkim_aligned[0] = true;
    return 0;
}

static int clear(void **state)
{
    free(j);
    j = NULL;
    buffer_free(&line);
    arena_clear(&arena);
    return 0;
}

static struct bytes write_line(void)
{
    buffer_clear(&line);
    dmarc_evidence_write(j, &line);
    return buffer_bytes(&line);
}

static void evidence_is_read_as_it_was_written(void **state)
{
    struct dmarc_evidence e;
    assert_true(dmarc_evidence_read(write_line(), &e));
    assert_text(e.domain, "example");
    assert_true(e.p == DMARC_POLICY_REJECT && e.sp == DMARC_POLICY_QUARANTINE && e.np == DMARC_POLICY_UNSET);
    assert_true(!e.strict_dkim && e.strict_spf && !e.testing && e.dkim_aligned && !e.spf_aligned);
    assert_text(e.from, "shop.example");
    assert_text(e.envelope, "mail.shop.example");
    assert_text(e.spf_domain, "mail.shop.example");
    assert_text(e.spf_result, "softfail");
    assert_int_equal(e.dkim_count, 2);
    assert_text(e.dkim[0].domain, "shop.example"); /* the one that was compared first */
    assert_text(e.dkim[0].selector, "S1");
    assert_text(e.dkim[0].result, "pass");
    assert_text(e.dkim[1].result, "fail");
}

static void some_mail_is_told_of_by_no_report(void **state)
{
    struct dkim *dkim = memory_new(sizeof *dkim);
    assert_true(write_line().length > 0);
    j->question.mail_from = bytes_none(); /* bounces, of reports too */
    assert_int_equal(write_line().length, 0);
    j->question.mail_from = BYTES("a@b.example");
    j->dmarc.record.rua.count = 0;
    assert_int_equal(write_line().length, 0);
    j->dmarc.record.rua.count = 1;
    j->dmarc.result = DMARC_TEMPERROR;
    assert_int_equal(write_line().length, 0);
    j->dmarc.result = DMARC_FAIL;
    assert_true(write_line().length > 0);
    static const char *const reports[] = {"subject: report domain: example.org Submitter: x\r\n\r\n",
                                          "Subject:\r\n Report Domain: example.org\r\n\r\n",
                                          "TLS-Report-Domain: example.org\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(reports); i++) {
        dkim_begin(dkim, bytes_of_text(reports[i]), &arena);
        j->dkim.index = dkim->index;
        assert_int_equal(write_line().length, 0);
    }
    free(dkim);
}

static void evidence_has_a_longest_length(void **state)
{
    static char name[254];
    struct dmarc_evidence e;
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 64 == 63 ? '.' : 'a';
    struct bytes longest = bytes_of(name, 253);
    j->dmarc.record_domain = j->dmarc.author = j->spf.domain = longest;
    j->question.mail_from = bytes_of_text(arena_format(&arena, "a@%s", name));
    for (size_t i = 0; i < 2; i++)
        j->dkim.signatures[i].field.domain = j->dkim.signatures[i].field.selector = longest;
    struct bytes text = write_line();
    assert_true(text.length <= DMARC_EVIDENCE_MAX && dmarc_evidence_read(text, &e));
    assert_true(e.dkim_count == 0);
    j->dkim.signatures[0].field.domain = j->dkim.signatures[0].field.selector = BYTES("a.b");
    assert_true(dmarc_evidence_read(write_line(), &e) && e.dkim_count == 1);
}

static void what_is_no_evidence_is_not_read(void **state)
{
    static const char *const wrong[] = {
        "",
        "1",
        "2 a.test none - - r r n 1 0 a.test a.test a.test pass",
        "1 - none - - r r n 1 0 a.test a.test a.test pass",
        "1 a..test none - - r r n 1 0 a.test a.test a.test pass",
        "1 a.test some - - r r n 1 0 a.test a.test a.test pass",
        "1 a.test none - - x r n 1 0 a.test a.test a.test pass",
        "1 a.test none - - r r n 2 0 a.test a.test a.test pass",
        "1 a.test none - - r r n 1 0 a.test a.test a.test",
        "1 a.test none - - r r n 1 0 a.test a.test a.test pass a.test:s",
        "1 a.test none - - r r n 1 0 a.test a.test a.test pass a:b:c d:e:f g:h:i j:k:l m:n:o"};
    struct dmarc_evidence e;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(dmarc_evidence_read(bytes_of_text(wrong[i]), &e));
    assert_true(dmarc_evidence_read(
        BYTES("1 a.test none - - r r n 1 0 a.test - - none a:b:c d:e:f g:h:i j:k:l"), &e));
}

/* ---- rows ---- */

#define PASSES "1 a.test reject - - r r n 1 0 a.test a.test a.test pass a.test:s1:pass"
#define FAILS "1 a.test reject - - r r n 0 0 sub.a.test x.test x.test none"
#define STRANGER "1 b.test reject - - r r n 0 0 b.test b.test b.test fail"
#define UNKNOWN "1 c.test reject - - r r n 1 1 c.test c.test c.test pass"

static struct dmarc_rows rows;

static void add(bool counts, const char *client, enum disposition disposition, const char *evidence)
{
    dmarc_rows_add(&rows, counts, bytes_of_text(client), disposition, OVERRIDE_NONE, bytes_of_text(evidence));
}

static void alike_becomes_one_row(void **state)
{
    struct buffer out = {0};
    struct dmarc_report_row row;
    struct sent_since sent;
    size_t count = 0, messages = 0;
    dmarc_rows_start(&rows, 1);
    add(false, "192.0.2.1", DISPOSITION_DELIVER, PASSES); /* another day: the domain is known */
    add(true, "192.0.2.1", DISPOSITION_DELIVER, FAILS);
    add(true, "192.0.2.1", DISPOSITION_DELIVER, FAILS);
    add(true, "192.0.2.1", DISPOSITION_REJECT, FAILS);
    add(true, "2001:db8::1", DISPOSITION_REJECT, FAILS);
    add(true, "192.0.2.1", DISPOSITION_DEFER, FAILS); /* it comes again */
    add(true, "local", DISPOSITION_DELIVER, FAILS);
    add(true, "192.0.2.1", DISPOSITION_DELIVER, STRANGER); /* of it, nothing ever passed */
    add(true, "192.0.2.1", DISPOSITION_DELIVER, UNKNOWN);  /* to it, nobody here sent mail */
    sent_since_start(&sent, 100, 1);
    dmarc_rows_write(&rows, &sent, &out);
    assert_int_equal(out.length, 0);
    sent_since_take(&sent, BYTES("100\na.test\nb.test\n"));
    dmarc_rows_write(&rows, &sent, &out);
    sent_since_free(&sent);
    for (struct bytes rest = buffer_bytes(&out); rest.length > 0; count++) {
        assert_true(dmarc_rows_read(bytes_split(&rest, '\n'), &row));
        assert_text(row.evidence.domain, "a.test");
        messages += row.count;
    }
    assert_true(count == 3 && messages == 4);
    static const char *const wrong[] = {"",
                                        "0 192.0.2.1 0 0 " PASSES,
                                        "1 local 0 0 " PASSES,
                                        "1 192.0.2.1 4 0 " PASSES,
                                        "1 192.0.2.1 0 9 " PASSES,
                                        "1 192.0.2.1 0 0"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(dmarc_rows_read(bytes_of_text(wrong[i]), &row));
    dmarc_rows_free(&rows);
    buffer_free(&out);
}

static void rows_are_limited(void **state)
{
    char client[32];
    dmarc_rows_start(&rows, 1);
    for (uint32_t i = 0; i < DMARC_ROWS_MAX; i++) {
        snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        add(true, client, DISPOSITION_DELIVER, PASSES);
    }
    assert_true(rows.rows.count == DMARC_ROWS_MAX && rows.left_out == 0);
    add(true, "192.0.2.1", DISPOSITION_DELIVER, PASSES);
    add(true, "10.0.0.7", DISPOSITION_DELIVER, PASSES); /* a row that is there still counts */
    assert_true(rows.rows.count == DMARC_ROWS_MAX && rows.left_out == 1 &&
                rows.octets <= DMARC_ROWS_OCTETS_MAX);
    dmarc_rows_free(&rows);
}

/* PASSES with a selector so long that the line has this length. */
static const char *evidence_of(size_t length)
{
    static char text[2048];
    size_t head = strlen(PASSES) - strlen("1:pass");
    memcpy(text, PASSES, head);
    memset(text + head, 'x', length - strlen(PASSES) + 1);
    strcpy(text + length - strlen(":pass"), ":pass");
    assert_int_equal(strlen(text), length);
    return text;
}

static void octets_of_rows_are_limited(void **state)
{
    char client[32];
    dmarc_rows_start(&rows, 1);
    for (unsigned i = 0; i <= (12 << 20) / 512; i++) {
        snprintf(client, sizeof client, "10.1%02u.1%02u.1%02u", i / 10000, i / 100 % 100, i % 100);
        add(true, client, DISPOSITION_DELIVER, evidence_of(512 - strlen("10.100.100.100 0 0 ")));
    }
    assert_int_equal(rows.octets, 12 << 20);
    assert_int_equal(rows.left_out, 1);
    dmarc_rows_free(&rows);
}

static void known_domains_are_limited(void **state)
{
    char evidence[128];
    dmarc_rows_start(&rows, 1);
    for (unsigned i = 0; i <= 20000; i++) {
        snprintf(evidence, sizeof evidence, "1 d%u.test reject - - r r n 1 0 a.test a.test a.test pass", i);
        add(false, "192.0.2.1", DISPOSITION_DELIVER, evidence);
        assert_int_equal(rows.known.count, i < 20000 ? i + 1 : 20000);
    }
    dmarc_rows_free(&rows);
}

static void a_line_is_limited(void **state)
{
    struct dmarc_evidence e;
    assert_true(dmarc_evidence_read(bytes_of_text(evidence_of(1536)), &e));
    assert_false(dmarc_evidence_read(bytes_of_text(evidence_of(1537)), &e));
}

/* ---- the report ---- */

static struct dmarc_report_row row_of(const char *text)
{
    struct dmarc_report_row row;
    assert_true(dmarc_rows_read(bytes_of_text(text), &row));
    return row;
}

static void read_back(struct dmarc_report_row *all, size_t count, struct report_aggregate *read)
{
    struct buffer text = {0}, packed = {0}, mail = {0}, unpacked = {0};
    struct bytes found;
    struct dmarc_report report = {
        BYTES("mx.here.test"), BYTES("a&b@here.test"), BYTES("1.a.test@mx.here.test"), 20788, all, count};
    dmarc_report_write(&text, &report);
    assert_true(pack_gzip(buffer_bytes(&text), &packed));
    const struct report_message message = {.kind = REPORT_KIND_DMARC,
                                           .hostname = report.organization,
                                           .from = BYTES("a@here.test"),
                                           .to = BYTES("rua@a.test"),
                                           .domain = BYTES("a.test"),
                                           .id = report.id,
                                           .day = report.day,
                                           .packed = buffer_bytes(&packed)};
    report_message_write(&mail, &message);
    assert_true(bytes_search(buffer_bytes(&mail), BYTES("\r\nContent-Type: application/gzip\r\n")) !=
                SIZE_MAX);
    assert_true(bytes_search(buffer_bytes(&mail),
                             BYTES("mx.here.test!a.test!1796083200!1796169599.xml.gz")) != SIZE_MAX);
    assert_true(bytes_search(buffer_bytes(&mail), BYTES("TLS-Report")) == SIZE_MAX);
    assert_true(report_mail_find(buffer_bytes(&mail), &arena, &found));
    assert_true(unpack_content(found, &unpacked, &error));
    assert_true(report_xml_read(buffer_bytes(&unpacked), &arena, read, &error));
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&mail);
    buffer_free(&unpacked);
}

static void a_report_is_read_back(void **state)
{
    struct dmarc_report_row all[] = {row_of("2 192.0.2.1 0 0 " PASSES), row_of("5 2001:db8::1 3 0 " FAILS),
                                     row_of("1 192.0.2.9 1 1 " FAILS),
                                     row_of("1 192.0.2.3 0 0 1 a.test none - - r s y 0 1 a.test - - none")};
    struct report_aggregate read;
    read_back(all, ARRAY_LENGTH(all), &read);
    assert_text(read.organization, "mx.here.test");
    assert_text(read.email, "a&b@here.test");
    assert_text(read.id, "1.a.test@mx.here.test");
    assert_text(read.domain, "a.test");
    assert_text(read.policy, "reject");
    assert_true(read.begin_s == 1796083200 && read.end_s == 1796169599 && read.row_count == 4);
    const struct report_row *forged = &read.rows[0], *honest = &read.rows[1]; /* most messages first */
    assert_true(forged->count == 5 && forged->disposition == REPORT_REJECT && !forged->dkim && !forged->spf);
    assert_text(forged->source, "2001:db8::1");
    assert_text(forged->header_from, "sub.a.test");
    assert_true(honest->count == 2 && honest->disposition == REPORT_PASS && honest->dkim && !honest->spf);
    assert_text(honest->dkim_domain, "a.test");
    assert_text(honest->dkim_selector, "s1");
    assert_text(honest->dkim_result, "pass");
    assert_text(honest->spf_result, "pass");
    assert_true(read.rows[2].disposition == REPORT_NONE && read.rows[2].spf); /* the policy asks for nothing
                                                                               */
    assert_int_equal(read.rows[3].disposition, REPORT_QUARANTINE);
}

static void a_report_has_a_limit(void **state)
{
    struct dmarc_report_row *all = memory_new((DMARC_REPORT_ROWS_MAX + 1) * sizeof *all);
    struct report_aggregate read;
    for (size_t i = 0; i <= DMARC_REPORT_ROWS_MAX; i++)
        all[i] = row_of(arena_format(&arena, "%d 10.%zu.%zu.%zu 0 0 " PASSES, i == 7 ? 1 : 2, i * 37 % 251,
                                     i * 91 % 241, i % 256));
    read_back(all, DMARC_REPORT_ROWS_MAX + 1, &read);
    assert_int_equal(read.row_count, DMARC_REPORT_ROWS_MAX);
    for (size_t i = 0; i < read.row_count; i++) /* the one with the fewest messages is left out */
        assert_int_equal(read.rows[i].count, 2);
    free(all);
}

/* ---- readers ---- */

static void answer(struct dns_facts *facts, const char *name, const char *text)
{
    struct dns_record record = {.data = bytes_of_text(text)};
    struct dns_answer found = {
        .status = text == NULL ? DNS_NXDOMAIN : DNS_FOUND, .records = &record, .count = text == NULL ? 0 : 1};
    dns_facts_add(facts, (struct dns_fact_key){DNS_TXT, bytes_of_text(name), NULL}, &found);
}

static void only_readers_that_agree_get_reports(void **state)
{
    struct dns_facts *facts = ARENA_NEW(&arena, struct dns_facts);
    struct report_readers readers;
    dns_facts_start(facts, &arena);
    answer(facts, "_dmarc.a.test",
           "v=DMARC1; p=none; rua=mailto:own@a.test!10m,mailto:yes@b.test,mailto:no@c.test,https://a.test/r");
    assert_int_equal(report_readers_find(REPORT_KIND_DMARC, BYTES("a.test"), facts, &readers),
                     REPORT_WANTED); /* not final: others are lacked */
    assert_true(facts->lacked_count > 0);
    answer(facts, "a.test._report._dmarc.b.test", "v=DMARC1;");
    static const char *const missing[] = {"a.test._report._dmarc.c.test", "_dmarc.test", "_dmarc.b.test",
                                          "_dmarc.c.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(missing); i++)
        answer(facts, missing[i], NULL);
    dns_facts_begin(facts);
    assert_int_equal(report_readers_find(REPORT_KIND_DMARC, BYTES("a.test"), facts, &readers), REPORT_WANTED);
    assert_int_equal(facts->lacked_count, 0);
    assert_int_equal(readers.address_count, 2);
    assert_text(readers.addresses[0], "own@a.test");
    assert_text(readers.addresses[1], "yes@b.test");
    answer(facts, "_dmarc.none.test", "v=DMARC1; p=none");
    assert_int_equal(report_readers_find(REPORT_KIND_DMARC, BYTES("none.test"), facts, &readers),
                     REPORT_UNWANTED);
}

#define JUDGED(name) cmocka_unit_test_setup_teardown(name, judge, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JUDGED(evidence_is_read_as_it_was_written),
        JUDGED(some_mail_is_told_of_by_no_report),
        JUDGED(evidence_has_a_longest_length),
        cmocka_unit_test(what_is_no_evidence_is_not_read),
        cmocka_unit_test(alike_becomes_one_row),
        cmocka_unit_test(rows_are_limited),
        cmocka_unit_test(octets_of_rows_are_limited),
        cmocka_unit_test(known_domains_are_limited),
        cmocka_unit_test(a_line_is_limited),
        cmocka_unit_test_teardown(a_report_is_read_back, clear),
        cmocka_unit_test_teardown(a_report_has_a_limit, clear),
        cmocka_unit_test_teardown(only_readers_that_agree_get_reports, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
