/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/send/secret_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static _Noreturn void become(const char *command, int output)
{
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0) {
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

/* Reads all output, though only the first line counts: otherwise SIGPIPE could kill the command. */
static void read_first_line(int input, struct buffer *out)
{
    char buffer[1024];
    ssize_t got;
    bool done = false;
    while ((got = read(input, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)) {
        struct bytes part = bytes_of(buffer, got > 0 ? (size_t)got : 0);
        size_t end = bytes_find(part, '\n');
        if (!done && out->length <= SECRET_LINE_MAX)
            buffer_add(out, bytes_first(part, end));
        done = done || end != SIZE_MAX;
    }
    explicit_bzero(buffer, sizeof buffer);
    if (out->length > 0 && out->at[out->start + out->length - 1] == '\r')
        out->length--;
}

static bool check(const char *command, int status, const struct buffer *out, struct error *error)
{
    if (WIFSIGNALED(status))
        return error_set(error, EX_TEMPFAIL, "the command '%s' was ended by signal %d", command,
                         WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return error_set(error, EX_TEMPFAIL, "the command '%s' failed (exit code %d)", command,
                         WEXITSTATUS(status));
    if (out->length == 0)
        return error_set(error, EX_DATAERR,
                         "the command '%s' printed nothing: its first line is the password or the token",
                         command);
    if (out->length > SECRET_LINE_MAX)
        return error_set(error, EX_DATAERR, "the first line of the command '%s' is longer than %d bytes",
                         command, SECRET_LINE_MAX);
    return !bytes_has_control(buffer_bytes(out)) ||
           error_set(error, EX_DATAERR, "the first line of the command '%s' has control characters", command);
}

bool secret_of_command(const char *command, struct buffer *out, struct error *error)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(error, EX_OSERR, "cannot run '%s'", command);
    pid_t pid = fork();
    if (pid == 0)
        become(command, ends[1]);
    close(ends[1]);
    if (pid > 0)
        read_first_line(ends[0], out);
    close(ends[0]);
    if (pid < 0)
        return error_set_errno(error, EX_OSERR, "cannot run '%s'", command);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return check(command, status, out, error);
}
