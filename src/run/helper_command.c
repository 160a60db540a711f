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

enum { READ_AT_ONCE = 1024, ERRAND_ROOM = ERRAND_LINE_MAX + READ_AT_ONCE }; /* the line never outgrows it: that would leave a copy behind */

static _Noreturn void become(const char *command, struct user user, int output)
{
    struct error error;
    sigset_t none;
    sigemptyset(&none);
    static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
        signal(changed[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && close_range(3, ~0U, 0) == 0 && setpgid(0, 0) == 0 &&
        user_become(user, &error) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void tell(struct errand *errand)
{
    char why[120] = "";
    struct bytes line = buffer_bytes(&errand->line);
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (errand->late)
        snprintf(why, sizeof why, "it did not end in %d s", ERRAND_LIMIT_MS / 1000);
    else if (WIFSIGNALED(errand->status))
        snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(errand->status));
    else if (WEXITSTATUS(errand->status) != 0)
        snprintf(why, sizeof why, "it failed with exit code %d", WEXITSTATUS(errand->status));
    else if (line.length == 0)
        snprintf(why, sizeof why, "it printed nothing");
    else if (line.length > ERRAND_LINE_MAX || bytes_has_control(line))
        snprintf(why, sizeof why, "its first line is too long or has control characters");
    errand->on_done(errand->owner, why[0] == '\0' ? line : bytes_none(), why);
}

static void finish_if_over(struct errand *errand)
{
    if (!errand->ended || !errand->output_over)
        return;
    timer_cancel(&errand->limit);
    errand->pid = 0;
    tell(errand);
    buffer_wipe(&errand->line);
}

static void close_output(struct errand *errand)
{
    if (errand->output_over)
        return;
    watch_stop(&errand->watch);
    close(errand->output);
    errand->output_over = true;
}

static void output_ready(void *owner, bool readable, bool writable)
{
    struct errand *errand = owner;
    char room[READ_AT_ONCE];
    ssize_t got = read(errand->output, room, sizeof room);
    if (got > 0) {
        struct bytes part = bytes_of(room, (size_t)got);
        size_t end = bytes_find(part, '\n');
        if (!errand->line_over && errand->line.length <= ERRAND_LINE_MAX)
            buffer_add(&errand->line, bytes_first(part, end));
        errand->line_over = errand->line_over || end != SIZE_MAX;
        explicit_bzero(room, sizeof room);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_output(errand);
        finish_if_over(errand);
    }
}

void errand_kill(struct errand *errand)
{
    if (errand->pid > 0)
        kill(-errand->pid, SIGKILL);
}

static void limit_passed(void *owner)
{
    struct errand *errand = owner;
    errand->late = true;
    errand_kill(errand);
    close_output(errand); /* whoever left its group may still hold the other end */
    finish_if_over(errand);
}

bool errand_start(struct errand *errand, struct loop *loop, const char *command, struct user user,
                  void (*on_done)(void *owner, struct bytes line, const char *why), void *owner, struct error *error)
{
    int ends[2];
    *errand = (struct errand){.loop = loop, .on_done = on_done, .owner = owner};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(error, EX_OSERR, "cannot run it");
    errand->pid = fork();
    if (errand->pid == 0)
        become(command, user, ends[1]);
    close(ends[1]);
    if (errand->pid < 0) {
        close(ends[0]);
        errand->pid = 0;
        return error_set_errno(error, EX_OSERR, "cannot run it");
    }
    setpgid(errand->pid, errand->pid); /* as it does itself: whoever comes first */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    errand->output = ends[0];
    buffer_reserve(&errand->line, ERRAND_ROOM);
    timer_start(&errand->limit, loop, limit_passed, errand);
    timer_set(&errand->limit, ERRAND_LIMIT_MS);
    watch_start(&errand->watch, loop, ends[0], true, false, output_ready, errand);
    return true;
}

void errand_ended(struct errand *errand, pid_t pid, int status)
{
    if (pid != errand->pid || pid == 0)
        return;
    errand->ended = true;
    errand->status = status;
    finish_if_over(errand);
}
