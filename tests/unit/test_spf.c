/* SPDX-License-Identifier: Apache-2.0 */
/* SPF's limits at and past them, what is asked together, and records made to cost much. The tables in
 * tests/suites/trust have the rest. */
#include <stdio.h>

#include "core/dns/host.h"
#include "core/trust/spf.h"
#include "core/trust/spf_macro.h"
#include "core/trust/spf_record.h"
#include "unit.h"

enum { QUESTIONS_MAX = 400 };

/* The DNS of a test: the records of a name, made up by the test. False: the name does not exist. */
typedef bool zone_function(enum dns_type type, const char *name, struct dns_answer *answer,
                           struct arena *arena);

struct judged {
    struct spf_verdict verdict;
    int rounds, questions;
};

static struct arena arena;

static int finish(void **state)
{
    arena_clear(&arena);
    return 0;
}

static void add_record(struct dns_answer *answer, struct dns_record record, struct arena *to)
{
    struct dns_record *records = ARENA_ARRAY(to, struct dns_record, answer->count + 1);
    for (size_t i = 0; i < answer->count; i++)
        records[i] = answer->records[i];
    records[answer->count] = record;
    answer->records = records;
    answer->count++;
    answer->status = DNS_FOUND;
}

static void add_text(struct dns_answer *answer, const char *text, struct arena *to)
{
    add_record(answer, (struct dns_record){.data = bytes_of_text(arena_text(to, bytes_of_text(text)))}, to);
}

static void add_name(struct dns_answer *answer, const char *name, struct arena *to)
{
    add_record(answer, (struct dns_record){.name = bytes_of_text(arena_text(to, bytes_of_text(name)))}, to);
}

static void add_address(struct dns_answer *answer, const char *text, struct arena *to)
{
    struct dns_record record = {0};
    memcpy(record.address, route_literal(bytes_of_text(text)).octets, 16);
    add_record(answer, record, to);
}

static void answer_all(struct dns_facts *facts, zone_function *zone, struct judged *judged)
{
    for (size_t i = 0; i < facts->lacked_count; i++) {
        struct dns_answer answer = {.status = DNS_NO_DATA};
        if (!zone(facts->lacked[i].type, arena_text(&arena, facts->lacked[i].name), &answer, &arena))
            answer.status = DNS_NXDOMAIN;
        dns_facts_add(facts, facts->lacked[i], &answer);
        assert_true(++judged->questions < QUESTIONS_MAX);
    }
}

static struct judged judge_as(const char *client, const char *sender, zone_function *zone)
{
    struct judged judged = {.rounds = 0};
    struct dns_facts *facts = ARENA_NEW(&arena, struct dns_facts);
    struct spf_question question = {.client = route_literal(bytes_of_text(client)),
                                    .helo = BYTES("mail.example.org"),
                                    .mail_from = bytes_of_text(sender),
                                    .explain = true};
    dns_facts_start(facts, &arena);
    do {
        answer_all(facts, zone, &judged);
        dns_facts_begin(facts);
        judged.verdict = spf_judge(&question, facts);
        judged.rounds++;
    } while (facts->lacked_count > 0);
    assert_true(facts->known_count < DNS_FACTS_MAX);
    return judged;
}

static struct judged judge(zone_function *zone)
{
    return judge_as("192.0.2.1", "anne@example.org", zone);
}

/* ---- limits ---- */

static unsigned terms; /* of the record of example.org */

/* "v=spf1 exists:y0... exists:y1 ... " all but the last find nothing to match. */
static bool many_terms(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    if (strcmp(name, "example.org") == 0) {
        struct buffer record = {0};
        buffer_add_text(&record, "v=spf1");
        for (unsigned i = 0; i < terms; i++)
            buffer_add_format(&record, " a:a%u.example.net", i);
        buffer_add_text(&record, " -all");
        add_text(answer, buffer_text(&record), to);
        buffer_free(&record);
    } else if (type == DNS_A) {
        add_address(answer, "198.51.100.1", to);
    }
    return true;
}

static void test_ten_lookups_are_allowed_and_eleven_are_not(void **state)
{
    terms = 10;
    struct judged judged = judge(many_terms);
    assert_int_equal(judged.verdict.result, SPF_FAIL);
    assert_int_equal(judged.verdict.lookups, 10);
    assert_text(judged.verdict.term, "-all");
    assert_int_equal(judged.rounds, 3); /* the record, all ten addresses together, the verdict */
    terms = 11;
    judged = judge(many_terms);
    assert_int_equal(judged.verdict.result, SPF_PERMERROR);
    assert_int_equal(judged.verdict.problem, SPF_TOO_MANY_LOOKUPS);
    assert_text(judged.verdict.term, "a:a10.example.net");
}

static bool void_terms(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    if (strcmp(name, "example.org") != 0)
        return false;
    return many_terms(type, name, answer, to);
}

static void test_two_voids_are_allowed_and_three_are_not(void **state)
{
    terms = 2;
    assert_int_equal(judge(void_terms).verdict.result, SPF_FAIL);
    terms = 3;
    struct judged judged = judge(void_terms);
    assert_int_equal(judged.verdict.result, SPF_PERMERROR);
    assert_int_equal(judged.verdict.problem, SPF_TOO_MANY_VOIDS);
    assert_text(judged.verdict.term, "a:a2.example.net");
}

static unsigned hosts; /* of each MX, of the client */

static bool many_hosts(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    char host[64];
    if (type == DNS_TXT)
        add_text(answer, strstr(name, "ptr") != NULL ? "v=spf1 ptr -all" : "v=spf1 mx -all", to);
    for (unsigned i = 0; i < hosts && (type == DNS_MX || type == DNS_PTR); i++) {
        snprintf(host, sizeof(host), "h%u.ptr.example", i);
        add_name(answer, host, to);
    }
    if (type == DNS_A)
        add_address(answer,
                    strncmp(name, "h9.", 3) == 0 || strncmp(name, "h10.", 4) == 0 ? "192.0.2.1" : "192.0.2.9",
                    to);
    return true;
}

static void test_ten_servers_of_an_mx_are_allowed_and_eleven_are_not(void **state)
{
    hosts = 10;
    assert_int_equal(judge(many_hosts).verdict.result, SPF_PASS);
    hosts = 11;
    struct judged judged = judge(many_hosts);
    assert_int_equal(judged.verdict.result, SPF_PERMERROR);
    assert_int_equal(judged.verdict.problem, SPF_TOO_MANY_MX);
}

static void test_the_first_ten_names_of_a_client_are_looked_at(void **state)
{
    hosts = 10; /* the tenth has the client's address */
    assert_int_equal(judge_as("192.0.2.1", "anne@ptr.example", many_hosts).verdict.result, SPF_PASS);
    hosts = 30;
    struct judged judged = judge_as("192.0.2.1", "anne@ptr.example", many_hosts);
    assert_int_equal(judged.verdict.result, SPF_PASS);
    assert_true(judged.questions <= 12);
}

static size_t record_length;

static bool long_record(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    struct buffer record = {0};
    buffer_add_text(&record, "v=spf1 +all");
    while (record.length < record_length)
        buffer_add_octet(&record, ' ');
    add_text(answer, buffer_text(&record), to);
    buffer_free(&record);
    return true;
}

static void test_a_record_has_four_kibibytes(void **state)
{
    record_length = SPF_RECORD_MAX;
    assert_int_equal(judge(long_record).verdict.result, SPF_PASS);
    record_length++;
    assert_int_equal(judge(long_record).verdict.problem, SPF_SYNTAX);
}

static size_t explanation_length;

static bool long_explanation(enum dns_type type, const char *name, struct dns_answer *answer,
                             struct arena *to)
{
    struct buffer text = {0};
    if (strcmp(name, "exp.example.org") == 0)
        while (text.length < explanation_length)
            buffer_add_octet(&text, 'x');
    else
        buffer_add_text(&text, "v=spf1 -all exp=exp.%{d}");
    add_text(answer, buffer_text(&text), to);
    buffer_free(&text);
    return true;
}

static void test_an_explanation_is_cut_at_its_limit(void **state)
{
    explanation_length = SPF_EXPLANATION_MAX;
    assert_int_equal(judge(long_explanation).verdict.explanation.length, SPF_EXPLANATION_MAX);
    explanation_length++;
    assert_int_equal(judge(long_explanation).verdict.explanation.length, SPF_EXPLANATION_MAX);
}

/* ---- the way to the verdict ---- */

static bool includes(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    static const char *const RECORDS[][2] = {
        {"example.org", "v=spf1 a:www.example.org include:one.example include:two.example -all"},
        {"one.example", "v=spf1 ip4:198.51.100.0/24 -all"},
        {"two.example", "v=spf1 redirect=three.example"},
        {"three.example", "v=spf1 ip4:203.0.113.7 ip4:192.0.2.0/24 -all"},
        {"www.example.org", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(RECORDS); i++) {
        if (strcmp(name, RECORDS[i][0]) != 0)
            continue;
        if (type == DNS_TXT)
            add_text(answer, RECORDS[i][1], to);
        return true;
    }
    return false;
}

static void test_a_verdict_tells_the_term_and_the_way_to_it(void **state)
{
    struct spf_verdict verdict = judge(includes).verdict;
    assert_int_equal(verdict.result, SPF_PASS);
    assert_text(verdict.term, "ip4:192.0.2.0/24");
    assert_int_equal(verdict.link_count, 3);
    assert_text(verdict.links[0].domain, "example.org");
    assert_text(verdict.links[1].domain, "two.example");
    assert_false(verdict.links[1].redirected);
    assert_text(verdict.links[2].domain, "three.example");
    assert_true(verdict.links[2].redirected);
    assert_int_equal(verdict.lookups, 4);
    verdict = judge_as("2001:db8::1", "anne@example.org", includes).verdict;
    assert_int_equal(verdict.result, SPF_FAIL);
    assert_text(verdict.term, "-all");
    assert_int_equal(verdict.link_count, 1);
}

static void test_names_are_asked_together(void **state)
{
    struct judged judged = judge(includes); /* the record; www, one, two; three */
    assert_int_equal(judged.rounds, 4);
    assert_int_equal(judged.questions, 5);
}

static void test_a_null_sender_is_the_postmaster_of_helo(void **state)
{
    struct spf_verdict verdict = judge_as("192.0.2.1", "", includes).verdict;
    assert_true(verdict.null_sender);
    assert_text(verdict.domain, "mail.example.org");
    assert_int_equal(verdict.result, SPF_NONE);
    assert_int_equal(verdict.problem, SPF_NO_RECORD);
}

static void test_an_identity_without_a_domain_has_no_result(void **state)
{
    static const char *const SENDERS[] = {
        "anne",      "anne@",          "anne@localhost",   "anne@[192.0.2.1]",
        "anne@a..b", "anne@192.0.2.1", "anne@exa mple.org"};
    for (size_t i = 0; i < ARRAY_LENGTH(SENDERS); i++) {
        struct judged judged = judge_as("192.0.2.1", SENDERS[i], includes);
        assert_int_equal(judged.verdict.problem, SPF_NO_DOMAIN);
        assert_int_equal(judged.verdict.result, SPF_NONE);
        assert_int_equal(judged.questions, 0);
    }
}

static void test_an_ipv4_mapped_client_is_an_ipv4_client(void **state)
{
    assert_int_equal(judge_as("::ffff:192.0.2.1", "anne@example.org", includes).verdict.result, SPF_PASS);
}

/* ---- records made to cost much ---- */

/* Each name has ten includes of names that have ten. */
static bool include_bomb(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    struct buffer record = {0};
    buffer_add_text(&record, "v=spf1");
    for (int i = 0; i < 10; i++)
        buffer_add_format(&record, " include:%d.%.200s", i, name);
    add_text(answer, buffer_text(&record), to);
    buffer_free(&record);
    return true;
}

static bool include_loop(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    add_text(answer, "v=spf1 include:example.org include:loop.example include:%{d} redirect=example.org", to);
    return true;
}

static bool macro_bomb(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    struct buffer record = {0};
    buffer_add_text(&record, "v=spf1");
    for (int i = 0; i < 4; i++) {
        buffer_add_text(&record, " ?exists:");
        while (record.length < (size_t)(i + 1) * 1000)
            buffer_add_text(&record, "%{S255r-+,/_=}%{p}");
        buffer_add_text(&record, ".example.org");
    }
    if (type == DNS_TXT)
        add_text(answer, buffer_text(&record), to);
    else if (type == DNS_PTR)
        for (int i = 0; i < 300; i++)
            add_name(answer, "mail.example.org", to);
    buffer_free(&record);
    return true;
}

static void test_bombs_end_soon(void **state)
{
    struct judged judged = judge(include_bomb);
    assert_int_equal(judged.verdict.problem, SPF_TOO_MANY_LOOKUPS);
    assert_true(judged.questions <= SPF_PREFETCHED_MAX + SPF_LOOKUPS_MAX + 1);
    assert_int_equal(judge(include_loop).verdict.problem, SPF_TOO_MANY_LOOKUPS);
    assert_int_equal(judge(macro_bomb).verdict.problem, SPF_TOO_MANY_VOIDS);
}

/* Ten mx terms of ten hosts that do not match, the most that one judgement asks. */
static bool mx_bomb(enum dns_type type, const char *name, struct dns_answer *answer, struct arena *to)
{
    char host[64];
    if (type == DNS_TXT)
        add_text(answer,
                 "v=spf1 mx:0.b.example mx:1.b.example mx:2.b.example mx:3.b.example mx:4.b.example "
                 "mx:5.b.example mx:6.b.example mx:7.b.example mx:8.b.example ptr -all",
                 to);
    for (int i = 0; i < 10 && (type == DNS_MX || type == DNS_PTR); i++) {
        snprintf(host, sizeof(host), "h%d.%.40s", i, type == DNS_MX ? name : "example.org");
        add_name(answer, host, to);
    }
    if (type == DNS_A)
        add_address(answer, "198.51.100.1", to);
    return true;
}

static void test_the_most_questions_have_room(void **state)
{
    struct judged judged = judge(mx_bomb);
    assert_int_equal(judged.verdict.result, SPF_FAIL);
    assert_int_equal(judged.questions, 1 + 9 * 11 + 11);
}

/* ---- macros ---- */

static void test_a_long_name_loses_labels_on_its_left(void **state)
{
    struct route_address client = route_literal(BYTES("192.0.2.1"));
    struct spf_macro_values values = {.domain = BYTES("example.org"), .client = &client};
    struct spf_expansion out;
    struct buffer text = {0};
    for (int i = 0; i < 700; i++)
        buffer_add_text(&text, "abc.");
    buffer_add_text(&text, "%{d}");
    spf_macro_expand_name(buffer_bytes(&text), &values, &out);
    assert_int_equal(out.length, 251); /* sixty labels, and example.org */
    assert_memory_equal(out.at, "abc.abc.", 8);
    buffer_clear(&text);
    for (int i = 0; i < 300; i++)
        buffer_add_octet(&text, 'a');
    buffer_add_text(&text, ".%{d}");
    spf_macro_expand_name(buffer_bytes(&text), &values, &out);
    assert_text(bytes_of(out.at, out.length), "example.org");
    buffer_free(&text);
}

static void test_octets_that_a_name_cannot_hold_are_escaped(void **state)
{
    struct route_address client = route_literal(BYTES("192.0.2.1"));
    struct spf_macro_values values = {.local = BYTES("a\\b c"), .client = &client};
    struct spf_expansion out;
    spf_macro_expand_name(BYTES("%{l}.example.org"), &values, &out);
    assert_text(bytes_of(out.at, out.length), "a\\092b\\032c.example.org");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_ten_lookups_are_allowed_and_eleven_are_not, finish),
        cmocka_unit_test_teardown(test_two_voids_are_allowed_and_three_are_not, finish),
        cmocka_unit_test_teardown(test_ten_servers_of_an_mx_are_allowed_and_eleven_are_not, finish),
        cmocka_unit_test_teardown(test_the_first_ten_names_of_a_client_are_looked_at, finish),
        cmocka_unit_test_teardown(test_a_record_has_four_kibibytes, finish),
        cmocka_unit_test_teardown(test_an_explanation_is_cut_at_its_limit, finish),
        cmocka_unit_test_teardown(test_a_verdict_tells_the_term_and_the_way_to_it, finish),
        cmocka_unit_test_teardown(test_names_are_asked_together, finish),
        cmocka_unit_test_teardown(test_a_null_sender_is_the_postmaster_of_helo, finish),
        cmocka_unit_test_teardown(test_an_identity_without_a_domain_has_no_result, finish),
        cmocka_unit_test_teardown(test_an_ipv4_mapped_client_is_an_ipv4_client, finish),
        cmocka_unit_test_teardown(test_bombs_end_soon, finish),
        cmocka_unit_test_teardown(test_the_most_questions_have_room, finish),
        cmocka_unit_test_teardown(test_a_long_name_loses_labels_on_its_left, finish),
        cmocka_unit_test_teardown(test_octets_that_a_name_cannot_hold_are_escaped, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
