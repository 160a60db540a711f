/* SPDX-License-Identifier: Apache-2.0 */
/* A report of what was seen: written, read again, and judged as before. */
#include "cli/ports/facts_json.h"
#include "diagnosis_facts.h"
#include "unit.h"

static char *dump(const struct diagnosis_facts *facts)
{
    json_t *report = facts_json_write(facts);
    char *text = json_dumps(report, JSON_SORT_KEYS);
    json_decref(report);
    return text;
}

static void a_report_is_read_as_it_was_written(void **state)
{
    static struct diagnosis_facts facts, again;
    struct error error = {0};
    struct diagnosis first, second;
    facts_start(&facts, "smtp.sendgrid.net");
    facts_certificate(facts_smtp(&facts, "192.0.2.1", 587, "220-a\n220 \"quoted\" \xc3\xa4"),
                      FACT_CERTIFICATE_OTHER_NAME, "host7.hoster.example", "CN=Public CA");
    facts_reach(&facts, "2001:db8::1", 465, REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_SILENT, REACH_REFUSED);
    facts_web(&facts, REACH_CONNECTED);
    facts.machine.network = network_by_name(BYTES("DigitalOcean"));
    facts.machine.clock_ahead_s = -77;
    facts.machine.rule_count = 1;
    facts.machine.rules[0] = (struct fact_rule){587, FIREWALL_REDIRECTS, "tcp dport 587 redirect"};
    facts.asked[0] = 465;
    facts.asked[1] = 2525;
    facts_text(facts.other_addresses[0].text, FACTS_ADDRESS_MAX, "198.51.100.7");
    facts.history.count = 1;
    facts.history.ports[0] = (struct fact_remembered){2525, true, 60};
    facts.reply = (struct fact_reply){.step = REPLY_AUTH, .code = 535, .enhanced = "5.7.8", .text = "no"};
    char *written = dump(&facts);
    json_t *report = json_loads(written, 0, NULL);
    if (!facts_json_read(report, &again, &error))
        fail_msg("%s", error.text);
    char *rewritten = dump(&again);
    assert_string_equal(written, rewritten);
    diagnosis_make(&facts, &first);
    diagnosis_make(&again, &second);
    assert_int_equal(first.cause_count, second.cause_count);
    assert_int_equal(first.causes[0].cause, second.causes[0].cause);
    assert_int_equal(again.machine.clock_ahead_s, -77);
    assert_memory_equal(again.asked, facts.asked, sizeof facts.asked);
    assert_string_equal(again.other_addresses[0].text, "198.51.100.7");
    json_decref(report);
    free(written);
    free(rewritten);
}

static void what_is_no_report_is_refused_with_its_place(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"report\": 2}",
        "{\"report\": 1, \"host\": 7}",
        "{\"report\": 1, \"dns\": \"perhaps\"}",
        "{\"report\": 1, \"gathered\": -1}",
        "{\"report\": 1, \"attempts\": {}}",
        "{\"report\": 1, \"attempts\": [7]}",
        "{\"report\": 1, \"asked\": [65536]}",
        "{\"report\": 1, \"asked\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}",
        "{\"report\": 1, \"other_addresses\": [{}, {}, {}]}",
        "{\"report\": 1, \"attempts\": [{\"port\": 65536}]}",
        "{\"report\": 1, \"attempts\": [{\"six\": 1}]}",
        "{\"report\": 1, \"attempts\": [{\"certificate\": {\"fingerprint\": \"00\"}}]}",
        "{\"report\": 1, \"host\": \"a\\u001b[2J\"}",
    };
    static struct diagnosis_facts facts;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct error error = {0};
        json_t *report = json_loads(texts[i], 0, NULL);
        if (facts_json_read(report, &facts, &error))
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(error.exit_code, 65);
        json_decref(report);
    }
}

static void lists_are_taken_up_to_their_bounds(void **state)
{
    static struct diagnosis_facts facts;
    for (size_t extra = 0; extra < 2; extra++) {
        struct error error = {0};
        json_t *report = json_pack("{s:i, s:[]}", "report", 1, "attempts");
        for (size_t i = 0; i < FACTS_ATTEMPTS_MAX + extra; i++)
            json_array_append_new(json_object_get(report, "attempts"), json_object());
        assert_int_equal(facts_json_read(report, &facts, &error), extra == 0);
        json_decref(report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_report_is_refused_with_its_place),
        cmocka_unit_test(lists_are_taken_up_to_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
