/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a dropped message, and the addresses in header fields. */
#include <stdio.h>

#include "core/message/address_list.h"
#include "core/message/drop.h"
#include "unit.h"

static struct arena arena;
static struct envelope envelope;
static const char *wrong;
static size_t used;

static bool parse(struct bytes text)
{
    arena_clear(&arena);
    return drop_head_parse(text, &arena, &envelope, &used, &wrong);
}

#define HEAD "MAILBOAT-DROP 1\n"
#define MAIL "MAIL FROM:<a@b.c> SIZE=4\n"
#define RCPT "RCPT TO:<x@y.z>\n"

static void a_head_is_written_and_read(void **state)
{
    struct recipient recipients[] = {
        {.address = BYTES("bob@example.com"), .notify = NOTIFY_SUCCESS | NOTIFY_DELAY},
        {.address = BYTES("\"o d d\"@example.com"),
         .notify = NOTIFY_NEVER,
         .orcpt = BYTES("rfc822;x+2By@example.com")}};
    struct envelope said = {.sender = BYTES("ada@example.org"),
                            .envid = BYTES("QQ+2B"),
                            .body = BODY_8BITMIME,
                            .ret = RET_HEADERS,
                            .size = 1234,
                            .recipients = recipients,
                            .recipient_count = 2};
    struct buffer out = {0};
    drop_head_add(&out, &said);
    size_t length = out.length;
    assert_text(buffer_bytes(&out),
                HEAD "MAIL FROM:<ada@example.org> SIZE=1234 BODY=8BITMIME RET=HDRS ENVID=QQ+2B\n"
                     "RCPT TO:<bob@example.com> NOTIFY=SUCCESS,DELAY\nRCPT TO:<\"o d d\"@example.com> "
                     "NOTIFY=NEVER ORCPT=rfc822;x+2By@example.com\nDATA\n");
    buffer_add_text(&out, "RCPT TO:<c@d.e>\n");
    assert_true(parse(buffer_bytes(&out)));
    assert_int_equal(used, length);
    assert_text(envelope.sender, "ada@example.org");
    assert_text(envelope.envid, "QQ+2B");
    assert_int_equal(envelope.size, 1234);
    assert_int_equal(envelope.body, BODY_8BITMIME);
    assert_int_equal(envelope.ret, RET_HEADERS);
    assert_int_equal(envelope.recipient_count, 2);
    assert_int_equal(envelope.recipients[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
    assert_text(envelope.recipients[1].address, "\"o d d\"@example.com");
    assert_text(envelope.recipients[1].orcpt, "rfc822;x+2By@example.com");
    buffer_free(&out);
}

static void nobody_and_letters_of_all_languages(void **state)
{
    assert_true(parse(BYTES(HEAD "MAIL FROM:<> SIZE=4 SMTPUTF8\nRCPT TO:<b\xc3\xa4r@example.org>\nDATA\n")));
    assert_int_equal(envelope.sender.length, 0);
    assert_true(envelope.smtputf8);
    assert_false(parse(BYTES(HEAD "MAIL FROM:<> SIZE=4\nRCPT TO:<b\xc3\xa4r@example.org>\nDATA\n")));
}

static void what_is_wrong_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "MAILBOAT-DROP 2\n" MAIL RCPT "DATA\n",
                                      "MAILBOAT-DROP 1\r\n" MAIL RCPT "DATA\n",
                                      " " HEAD MAIL RCPT "DATA\n",
                                      "mailboat-drop 1\n" MAIL RCPT "DATA\n",
                                      HEAD,
                                      HEAD MAIL,
                                      HEAD MAIL RCPT,
                                      HEAD MAIL RCPT "DATA",
                                      HEAD MAIL "DATA\n",
                                      HEAD RCPT "DATA\n",
                                      HEAD MAIL MAIL RCPT "DATA\n",
                                      HEAD MAIL RCPT MAIL "DATA\n",
                                      HEAD MAIL RCPT "data\n",
                                      HEAD MAIL RCPT "DATA \n",
                                      HEAD MAIL RCPT "DATA\r\n",
                                      HEAD MAIL RCPT "\nDATA\n",
                                      HEAD "mail FROM:<a@b.c> SIZE=4\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c>\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c> SIZE=0\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c> SIZE=-1\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c> SIZE=4 SIZE=5\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c> SIZE=4 REQUIRETLS\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c> SIZE=4 BODY=BINARYMIME\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a> SIZE=4\n" RCPT "DATA\n",
                                      HEAD "MAIL FROM:<a@b.c SIZE=4\n" RCPT "DATA\n",
                                      HEAD MAIL "RCPT TO:<>\nDATA\n",
                                      HEAD MAIL "RCPT TO:<x>\nDATA\n",
                                      HEAD MAIL "RCPT TO:<x@y.z> NOTIFY=NEVER,SUCCESS\nDATA\n",
                                      HEAD MAIL "RCPT TO:<x@y.z>\r\nDATA\n",
                                      HEAD MAIL "RCPT TO:<x\t@y.z>\nDATA\n",
                                      HEAD MAIL "QUIT\nDATA\n",
                                      HEAD MAIL RCPT "RSET\nDATA\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (parse(bytes_of_text(bad[i])))
            fail_msg("this was taken: %s", bad[i]);
        assert_non_null(wrong);
    }
    assert_true(parse(BYTES(HEAD MAIL RCPT "DATA\n")));
    static const char nul[] = HEAD "MAIL FROM:<a@b.c> SIZE=4\0\n" RCPT "DATA\n";
    assert_false(parse(bytes_of(nul, sizeof nul - 1)));
}

static bool parse_many(size_t recipients, size_t line_length)
{
    struct buffer text = {0};
    buffer_add_text(&text, HEAD MAIL);
    for (size_t i = 0; i < recipients; i++)
        buffer_add_format(&text, "RCPT TO:<r%zu@example.org>%*s\n", i,
                          i == 0 && line_length > 25 ? (int)line_length - 25 : 0, "");
    buffer_add_text(&text, "DATA\n");
    bool fine = parse(buffer_bytes(&text));
    buffer_free(&text);
    return fine;
}

static void limits_hold(void **state)
{
    assert_true(parse_many(DROP_RECIPIENTS_MAX, 0));
    assert_int_equal(envelope.recipient_count, DROP_RECIPIENTS_MAX);
    assert_false(parse_many(DROP_RECIPIENTS_MAX + 1, 0));
    assert_true(parse_many(1, DROP_LINE_MAX)); /* with its LF */
    assert_false(parse_many(1, DROP_LINE_MAX + 1));
}

/* ---- mailboxes ---- */

static void lists(const char *field, const char *wanted)
{
    struct bytes list = bytes_of_text(field);
    struct buffer room = {0}, got = {0};
    struct address_list_entry mailbox;
    while (address_list_next(&list, &room, &mailbox)) {
        assert_true(mailbox.end >= field && mailbox.end <= field + strlen(field));
        buffer_add_format(&got, "%s%.*s", got.length > 0 ? "|" : "", BYTES_ARG(mailbox.address));
    }
    assert_text(buffer_bytes(&got), wanted);
    buffer_free(&room);
    buffer_free(&got);
}

static void fields_are_taken_apart(void **state)
{
    lists("ada@example.org", "ada@example.org");
    lists(" Ada Lovelace <ada@example.org> , bob@example.com\r\n", "ada@example.org|bob@example.com");
    lists("\"Lovelace, Ada\" <ada@example.org>,\r\n\t\"a \\\" <b@c>\" <bob@example.com>",
          "ada@example.org|bob@example.com");
    lists("root (Cron Daemon)", "root");
    lists("(a, (b) \\) c) ada (d) @ (e) example.org (f)", "ada@example.org");
    lists("undisclosed-recipients:;", "");
    lists("friends: ada@example.org, Bob <bob@example.com>; carl@example.net",
          "ada@example.org|bob@example.com|carl@example.net");
    lists("<@relay.example,@other.example:ada@example.org>", "ada@example.org");
    lists("ada@[192.0.2.1], bob@[IPv6:2001:db8::1]", "ada@[192.0.2.1]|bob@[IPv6:2001:db8::1]");
    lists("\"a@b\"@example.org, \"a\\\"b\"@example.org", "\"a@b\"@example.org|\"a\\\"b\"@example.org");
    lists("ada@example.org; bob@example.com", "ada@example.org|bob@example.com"); /* as some write lists */
    lists("=?utf-8?Q?B=C3=A4r?= <baer@example.org>", "baer@example.org");
    lists(",, ,", "");
    lists("", "");
    lists("<>", "");
    lists("a lot of words", "a lot of words"); /* no address, and it does not become one */
    lists("ada . l @example.org", "ada.l@example.org");
    lists("\"never closed <ada@example.org>", "\"never closed <ada@example.org>");
    lists("(never closed", "");
    lists("ada@example.org\\", "ada@example.org\\");
}

static void users_alone_are_seen(void **state)
{
    assert_true(address_list_is_bare(BYTES("root")));
    assert_true(address_list_is_bare(BYTES("\"a@b\"")));
    assert_false(address_list_is_bare(BYTES("root@example.org")));
    assert_false(address_list_is_bare(BYTES("")));
    assert_false(address_list_is_bare(BYTES("\"a@b\"@example.org")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_written_and_read), cmocka_unit_test(nobody_and_letters_of_all_languages),
        cmocka_unit_test(what_is_wrong_is_refused),   cmocka_unit_test(limits_hold),
        cmocka_unit_test(fields_are_taken_apart),     cmocka_unit_test(users_alone_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
