/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* The report sent before the output. */
struct subprocess_report {
    bool done;
    struct error error;
};

static bool write_all(int to, struct bytes octets)
{
    while (octets.length > 0) {
        ssize_t count = write(to, octets.at, octets.length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        octets = bytes_from(octets, (size_t)count);
    }
    return true;
}

static _Noreturn void work_and_report(subprocess_work *work, void *owner, int to)
{
    struct subprocess_report report = {0};
    struct buffer out = {0};
    struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    report.done = work(owner, &out, &report.error);
    bool told = write_all(to, bytes_of(&report, sizeof report)) && write_all(to, buffer_bytes(&out));
    _exit(told ? EX_OK : EX_SOFTWARE);
}

static bool read_some(int from, struct buffer *into)
{
    enum { PART = 4096 };
    ssize_t count;
    do
        count = read(from, buffer_reserve(into, PART), PART);
    while (count < 0 && errno == EINTR);
    if (count > 0)
        buffer_written(into, (size_t)count);
    return count > 0;
}

static bool take_report(const struct buffer *told, int status, struct buffer *out, struct error *error)
{
    struct subprocess_report report;
    if (told->length < sizeof report && WIFSIGNALED(status))
        return error_set(error, EX_SOFTWARE, "the helper process was ended by signal %d", WTERMSIG(status));
    if (told->length < sizeof report)
        return error_set(error, EX_SOFTWARE, "the helper process exited with %d and reported nothing",
                         WEXITSTATUS(status));
    if (told->length > sizeof report + SUBPROCESS_OUTPUT_MAX)
        return error_set(error, EX_SOFTWARE, "the helper process sent too much");
    memcpy(&report, told->at, sizeof report);
    if (!report.done)
        *error = report.error;
    else if (out != NULL)
        buffer_add(out, bytes_from(buffer_bytes(told), sizeof report));
    return report.done;
}

bool subprocess_run(subprocess_work *work, void *owner, struct buffer *out, struct error *error)
{
    int ends[2], status = 0;
    sigset_t all, before;
    struct buffer told = {0};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(error, EX_OSERR, "cannot start a process");
    sigfillset(&all); /* the caller's signal handlers must not run in this process */
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int failed = errno;
    if (pid == 0) {
        close(ends[0]);
        work_and_report(work, owner, ends[1]);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    while (pid > 0 && told.length <= sizeof(struct subprocess_report) + SUBPROCESS_OUTPUT_MAX &&
           read_some(ends[0], &told))
        continue;
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    errno = failed;
    bool done = pid < 0 ? error_set_errno(error, EX_OSERR, "cannot start a process")
                        : take_report(&told, status, out, error);
    buffer_free(&told);
    return done;
}
