/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a message: a row for each finding, and the limits of replies. */
#include "core/trust/verdict.h"
#include "unit.h"

struct situation {
    enum verdict_finding finding; /* expected */
    enum disposition disposition;
    enum dmarc_result result;
    enum dmarc_policy policy;
    bool testing, arc, forwarder, list, enough;
};

static struct spf_verdict spf;
static struct dmarc_question identifiers;
static struct dmarc_verdict dmarc;

static struct verdict judge(struct verdict_facts facts)
{
    struct verdict verdict;
    facts.spf = &spf;
    facts.identifiers = &identifiers;
    facts.dmarc = &dmarc;
    verdict_judge(&facts, &verdict);
    return verdict;
}

static int prepare(void **state)
{
    spf = (struct spf_verdict){.result = SPF_NONE};
    identifiers = (struct dmarc_question){.dkim_count = 0};
    dmarc = (struct dmarc_verdict){
        .result = DMARC_FAIL, .policy = DMARC_POLICY_REJECT, .author = BYTES("bank.example")};
    return 0;
}

#define NO DMARC_POLICY_UNSET
#define P_NONE DMARC_POLICY_NONE
#define P_JUNK DMARC_POLICY_QUARANTINE
#define P_REJECT DMARC_POLICY_REJECT
static const struct situation SITUATIONS[] = {
    {FINDING_PASS, DISPOSITION_DELIVER, DMARC_PASS, P_REJECT, .testing = false},
    {FINDING_NO_POLICY, DISPOSITION_DELIVER, DMARC_NONE, NO, .testing = false},
    {FINDING_SEVERAL_AUTHORS, DISPOSITION_DELIVER, DMARC_PERMERROR, NO, .testing = false},
    {FINDING_FAIL_NONE, DISPOSITION_DELIVER, DMARC_FAIL, P_NONE, .testing = false},
    {FINDING_FAIL_NONE_TESTING, DISPOSITION_DELIVER, DMARC_FAIL, P_NONE, .testing = true},
    {FINDING_FAIL_QUARANTINE, DISPOSITION_JUNK, DMARC_FAIL, P_JUNK, .testing = false},
    {FINDING_FAIL_QUARANTINE, DISPOSITION_JUNK, DMARC_FAIL, P_JUNK, .list = true},
    {FINDING_FAIL_QUARANTINE_TESTING, DISPOSITION_JUNK, DMARC_FAIL, P_JUNK, .testing = true},
    {FINDING_FAIL_QUARANTINE_ARC, DISPOSITION_DELIVER, DMARC_FAIL, P_JUNK, .arc = true},
    {FINDING_FAIL_QUARANTINE_FORWARDER, DISPOSITION_DELIVER, DMARC_FAIL, P_JUNK, .forwarder = true},
    {FINDING_FAIL_REJECT, DISPOSITION_REJECT, DMARC_FAIL, P_REJECT, .enough = true},
    {FINDING_FAIL_REJECT_ARC, DISPOSITION_JUNK, DMARC_FAIL, P_REJECT, .arc = true, .list = true},
    {FINDING_FAIL_REJECT_FORWARDER, DISPOSITION_JUNK, DMARC_FAIL, P_REJECT, .forwarder = true, .list = true},
    {FINDING_FAIL_REJECT_LIST, DISPOSITION_JUNK, DMARC_FAIL, P_REJECT, .list = true},
    {FINDING_TEMPERROR, DISPOSITION_DELIVER, DMARC_TEMPERROR, NO, .testing = false},
    {FINDING_TEMPERROR, DISPOSITION_DELIVER, DMARC_TEMPERROR, P_JUNK, .testing = false},
    {FINDING_TEMPERROR, DISPOSITION_DELIVER, DMARC_TEMPERROR, P_REJECT, .list = true},
    {FINDING_TEMPERROR_REJECT, DISPOSITION_DEFER, DMARC_TEMPERROR, P_REJECT, .testing = false},
    {FINDING_TEMPERROR_ACCEPTED, DISPOSITION_DELIVER, DMARC_TEMPERROR, P_REJECT, .enough = true},
};

static void test_each_finding_has_its_disposition(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(SITUATIONS); i++) {
        const struct situation *s = &SITUATIONS[i];
        dmarc.result = s->result;
        dmarc.policy = s->policy;
        dmarc.testing = s->testing;
        struct verdict_facts facts = {
            .arc_trusted = s->arc, .forwarder = s->forwarder, .list = s->list, .deferred_enough = s->enough};
        struct verdict verdict = judge(facts);
        assert_int_equal(verdict.finding, s->finding);
        assert_int_equal(verdict.disposition, s->disposition);
        assert_int_equal(verdict.proposed, s->disposition);
        assert_int_equal(verdict.code != 0, s->disposition >= DISPOSITION_DEFER);
        assert_int_equal(verdict.text[0] != '\0', verdict.code != 0);
        facts.mode = VERDICT_OBSERVE;
        verdict = judge(facts);
        assert_int_equal(verdict.disposition, DISPOSITION_DELIVER);
        assert_int_equal(verdict.proposed, s->disposition);
        facts.mode = VERDICT_OFF;
        assert_int_equal(judge(facts).finding, FINDING_NOT_CHECKED);
        facts.mode = VERDICT_ENFORCE;
        facts.authenticated = true;
        assert_int_equal(judge(facts).disposition, DISPOSITION_DELIVER);
    }
}

static void test_spf_and_dkim_alone_refuse_nothing(void **state)
{
    dmarc.result = DMARC_NONE;
    spf.result = SPF_FAIL;
    identifiers.dkim_count = 1;
    identifiers.dkim[0] = (struct dmarc_identifier){DMARC_OUTCOME_OTHER, BYTES("bank.example")};
    assert_int_equal(judge((struct verdict_facts){.mode = VERDICT_ENFORCE}).disposition, DISPOSITION_DELIVER);
}

static void test_a_bad_header_is_refused_whoever_it_is_from(void **state)
{
    dmarc.result = DMARC_PASS;
    for (int form = FORM_FINE + 1; form < VERDICT_FORMS; form++) {
        struct verdict verdict = judge((struct verdict_facts){.form = (enum verdict_form)form});
        assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
        assert_int_equal(verdict.code, 550);
        assert_string_equal(verdict.enhanced, "5.6.0");
        assert_true(strlen(verdict.text) > 20);
    }
}

static void test_replies_name_the_domain_and_what_to_do(void **state)
{
    struct verdict verdict = judge((struct verdict_facts){.form = FORM_FINE});
    assert_int_equal(verdict.code, 550);
    assert_string_equal(verdict.enhanced, "5.7.26");
    assert_string_equal(verdict.text,
                        "Rejected by the DMARC policy of bank.example; sign with DKIM as that domain, "
                        "or list the server in its SPF record");
    identifiers.dkim_count = 1;
    identifiers.dkim[0] = (struct dmarc_identifier){DMARC_OUTCOME_OTHER, BYTES("bank.example")};
    assert_non_null(strstr(judge((struct verdict_facts){.form = FORM_FINE}).text, "does not verify"));
    identifiers.dkim[0] = (struct dmarc_identifier){DMARC_OUTCOME_PASS, BYTES("mailer.example")};
    assert_non_null(strstr(judge((struct verdict_facts){.form = FORM_FINE}).text, "another domain's"));
    dmarc.result = DMARC_TEMPERROR;
    verdict = judge((struct verdict_facts){.form = FORM_FINE});
    assert_int_equal(verdict.code, 451);
    assert_string_equal(verdict.enhanced, "4.7.20");
    spf.result = SPF_TEMPERROR;
    assert_string_equal(judge((struct verdict_facts){.form = FORM_FINE}).enhanced, "4.7.24");
}

static void test_a_long_or_hostile_domain_stays_within_a_reply(void **state)
{
    char name[254];
    memset(name, 'a', sizeof(name));
    name[3] = '\n';
    name[4] = '\xC3';
    identifiers.dkim_count = 1;
    for (size_t length = VERDICT_NAME_MAX - 1; length <= sizeof(name); length += length < 60 ? 1 : 50) {
        dmarc.author = bytes_of(name, length);
        for (int result = DMARC_FAIL; result <= DMARC_TEMPERROR; result++) {
            dmarc.result = (enum dmarc_result)result;
            struct verdict verdict = judge((struct verdict_facts){.form = FORM_FINE});
            assert_true(strlen(verdict.text) <= VERDICT_REPLY_MAX);
            assert_false(bytes_has_control(bytes_of_text(verdict.text)));
            assert_true(bytes_is_ascii(bytes_of_text(verdict.text)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_finding_has_its_disposition, prepare),
        cmocka_unit_test_setup(test_spf_and_dkim_alone_refuse_nothing, prepare),
        cmocka_unit_test_setup(test_a_bad_header_is_refused_whoever_it_is_from, prepare),
        cmocka_unit_test_setup(test_replies_name_the_domain_and_what_to_do, prepare),
        cmocka_unit_test_setup(test_a_long_or_hostile_domain_stays_within_a_reply, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
