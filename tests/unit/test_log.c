/* SPDX-License-Identifier: Apache-2.0 */
/* Lines have their priority where stderr is the journal of systemd, and only there. Each case is a process of
 * its own: where stderr leads is found out once. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/log.h"
#include "unit.h"

/* Logs a line of each level and a held one, with stderr as a pipe; `off` is added to its inode in
 * JOURNAL_STREAM. */
static void log_into_pipe(int end, const char *form, unsigned off)
{
    struct stat facts;
    char stream[80];
    assert_int_equal(dup2(end, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(fstat(STDERR_FILENO, &facts), 0);
    snprintf(stream, sizeof stream, form, (unsigned long long)facts.st_dev,
             (unsigned long long)facts.st_ino + off);
    setenv("JOURNAL_STREAM", stream, 1);
    log_start("p", LOG_LOGFMT, LOG_EVENT_DEBUG);
    unsetenv("JOURNAL_STREAM"); /* examined already */
    for (int level = LOG_EVENT_DEBUG; level <= LOG_EVENT_ERROR; level++)
        log_event((enum log_level)level, "e", LOG_U64("n", level));
    log_hold();
    log_event(LOG_EVENT_WARN, "held", LOG_U64("n", 1));
    log_release(true);
    _exit(0);
}

static void expect_starts(const char *form, unsigned off, const char *const starts[5])
{
    int ends[2], status;
    char text[2000] = "";
    size_t length = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        log_into_pipe(ends[1], form, off);
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    char *at = text;
    for (int i = 0; i < 5; i++) {
        assert_memory_equal(at, starts[i], strlen(starts[i]));
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
}

static void the_journal_gets_priorities(void **state)
{
    static const char *const starts[5] = {"<7>2", "<6>2", "<4>2", "<3>2", "<4>2"};
    expect_starts("%llu:%llu", 0, starts);
}

static void no_other_stream_does(void **state)
{
    static const char *const starts[5] = {"2", "2", "2", "2", "2"};
    expect_starts("%llu:%llu", 1, starts); /* stderr leads elsewhere, as for a program that a unit starts */
    expect_starts("%llu:%llux", 0, starts);
    expect_starts("%llu", 0, starts);
    expect_starts("", 0, starts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_journal_gets_priorities),
                                       cmocka_unit_test(no_other_stream_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
