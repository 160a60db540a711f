/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of other servers: what they mean, what they repeat of ours, hostile ones, and the table itself. */
#include <stdlib.h>

#include "core/reply/reply_rows.h"
#include "core/reply/reply_words.h"
#include "unit.h"

static const struct reply_meaning *meaning_of(uint32_t code, const char *enhanced, const char *text)
{
    struct reply_facts facts = {
        .code = code, .enhanced = bytes_of_text(enhanced), .text = bytes_of_text(text)};
    return reply_meaning_find(&facts);
}

static void assert_class(uint32_t code, const char *enhanced, const char *text, enum reply_class class)
{
    const struct reply_meaning *meaning = meaning_of(code, enhanced, text);
    assert_non_null(meaning);
    if (meaning->class != class)
        fail_msg("%s: %s by %s, wanted %s", text, reply_meaning_class_name(meaning->class), meaning->row,
                 reply_meaning_class_name(class));
}

static void test_telling_text_is_stronger_than_the_enhanced_code(void **state)
{
    assert_class(552, "5.1.1", "Recipient overquota. OFR_417 [417]", CLASS_MAILBOX_FULL);
    assert_class(550, "5.1.1", "has sent to too many recipients this hour. IB607", CLASS_RATE);
    assert_class(550, "5.2.1", "receiving mail at a rate that prevents additional messages", CLASS_RATE);
    assert_class(550, "5.7.1", "No such user!", CLASS_NO_SUCH_USER);
    assert_class(550, "5.1.1", "", CLASS_NO_SUCH_USER); /* where the text is silent, the code decides */
    assert_class(550, "5.7.1", "zzz", CLASS_POLICY);
    assert_class(450, "5.1.1", "unverified address", CLASS_SYSTEM);
}

static void test_a_code_of_one_provider_counts_only_from_it(void **state)
{
    struct reply_facts facts = {.code = 550, .enhanced = BYTES("5.7.28")};
    static const char *const GOOGLE[] = {"aspmx.l.google.com", "ASPMX.L.Google.COM.",
                                         "aspmx.l.google.com[192.0.2.1]:25", "google.com"};
    static const char *const OTHERS[] = {"", "mx.example.com", "notgoogle.com", "google.com.example.net"};
    facts.enhanced = BYTES("5.7.30");
    for (size_t i = 0; i < ARRAY_LENGTH(GOOGLE); i++) {
        facts.peer = bytes_of_text(GOOGLE[i]);
        assert_int_equal(reply_meaning_find(&facts)->class, CLASS_AUTH);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(OTHERS); i++) {
        facts.peer = bytes_of_text(OTHERS[i]);
        assert_int_equal(reply_meaning_find(&facts)->class, CLASS_TLS); /* RFC 8689: REQUIRETLS */
    }
}

static void test_enhanced_codes_in_the_text(void **state)
{
    static const char *const TEXTS[] = {"#5.1.1 zzz", "(#5.1.1) zzz", "5.1.1 zzz",
                                        "5.1.1: zzz", "zzz (#5.1.1)", " 5.1.1"};
    static const char *const NONE[] = {"7.1.1 zzz", "5.1.1234 zzz", "5.1.1.1 zzz", "zzz 5.1.1",
                                       "5.1 zzz",   "5.1.",         "#",           "2.1.1 zzz"};
    for (size_t i = 0; i < ARRAY_LENGTH(TEXTS); i++)
        assert_class(550, "", TEXTS[i], CLASS_NO_SUCH_USER);
    for (size_t i = 0; i < ARRAY_LENGTH(NONE); i++)
        assert_class(550, "", NONE[i], CLASS_POLICY);
    assert_class(550, "2.0.0", "#5.1.1 zzz", CLASS_NO_SUCH_USER); /* a class without sense is none */
}

static void test_codes_that_a_server_repeats_are_no_words(void **state)
{
    assert_class(550, "5.7.1", "detected an unusual rate of 550-5.7.1 unsolicited mail from your",
                 CLASS_RATE);
    assert_class(550, "", "no such 550 user", CLASS_NO_SUCH_USER);
    assert_class(550, "", "no such 550-user", CLASS_NO_SUCH_USER);
    assert_class(550, "", "no such 550 5.7.1 user", CLASS_NO_SUCH_USER);
    assert_class(550, "", "no such 551 user", CLASS_POLICY);
}

/* What a sender can make a server repeat changes nothing. */
static void test_what_is_repeated_decides_nothing(void **state)
{
    static const char *const TEXTS[] = {
        "<mailbox.full@user-unknown.example>: zzz",
        "zzz mailbox.full@user-unknown.example",
        "zzz (mailbox.full@user-unknown.example)",
        "zzz \"mailbox is full\"@user-unknown.example",
        "zzz <the mailbox is full>",
        "zzz user-unknown.example",
        "zzz [user-unknown.example.]",
        "zzz domain=mx.user-unknown.example:",
        "zzz from spamhaus.user-unknown.example",
        "MAILBOX.FULL@USER-UNKNOWN.EXAMPLE zzz",
        "zzz for greylist.our.example",
    };
    struct reply_facts facts = {
        .code = 550,
        .own = {BYTES("mailbox.full@user-unknown.example"), BYTES("greylist.our.example"), BYTES("")}};
    for (size_t i = 0; i < ARRAY_LENGTH(TEXTS); i++) {
        facts.text = bytes_of_text(TEXTS[i]);
        const struct reply_meaning *meaning = reply_meaning_find(&facts);
        if (meaning->class != CLASS_POLICY)
            fail_msg("%s: %s", TEXTS[i], meaning->row);
    }
    /* A link of the reply is its message, and other domains stay. */
    assert_class(550, "", "see https://www.spamhaus.org/query", CLASS_RBL);
    facts.text = BYTES("another-user-unknown.example, user unknown");
    assert_int_equal(reply_meaning_find(&facts)->class, CLASS_NO_SUCH_USER);
}

static void assert_words(const char *text, const char *wanted)
{
    struct reply_words words;
    struct reply_facts facts = {.code = 550, .text = bytes_of_text(text)};
    reply_words_read(&words, &facts);
    assert_text(bytes_of(words.text, words.length), wanted);
}

static void test_words(void **state)
{
    assert_words("User (a@example.com) Unknown.", "user unknown");
    assert_words("User <abuse> unknown", "user unknown");
    assert_words("a@example.com:user not exist", "user not exist");
    assert_words("  : -  A \t\r\n\x1B[31mB\x7F. ", "a [31mb");
    assert_words("[192.0.2.1] 192.0.2.1:25 1.2.3 1.2.3.4.5 host192.0.2.1",
                 "[#] #:25 1.2.3 1.2.3.4.5 host192.0.2.1");
    assert_words("[2001:db8::1] ::1 at 10:20:30 1:2:3:4:5:6:7:8", "[#] # at 10:20:30 #");
    assert_words("a < b", "a < b");
    assert_words("say \"quota\"", "say \"quota\"");
    assert_words("", "");
    assert_words("-.: <a@b> -", "");
}

static void test_words_are_limited(void **state)
{
    struct reply_words words;
    static char text[REPLY_WORDS_READ_MAX + 100];
    struct reply_facts facts = {.code = 550, .text = bytes_of(text, REPLY_WORDS_MAX)};
    memset(text, 'y', sizeof text);
    memcpy(text + REPLY_WORDS_MAX - 13, " user unknown", 13);
    assert_int_equal(reply_meaning_find(&facts)->class, CLASS_NO_SUCH_USER);
    memcpy(text + REPLY_WORDS_MAX - 13, "y user unknow", 13);
    text[REPLY_WORDS_MAX] = 'n';
    facts.text.length++;
    assert_int_equal(reply_meaning_find(&facts)->class, CLASS_POLICY);
    reply_words_read(&words, &facts);
    assert_int_equal(words.length, REPLY_WORDS_MAX);
    memset(text, ' ', sizeof text); /* spaces are not words, but they are read */
    memcpy(text + REPLY_WORDS_READ_MAX - 12, "user unknown", 12);
    facts.text.length = REPLY_WORDS_READ_MAX;
    assert_int_equal(reply_meaning_find(&facts)->class, CLASS_NO_SUCH_USER);
    memcpy(text + REPLY_WORDS_READ_MAX - 12, " user unknown", 13);
    facts.text.length++;
    assert_int_equal(reply_meaning_find(&facts)->class, CLASS_POLICY);
}

static void test_hostile_replies(void **state)
{
    enum { SIZE = 64 * 1024 };
    char *text = malloc(SIZE);
    static const char *const PIECES[] = {"<",       "\"",    "@", "a@",     ":",       "1.",   "#5.",
                                         "exceed ", "user ", "(", "\xFF\0", "not be ", "550-", "mailbox "};
    for (size_t i = 0; i < ARRAY_LENGTH(PIECES); i++) {
        size_t length = strlen(PIECES[i]);
        for (size_t at = 0; at < SIZE; at++)
            text[at] = PIECES[i][at % length];
        struct reply_facts facts = {.code = 550,
                                    .enhanced = bytes_of(text, SIZE),
                                    .text = bytes_of(text, SIZE),
                                    .peer = bytes_of(text, SIZE),
                                    .own = {bytes_of(text, SIZE)}};
        assert_non_null(reply_meaning_find(&facts));
    }
    for (size_t at = 0; at < SIZE; at++)
        text[at] = (char)(at * 7);
    struct reply_facts facts = {.code = 450, .text = bytes_of(text, SIZE)};
    assert_non_null(reply_meaning_find(&facts));
    free(text);
}

static void test_each_failure_means_something(void **state)
{
    for (uint32_t code = 0; code < 1000; code++)
        assert_int_equal(meaning_of(code, "", "") != NULL, code >= 400 && code <= 599);
    assert_class(452, "", "", CLASS_SYSTEM);
    assert_class(499, "", "", CLASS_SYSTEM);
    assert_class(599, "", "", CLASS_POLICY);
}

/* What REPLIES of others may do to an address, guard by guard. */
static void test_suppression_has_guards(void **state)
{
    const struct reply_meaning *gone = meaning_of(550, "5.1.1", "user unknown");
    struct reply_facts facts = {.code = 550, .enhanced = BYTES("5.1.1"), .text = BYTES("user unknown")};
    struct reply_circumstances at_rcpt = {.at_rcpt = true, .recipients = 7, .peer_is_mx = true}, at = at_rcpt;
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_NOW);
    facts.enhanced = BYTES("5.7.1");
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_AFTER_REPEAT);
    facts.enhanced = BYTES("5.1.1");
    at.peer_is_mx = false;
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_NEVER);
    at = at_rcpt;
    at.at_rcpt = false; /* at the greeting, EHLO, STARTTLS, AUTH, MAIL */
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_NEVER);
    at.at_data = true;
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_NEVER);
    at.recipients = 1;
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at), REPLY_SUPPRESS_NOW);
    facts.code = 450;
    assert_int_equal(reply_meaning_suppress(gone, &facts, &at_rcpt), REPLY_SUPPRESS_NEVER);
    facts.code = 550;
    const struct reply_meaning *spam = meaning_of(550, "5.1.1", "looks like spam");
    assert_int_equal(reply_meaning_suppress(spam, &facts, &at_rcpt), REPLY_SUPPRESS_NEVER);
}

static void test_the_table_is_sound(void **state)
{
    const struct reply_table *t = &reply_rows_table;
    for (size_t i = 0; i < t->row_count; i++) {
        const struct reply_meaning *m = &t->rows[i].meaning;
        bool bare = !t->rows[i].has_text && t->rows[i].status_count == 0;
        if (m->suppress != REPLY_SUPPRESS_NEVER)
            assert_int_equal(m->about, ABOUT_RECIPIENT);
        if (bare && strcmp(m->row, "c-556") != 0) /* a basic code alone suppresses nobody at once */
            assert_int_not_equal(m->suppress, REPLY_SUPPRESS_NOW);
        assert_true(strlen(m->reason) > 10 && m->reason[strlen(m->reason) - 1] == '.');
        assert_true(strlen(m->sender_hint) > 10 && strlen(m->operator_hint) > 10);
        assert_true(m->row[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telling_text_is_stronger_than_the_enhanced_code),
        cmocka_unit_test(test_a_code_of_one_provider_counts_only_from_it),
        cmocka_unit_test(test_enhanced_codes_in_the_text),
        cmocka_unit_test(test_codes_that_a_server_repeats_are_no_words),
        cmocka_unit_test(test_what_is_repeated_decides_nothing),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_are_limited),
        cmocka_unit_test(test_hostile_replies),
        cmocka_unit_test(test_each_failure_means_something),
        cmocka_unit_test(test_suppression_has_guards),
        cmocka_unit_test(test_the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
