/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of sendmail: known callers, and errors. */
#include <stdio.h>

#include "core/smtp/command.h"
#include "core/text/invocation.h"
#include "unit.h"

static struct invocation call;
static struct error error;
static char **words;
static int word_count;

/* Splits at single spaces; "''" is an empty word. */
static bool read_call(const char *line)
{
    static char room[1024];
    static char *at[64];
    char *rest = room, *word;
    words = at;
    word_count = 0;
    snprintf(room, sizeof room, "%s", line);
    while ((word = strsep(&rest, " ")) != NULL)
        at[word_count++] = strcmp(word, "''") == 0 ? word + 2 : word;
    at[word_count] = NULL;
    error = (struct error){0};
    return invocation_read(&call, word_count, words, &error);
}

static void same(const char *got, const char *wanted)
{
    if (wanted == NULL)
        assert_null(got);
    else
        assert_string_equal(got, wanted);
}

/* `recipients`: how many of the last words are some. */
static void takes(const char *line, bool t, bool i, const char *sender, const char *name, size_t recipients)
{
    if (!read_call(line))
        fail_msg("%s: %s", line, error.text);
    assert_int_equal(call.mode, INVOCATION_DELIVER);
    assert_int_equal(call.read_recipients, t);
    assert_int_equal(call.dot_is_text, i);
    same(call.sender, sender);
    same(call.full_name, name);
    assert_int_equal(call.recipient_count, recipients);
    for (size_t k = 0; k < recipients; k++)
        assert_ptr_equal(call.recipients[k], words[(size_t)word_count - recipients + k]);
}

static void known_programs_are_understood(void **state)
{
    takes("sendmail -t -i", true, true, NULL, NULL, 0); /* PHP */
    /* PHP with a fifth argument */
    takes("sendmail -t -i -fwww@example.org", true, true, "www@example.org", NULL, 0);
    takes("sendmail -oi -fwww@example.org -t", true, true, "www@example.org", NULL, 0); /* PHPMailer */
    /* Debian's cron */
    takes("sendmail -FCronDaemon -i -B8BITMIME -oem root", false, true, NULL, "CronDaemon", 1);
    assert_int_equal(call.errors, ERRORS_MAILED);
    /* cronie */
    takes("sendmail -FCronDaemon -i -odi -oem -oi -t -f root", true, true, "root", "CronDaemon", 0);
    takes("sendmail -FAnacron -odi root", false, false, NULL, "Anacron", 1);           /* anacron */
    takes("sendmail -i root", false, true, NULL, NULL, 1);                             /* atd */
    takes("sendmail -t -froot@example.org", true, false, "root@example.org", NULL, 0); /* mdadm */
    /* git send-email */
    takes("sendmail -f me@example.org -i a@example.com b@example.com", false, true, "me@example.org", NULL,
          2);
    /* mutt */
    takes("sendmail -B8BITMIME -f me@example.org -N failure,delay -R hdrs -- -odd@example.com b@example.com",
          false, false, "me@example.org", NULL, 2);
    assert_int_equal(call.notify, NOTIFY_FAILURE | NOTIFY_DELAY);
    assert_int_equal(call.ret, RET_HEADERS);
    /* mutt's default */
    takes("/usr/sbin/sendmail -oem -oi -f me@example.org -- a@example.com", false, true, "me@example.org",
          NULL, 1);
    takes("sendmail -i -- a@example.com", false, true, NULL, NULL, 1); /* s-nail */
    takes("sendmail -bm -om -oo -oA/x -O DeliveryMode=b -Ac -G -U -n -m -v -h3 -L log -X /tmp/x -p x:y a",
          false, false, NULL, NULL, 1);
}

static void flags_may_be_grouped_and_values_apart(void **state)
{
    takes("sendmail -tif me@example.org", true, true, "me@example.org", NULL, 0);
    takes("sendmail -itfme@example.org", true, true, "me@example.org", NULL, 0);
    takes("sendmail -r me -o i -e m a", false, true, "me", NULL, 1);
    assert_int_equal(call.errors, ERRORS_MAILED);
    takes("sendmail -f '' a", false, false, "", NULL, 1);
    takes("sendmail -f <> a", false, false, "<>", NULL, 1);
    takes("sendmail -F -t a", false, false, NULL, "-t", 1);
    takes("sendmail -f -t a", false, false, "-t", NULL, 1);
}

static void what_follows_a_recipient_is_one(void **state)
{
    takes("sendmail -i a@example.com -C/etc/passwd -t", false, true, NULL, NULL, 3);
    same(call.config, NULL);
    takes("sendmail - -t", false, false, NULL, NULL, 2);
    takes("sendmail --", false, false, NULL, NULL, 0);
}

static void modes_and_names(void **state)
{
    static const struct {
        const char *line;
        enum invocation_mode mode;
    } modes[] = {{"sendmail -bs", INVOCATION_SMTP},
                 {"sendmail -bp", INVOCATION_LIST},
                 {"sendmail -bi", INVOCATION_ALIASES},
                 {"sendmail -I", INVOCATION_ALIASES},
                 {"sendmail -bv a", INVOCATION_VERIFY},
                 {"sendmail -q", INVOCATION_RUN_QUEUE},
                 {"sendmail -q30m", INVOCATION_RUN_QUEUE},
                 {"mailq", INVOCATION_LIST},
                 {"/usr/bin/mailq -Ac", INVOCATION_LIST},
                 {"newaliases", INVOCATION_ALIASES},
                 {"/usr/sbin/sendmail -b m", INVOCATION_DELIVER}};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        assert_true(read_call(modes[i].line));
        assert_int_equal(call.mode, modes[i].mode);
    }
    assert_true(read_call("sendmail -qIcr7mn5za55qy"));
    same(call.queue_id, "cr7mn5za55qy");
    assert_true(read_call("sendmail -C /etc/mailboat/other.conf -bp"));
    same(call.config, "/etc/mailboat/other.conf");
    static const struct {
        const char *line;
        enum invocation_errors errors;
    } errors[] = {{"sendmail a", ERRORS_PRINTED},
                  {"sendmail -oep a", ERRORS_PRINTED},
                  {"sendmail -oew a", ERRORS_PRINTED},
                  {"sendmail -eq a", ERRORS_QUIET},
                  {"sendmail -oee a", ERRORS_MAILED_ALWAYS},
                  {"sendmail -em a", ERRORS_MAILED}};
    for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
        assert_true(read_call(errors[i].line));
        assert_int_equal(call.errors, errors[i].errors);
    }
}

static void refused(const char *line, const char *word)
{
    if (read_call(line))
        fail_msg("this was taken: %s", line);
    assert_int_equal(error.exit_code, 64);
    if (strstr(error.text, word) == NULL || strchr(error.text, '\n') != NULL)
        fail_msg("%s: %s", line, error.text);
}

static void what_is_wrong_is_said(void **state)
{
    char long_id[ENVID_MAX + 32];
    refused("sendmail -Z a", "-Z");
    refused("sendmail -tZ a", "-Z");
    refused("sendmail --config x a", "-C FILE");
    refused("sendmail -f", "-f requires a value");
    refused("sendmail -ti -F", "-F requires a value");
    refused("sendmail -bd", "mailboat serve");
    refused("sendmail -bt", "-bt");
    refused("sendmail -oex a", "-oex");
    refused("sendmail -B9BIT a", "9BIT");
    refused("sendmail -R some a", "some");
    refused("sendmail -N never,success a", "never,success");
    refused("sendmail -N now a", "now");
    refused("sendmail -V '' a", "-V");
    refused("sendmail -V a=b a", "a=b");
    snprintf(long_id, sizeof long_id, "sendmail -V %0*d a", ENVID_MAX, 1);
    assert_true(read_call(long_id));
    snprintf(long_id, sizeof long_id, "sendmail -V %0*d a", ENVID_MAX + 1, 1);
    refused(long_id, "-V");
}

static void line_breaks_are_refused(void **state)
{
    refused("sendmail -i a@example.com\nBcc:x", "argument 2");
    refused("sendmail -fa\rb -i a@example.com", "argument 1");
    refused("sendmail -i a@example.com -- b\n", "argument 4");
    refused("sendmail -F a\nb c", "argument 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_programs_are_understood),
        cmocka_unit_test(flags_may_be_grouped_and_values_apart),
        cmocka_unit_test(what_follows_a_recipient_is_one),
        cmocka_unit_test(modes_and_names),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(line_breaks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
