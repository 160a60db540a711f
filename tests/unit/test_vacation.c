/* SPDX-License-Identifier: Apache-2.0 */
/* Vacation replies: recipients, frequency, and format. */
#include <stdio.h>

#include "core/message/vacation.h"
#include "unit.h"

#define FINE                                                                                    \
    "From: Bob <bob@example.net>\r\nTo: Ada <Ada@Example.org>\r\nSubject: Tea?\r\nMessage-ID: " \
    "<1@example.net>\r\n"

static struct arena arena;

static enum vacation_verdict judge_from(const char *sender, const char *original, const char *header,
                                        struct vacation_about *about)
{
    char content[4096];
    snprintf(content, sizeof content, "%s\r\nAuto-Submitted: in the text\r\n", header);
    struct vacation_input letter = {.content = bytes_of_text(content),
                                    .sender = bytes_of_text(sender),
                                    .user = BYTES("ada@example.org"),
                                    .original = bytes_of_text(original)};
    return vacation_check_header(&letter, &arena, about);
}

static enum vacation_verdict judge(const char *header)
{
    struct vacation_about about;
    return judge_from("bob@example.net", "", header, &about);
}

static void a_person_is_answered(void **state)
{
    struct vacation_about about;
    assert_int_equal(judge_from("bob@example.net", "", FINE, &about), VACATION_DUE);
    assert_text(about.message_id, "<1@example.net>");
    assert_text(about.subject, "Tea?");
    assert_int_equal(judge(FINE "Auto-Submitted: no\r\n"), VACATION_DUE);
    assert_int_equal(judge(FINE "Auto-Submitted: No (a person)\r\n"), VACATION_DUE);
    assert_int_equal(judge(FINE "Precedence: first-class\r\nX-Auto-Response-Suppress: None\r\n"),
                     VACATION_DUE);
    assert_int_equal(judge("Cc: x@y.example, \"A, B\" <c@d.example>,\r\n (a comment) ada@example.org\r\n"),
                     VACATION_DUE);
    assert_int_equal(judge("Resent-To: ada@example.org\r\n"), VACATION_DUE);
    assert_int_equal(
        judge_from("bob@example.net", "ada+tea@example.org", "To: ada+tea@example.org\r\n", &about),
        VACATION_DUE);
}

static void programs_and_lists_are_not(void **state)
{
    static const char *const automatic[] = {"Auto-Submitted: auto-replied",
                                            "Auto-Submitted: auto-generated",
                                            "auto-submitted: nothing",
                                            "Auto-Submitted:",
                                            "X-Auto-Response-Suppress: OOF",
                                            "X-Auto-Response-Suppress: All",
                                            "Content-Type: multipart/report; report-type=delivery-status",
                                            "Content-Type:\r\n multipart/report"};
    static const char *const lists[] = {
        "List-Id: <tea.example.net>", "LIST-UNSUBSCRIBE: <mailto:x@y.example>",
        "List-Anything: x",           "Precedence: bulk",
        "Precedence: List",           "Precedence: junk"};
    char header[1024];
    for (size_t i = 0; i < ARRAY_LENGTH(automatic); i++) {
        snprintf(header, sizeof header, FINE "%s\r\n", automatic[i]);
        assert_int_equal(judge(header), VACATION_AUTOMATIC);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        snprintf(header, sizeof header, "%s\r\n" FINE, lists[i]);
        assert_int_equal(judge(header), VACATION_LIST);
    }
}

static void senders_that_no_person_reads_are_not(void **state)
{
    static const char *const robots[] = {"MAILER-DAEMON@example.net",
                                         "tea-request@example.net",
                                         "owner-tea@example.net",
                                         "tea-owner@example.net",
                                         "noreply@example.net",
                                         "no-reply+17@example.net",
                                         "tea-bounces@example.net",
                                         "bounce-1234@example.net",
                                         "SRS0=x=y@example.net",
                                         "postmaster@example.net",
                                         "no address"};
    struct vacation_about about;
    for (size_t i = 0; i < ARRAY_LENGTH(robots); i++)
        assert_int_equal(judge_from(robots[i], "", FINE, &about), VACATION_ROBOT);
    assert_int_equal(judge_from("", "", FINE, &about), VACATION_NO_SENDER);
    assert_int_equal(judge_from("ADA@example.org", "", FINE, &about), VACATION_TO_ITSELF);
    assert_int_equal(judge_from("request@example.net", "", FINE, &about), VACATION_DUE);
}

static void who_is_not_named_is_not_answered_for(void **state)
{
    assert_int_equal(judge("To: tea@example.net\r\nX-To: ada@example.org\r\n"), VACATION_NOT_NAMED);
    assert_int_equal(judge("To: \"ada@example.org\" <bob@example.net>\r\n"), VACATION_NOT_NAMED);
    assert_int_equal(judge("To: ada@example.org.example\r\n"), VACATION_NOT_NAMED);
    assert_int_equal(judge("Subject: nobody\r\n"), VACATION_NOT_NAMED);
}

static void a_header_has_an_end(void **state)
{
    struct buffer content = {0};
    struct vacation_about about;
    buffer_add_text(&content, FINE "X: ");
    while (content.length < VACATION_HEADER_MAX - 2)
        buffer_add_octet(&content, 'x');
    struct vacation_input letter = {.sender = BYTES("bob@example.net"), .user = BYTES("ada@example.org")};
    letter.content = buffer_bytes(&content);
    assert_int_equal(vacation_check_header(&letter, &arena, &about), VACATION_UNREADABLE);
    buffer_add_text(&content, "xx\r\n\r\n"); /* the last octet of the field is at the limit */
    letter.content = buffer_bytes(&content);
    assert_int_equal(vacation_check_header(&letter, &arena, &about), VACATION_DUE);
    content.length -= 4;
    buffer_add_text(&content, "x\r\n\r\n"); /* and one past it */
    letter.content = buffer_bytes(&content);
    assert_int_equal(vacation_check_header(&letter, &arena, &about), VACATION_UNREADABLE);
    buffer_free(&content);
}

static void strangers_words_are_not_passed_on_blindly(void **state)
{
    struct vacation_about about;
    assert_int_equal(judge_from("bob@example.net", "",
                                "To: ada@example.org\r\nSubject: a\r\n\tb\r\n c\r\nMessage-ID: <a b@c>\r\n",
                                &about),
                     VACATION_DUE);
    assert_text(about.subject, "a b c");
    assert_int_equal(about.message_id.length, 0);
    judge_from("bob@example.net", "",
               "To: ada@example.org\r\nSubject: \x1b[2J\r\nMessage-ID: <a>\r\n <b>\r\n", &about);
    assert_int_equal(about.subject.length + about.message_id.length, 0);
    judge_from("bob@example.net", "", "To: ada@example.org\r\nSubject: \xc3\xa9\r\n", &about);
    assert_int_equal(about.subject.length, 0);
    judge_from("bob@example.net", "", "To: ada@example.org\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\n", &about);
    assert_text(about.subject, "=?utf-8?Q?caf=C3=A9?=");
}

static void nobody_is_answered_twice_in_that_time(void **state)
{
    struct buffer one = {0}, two = {0}, three = {0};
    assert_false(vacation_remembers(bytes_none(), BYTES("bob@example.net"), 0));
    assert_true(vacation_remember(&one, bytes_none(), BYTES("bob@example.net"), 1000, 0));
    assert_true(vacation_remembers(buffer_bytes(&one), BYTES("Bob@example.net"), 1000));
    assert_false(vacation_remembers(buffer_bytes(&one), BYTES("bob@example.net"), 1001));
    assert_false(vacation_remembers(buffer_bytes(&one), BYTES("ob@example.net"), 0));
    assert_true(vacation_remember(&two, buffer_bytes(&one), BYTES("eve@example.net"), 2000, 0));
    assert_text(buffer_bytes(&two), "1000 bob@example.net\n2000 eve@example.net\n");
    assert_true(vacation_remember(&three, buffer_bytes(&two), BYTES("eve@example.net"), 3000, 1500));
    assert_text(buffer_bytes(&three), "3000 eve@example.net\n");
    buffer_free(&one);
    buffer_free(&two);
    buffer_free(&three);
}

static void the_memory_is_bounded(void **state)
{
    struct buffer memory = {0}, next = {0};
    char sender[40];
    for (int i = 0; i < VACATION_SENDERS_MAX; i++) {
        snprintf(sender, sizeof sender, "u%d@example.net", i);
        buffer_clear(&next);
        assert_true(
            vacation_remember(&next, buffer_bytes(&memory), bytes_of_text(sender), 1000 + (uint64_t)i, 0));
        struct buffer swapped = memory;
        memory = next;
        next = swapped;
    }
    buffer_clear(&next);
    assert_false(vacation_remember(&next, buffer_bytes(&memory), BYTES("one@too.many"), 9000, 0));
    assert_int_equal(next.length, 0);
    /* the oldest is forgotten */
    assert_true(vacation_remember(&next, buffer_bytes(&memory), BYTES("one@too.many"), 9000, 1001));
    buffer_free(&memory);
    buffer_free(&next);
}

static void the_answer_says_what_it_is(void **state)
{
    struct buffer out = {0};
    struct vacation_answer answer = {
        .from = BYTES("ada@example.org"),
        .to = BYTES("bob@example.net"),
        .text = BYTES("away\n"),
        .message_id = BYTES("7@mx.example.org"),
        .date_ms = 0,
        .about = {.message_id = BYTES("<1@example.net>"), .subject = BYTES("=?utf-8?Q?caf=C3=A9?=")}};
    vacation_compose(&out, &answer);
    assert_text(
        buffer_bytes(&out),
        "Auto-Submitted: auto-replied\r\nIn-Reply-To: <1@example.net>\r\nReferences: "
        "<1@example.net>\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
        "From: ada@example.org\r\nTo: bob@example.net\r\nSubject: Auto: =?utf-8?Q?caf=C3=A9?=\r\nMessage-ID: "
        "<7@mx.example.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\naway\r\n");
    buffer_clear(&out);
    answer.subject = BYTES("Bin weg: \xc3\xa9");
    answer.about = (struct vacation_about){0};
    vacation_compose(&out, &answer);
    assert_true(bytes_search(buffer_bytes(&out), BYTES("Subject: =?utf-8?B?")) != SIZE_MAX);
    assert_true(bytes_search(buffer_bytes(&out), BYTES("In-Reply-To")) == SIZE_MAX);
    buffer_free(&out);
}

static void what_cannot_be_written_is_named(void **state)
{
    char large[VACATION_TEXT_MAX + 1], subject[VACATION_SUBJECT_MAX + 1];
    memset(large, 'x', sizeof large);
    memset(subject, 's', sizeof subject);
    assert_null(vacation_check(bytes_of(subject, VACATION_SUBJECT_MAX), bytes_of(large, VACATION_TEXT_MAX)));
    assert_non_null(vacation_check(bytes_none(), bytes_of(large, VACATION_TEXT_MAX + 1)));
    assert_non_null(vacation_check(bytes_of(subject, VACATION_SUBJECT_MAX + 1), BYTES("x")));
    assert_non_null(vacation_check(BYTES("a\r\nBcc: x@y.example"), BYTES("x")));
    assert_non_null(vacation_check(bytes_none(), BYTES(" \r\n")));
    assert_non_null(vacation_check(bytes_none(), BYTES("\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_is_answered),
        cmocka_unit_test(programs_and_lists_are_not),
        cmocka_unit_test(senders_that_no_person_reads_are_not),
        cmocka_unit_test(who_is_not_named_is_not_answered_for),
        cmocka_unit_test(a_header_has_an_end),
        cmocka_unit_test(strangers_words_are_not_passed_on_blindly),
        cmocka_unit_test(nobody_is_answered_twice_in_that_time),
        cmocka_unit_test(the_memory_is_bounded),
        cmocka_unit_test(the_answer_says_what_it_is),
        cmocka_unit_test(what_cannot_be_written_is_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_clear(&arena);
    return failed;
}
