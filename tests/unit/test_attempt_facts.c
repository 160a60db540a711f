/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a race's attempts as evidence. */
#include "core/diagnosis/attempt_facts.h"
#include "race_ground.h"

static struct fact_attempt fact_of(uint16_t port, const struct attempt_line *line)
{
    struct fact_attempt fact;
    attempt_facts_fill(&fact, race_verdict(&g.race, port), line);
    return fact;
}

static struct fact_attempt examined(enum behaviour behaviour, const struct attempt_line *line)
{
    g.options.examine = true;
    g.options.needs_auth = false;
    g.options.port_count = 1;
    g.peers[0].behaviour = behaviour;
    run();
    return fact_of(587, line);
}

static void one_that_works_tells_all(void **state)
{
    struct attempt_line line = {
        .tls = FACT_TLS_DONE, .tls_sent = 500, .tls_received = 3000, .tls_version = "TLSv1.3"};
    line.certificate.state = FACT_CERTIFICATE_VALID;
    struct fact_attempt fact = examined(WORKS, &line);
    assert_string_equal(fact.host, "");
    assert_string_equal(fact.address, "192.0.2.1");
    assert_true(!fact.six && fact.port == 587 && !fact.implicit_tls);
    assert_int_equal(fact.reach, REACH_CONNECTED);
    assert_int_equal(fact.voice, VOICE_SMTP);
    assert_true(fact.connect_ms == 10 && fact.first_ms == 20 && fact.took_ms == 60);
    assert_int_equal(fact.greeting_code, 220);
    assert_string_equal(fact.greeting, "mail");
    assert_int_equal(fact.ehlo_code, 250);
    assert_string_equal(fact.ehlo, "x\nSTARTTLS"); /* that before TLS */
    assert_int_equal(fact.starttls_offered, KNOWN_YES);
    assert_int_equal(fact.ehlo_masked, KNOWN_NO);
    assert_int_equal(fact.starttls_code, 220);
    assert_string_equal(fact.starttls_said, "go");
    assert_int_equal(fact.tls, FACT_TLS_DONE);
    assert_true(fact.tls_sent == 500 && fact.tls_received == 3000);
    assert_string_equal(fact.tls_version, "TLSv1.3");
    assert_int_equal(fact.certificate.state, FACT_CERTIFICATE_VALID);
    assert_true(fact.auth_offered == KNOWN_YES && fact.auth_passwords == KNOWN_YES &&
                fact.auth_tokens == KNOWN_NO && fact.ready == KNOWN_YES);
    assert_string_equal(fact.mechanisms, "PLAIN LOGIN");
}

static void each_end_is_told(void **state)
{
    static const struct {
        enum behaviour behaviour;
        enum fact_reach reach;
        enum fact_voice voice;
        enum known ready;
        unsigned end_code;
    } cases[] = {
        {SILENT, REACH_SILENT, VOICE_UNKNOWN, KNOWN_NO, 0},
        {REFUSES, REACH_REFUSED, VOICE_UNKNOWN, KNOWN_NO, 0},
        {MUTE, REACH_CONNECTED, VOICE_MUTE, KNOWN_NO, 0},
        {NO_STARTTLS, REACH_CONNECTED, VOICE_SMTP, KNOWN_NO, 0},
        {IS_WEB, REACH_CONNECTED, VOICE_HTTP, KNOWN_NO, 0},
        {BUSY, REACH_CONNECTED, VOICE_SMTP, KNOWN_NO, 421},
        {UNWILLING, REACH_CONNECTED, VOICE_SMTP, KNOWN_NO, 554},
        {BAD_CERTIFICATE, REACH_CONNECTED, VOICE_SMTP, KNOWN_NO, 0},
        {NEVER_ENDS, REACH_CONNECTED, VOICE_SMTP, KNOWN_NO, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        prepare(state);
        struct fact_attempt fact = examined(cases[i].behaviour, &(struct attempt_line){0});
        if (fact.reach != cases[i].reach || fact.voice != cases[i].voice)
            print_error("behaviour %d\n", (int)cases[i].behaviour);
        assert_int_equal(fact.reach, cases[i].reach);
        assert_int_equal(fact.voice, cases[i].voice);
        assert_int_equal(fact.ready, cases[i].ready);
        assert_int_equal(fact.end_code, cases[i].end_code);
        clean_up(state);
    }
}

static void starttls_is_told_as_it_was(void **state)
{
    struct fact_attempt fact = examined(MASKED, &(struct attempt_line){0});
    assert_true(fact.starttls_offered == KNOWN_NO && fact.ehlo_masked == KNOWN_YES &&
                fact.starttls_code == 0);
    clean_up(state);
    prepare(state);
    fact = examined(TAKES_STARTTLS_BACK, &(struct attempt_line){0});
    assert_true(fact.starttls_offered == KNOWN_YES && fact.starttls_code == 500);
    assert_string_equal(fact.starttls_said, "what?");
    clean_up(state);
    prepare(state);
    fact = examined(REFUSES_STARTTLS, &(struct attempt_line){0});
    assert_true(fact.starttls_offered == KNOWN_YES && fact.starttls_code == 454 && fact.end_code == 454);
    assert_string_equal(fact.starttls_said, "4.7.0 not today");
    clean_up(state);
    prepare(state);
    fact = examined(GARBLES_STARTTLS, &(struct attempt_line){0});
    assert_true(fact.starttls_offered == KNOWN_YES && fact.starttls_code == 0);
    assert_string_equal(fact.starttls_said, "#### ####  ");
    clean_up(state);
    prepare(state);
    fact = examined(NO_STARTTLS, &(struct attempt_line){0});
    assert_true(fact.starttls_offered == KNOWN_NO && fact.ehlo_masked == KNOWN_NO);
    assert_string_equal(fact.ehlo, "x\nSIZE");
}

static void what_is_not_known_is_not_said(void **state)
{
    g.peers[1].behaviour = MUTE; /* 587 wins meanwhile */
    run();
    struct fact_attempt fact = fact_of(2525, &(struct attempt_line){.tls = FACT_TLS_TIMED_OUT});
    assert_true(fact.reach == REACH_UNKNOWN && fact.voice == VOICE_UNKNOWN && fact.ready == KNOWN_NOT);
    assert_int_equal(fact.tls, FACT_TLS_NOT_BEGUN);
    clean_up(state);
    prepare(state);
    g.options.deadline_ms = ATTEMPT_FACTS_SILENCE_MS - 1;
    assert_int_equal(examined(SILENT, &(struct attempt_line){0}).reach, REACH_UNKNOWN);
    clean_up(state);
    prepare(state);
    g.options.deadline_ms = ATTEMPT_FACTS_SILENCE_MS;
    assert_int_equal(examined(SILENT, &(struct attempt_line){0}).reach, REACH_SILENT);
}

static void the_kind_of_unreachability_is_kept(void **state)
{
    struct race_action action;
    struct fact_attempt fact;
    g.options.port_count = 1;
    g.options.examine = true;
    race_start(&g.race, &g.options, g.now_ms);
    assert_true(race_action(&g.race, g.now_ms, &action) && action.kind == RACE_CONNECT);
    race_lost(&g.race, 0, LOSS_UNREACHABLE, BYTES("No\nroute"), g.now_ms + 3);
    attempt_facts_fill(&fact, &g.race.attempts[0],
                       &(struct attempt_line){.unreachable = UNREACHABLE_PROHIBITED});
    assert_int_equal(fact.reach, REACH_UNREACHABLE);
    assert_int_equal(fact.unreachable, UNREACHABLE_PROHIBITED);
    assert_int_equal(fact.connect_ms, 3);
    assert_string_equal(fact.said, "No route");
}

static void clear_text_on_an_implicit_port_is_read(void **state)
{
    struct race_action action;
    struct fact_attempt fact;
    g.options.ports[0] = g.options.ports[2];
    g.options.port_count = 1;
    g.options.examine = true;
    race_start(&g.race, &g.options, g.now_ms);
    assert_true(race_action(&g.race, g.now_ms, &action) && action.kind == RACE_CONNECT);
    race_connected(&g.race, 0, g.now_ms + 1);
    assert_true(race_action(&g.race, g.now_ms + 1, &action) && action.kind == RACE_HANDSHAKE);
    race_met_clear_text(&g.race, 0, BYTES("220 box.example ESMTP Exim 4.98\r\n"), g.now_ms + 2);
    race_lost(&g.race, 0, LOSS_TLS_MISMATCH, BYTES("clear"), g.now_ms + 2);
    attempt_facts_fill(&fact, &g.race.attempts[0],
                       &(struct attempt_line){.tls = FACT_TLS_CLEAR_TEXT, .tls_received = 33});
    assert_int_equal(fact.voice, VOICE_SMTP);
    assert_int_equal(fact.tls, FACT_TLS_CLEAR_TEXT);
    assert_int_equal(fact.greeting_code, 220);
    assert_string_equal(fact.greeting, "box.example ESMTP Exim 4.98");
    assert_int_equal(fact.starttls_offered, KNOWN_NOT);
}

static void voices_are_told_apart(void **state)
{
    static const struct {
        struct bytes first;
        enum fact_voice voice;
    } cases[] = {
        {BYTES(""), VOICE_UNKNOWN},
        {BYTES("220 mx ESMTP\r\n"), VOICE_SMTP},
        {BYTES("220-mx\r\n"), VOICE_SMTP},
        {BYTES("554"), VOICE_SMTP},
        {BYTES("2201"), VOICE_OTHER},
        {BYTES("22"), VOICE_OTHER},
        {BYTES("HTTP/1.1 400"), VOICE_HTTP},
        {BYTES("<!doctype html>"), VOICE_HTTP},
        {BYTES("<HTML>"), VOICE_HTTP},
        {BYTES("SSH-2.0-OpenSSH"), VOICE_SSH},
        {BYTES("* OK IMAP4rev1"), VOICE_IMAP},
        {BYTES("+OK POP3"), VOICE_POP3},
        {BYTES("\x16\x03\x01\x00"), VOICE_TLS},
        {BYTES("\x15\x03\x03\x00\x02\x02\x28"), VOICE_TLS},
        {BYTES("\xff\xfb\x01"), VOICE_OTHER},
        {BYTES("\0\0\0"), VOICE_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(attempt_facts_voice(cases[i].first), cases[i].voice);
}

static void texts_are_bounded_and_clean(void **state)
{
    char field[8];
    struct buffer long_text = {0};
    client_record_text(field, sizeof field, BYTES("a\tb\nc\x7f"), true);
    assert_string_equal(field, "a b\nc ");
    client_record_text(field, sizeof field, BYTES("a\r\nb"), false);
    assert_string_equal(field, "a  b");
    client_record_text(field, sizeof field, BYTES("1234567"), false);
    assert_string_equal(field, "1234567");
    client_record_text(field, sizeof field, BYTES("12345678"), false);
    assert_string_equal(field, "1234567");
    client_record_text(field, sizeof field, BYTES("123456\xc3\xa4"), false); /* no half a character */
    assert_string_equal(field, "123456");
    client_record_text(field, sizeof field, BYTES("a\xe4z"), false);
    assert_string_equal(field, "a z");
    struct client_record record = {0};
    buffer_add_text(&long_text, "220-");
    for (int i = 0; i < CLIENT_RECORD_TEXT_MAX; i++)
        buffer_add_octet(&long_text, '*');
    buffer_add_text(&long_text, "\r\n220 end\r\n");
    struct smtp_reply reply;
    size_t used;
    assert_int_equal(reply_parse(buffer_bytes(&long_text), &reply, &used), REPLY_COMPLETE);
    client_record_greeting(&record, &reply);
    assert_int_equal(strlen(record.greeting), CLIENT_RECORD_TEXT_MAX - 1);
    assert_true(record.greeting_masked);
    buffer_free(&long_text);
    assert_int_equal(reply_parse(BYTES("220 *** welcome to ***\r\n"), &reply, &used), REPLY_COMPLETE);
    client_record_greeting(&record, &reply);
    assert_false(record.greeting_masked);
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(one_that_works_tells_all),
        TESTED(starttls_is_told_as_it_was),
        TESTED(what_is_not_known_is_not_said),
        TESTED(the_kind_of_unreachability_is_kept),
        TESTED(clear_text_on_an_implicit_port_is_read),
        cmocka_unit_test(each_end_is_told),
        cmocka_unit_test(voices_are_told_apart),
        cmocka_unit_test(texts_are_bounded_and_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
