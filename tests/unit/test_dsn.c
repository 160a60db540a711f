/* SPDX-License-Identifier: Apache-2.0 */
/* Reports on deliveries: who gets one, its content, and its protection from forgery. */
#include <stdio.h>

#include "core/message/dsn.h"
#include "unit.h"

static struct recipient bob = {.address = {"bob@example.com", 15}};
static struct dsn_recipient about_bob;
static struct envelope envelope;
static struct dsn dsn;
static struct buffer out;

static int prepare(void **state)
{
    bob = (struct recipient){.address = BYTES("bob@example.com")};
    about_bob = (struct dsn_recipient){.recipient = &bob,
                                       .action = DSN_FAILED,
                                       .enhanced = BYTES("5.1.1"),
                                       .code = 550,
                                       .text = BYTES("no such user"),
                                       .peer = BYTES("mx.example.com[192.0.2.1]:25")};
    envelope = (struct envelope){.sender = BYTES("ada@example.org")};
    dsn = (struct dsn){.hostname = BYTES("mx.example.org"),
                       .id = 77,
                       .now_ms = 1000,
                       .envelope = &envelope,
                       .about_id = 33,
                       .recipients = &about_bob,
                       .recipient_count = 1,
                       .content = BYTES("Subject: hi\r\nFrom: ada@example.org\r\n\r\nsecret text\r\n"),
                       .content_is_whole = true};
    buffer_clear(&out);
    return 0;
}

static bool has(const char *text)
{
    return bytes_search(buffer_bytes(&out), bytes_of_text(text)) != SIZE_MAX;
}

static void a_failure_is_told_to_people_and_programs(void **state)
{
    assert_true(dsn_add(&out, &dsn));
    assert_true(has("To: <ada@example.org>\r\n") && has("Auto-Submitted: auto-replied\r\n") &&
                has("multipart/report; report-type=delivery-status"));
    assert_true(has("<bob@example.com>: could not be delivered:\r\n") && has("550 5.1.1 no such user\r\n"));
    assert_true(has("Final-Recipient: rfc822; bob@example.com\r\nAction: failed\r\nStatus: "
                    "5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n"));
    assert_true(has("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_true(has("text/rfc822-headers") && has("Subject: hi\r\n") && !has("secret text"));
}

static void a_delay_says_how_long_it_is_tried_and_that_nothing_is_to_do(void **state)
{
    about_bob.action = DSN_DELAYED;
    dsn.expires_ms = 86400 * 1000;
    assert_true(dsn_add(&out, &dsn));
    assert_true(has("Action: delayed\r\n") && has("Will-Retry-Until: ") &&
                has("You do not need to do anything"));
    buffer_clear(&out);
    about_bob.action = DSN_FAILED;
    assert_true(dsn_add(&out, &dsn));
    assert_true(!has("Will-Retry-Until") && has("Check the address"));
}

/* The Status field has the action's class, the diagnostic the server's own codes. */
static void what_a_server_says_is_told_as_it_said_it(void **state)
{
    static const struct {
        enum dsn_action action;
        uint32_t code;
        const char *enhanced, *text, *status, *diagnosis;
    } table[] = {
        {DSN_FAILED, 552, "5.2.2", "full", "5.2.2", "smtp; 552 5.2.2 full"},
        {DSN_FAILED, 550, "", "no", "5.0.0", "smtp; 550 no"},
        {DSN_FAILED, 550, "4.7.1", "no", "5.7.1", "smtp; 550 4.7.1 no"},
        {DSN_FAILED, 450, "5.1.1", "no", "4.1.1", "smtp; 450 5.1.1 no"}, /* given up */
        {DSN_FAILED, 354, "", "go", "4.5.0", "smtp; 354 go"},
        {DSN_DELAYED, 535, "5.7.8", "no", "4.7.8", "smtp; 535 5.7.8 no"},
        {DSN_DELAYED, 554, "", "", "4.0.0", "smtp; 554"},
        {DSN_FAILED, 0, "4.4.1", "connection refused", "4.4.1", "X-Mailboat; connection refused"},
        {DSN_FAILED, 0, "5.7.30", "no TLS", "5.7.30", "X-Mailboat; no TLS"},
        {DSN_DELAYED, 0, "5.6.7", "no SMTPUTF8", "4.6.7", "X-Mailboat; no SMTPUTF8"},
        {DSN_DELAYED, 450, "4.2.0", "gr\xc3\xa4y\x1b", "4.2.0", "smtp; 450 4.2.0 gr??y?"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char wanted[160];
        about_bob.action = table[i].action;
        about_bob.code = table[i].code;
        about_bob.enhanced = bytes_of_text(table[i].enhanced);
        about_bob.text = bytes_of_text(table[i].text);
        buffer_clear(&out);
        assert_true(dsn_add(&out, &dsn));
        snprintf(wanted, sizeof wanted, "Status: %s\r\n%sDiagnostic-Code: %s\r\n", table[i].status,
                 table[i].code > 0 ? "Remote-MTA: dns; mx.example.com\r\n" : "", table[i].diagnosis);
        if (!has(wanted))
            fail_msg("%s", buffer_text(&out));
    }
}

static size_t times(const char *text)
{
    size_t count = 0, at = 0;
    for (struct bytes rest = buffer_bytes(&out); (at = bytes_search(rest, bytes_of_text(text))) != SIZE_MAX;
         count++)
        rest = bytes_from(rest, at + 1);
    return count;
}

static void members_of_an_alias_that_fail_alike_are_one_sentence(void **state)
{
    struct recipient member[5];
    struct dsn_recipient about[5];
    for (size_t i = 0; i < ARRAY_LENGTH(about); i++) {
        member[i] = (struct recipient){.address = BYTES("m@example.com"),
                                       .original = BYTES("all@example.org")};
        about[i] = about_bob;
        about[i].recipient = &member[i];
    }
    about[2].text = BYTES("gone");
    member[3].original = BYTES("two@example.org");
    dsn.recipients = about;
    dsn.recipient_count = ARRAY_LENGTH(about);
    assert_true(dsn_add(&out, &dsn));
    assert_int_equal(times("<all@example.org>: could not"), 2);
    assert_int_equal(times("<two@example.org>: could not"), 1);
    assert_int_equal(times("Final-Recipient: "), 5);
}

/* A server on this host has no name, and this server's own reasons name no server. */
static void what_no_server_on_the_network_said_names_none(void **state)
{
    about_bob.peer = BYTES("lmtp");
    assert_true(dsn_add(&out, &dsn));
    assert_true(!has("Remote-MTA") && has("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    buffer_clear(&out);
    about_bob.peer = bytes_none();
    assert_true(dsn_add(&out, &dsn));
    assert_true(!has("Remote-MTA") && !has("Diagnostic-Code: smtp") &&
                has("Diagnostic-Code: X-Mailboat; no such user\r\n"));
}

static void the_whole_message_comes_back_where_it_was_asked_for(void **state)
{
    envelope.ret = RET_FULL;
    assert_true(dsn_add(&out, &dsn));
    assert_true(has("message/rfc822\r\n") && has("secret text"));
    buffer_clear(&out);
    dsn.content_is_whole = false; /* only a part is known */
    assert_true(dsn_add(&out, &dsn));
    assert_false(has("secret text"));
}

static void nobody_is_told_who_may_not_be(void **state)
{
    envelope.sender = bytes_none(); /* a report is never reported on */
    assert_false(dsn_add(&out, &dsn));
    envelope.sender = BYTES("ada@example.org");
    bob.notify = NOTIFY_NEVER;
    assert_false(dsn_add(&out, &dsn));
    assert_int_equal(out.length, 0);
}

static void notify_says_who_wants_what(void **state)
{
    static const struct {
        uint8_t notify;
        bool failed, delayed, delivered, relayed;
    } table[] = {
        {NOTIFY_UNSAID, true, true, false, false},
        {NOTIFY_NEVER, false, false, false, false},
        {NOTIFY_SUCCESS, false, false, true, true},
        {NOTIFY_FAILURE, true, false, false, false},
        {NOTIFY_DELAY, false, true, false, false},
        {NOTIFY_FAILURE | NOTIFY_DELAY | NOTIFY_SUCCESS, true, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        bob.notify = table[i].notify;
        assert_int_equal(dsn_wanted(&bob, DSN_FAILED), table[i].failed);
        assert_int_equal(dsn_wanted(&bob, DSN_DELAYED), table[i].delayed);
        assert_int_equal(dsn_wanted(&bob, DSN_DELIVERED), table[i].delivered);
        assert_int_equal(dsn_wanted(&bob, DSN_RELAYED), table[i].relayed);
    }
}

static void a_peer_forges_nothing(void **state)
{
    about_bob.text = BYTES("no\r\n--report-00000000002d\r\nContent-Type: text/html\r\n\r\n<b>pay</b>");
    about_bob.peer = BYTES("mx\r\nX-Forged: yes[192.0.2.1]:25");
    assert_true(dsn_add(&out, &dsn));
    assert_false(has("\r\nContent-Type: text/html") || has("\r\nX-Forged"));
}

static void a_sender_forges_nothing_by_its_parameters(void **state)
{
    bob.orcpt = BYTES("rfc822;bob+0D+0AX-Forged: yes");
    envelope.envid = BYTES("id+0D+0AX-Forged: yes");
    assert_true(dsn_add(&out, &dsn));
    assert_false(has("\r\nX-Forged"));
    assert_true(has("Original-Recipient: rfc822; bob??X-Forged"));
}

static void a_message_that_knows_the_boundary_is_not_given_back(void **state)
{
    char content[200];
    assert_true(dsn_add(&out, &dsn));
    size_t at = bytes_search(buffer_bytes(&out), BYTES("boundary=\""));
    snprintf(content, sizeof content, "Subject: x\r\nX: %.19s\r\n\r\n", buffer_text(&out) + at + 10);
    dsn.content = bytes_of_text(content);
    buffer_clear(&out);
    assert_true(dsn_add(&out, &dsn));
    assert_false(has("Subject: x"));
}

static void long_words_of_a_peer_are_wrapped(void **state)
{
    static char words[1024];
    memset(words, 'x', sizeof words);
    about_bob.text = bytes_of(words, sizeof words);
    assert_true(dsn_add(&out, &dsn));
    for (struct bytes rest = buffer_bytes(&out); rest.length > 0;)
        assert_true(bytes_split(&rest, '\n').length <= 998);
}

static void only_whole_lines_of_a_long_header_come_back(void **state)
{
    struct buffer content = {0};
    while (content.length < DSN_RETURNED_MAX + 100)
        buffer_add_text(&content, "X-Line: 0123456789012345678901234567890123456789\r\n");
    dsn.content = buffer_bytes(&content);
    assert_true(dsn_add(&out, &dsn));
    assert_true(out.length < DSN_RETURNED_MAX + 4096);
    assert_true(has("0123456789\r\n\r\n--report-"));
    buffer_free(&content);
}

#define TESTED(name) cmocka_unit_test_setup(name, prepare)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_failure_is_told_to_people_and_programs),
        TESTED(a_delay_says_how_long_it_is_tried_and_that_nothing_is_to_do),
        TESTED(the_whole_message_comes_back_where_it_was_asked_for),
        TESTED(nobody_is_told_who_may_not_be),
        TESTED(notify_says_who_wants_what),
        TESTED(a_peer_forges_nothing),
        TESTED(a_sender_forges_nothing_by_its_parameters),
        TESTED(a_message_that_knows_the_boundary_is_not_given_back),
        TESTED(long_words_of_a_peer_are_wrapped),
        TESTED(what_a_server_says_is_told_as_it_said_it),
        TESTED(members_of_an_alias_that_fail_alike_are_one_sentence),
        TESTED(what_no_server_on_the_network_said_names_none),
        TESTED(only_whole_lines_of_a_long_header_come_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&out);
    return failed;
}
