/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/helper_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* the line never outgrows its buffer: reallocation would leave a copy */
enum { READ_AT_ONCE = 1024, HELPER_COMMAND_SIZE = HELPER_COMMAND_LINE_MAX + READ_AT_ONCE };

static _Noreturn void become(const char *command, struct process_user user, int output)
{
    struct error error;
    sigset_t none;
    sigemptyset(&none);
    static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
        signal(changed[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        close_range(3, ~0U, 0) == 0 && setpgid(0, 0) == 0 && users_become(user, &error) &&
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void report(struct helper_command *helper)
{
    char why[120] = "";
    struct bytes line = buffer_bytes(&helper->line);
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (helper->late)
        snprintf(why, sizeof why, "it did not end in %d s", HELPER_COMMAND_LIMIT_MS / 1000);
    else if (WIFSIGNALED(helper->status))
        snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(helper->status));
    else if (WEXITSTATUS(helper->status) != 0)
        snprintf(why, sizeof why, "it failed with exit code %d", WEXITSTATUS(helper->status));
    else if (line.length == 0)
        snprintf(why, sizeof why, "it printed nothing");
    else if (line.length > HELPER_COMMAND_LINE_MAX || bytes_has_control(line))
        snprintf(why, sizeof why, "its first line is too long or has control characters");
    helper->on_done(helper->owner, why[0] == '\0' ? line : bytes_none(), why);
}

static void finish_if_over(struct helper_command *helper)
{
    if (!helper->ended || !helper->output_over)
        return;
    timer_cancel(&helper->limit);
    helper->pid = 0;
    report(helper);
    buffer_wipe(&helper->line);
}

static void close_output(struct helper_command *helper)
{
    if (helper->output_over)
        return;
    watch_stop(&helper->watch);
    close(helper->output);
    helper->output_over = true;
}

static void output_ready(void *owner, bool readable, bool writable)
{
    struct helper_command *helper = owner;
    char buffer[READ_AT_ONCE];
    ssize_t got = read(helper->output, buffer, sizeof buffer);
    if (got > 0) {
        struct bytes part = bytes_of(buffer, (size_t)got);
        size_t end = bytes_find(part, '\n');
        if (!helper->line_over && helper->line.length <= HELPER_COMMAND_LINE_MAX)
            buffer_add(&helper->line, bytes_first(part, end));
        helper->line_over = helper->line_over || end != SIZE_MAX;
        explicit_bzero(buffer, sizeof buffer);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_output(helper);
        finish_if_over(helper);
    }
}

void helper_command_kill(struct helper_command *helper)
{
    if (helper->pid > 0)
        kill(-helper->pid, SIGKILL);
}

static void limit_passed(void *owner)
{
    struct helper_command *helper = owner;
    helper->late = true;
    helper_command_kill(helper);
    close_output(helper); /* a process outside its group may still hold the other end */
    finish_if_over(helper);
}

bool helper_command_start(struct helper_command *helper, struct loop *loop, const char *command,
                          struct process_user user,
                          void (*on_done)(void *owner, struct bytes line, const char *why), void *owner,
                          struct error *error)
{
    int ends[2];
    *helper = (struct helper_command){.loop = loop, .on_done = on_done, .owner = owner};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(error, EX_OSERR, "cannot run it");
    helper->pid = fork();
    if (helper->pid == 0)
        become(command, user, ends[1]);
    close(ends[1]);
    if (helper->pid < 0) {
        close(ends[0]);
        helper->pid = 0;
        return error_set_errno(error, EX_OSERR, "cannot run it");
    }
    setpgid(helper->pid, helper->pid); /* both processes do this, to avoid a race */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    helper->output = ends[0];
    buffer_reserve(&helper->line, HELPER_COMMAND_SIZE);
    timer_start(&helper->limit, loop, limit_passed, helper);
    timer_set(&helper->limit, HELPER_COMMAND_LIMIT_MS);
    watch_start(&helper->watch, loop, ends[0], true, false, output_ready, helper);
    return true;
}

void helper_command_ended(struct helper_command *helper, pid_t pid, int status)
{
    if (pid != helper->pid || pid == 0)
        return;
    helper->ended = true;
    helper->status = status;
    finish_if_over(helper);
}
