/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS policy of a host: the table of facts and decisions (RFC 7672, RFC 8461, RFC 8689). */
#include "core/route/tls_policy.h"
#include "unit.h"

static const char digest[64];
#define RECORD(u, s, m, length)                                                      \
    {                                                                                \
        .usage = (u), .selector = (s), .matching = (m), .data = { digest, (length) } \
    }
static const struct dns_record ee[] = {RECORD(3, 1, 1, 32)}, ta[] = {RECORD(2, 0, 2, 64)},
                               pkix[] = {RECORD(1, 1, 1, 32), RECORD(0, 0, 1, 32)},
                               mixed[] = {RECORD(1, 1, 1, 32), RECORD(3, 1, 1, 32)};

#define SECURE(list)                                                                        \
    {                                                                                       \
        .status = DNS_FOUND, .secure = true, .records = (list), .count = ARRAY_LENGTH(list) \
    }
#define NO_TLSA                                \
    {                                          \
        .status = DNS_NXDOMAIN, .secure = true \
    }

static const struct sts_policy
    enforced = {.mode = STS_ENFORCE, .patterns = {BYTES("mx.example")}, .pattern_count = 1},
    elsewhere = {.mode = STS_ENFORCE, .patterns = {BYTES("mx.elsewhere")}, .pattern_count = 1},
    tested = {.mode = STS_TESTING, .patterns = {BYTES("mx.elsewhere")}, .pattern_count = 1},
    withdrawn = {.mode = STS_NONE};

struct row {
    const char *what;
    enum tls_wish wish;
    bool mx_secure, address_secure, requiretls, literal;
    struct dns_answer tlsa;
    const struct sts_policy *sts;
    enum tls_demand demand;
    const char *word;
    bool final;
};

// clang-format off
static const struct row rows[] = {
    /* as published */
    {"nothing is published", WISH_AUTO, false, false, false, false, {0}, NULL, DEMAND_MAY, "may", false},
    {"TLSA under DNSSEC", WISH_AUTO, true, true, false, false, SECURE(ee), NULL, DEMAND_DANE, "dane", false},
    {"an authority in TLSA", WISH_AUTO, true, true, false, false, SECURE(ta), NULL, DEMAND_DANE, "dane",
     false},
    {"one of two can be used", WISH_AUTO, true, true, false, false, SECURE(mixed), NULL, DEMAND_DANE, "dane",
     false},
    {"none can be used: encrypted, unchecked", WISH_AUTO, true, true, false, false, SECURE(pkix), &enforced,
     DEMAND_ENCRYPT, "dane-unusable", false},
    {"DANE wins over MTA-STS", WISH_AUTO, true, true, false, false, SECURE(ee), &elsewhere, DEMAND_DANE,
     "dane", false},
    {"TLSA cannot be looked up", WISH_AUTO, true, true, false, false, {.status = DNS_SERVER_FAILURE},
     &enforced, DEMAND_REFUSE, "dane", false},
    {"TLSA are forged", WISH_AUTO, true, true, false, false, {.status = DNS_BOGUS}, NULL, DEMAND_REFUSE,
     "dane", false},
    {"TLSA without DNSSEC", WISH_AUTO, true, true, false, false,
     {.status = DNS_FOUND, .records = ee, .count = 1}, NULL, DEMAND_MAY, "may", false},
    {"the MX is not vouched for: TLSA is not asked", WISH_AUTO, false, true, false, false, {0}, NULL,
     DEMAND_MAY, "may", false},
    {"the address is not vouched for", WISH_AUTO, true, false, false, false, {0}, &enforced, DEMAND_VERIFY,
     "sts", false},
    {"there are none: MTA-STS counts", WISH_AUTO, true, true, false, false, NO_TLSA, &enforced, DEMAND_VERIFY,
     "sts", false},
    {"MTA-STS does not list the host", WISH_AUTO, false, false, false, false, {0}, &elsewhere, DEMAND_REFUSE,
     "sts", false},
    {"MTA-STS is tested", WISH_AUTO, false, false, false, false, {0}, &tested, DEMAND_MAY, "sts-testing",
     false},
    {"MTA-STS was withdrawn", WISH_AUTO, false, false, false, false, {0}, &withdrawn, DEMAND_MAY, "may",
     false},
    {"an address literal", WISH_AUTO, true, true, false, true, {0}, NULL, DEMAND_MAY, "may", false},
    /* as the configuration says */
    {"may, whatever is published", WISH_MAY, true, true, false, false, {0}, &enforced, DEMAND_MAY, "may",
     false},
    {"encrypt", WISH_ENCRYPT, false, false, false, false, {0}, NULL, DEMAND_ENCRYPT, "encrypt", false},
    {"verify", WISH_VERIFY, false, false, false, false, {0}, NULL, DEMAND_VERIFY, "verify", false},
    {"none", WISH_NONE, true, true, false, false, {0}, &enforced, DEMAND_CLEAR, "none", false},
    {"dane, and there is", WISH_DANE, true, true, false, false, SECURE(ee), NULL, DEMAND_DANE, "dane", false},
    {"dane, and there is none", WISH_DANE, true, true, false, false, NO_TLSA, &enforced, DEMAND_REFUSE,
     "dane", false},
    {"dane, and none can be used", WISH_DANE, true, true, false, false, SECURE(pkix), NULL, DEMAND_REFUSE,
     "dane", false},
    {"dane, and no DNSSEC", WISH_DANE, false, true, false, false, {0}, NULL, DEMAND_REFUSE, "dane", false},
    /* the message requires TLS */
    {"REQUIRETLS by DANE", WISH_AUTO, true, true, true, false, SECURE(ee), NULL, DEMAND_DANE, "dane", false},
    {"REQUIRETLS, none can be used", WISH_AUTO, true, true, true, false, SECURE(pkix), NULL, DEMAND_REFUSE,
     "requiretls", true},
    {"REQUIRETLS by DNSSEC", WISH_AUTO, true, true, true, false, NO_TLSA, NULL, DEMAND_VERIFY, "requiretls",
     false},
    {"REQUIRETLS by MTA-STS", WISH_AUTO, false, false, true, false, {0}, &enforced, DEMAND_VERIFY, "sts",
     false},
    {"REQUIRETLS, tested and not listed", WISH_AUTO, false, false, true, false, {0}, &tested, DEMAND_REFUSE,
     "requiretls", true},
    {"REQUIRETLS, and nobody vouches", WISH_AUTO, false, false, true, false, {0}, NULL, DEMAND_REFUSE,
     "requiretls", true},
    {"REQUIRETLS to an address", WISH_AUTO, false, true, true, true, {0}, NULL, DEMAND_REFUSE, "requiretls",
     true},
    {"REQUIRETLS is more than may", WISH_MAY, true, true, true, false, NO_TLSA, NULL, DEMAND_VERIFY,
     "requiretls", false},
    {"REQUIRETLS is more than encrypt", WISH_ENCRYPT, false, false, true, false, {0}, NULL, DEMAND_REFUSE,
     "requiretls", true},
    {"REQUIRETLS by verify", WISH_VERIFY, false, false, true, false, {0}, NULL, DEMAND_VERIFY, "verify",
     false},
    {"REQUIRETLS where TLS is forbidden", WISH_NONE, false, false, true, false, {0}, NULL, DEMAND_REFUSE,
     "requiretls", true},
};
// clang-format on

static struct tls_facts facts_of(const struct row *row)
{
    return (struct tls_facts){.wish = row->wish,
                              .requiretls = row->requiretls,
                              .literal = row->literal,
                              .mx_secure = row->mx_secure,
                              .address_secure = row->address_secure,
                              .bases = {{0}, BYTES("mx.example")},
                              .tlsa = {{0}, row->tlsa},
                              .host = BYTES("mx.example"),
                              .sts_known = true,
                              .sts = row->sts};
}

static void each_row_is_decided_so(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct tls_facts facts = facts_of(&rows[i]);
        struct tls_policy policy = tls_policy_next(&facts);
        if (policy.kind != TLS_POLICY_DECIDED)
            fail_msg("%s: is not decided", rows[i].what);
        if (policy.demand != rows[i].demand || strcmp(tls_level_name(policy.level), rows[i].word) != 0 ||
            policy.final != rows[i].final || policy.reason == NULL)
            fail_msg("%s: decided as %d %s (%s)", rows[i].what, (int)policy.demand,
                     tls_level_name(policy.level), policy.reason);
    }
}

/* No decision sends a message without TLS where it must not. */
static void only_these_may_go_in_clear(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct tls_facts facts = facts_of(&rows[i]);
        enum tls_demand demand = tls_policy_next(&facts).demand;
        if (rows[i].requiretls)
            assert_true(demand == DEMAND_VERIFY || demand == DEMAND_DANE || demand == DEMAND_REFUSE);
    }
}

static void facts_are_asked_for_one_by_one(void **state)
{
    struct tls_facts facts = {.wish = WISH_AUTO,
                              .mx_secure = true,
                              .address_secure = true,
                              .bases = {BYTES("real.example"), BYTES("mx.example")},
                              .host = BYTES("mx.example")};
    struct tls_policy policy = tls_policy_next(&facts);
    assert_int_equal(policy.kind, TLS_POLICY_ASK_TLSA);
    assert_int_equal(policy.base, 0); /* where the aliases lead, first (RFC 7672 2.2.2) */
    facts.tlsa[0].status = DNS_NXDOMAIN;
    policy = tls_policy_next(&facts);
    assert_int_equal(policy.kind, TLS_POLICY_ASK_TLSA);
    assert_int_equal(policy.base, 1);
    facts.tlsa[1] = (struct dns_answer)SECURE(ee);
    assert_int_equal(tls_policy_next(&facts).base, 1);
    facts.tlsa[1] = (struct dns_answer)NO_TLSA;
    assert_int_equal(tls_policy_next(&facts).kind, TLS_POLICY_ASK_STS);
    facts.sts_known = true;
    assert_int_equal(tls_policy_next(&facts).kind, TLS_POLICY_DECIDED);
    /* Facts that are not needed are not requested. */
    facts.sts_known = false;
    facts.wish = WISH_VERIFY;
    assert_int_equal(tls_policy_next(&facts).kind, TLS_POLICY_DECIDED);
}

/* RFC 7672 2.2.2: an alias that leads into a zone without DNSSEC. */
static void an_alias_may_lead_out_of_dnssec(void **state)
{
    struct tls_facts facts = {.wish = WISH_AUTO,
                              .mx_secure = true,
                              .bases = {BYTES("real.example"), BYTES("mx.example")},
                              .host = BYTES("mx.example"),
                              .sts_known = true};
    assert_int_equal(tls_policy_next(&facts).kind, TLS_POLICY_ASK_ALIAS);
    facts.alias = DNS_FOUND; /* not signed itself: no TLSA record counts */
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_MAY);
    facts.alias_secure = true;
    struct tls_policy policy = tls_policy_next(&facts);
    assert_int_equal(policy.kind, TLS_POLICY_ASK_TLSA);
    assert_int_equal(policy.base, 1); /* below the host's own name alone */
    facts.tlsa[0] = (struct dns_answer)SECURE(pkix);
    facts.tlsa[1] = (struct dns_answer)SECURE(ee);
    policy = tls_policy_next(&facts);
    assert_int_equal(policy.demand, DEMAND_DANE);
    assert_int_equal(policy.base, 1);
    facts.tlsa[1] = (struct dns_answer)NO_TLSA;
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_MAY);
    facts.alias = DNS_NO_DATA;
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_MAY);
    facts.alias = DNS_BOGUS;
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_REFUSE);
    facts.alias = DNS_SERVER_FAILURE;
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_REFUSE);
    facts.mx_secure = false; /* then it is not even asked for */
    facts.alias = DNS_UNKNOWN;
    assert_int_equal(tls_policy_next(&facts).demand, DEMAND_MAY);
}

static void records_that_can_be_used(void **state)
{
    static const struct {
        struct dns_record record;
        bool usable;
    } cases[] = {{RECORD(3, 1, 1, 32), true},  {RECORD(3, 0, 2, 64), true},  {RECORD(2, 0, 1, 32), true},
                 {RECORD(2, 1, 0, 40), true},  {RECORD(0, 0, 1, 32), false}, {RECORD(1, 0, 1, 32), false},
                 {RECORD(4, 0, 1, 32), false}, {RECORD(3, 2, 1, 32), false}, {RECORD(3, 1, 3, 32), false},
                 {RECORD(3, 1, 1, 31), false}, {RECORD(3, 1, 1, 33), false}, {RECORD(3, 1, 2, 63), false},
                 {RECORD(3, 1, 0, 0), false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(tls_policy_tlsa_is_usable(&cases[i].record), cases[i].usable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_decided_so), cmocka_unit_test(only_these_may_go_in_clear),
        cmocka_unit_test(facts_are_asked_for_one_by_one), cmocka_unit_test(an_alias_may_lead_out_of_dnssec),
        cmocka_unit_test(records_that_can_be_used)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
