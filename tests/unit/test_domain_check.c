/* SPDX-License-Identifier: Apache-2.0 */
/* A domain's zone as it should be, and with each thing wrong: the finding, and whether the big receivers are
 * content. */
#include "core/domain/bulk_ready.h"
#include "domain_zones.h"
#include "unit.h"

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n"

static const uint8_t digest[TLSA_KEY_DIGEST] = "0123456789abcdef0123456789abcdef";

/* ---- the judge ---- */

static struct domain_facts facts;
static struct arena arena;
static struct domain_check check;
static const char *policy; /* NULL: it cannot be fetched */

static int start(void **state)
{
    facts = (struct domain_facts){
        .domain = BYTES("example.org"),
        .hostname = BYTES("mx.example.org"),
        .addresses = {{{192, 0, 2, 2}, false}, {{0x20, 1, 0xd, 0xb8, [15] = 2}, true}},
        .address_count = 2,
        .starttls = {587},
        .key_digest = digest,
        .keys = {{.record = {BYTES("example.org"), BYTES("s1"), DKIM_RSA_SHA256, BYTES(KEY)},
                  .stage = KEY_ACTIVE}},
        .key_count = 1};
    policy = POLICY;
    return 0;
}

static int clear(void **state)
{
    arena_clear(&arena);
    return 0;
}

static void answer_mailboxes(void)
{
    for (size_t i = 0; i < check.mailbox_count; i++) {
        struct domain_mailbox *mailbox = &check.mailboxes[i];
        bool ours = bytes_ends_nocase(mailbox->address, "@example.org");
        mailbox->state = !ours                                             ? MAILBOX_ELSEWHERE
                         : bytes_starts_nocase(mailbox->address, "nobody") ? MAILBOX_NOWHERE
                                                                           : MAILBOX_HERE;
    }
}

/* `backwards`: the last question is answered first, and one a round. Returns the rounds. */
static unsigned look(const struct paper_line *changes, bool backwards)
{
    struct dns_fact_key keys[DOMAIN_LACKED_MAX];
    const struct paper_zone zone = {good, changes};
    unsigned rounds = 0;
    domain_check_start(&check, &facts, &arena);
    for (; !domain_check_run(&check); rounds++) {
        size_t count = domain_check_lacked(&check, keys);
        assert_true(rounds < 400 && count <= DOMAIN_LACKED_MAX);
        answer_mailboxes();
        if (check.policy_wanted && (count == 0 || !backwards))
            domain_check_give_policy(&check, policy != NULL,
                                     bytes_of_text(policy == NULL ? "it is dead" : policy));
        for (size_t i = 0; i < count; i++) {
            struct dns_fact_key key = keys[backwards ? count - 1 - i : i];
            struct dns_answer answer = paper_zone_answer(&zone, key.type, key.name, &arena);
            domain_check_answer(&check, key, &answer);
            if (backwards)
                break;
        }
    }
    return rounds;
}

static const struct domain_row *worst(enum domain_subject subject)
{
    static const unsigned weights[DOMAIN_VERDICTS] = {[RECORD_RIGHT] = 0,
                                                      [RECORD_UNSURE] = 1,
                                                      [RECORD_MISSING] = 2,
                                                      [RECORD_UNKNOWN] = 3,
                                                      [RECORD_DIFFERENT] = 4};
    const struct domain_row *found = NULL;
    for (size_t i = 0; i < check.row_count; i++) {
        const struct domain_row *row = &check.rows[i];
        if (row->record.subject == subject &&
            (found == NULL || weights[row->finding.verdict] > weights[found->finding.verdict]))
            found = row;
    }
    return found;
}

static const char *reasons(void)
{
    struct bulk_ready ready;
    struct buffer text = {0};
    bulk_ready_judge(check.rows, check.row_count, &ready);
    assert_int_equal(ready.yes, ready.reason_count == 0);
    for (size_t i = 0; i < ready.reason_count; i++)
        buffer_add_format(&text, "%s%s", i > 0 ? " " : "", bulk_reason_name(ready.reasons[i]));
    const char *copy = arena_text(&arena, buffer_bytes(&text));
    buffer_free(&text);
    return copy;
}

static void expect(const struct zone_case *c)
{
    const struct domain_row *row = worst(c->subject);
    if (row == NULL)
        fail_msg("%s: no row", c->title);
    const struct domain_finding *f = &row->finding;
    if (f->verdict != c->verdict || f->fault != c->fault)
        fail_msg("%s: %s, %s (%.*s)", c->title, domain_verdict_name(f->verdict), domain_fault_name(f->fault),
                 BYTES_ARG(f->detail));
    if (c->detail != NULL && bytes_search(f->detail, bytes_of_text(c->detail)) == SIZE_MAX)
        fail_msg("%s: \"%.*s\" without %s", c->title, BYTES_ARG(f->detail), c->detail);
    if (strcmp(reasons(), c->reason == NULL ? "" : c->reason) != 0)
        fail_msg("%s: not ready: %s", c->title, reasons());
    struct bytes hint = domain_finding_hint(f, &arena);
    if (f->verdict != RECORD_RIGHT && f->verdict != RECORD_MISSING && hint.length == 0)
        fail_msg("%s: no hint", c->title);
    if (f->verdict == RECORD_DIFFERENT && c->subject != SUBJECT_DMARC && f->found.length == 0)
        fail_msg("%s: it is not said what DNS says", c->title);
}

static void each_zone_has_its_finding(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (int backwards = 0; backwards < 2; backwards++) {
            start(NULL);
            look(cases[i].changes, backwards == 1);
            expect(&cases[i]);
            clear(NULL);
        }
}

static void all_that_is_known_is_asked_together(void **state)
{
    /* names, then those that they lead to, then the policy's file */
    assert_true(look(NULL, false) <= 4);
    assert_string_equal(reasons(), "");
    for (size_t i = 0; i < check.row_count; i++)
        assert_int_equal(check.rows[i].finding.verdict, RECORD_RIGHT);
}

/* ---- what is counted, and proposed ---- */

static void look_ups_are_counted(void **state)
{
    static const struct paper_line ten[] = {
        {DNS_TXT, "example.org", "v=spf1 mx a:x.test a:y.test include:z.test -all"},
        {DNS_TXT, "z.test", "v=spf1 a:mx.example.org -all"},
        {0}};
    look(ten, false);
    const struct domain_finding *f = &worst(SUBJECT_SPF)->finding;
    assert_true(f->counted && f->lookups == 5 && f->voids == 2);
}

static void an_amended_record_is_proposed(void **state)
{
    static const struct paper_line others[] = {
        {DNS_TXT, "example.org", "v=spf1 include:x.test -all"}, {DNS_TXT, "x.test", "v=spf1 -all"}, {0}};
    static const struct paper_line anyone[] = {
        {DNS_TXT, "example.org", "v=spf1 mx ip4:0.0.0.0/0 include:x.test all"},
        {DNS_TXT, "x.test", "v=spf1 -all"},
        {0}};
    look(others, false);
    assert_text(domain_row_should(worst(SUBJECT_SPF)),
                "\"v=spf1 ip4:192.0.2.2 ip6:2001:db8::2 include:x.test -all\"");
    look(anyone, false);
    assert_text(domain_row_should(worst(SUBJECT_SPF)), "\"v=spf1 mx include:x.test ~all\"");
}

static void others_do_not_write_on_the_terminal(void **state)
{
    static const struct paper_line wild[] = {
        {DNS_TXT, "example.org", "v=spf1 \x1b[31m\x9b \xe2\x80\xae -all"},
        {DNS_PTR, "2.2.0.192.in-addr.arpa", "\x1b]0;x.test"},
        {DNS_TXT, "_dmarc.example.org", "v=DMARC1; p=\x1b[2J"},
        {0}};
    look(wild, false);
    for (size_t i = 0; i < check.row_count; i++) {
        const struct domain_finding *f = &check.rows[i].finding;
        assert_false(bytes_has_control_character(f->found) || bytes_has_control_character(f->detail) ||
                     bytes_has_control_character(f->should));
        assert_true(bytes_is_utf8(f->found) && bytes_is_utf8(f->detail));
    }
}

/* ---- other servers ---- */

static void without_a_public_address_that_of_the_name_counts(void **state)
{
    facts.address_count = 0;
    look(NULL, false);
    assert_true(check.addresses_from_dns && check.facts.address_count == 2);
    assert_int_equal(worst(SUBJECT_PTR)->finding.verdict, RECORD_RIGHT);
    assert_string_equal(reasons(), "");
    static const struct paper_line nothing[] = {
        {DNS_A, "mx.example.org", NULL}, {DNS_AAAA, "mx.example.org", NULL}, {0}};
    look(nothing, false);
    assert_int_equal(worst(SUBJECT_SPF)->finding.fault, FAULT_SPF_NO_ADDRESS);
}

static void behind_a_smarthost_its_addresses_count(void **state)
{
    static const struct paper_line its[] = {{DNS_TXT, "example.org", "v=spf1 include:x.test -all"},
                                            {DNS_TXT, "x.test", "v=spf1 ip4:198.51.100.0/24 -all"},
                                            {DNS_PTR, "2.2.0.192.in-addr.arpa", NULL},
                                            {DNS_PTR, REVERSE_SIX, NULL},
                                            {DNS_TXT, "mx.example.org", NULL},
                                            {0}};
    facts.smarthost = BYTES("smtp.x.test");
    look(its, false);
    assert_int_equal(worst(SUBJECT_SPF)->finding.fault, FAULT_SPF_SMARTHOST);
    assert_null(worst(SUBJECT_HELO_SPF));
    assert_string_equal(reasons(), "");
}

static void a_server_of_the_domains_own_name_has_one_record(void **state)
{
    facts.hostname = BYTES("example.org");
    look(NULL, false);
    assert_null(worst(SUBJECT_HELO_SPF));
}

/* ---- keys ---- */

static void keys_that_are_not_there(void **state)
{
    facts.key_count = 0;
    look(NULL, false);
    assert_int_equal(worst(SUBJECT_DKIM)->finding.fault, FAULT_DKIM_NO_KEY);
    assert_string_equal(reasons(), "no_dkim_key");
    facts.keys_unreadable = BYTES("only root may read them");
    look(NULL, false);
    assert_int_equal(worst(SUBJECT_DKIM)->finding.verdict, RECORD_UNKNOWN);
    assert_string_equal(reasons(), "unknown");
}

static void a_key_counts_by_its_stage(void **state)
{
    static const struct {
        enum key_stage first, second; /* DNS shows the first */
        const char *reasons;
    } rows[] = {
        {KEY_ACTIVE, KEY_PREPARED, ""},
        {KEY_PUBLISHED, KEY_PREPARED, "dkim_waits"},
        {KEY_PREPARED, KEY_ACTIVE, "dkim_waits"},
        {KEY_RETIRED, KEY_ACTIVE, "no_dkim"},
        {KEY_ACTIVE, KEY_RETIRED, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        facts.keys[0].stage = rows[i].first;
        facts.keys[1] = facts.keys[0];
        facts.keys[1].record.selector = BYTES("s2");
        facts.keys[1].stage = rows[i].second;
        facts.key_count = 2;
        look(NULL, false);
        assert_string_equal(reasons(), rows[i].reasons);
    }
}

/* ---- the policy ---- */

static void policies_that_are_not_served(void **state)
{
    static const struct {
        const char *policy;
        enum domain_fault fault;
    } rows[] = {
        {NULL, FAULT_STS_NOT_SERVED},
        {"<html>", FAULT_STS_POLICY},
        {"version: STSv1\nmode: testing\nmx: *.example.org\nmax_age: 86400\n", FAULT_STS_NOT_ENFORCED},
        {"version: STSv1\nmode: none\nmax_age: 86400\n", FAULT_STS_NOT_ENFORCED},
        {"version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmax_age: 86400\r\n", FAULT_NONE},
        {"version: STSv1\nmode: enforce\nmx: other.example.org\nmax_age: 86400\n", FAULT_STS_MX},
    };
    static const struct paper_line silent[] = {{DNS_TXT, "_mta-sts.example.org", NULL}, {0}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        policy = rows[i].policy;
        look(NULL, false);
        assert_int_equal(worst(SUBJECT_MTA_STS)->finding.fault, rows[i].fault);
    }
    policy = NULL; /* neither announced nor served: nothing is proposed */
    look(silent, false);
    assert_null(worst(SUBJECT_MTA_STS));
}

static void when_the_time_is_over_the_rest_is_unknown(void **state)
{
    domain_check_start(&check, &facts, &arena);
    assert_false(domain_check_run(&check));
    domain_check_give_up(&check);
    assert_true(domain_check_run(&check));
    for (size_t i = 0; i < check.row_count; i++)
        assert_int_equal(check.rows[i].finding.verdict, RECORD_UNKNOWN);
    assert_string_equal(reasons(), "unknown");
}

static void the_sentence_says_all_reasons(void **state)
{
    struct bulk_ready ready = {.yes = true};
    assert_text(bulk_ready_sentence(&ready, &arena),
                "ready for Gmail, Yahoo and Microsoft (also in bulk): yes");
    ready = (struct bulk_ready){.reasons = {BULK_NO_SPF, BULK_NO_DMARC}, .reason_count = 2};
    assert_text(bulk_ready_sentence(&ready, &arena),
                "ready for Gmail, Yahoo and Microsoft (also in bulk): no, because "
                "there is no SPF record; and there is no DMARC record");
    for (int i = 0; i < BULK_REASONS; i++)
        assert_true(bulk_reason_clause((enum bulk_reason)i)[0] != '\0' &&
                    bulk_reason_name((enum bulk_reason)i)[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_zone_has_its_finding, start, clear),
        cmocka_unit_test_setup_teardown(all_that_is_known_is_asked_together, start, clear),
        cmocka_unit_test_setup_teardown(look_ups_are_counted, start, clear),
        cmocka_unit_test_setup_teardown(an_amended_record_is_proposed, start, clear),
        cmocka_unit_test_setup_teardown(others_do_not_write_on_the_terminal, start, clear),
        cmocka_unit_test_setup_teardown(without_a_public_address_that_of_the_name_counts, start, clear),
        cmocka_unit_test_setup_teardown(behind_a_smarthost_its_addresses_count, start, clear),
        cmocka_unit_test_setup_teardown(a_server_of_the_domains_own_name_has_one_record, start, clear),
        cmocka_unit_test_setup_teardown(keys_that_are_not_there, start, clear),
        cmocka_unit_test_setup_teardown(a_key_counts_by_its_stage, start, clear),
        cmocka_unit_test_setup_teardown(policies_that_are_not_served, start, clear),
        cmocka_unit_test_setup_teardown(when_the_time_is_over_the_rest_is_unknown, start, clear),
        cmocka_unit_test_setup_teardown(the_sentence_says_all_reasons, start, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
