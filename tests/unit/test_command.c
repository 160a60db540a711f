/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines and replies, part by part. */
#include "core/smtp/command.h"
#include "core/smtp/reply.h"
#include "unit.h"

static void verbs_are_found(void **state)
{
    struct bytes argument;
    for (int verb = VERB_HELO; verb < VERBS; verb++)
        assert_int_equal(command_verb(bytes_of_text(command_verb_name((enum verb)verb)), &argument), verb);
    assert_int_equal(command_verb(BYTES("ehLO  a b "), &argument), VERB_EHLO);
    assert_text(argument, "a b");
    assert_int_equal(command_verb(BYTES(""), &argument), VERB_UNKNOWN);
    assert_int_equal(command_verb(BYTES(" NOOP"), &argument), VERB_UNKNOWN);
    assert_int_equal(command_verb(BYTES("NOOPS"), &argument), VERB_UNKNOWN);
    assert_int_equal(command_verb(BYTES("NOOP\t"), &argument), VERB_UNKNOWN);
}

static void mail_has_parameters(void **state)
{
    struct mail_argument mail;
    assert_int_equal(command_parse_mail(BYTES("FROM:<@r.example:a@b.c> SIZE=18446744073709551615 "
                                              "body=8bitmime RET=FULL ENVID=x+2B AUTH=<>"),
                                        &mail),
                     ARGUMENT_FINE);
    assert_text(mail.sender, "a@b.c");
    assert_true(mail.parameters.size == UINT64_MAX && mail.parameters.body == BODY_8BITMIME &&
                mail.parameters.ret == RET_FULL && mail.has_parameters);
    assert_text(mail.parameters.envid, "x+2B");
    assert_int_equal(command_parse_mail(BYTES("from:<>"), &mail), ARGUMENT_FINE);
    assert_true(mail.sender.length == 0 && !mail.has_parameters);
    assert_int_equal(command_parse_mail(BYTES("FROM:<> REQUIRETLS"), &mail), ARGUMENT_FINE);
    assert_true(mail.parameters.requiretls);
}

static void each_fault_has_its_verdict(void **state)
{
    static const struct {
        const char *text;
        enum argument_verdict verdict;
    } mails[] = {
        {"", ARGUMENT_SYNTAX},
        {"FROM", ARGUMENT_SYNTAX},
        {"TO:<a@b>", ARGUMENT_SYNTAX},
        {"FROM:a@b", ARGUMENT_FINE}, /* as Postfix takes it */
        {"FROM:", ARGUMENT_ADDRESS},
        {"FROM:a b@c", ARGUMENT_UNKNOWN},
        {"FROM:<a b>", ARGUMENT_ADDRESS},
        {"FROM:<root>", ARGUMENT_LOCAL},
        {"FROM:<postmaster> SIZE=5", ARGUMENT_LOCAL},
        {"FROM:<root> SIZE=x", ARGUMENT_VALUE},
        {"FROM:<a@b>X", ARGUMENT_SYNTAX},
        {"FROM:<a@b> X", ARGUMENT_UNKNOWN},
        {"FROM:<a@b> =", ARGUMENT_UNKNOWN},
        {"FROM:<a@b> SIZE=1 size=1", ARGUMENT_TWICE},
        {"FROM:<a@b> SIZE=x", ARGUMENT_VALUE},
        {"FROM:<a@b> SMTPUTF8=", ARGUMENT_VALUE},
        {"FROM:<\xc3\xa4@b>", ARGUMENT_NEEDS_UTF8},
        {"FROM:<\xc3\xa4@b> SMTPUTF8", ARGUMENT_FINE},
        {"FROM:<\xe4@b> SMTPUTF8", ARGUMENT_ADDRESS},
    };
    static const struct {
        const char *text;
        bool utf8;
        enum argument_verdict verdict;
    } rcpts[] = {
        {"TO:<>", false, ARGUMENT_ADDRESS},
        {"TO:<a>", false, ARGUMENT_LOCAL},
        {"TO:<a> NOTIFY=SOON", false, ARGUMENT_VALUE},
        {"TO:<\xc3\xa4>", false, ARGUMENT_NEEDS_UTF8},
        {"TO:<postmaster>", false, ARGUMENT_FINE},
        {"TO:<Postmaster>", false, ARGUMENT_FINE},
        {"TO:<\xc3\xa4@b>", false, ARGUMENT_NEEDS_UTF8},
        {"TO:<\xc3\xa4@b>", true, ARGUMENT_FINE},
        {"TO:<a@b> NOTIFY=NEVER,DELAY", false, ARGUMENT_VALUE},
        {"TO:<a@b> NOTIFY=DELAY,delay", false, ARGUMENT_FINE},
        {"TO:<a@b> ORCPT=rfc822;a", false, ARGUMENT_FINE},
        {"TO:<a@b> ORCPT=utf-8;\xc3\xa4", true, ARGUMENT_FINE},
        {"TO:<a@b> ORCPT=utf-8;\xc3\xa4", false, ARGUMENT_NEEDS_UTF8},
        {"TO:<a@b> ORCPT=rfc822;\xc3\xa4", true, ARGUMENT_VALUE},
        {"TO:<a@b> BODY=7BIT", false, ARGUMENT_UNKNOWN},
    };
    struct mail_argument mail;
    struct rcpt_argument rcpt;
    for (size_t i = 0; i < ARRAY_LENGTH(mails); i++)
        if (command_parse_mail(bytes_of_text(mails[i].text), &mail) != mails[i].verdict)
            fail_msg("MAIL %s: %d", mails[i].text, command_parse_mail(bytes_of_text(mails[i].text), &mail));
    for (size_t i = 0; i < ARRAY_LENGTH(rcpts); i++)
        if (command_parse_rcpt(bytes_of_text(rcpts[i].text), rcpts[i].utf8, &rcpt) != rcpts[i].verdict)
            fail_msg("RCPT %s: %d", rcpts[i].text,
                     command_parse_rcpt(bytes_of_text(rcpts[i].text), rcpts[i].utf8, &rcpt));
}

static void bdat_has_a_size(void **state)
{
    static const char *const wrong[] = {
        "", "LAST", "x", "1x", "-1", "+1", "1 LASTS", "1 LAST LAST", "9223372036854775808"};
    uint64_t size;
    bool last;
    assert_true(command_parse_bdat(BYTES("9223372036854775807"), &size, &last) && size == INT64_MAX && !last);
    assert_true(command_parse_bdat(BYTES("0  last"), &size, &last) && size == 0 && last);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (command_parse_bdat(bytes_of_text(wrong[i]), &size, &last))
            fail_msg("%s", wrong[i]);
}

static void xtext_is_checked(void **state)
{
    static const char *const right[] = {"", "a", "a+2Bb", "+00", "<>"}, *const wrong[] = {"a b",  "a=b",
                                                                                          "+2",   "+",
                                                                                          "+2b",  "a+G0",
                                                                                          "\x7f", "\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_LENGTH(right); i++)
        assert_true(command_xtext_is_valid(bytes_of_text(right[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(command_xtext_is_valid(bytes_of_text(wrong[i])));
}

/* ---- replies ---- */

static void a_reply_waits_until_it_is_whole(void **state)
{
    static const char *const whole[] = {"250 ok\r\n", "250\r\n", "354\n", "250-a\r\n250-b\n250 c\r\n",
                                        "599 x\r\n",  "250 \r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(whole); i++) {
        struct bytes input = bytes_of_text(whole[i]);
        struct smtp_reply reply;
        size_t used = 0;
        for (size_t length = 0; length < input.length; length++)
            if (reply_parse(bytes_first(input, length), &reply, &used) != REPLY_INCOMPLETE)
                fail_msg("%.*s", (int)length, whole[i]);
        assert_int_equal(reply_parse(input, &reply, &used), REPLY_COMPLETE);
        assert_int_equal(used, input.length);
    }
}

static void what_is_no_reply_is_seen_early(void **state)
{
    static const char *const wrong[] = {
        "HTTP", "25x ", "2500", "150 x\r\n", "600 x\r\n", "250-a\r\n251 b\r\n", "\r\n", "25\r\n", "250_"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct smtp_reply reply;
        size_t used;
        if (reply_parse(bytes_of_text(wrong[i]), &reply, &used) != REPLY_MALFORMED)
            fail_msg("%s", wrong[i]);
    }
}

static void a_reply_is_read_for_people(void **state)
{
    static const struct {
        const char *raw, *enhanced, *text;
    } cases[] = {
        {"550 5.1.1 no such user\r\n", "5.1.1", "no such user"},
        {"550 4.1.1 no\r\n", "4.1.1", "no"},
        {"550 3.1.1 no\r\n", "", "3.1.1 no"},
        {"550-5.7.1 one\r\n550 5.7.2 two\r\n", "5.7.1", "one 5.7.2 two"},
        {"250 2.0.0\r\n", "2.0.0", ""},
        {"550 5.1234.1 x\r\n", "", "5.1234.1 x"},
        {"550-5.7.1 one\r\n550 5.7.1 two\r\n", "5.7.1", "one two"},
        {"550 5.7.1x\r\n", "", "5.7.1x"},
        {"550\r\n", "", ""},
        {"550 a\tb\x01\xff\r\n", "", "a?b??"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct smtp_reply reply;
        struct buffer text = {0};
        size_t used;
        assert_int_equal(reply_parse(bytes_of_text(cases[i].raw), &reply, &used), REPLY_COMPLETE);
        assert_text(reply_enhanced(&reply), cases[i].enhanced);
        reply_text(&text, &reply);
        assert_text(buffer_bytes(&text), cases[i].text);
        buffer_free(&text);
    }
}

static void a_long_reply_is_cut_between_characters(void **state)
{
    struct buffer raw = {0}, text = {0};
    struct smtp_reply reply;
    size_t used;
    buffer_add_text(&raw, "550 x");
    for (int i = 0; i < REPLY_TEXT_KEPT_MAX; i++)
        buffer_add_text(&raw, "\xc3\xa4");
    buffer_add_text(&raw, "\r\n");
    assert_int_equal(reply_parse(buffer_bytes(&raw), &reply, &used), REPLY_COMPLETE);
    reply_text(&text, &reply);
    assert_int_equal(text.length, REPLY_TEXT_KEPT_MAX - 1);
    assert_true(bytes_is_utf8(buffer_bytes(&text)));
    buffer_free(&raw);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_are_found),
        cmocka_unit_test(mail_has_parameters),
        cmocka_unit_test(each_fault_has_its_verdict),
        cmocka_unit_test(bdat_has_a_size),
        cmocka_unit_test(xtext_is_checked),
        cmocka_unit_test(a_reply_waits_until_it_is_whole),
        cmocka_unit_test(what_is_no_reply_is_seen_early),
        cmocka_unit_test(a_reply_is_read_for_people),
        cmocka_unit_test(a_long_reply_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
