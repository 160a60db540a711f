/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of reply codes, and the status in a report. */
#include "core/smtp/status.h"
#include "unit.h"

static void each_reply_to_rcpt_has_its_verdict(void **state)
{
    static const struct {
        uint32_t code;
        const char *enhanced, *text;
        enum rcpt_verdict first, later;
    } table[] = {
        /* too many, in every form */
        {452, "4.5.3", "too many recipients", RCPT_DEFERRED, RCPT_TOO_MANY},
        {452, "", "too many recipients", RCPT_DEFERRED, RCPT_TOO_MANY},
        {452, "", "", RCPT_DEFERRED, RCPT_TOO_MANY},
        {451, "4.5.3", "", RCPT_DEFERRED, RCPT_TOO_MANY},
        {552, "5.5.3", "", RCPT_REJECTED, RCPT_TOO_MANY},
        {552, "4.5.3", "", RCPT_REJECTED, RCPT_TOO_MANY},
        {550, "5.5.3", "", RCPT_REJECTED, RCPT_TOO_MANY},
        {552, "", "Too Many Recipients", RCPT_REJECTED, RCPT_TOO_MANY},
        {552, "", "Maximum number of recipients exceeded", RCPT_REJECTED, RCPT_TOO_MANY},
        {552, "", "Maximum limit of 50 recipients reached", RCPT_REJECTED, RCPT_TOO_MANY}, /* go-smtp */
        {552, "", "too many rcpts", RCPT_REJECTED, RCPT_TOO_MANY},
        /* RFC 5321 4.2.3 */
        {552, "", "Requested mail action aborted: exceeded storage allocation", RCPT_REJECTED, RCPT_REJECTED},
        {552, "", "The recipient's mailbox is over its limit", RCPT_REJECTED, RCPT_REJECTED},
        /* what the enhanced code says wins over the words and over the basic code */
        {552, "5.2.2", "mailbox full: too many recipients", RCPT_REJECTED, RCPT_REJECTED},
        {452, "4.2.2", "too many recipients", RCPT_DEFERRED, RCPT_DEFERRED},
        {452, "4.3.1", "", RCPT_DEFERRED, RCPT_DEFERRED},
        {452, "5.2.2", "", RCPT_DEFERRED, RCPT_DEFERRED},
        /* the rest */
        {552, "", "mailbox full", RCPT_REJECTED, RCPT_REJECTED},
        {552, "", "", RCPT_REJECTED, RCPT_REJECTED},
        {550, "", "too many recipients", RCPT_REJECTED, RCPT_REJECTED},
        {550, "4.7.1", "", RCPT_REJECTED, RCPT_REJECTED},
        {450, "5.1.1", "", RCPT_DEFERRED, RCPT_DEFERRED},
        {421, "4.5.3", "", RCPT_DEFERRED, RCPT_DEFERRED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct bytes enhanced = bytes_of_text(table[i].enhanced), text = bytes_of_text(table[i].text);
        if (status_rcpt_verdict(table[i].code, enhanced, text, false) != table[i].first ||
            status_rcpt_verdict(table[i].code, enhanced, text, true) != table[i].later)
            fail_msg("%u %s %s", (unsigned)table[i].code, table[i].enhanced, table[i].text);
    }
}

static void a_status_has_the_class_that_is_asked_for(void **state)
{
    static const struct {
        char class;
        uint32_t code;
        const char *enhanced, *status;
    } table[] = {
        {'5', 550, "5.1.1", "5.1.1"}, {'5', 550, "4.7.1", "5.7.1"}, {'5', 550, "", "5.0.0"},
        {'5', 0, "5.7.30", "5.7.30"}, {'4', 535, "5.7.8", "4.7.8"}, {'4', 554, "", "4.0.0"},
        {'4', 450, "5.1.1", "4.1.1"}, {'4', 0, "4.4.1", "4.4.1"},   {'4', 354, "", "4.5.0"},
        {'4', 250, "2.1.0", "4.5.0"}, {'2', 250, "2.1.5", "2.1.5"}, {'2', 250, "", "2.0.0"},
        {'4', 0, "", "4.0.0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buffer out = {0};
        status_add(&out, table[i].class, table[i].code, bytes_of_text(table[i].enhanced));
        assert_text(buffer_bytes(&out), table[i].status);
        buffer_free(&out);
    }
}

static void what_was_not_said_is_left_out(void **state)
{
    static const struct {
        uint32_t code;
        const char *enhanced, *text, *said;
    } table[] = {
        {550, "5.1.1", "no", "550 5.1.1 no"},
        {550, "", "no", "550 no"},
        {550, "", "", "550"},
        {550, "5.1.1", "", "550 5.1.1"},
        {0, "4.4.1", "nobody", "4.4.1 nobody"},
        {0, "", "nobody", "nobody"},
        {0, "", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buffer out = {0};
        status_add_said(&out, table[i].code, bytes_of_text(table[i].enhanced), bytes_of_text(table[i].text));
        assert_text(buffer_bytes(&out), table[i].said);
        buffer_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reply_to_rcpt_has_its_verdict),
        cmocka_unit_test(a_status_has_the_class_that_is_asked_for),
        cmocka_unit_test(what_was_not_said_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
