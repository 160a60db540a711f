/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/sandbox.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- forbidden calls ---- */

static _Atomic int *forbidden_call;

/* The call did not happen and never will: the filter ends the process if it changes the handling of
 * SIGSYS. No other process can change that either. */
static void on_forbidden_call(int number, siginfo_t *facts, void *context)
{
    enum {
        BY_SECCOMP = 1
        /* SYS_SECCOMP of the kernel, missing in the C library's headers; other codes mean that a process sent
         * the signal */
    };
    if (forbidden_call != NULL && facts->si_code == BY_SECCOMP)
        atomic_store(forbidden_call, facts->si_syscall + 1);
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask[2];
    } to_default = {0};
    syscall(SYS_rt_sigaction, SIGSYS, &to_default, NULL, 8);
    _exit(EX_SOFTWARE);
}

static bool watch_for_forbidden_calls(_Atomic int *where)
{
    struct sigaction action = {.sa_sigaction = on_forbidden_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    forbidden_call = where;
    return sigaction(SIGSYS, &action, NULL) == 0;
}

/* ---- sandboxing ---- */

/* Linux 6.3 and later; in addition to the filter, the kernel rejects making memory executable. */
static void refuse_new_code(void)
{
    enum { SET_MDWE = 65, MDWE_REFUSE_EXEC_GAIN = 1 };
    prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
}

bool sandbox_apply(const char *process, unsigned keeps, const struct sandbox_paths *paths,
                   struct error *error)
{
#ifdef LEAKS_ARE_SOUGHT
    return true;
#endif
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a core dump would contain keys and mail */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        !watch_for_forbidden_calls(paths->forbidden_call))
        return error_set_errno(error, EX_OSERR, "cannot sandbox the %s process", process);
    refuse_new_code();
    return sandbox_apply_paths(paths, !sandbox_calls_anywhere(keeps), error) &&
           sandbox_apply_calls(process, keeps, paths->call_family, error);
}
