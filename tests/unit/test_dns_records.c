/* SPDX-License-Identifier: Apache-2.0 */
/* The records that are proposed: in a zone's syntax, and as fields of a web form. */
#include "core/domain/dns_records.h"
#include "core/route/sts.h"
#include "core/trust/dmarc_record.h"
#include "core/trust/spf_record.h"
#include "core/trust/tlsrpt.h"
#include "unit.h"

static const uint8_t digest[TLSA_KEY_DIGEST] = {1, 2, 3};
static char long_key[393];
static struct domain_facts facts;
static struct domain_record records[DOMAIN_RECORDS_MAX];
static struct arena arena;

static int start(void **state)
{
    memset(long_key, 'A', sizeof long_key - 1);
    facts = (struct domain_facts){
        .domain = BYTES("example.org"),
        .hostname = BYTES("mx.example.org"),
        .addresses = {{{192, 0, 2, 1}, false}, {{0x20, 1, 0xd, 0xb8}, true}},
        .address_count = 2,
        .starttls = {587},
        .imaps = 993,
        .key_digest = digest,
        .keys = {{.record = {BYTES("example.org"), BYTES("s1"), DKIM_RSA_SHA256, bytes_of_text(long_key)}}},
        .key_count = 1};
    return 0;
}

static int clear(void **state)
{
    arena_clear(&arena);
    return 0;
}

static const struct domain_record *record_of(enum domain_subject subject)
{
    size_t count = domain_records(&facts, &arena, records);
    assert_true(count > 0 && count <= DOMAIN_RECORDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (records[i].subject == subject)
            return &records[i];
    return NULL;
}

static void long_text_is_in_strings(void **state)
{
    const struct domain_record *key = record_of(SUBJECT_DKIM);
    struct bytes first = bytes_from(key->value, 1);
    assert_text(key->name, "s1._domainkey.example.org");
    assert_int_equal(key->text.length, 18 + 392);
    assert_int_equal(bytes_search(first, BYTES("\" \"")), 255);
    assert_int_equal(key->value.length, key->text.length + 5);
    assert_true(key->needed);
    facts.keys[0].stage = KEY_RETIRED;
    assert_false(record_of(SUBJECT_DKIM)->needed);
}

static void values_are_as_their_readers_want_them(void **state)
{
    struct dmarc_record dmarc;
    struct report_uris rua;
    assert_text(record_of(SUBJECT_MX)->value, "10 mx.example.org.");
    assert_text(record_of(SUBJECT_MX)->text, "mx.example.org");
    assert_int_equal(record_of(SUBJECT_MX)->priority, 10);
    assert_int_equal(spf_record_fault(record_of(SUBJECT_SPF)->text).length, 0);
    assert_int_equal(spf_record_fault(record_of(SUBJECT_HELO_SPF)->text).length, 0);
    assert_text(record_of(SUBJECT_HELO_SPF)->name, "mx.example.org");
    assert_true(dmarc_record_read(record_of(SUBJECT_DMARC)->text, &dmarc) && dmarc.usable &&
                dmarc.rua.count == 1);
    assert_true(tlsrpt_read(record_of(SUBJECT_TLS_RPT)->text, &rua));
    assert_text(record_of(SUBJECT_TLSA)->value,
                "3 1 1 0102030000000000000000000000000000000000000000000000000000000000");
    assert_non_null(strstr(domain_subject_use(SUBJECT_TLSA), "new key"));
    assert_text(record_of(SUBJECT_PTR)->name, "1.2.0.192.in-addr.arpa");
    assert_text(record_of(SUBJECT_SRV)->value, "0 1 587 mx.example.org.");
    facts.hostname = BYTES("example.org");
    assert_null(record_of(SUBJECT_HELO_SPF)); /* the domain's record is its own */
}

static void a_form_wants_names_below_the_domain(void **state)
{
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_MX), &arena), "@");
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_DMARC), &arena), "_dmarc");
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_DKIM), &arena), "s1._domainkey");
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_ADDRESS), &arena), "mx");
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_PTR), &arena), "1.2.0.192.in-addr.arpa.");
    facts.hostname = BYTES("mx.notexample.org");
    assert_text(domain_record_form_name(&facts, record_of(SUBJECT_ADDRESS), &arena), "mx.notexample.org.");
}

static void mta_sts_is_proposed_once_its_policy_is_served(void **state)
{
    struct bytes id;
    assert_null(record_of(SUBJECT_MTA_STS));
    assert_null(record_of(SUBJECT_STS_HOST));
    facts.web = true;
    assert_text(record_of(SUBJECT_STS_HOST)->name, "mta-sts.example.org");
    facts.sts.mode = STS_SETTING_OFF;
    assert_null(record_of(SUBJECT_STS_HOST));
    facts.sts_served = BYTES("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n");
    struct dns_record dns = {.data = record_of(SUBJECT_MTA_STS)->text};
    assert_true(sts_read_records(&dns, 1, &id) && id.length == 16);
    struct bytes before = dns.data;
    facts.sts_served = BYTES("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86401\n");
    assert_false(bytes_equal(record_of(SUBJECT_MTA_STS)->text, before)); /* another policy, another id */
}

static void policies_are_as_configured(void **state)
{
    static const char *const mx[] = {"mx.example.org", "*.example.net"};
    struct sts_settings settings = {.max_age_s = 86400};
    struct sts_policy policy;
    for (int mode = STS_SETTING_ENFORCE; mode < STS_SETTING_OFF; mode++) {
        settings.mode = (enum sts_setting)mode;
        assert_true(
            sts_read_policy(sts_settings_policy(&settings, BYTES("mx.example.org"), &arena), &policy));
        assert_true(sts_lists(&policy, BYTES("mx.example.org")) && policy.max_age_s == 86400);
        assert_true(!sts_lists(&policy, BYTES("mx2.example.net")));
    }
    settings.mx = mx;
    settings.mx_count = 2;
    assert_true(sts_read_policy(sts_settings_policy(&settings, BYTES("x.example.org"), &arena), &policy));
    assert_true(policy.pattern_count == 2 && sts_lists(&policy, BYTES("mx2.example.net")));
}

/* All ports and addresses that there can be. */
static void the_fullest_list_has_room(void **state)
{
    facts.address_count = DOMAIN_ADDRESSES_MAX;
    facts.key_count = DOMAIN_KEYS_MAX;
    for (size_t i = 0; i < DOMAIN_KEYS_MAX; i++)
        facts.keys[i] = facts.keys[0];
    for (size_t i = 0; i < 4; i++)
        facts.starttls[i] = (uint16_t)(1000 + i);
    facts.implicit[0] = facts.implicit[1] = 465;
    facts.imap = facts.imaps = facts.pop3 = facts.pop3s = 1;
    facts.web = true;
    facts.sts_served = BYTES("x");
    assert_true(domain_records(&facts, &arena, records) <= DOMAIN_RECORDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(long_text_is_in_strings, start, clear),
        cmocka_unit_test_setup_teardown(values_are_as_their_readers_want_them, start, clear),
        cmocka_unit_test_setup_teardown(a_form_wants_names_below_the_domain, start, clear),
        cmocka_unit_test_setup_teardown(mta_sts_is_proposed_once_its_policy_is_served, start, clear),
        cmocka_unit_test_setup_teardown(policies_are_as_configured, start, clear),
        cmocka_unit_test_setup_teardown(the_fullest_list_has_room, start, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
