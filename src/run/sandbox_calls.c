/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_calls: the system calls allowed to a process (seccomp): the common ones, and those of its row in
 * the service table (enum sandbox_keeps).
 *
 * A call is allowed, or allowed with certain arguments, or rejected with an errno if a library tries it
 * and works without: each such row names the library. All others end the process. Newer C libraries try
 * newer calls first and expect ENOSYS from an older kernel; those are listed ahead of time, otherwise an
 * upgrade of the C library would end every process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/sanitizer.h"
#include "run/sandbox.h"

/* ---- allowed calls ---- */

/* Calls of every running process: memory, time, its descriptors, its channels (sendmsg, recvmsg), its
 * loop. */
static const int common[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(dup),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrandom),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrlimit),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(membarrier),
    SCMP_SYS(fstat),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* On 32-bit machines. */
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres_time64),
    SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(futex_time64),
    SCMP_SYS(timerfd_settime64),
    SCMP_SYS(recvmmsg_time64),
    SCMP_SYS(fstat64),
    SCMP_SYS(_llseek),
};
static const int accepting[] = {SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(listen)};
/* Writing large contents to received descriptors. */
static const int filling[] = {SCMP_SYS(pwrite64), SCMP_SYS(pread64), SCMP_SYS(ftruncate)};
/* Opening, creating and syncing files (Landlock selects which). */
static const int reading_files[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),  SCMP_SYS(stat),     SCMP_SYS(lstat),      SCMP_SYS(newfstatat),
    SCMP_SYS(statx),      SCMP_SYS(fstatfs), SCMP_SYS(statfs),   SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(pread64), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),     SCMP_SYS(flock),   SCMP_SYS(uname),
};
static const int writing_files[] = {
    SCMP_SYS(pwrite64),  SCMP_SYS(fdatasync), SCMP_SYS(fsync),     SCMP_SYS(sync_file_range),
    SCMP_SYS(syncfs),    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(rename),
    SCMP_SYS(renameat),  SCMP_SYS(renameat2), SCMP_SYS(link),      SCMP_SYS(linkat),
    SCMP_SYS(unlink),    SCMP_SYS(unlinkat),  SCMP_SYS(mkdir),     SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),     SCMP_SYS(fchmod),    SCMP_SYS(chmod),     SCMP_SYS(fchown),
    SCMP_SYS(utimensat), SCMP_SYS(umask),
};
/* libunbound, libcurl. ftruncate: for the one file that relay has open for writing. */
static const int calling_out[] = {SCMP_SYS(connect),   SCMP_SYS(bind),     SCMP_SYS(pread64),
                                  SCMP_SYS(ftruncate), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
                                  SCMP_SYS(select),    SCMP_SYS(pselect6)};
static const int calling_one[] = {SCMP_SYS(connect)};
static const int threading[] = {SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
                                SCMP_SYS(set_tid_address), SCMP_SYS(sched_setaffinity)};

#if defined(LEAKS_ARE_SOUGHT) && !WITH_ADDRESS_SANITIZER
#error \
    "only for a sanitizer that looks for leaks: it stops threads and reads /proc, so no process is sandboxed"
#endif

#if WITH_ADDRESS_SANITIZER
/* Calls of the sanitizers. */
static const int sanitizing[] = {SCMP_SYS(open),  SCMP_SYS(openat), SCMP_SYS(readlink), SCMP_SYS(prlimit64),
                                 SCMP_SYS(clone), SCMP_SYS(wait4),  SCMP_SYS(prctl)};
#endif

bool sandbox_calls_anywhere(unsigned keeps)
{
    return (keeps & SANDBOX_CALLS_OUT) != 0;
}

/* ---- rejected calls, harmless ---- */

enum { ALL_PROCESSES = 0 };

/* Calls newer than the headers of Debian 12. From 424 on they have the same number on all machines. */
enum {
    CALL_FUTEX_WAITV = 449,
    CALL_MAP_SHADOW_STACK = 453,
    CALL_FUTEX_WAKE = 454,
    CALL_FUTEX_WAIT = 455,
    CALL_FUTEX_REQUEUE = 456,
    CALL_MSEAL = 462
};

/* `whose`: processes with one of these permissions; ALL_PROCESSES: all. `unless`: processes with these
 * permissions may use the call. */
static const struct sandbox_refused {
    int call, error;
    unsigned whose, unless;
    const char *who_tries;
} refused[] = {
    {SCMP_SYS(clone3), ENOSYS, ALL_PROCESSES, 0, "the C library, for a new thread; then clone"},
    {CALL_FUTEX_WAITV, ENOSYS, ALL_PROCESSES, 0, "newer C libraries; then futex"},
    {CALL_FUTEX_WAKE, ENOSYS, ALL_PROCESSES, 0, "the same"},
    {CALL_FUTEX_WAIT, ENOSYS, ALL_PROCESSES, 0, "the same"},
    {CALL_FUTEX_REQUEUE, ENOSYS, ALL_PROCESSES, 0, "the same"},
    {CALL_MAP_SHADOW_STACK, ENOSYS, ALL_PROCESSES, 0, "newer C libraries, for a new thread"},
    {CALL_MSEAL, ENOSYS, ALL_PROCESSES, 0, "newer C libraries, once a library is loaded"},
    {SCMP_SYS(close_range), ENOSYS, ALL_PROCESSES, 0, "closefrom() of the C library; then close"},
    {SCMP_SYS(statx), ENOSYS, ALL_PROCESSES, SANDBOX_READS_FILES, "fstat() of newer C libraries; then fstat"},
    {SCMP_SYS(faccessat2), ENOSYS, ALL_PROCESSES, SANDBOX_READS_FILES, "access() of newer C libraries"},
    {SCMP_SYS(stat), ENOENT, ALL_PROCESSES, SANDBOX_READS_FILES,
     "OpenSSL, for a CA certificate by its hash: any server can make it look"},
    {SCMP_SYS(lstat), ENOENT, ALL_PROCESSES, SANDBOX_READS_FILES, "the same"},
    {SCMP_SYS(stat64), ENOENT, ALL_PROCESSES, SANDBOX_READS_FILES, "the same"},
    {SCMP_SYS(lstat64), ENOENT, ALL_PROCESSES, SANDBOX_READS_FILES, "the same"},
    {SCMP_SYS(uname), ENOSYS, ALL_PROCESSES, SANDBOX_READS_FILES, "gethostname() in libraries"},
    {SCMP_SYS(getcpu), ENOSYS, ALL_PROCESSES, 0,
     "malloc() of newer C libraries, where the vDSO does not answer"},
    {SCMP_SYS(socketpair), EPERM, SANDBOX_CALLS_OUT, SANDBOX_MAKES_PAIRS,
     "libcurl, to be woken by other threads; there are none"},
};

/* ---- the filter ----
 *
 * The filter compares all 64 bits of an argument, the kernel may use only 32: "is not this value" would
 * accept a value that the kernel treats as equal. So allowed values are listed one by one; "is not" is
 * only used to reject. */

static bool allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i] >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    return true;
}

#define ALLOW(filter, calls) allow(filter, calls, ARRAY_LENGTH(calls))

/* Compares an argument of a call. */
static struct scmp_arg_cmp where(unsigned argument, enum scmp_compare how, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = how, .datum_a = value};
}

/* Allows a call if this argument has this value. */
static bool allow_where(scmp_filter_ctx filter, int call, unsigned argument, uint64_t value)
{
    return call < 0 ||
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, where(argument, SCMP_CMP_EQ, value)) == 0;
}

/* Rejects a call with an errno if this argument has this value. */
static bool refuse_where(scmp_filter_ctx filter, int call, int error, unsigned argument, uint64_t value)
{
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), call, 1,
                            where(argument, SCMP_CMP_EQ, value)) == 0;
}

/* Allows a call if these bits of this argument are all off. */
static bool allow_without(scmp_filter_ctx filter, int call, unsigned argument, uint64_t bits)
{
    return call < 0 ||
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                            (struct scmp_arg_cmp){
                                .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = bits, .datum_b = 0}) ==
               0;
}

/* Allows writable memory, never executable memory: no code can be added. */
static bool allow_memory(scmp_filter_ctx filter)
{
    return allow_without(filter, SCMP_SYS(mmap), 2, PROT_EXEC) &&
           allow_without(filter, SCMP_SYS(mmap2), 2, PROT_EXEC) &&
           allow_without(filter, SCMP_SYS(mprotect), 2, PROT_EXEC);
}

/* Allows signals to itself and reading its own limits (for abort and malloc), never those of another
 * process of the same user. The handling of SIGSYS cannot be changed. */
static bool allow_self(scmp_filter_ctx filter)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGSYS && !allow_where(filter, SCMP_SYS(rt_sigaction), 0, (uint64_t)number))
            return false;
    return allow_where(filter, SCMP_SYS(tgkill), 0, (uint64_t)getpid()) &&
           allow_where(filter, SCMP_SYS(prlimit64), 0, 0) &&
           seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(rt_sigaction), 1,
                            where(0, SCMP_CMP_EQ, SIGSYS)) == 0;
}

/* Allows flags, copies and locks of descriptors; not changing the receiver of their signals. */
static bool allow_fcntl(scmp_filter_ctx filter)
{
    static const int commands[] = {F_DUPFD,  F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,
                                   F_GETFL,  F_SETFL,         F_GETLK,     F_SETLK,
                                   F_SETLKW, F_OFD_GETLK,     F_OFD_SETLK, F_OFD_SETLKW};
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (!allow_where(filter, SCMP_SYS(fcntl), 1, (uint64_t)commands[i]) ||
            !allow_where(filter, SCMP_SYS(fcntl64), 1, (uint64_t)commands[i]))
            return false;
    return true;
}

/* Allows socket options, except those that load a program into the kernel. */
static bool allow_socket_options(scmp_filter_ctx filter)
{
    enum { LAST_OPTION = 96 };
    static const int levels[] = {IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6};
    static const int programs[] = {SO_ATTACH_FILTER, SO_DETACH_FILTER,         SO_LOCK_FILTER,
                                   SO_ATTACH_BPF,    SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF};
    bool fine = true;
    for (size_t i = 0; fine && i < ARRAY_LENGTH(levels); i++)
        fine = allow_where(filter, SCMP_SYS(setsockopt), 1, (uint64_t)levels[i]);
    for (int option = 1; fine && option <= LAST_OPTION; option++) {
        bool loads = false;
        for (size_t i = 0; i < ARRAY_LENGTH(programs); i++)
            loads = loads || programs[i] == option;
        fine = loads || seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
                                         where(1, SCMP_CMP_EQ, SOL_SOCKET),
                                         where(2, SCMP_CMP_EQ, (uint64_t)option)) == 0;
    }
    return fine;
}

/* Allows facts about a descriptor, as fstat() of the C library requests them, not of a path, as stat()
 * does: see `refused`. */
static bool allow_facts(scmp_filter_ctx filter, unsigned kept)
{
    static const int calls[] = {SCMP_SYS(newfstatat), SCMP_SYS(fstatat64)};
    for (size_t i = 0; (kept & SANDBOX_READS_FILES) == 0 && i < ARRAY_LENGTH(calls); i++)
        if (!allow_where(filter, calls[i], 3, AT_EMPTY_PATH) ||
            (calls[i] >= 0 && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), calls[i], 1,
                                               where(3, SCMP_CMP_NE, AT_EMPTY_PATH)) != 0))
            return false;
    return true;
}

/* Allows the ioctl requests of sockets: others can inject input into a terminal. stdio asks whether it
 * writes to one. */
static bool allow_ioctl(scmp_filter_ctx filter, unsigned kept)
{
    return refuse_where(filter, SCMP_SYS(ioctl), ENOTTY, 1, TCGETS) &&
           ((kept & SANDBOX_CALLS_OUT) == 0 || (allow_where(filter, SCMP_SYS(ioctl), 1, FIONBIO) &&
                                                allow_where(filter, SCMP_SYS(ioctl), 1, FIONREAD)));
}

/* Rejects naming threads and, by newer C libraries, memory: without effect here. */
static bool refuse_names(scmp_filter_ctx filter)
{
    enum { SET_VMA = 0x53564d41 };
#if WITH_ADDRESS_SANITIZER
    return true;
#endif
    return refuse_where(filter, SCMP_SYS(prctl), EINVAL, 0, PR_SET_NAME) &&
           refuse_where(filter, SCMP_SYS(prctl), EINVAL, 0, SET_VMA);
}

/* Allows new threads of this process, never a new process. */
static bool allow_threads(scmp_filter_ctx filter)
{
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            (struct scmp_arg_cmp){
                                .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = thread, .datum_b = thread}) ==
               0 &&
           ALLOW(filter, threading);
}

static bool allow_sockets(scmp_filter_ctx filter, unsigned kept, int call_family)
{
    static const int families[] = {AF_INET, AF_INET6};
    if ((kept & SANDBOX_CALLS_ONE) != 0)
        return allow_where(filter, SCMP_SYS(socket), 0, (uint64_t)call_family) && ALLOW(filter, calling_one);
    if ((kept & SANDBOX_CALLS_OUT) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
        if (!allow_where(filter, SCMP_SYS(socket), 0, (uint64_t)families[i]))
            return false;
    /* The addresses of this machine are read by netlink. */
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, where(0, SCMP_CMP_EQ, AF_NETLINK),
                            where(2, SCMP_CMP_EQ, NETLINK_ROUTE)) == 0 &&
           refuse_where(filter, SCMP_SYS(socket), EAFNOSUPPORT, 0, AF_UNIX) && /* libraries look for nscd,
                                                                                  then continue without */
           ALLOW(filter, calling_out);
}

static bool refuse_harmless(scmp_filter_ctx filter, unsigned kept)
{
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        const struct sandbox_refused *row = &refused[i];
        bool of_this = (row->whose == ALL_PROCESSES || (kept & row->whose) != 0) && (kept & row->unless) == 0;
        if (of_this && row->call >= 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)row->error), row->call, 0) != 0)
            return false;
    }
    return true;
}

static bool fill_filter(scmp_filter_ctx filter, unsigned keeps, int call_family)
{
    unsigned kept = call_family == AF_UNSPEC ? keeps & ~(unsigned)SANDBOX_CALLS_ONE : keeps;
#if WITH_ADDRESS_SANITIZER
    if (!ALLOW(filter, sanitizing))
        return false;
#endif
    return ALLOW(filter, common) && allow_memory(filter) && allow_self(filter) && allow_fcntl(filter) &&
           allow_socket_options(filter) && allow_facts(filter, kept) && allow_ioctl(filter, kept) &&
           refuse_names(filter) && refuse_harmless(filter, kept) &&
           ((kept & SANDBOX_ACCEPTS) == 0 || ALLOW(filter, accepting)) &&
           ((kept & SANDBOX_FILLS_FILES) == 0 || ALLOW(filter, filling)) &&
           ((kept & SANDBOX_READS_FILES) == 0 || ALLOW(filter, reading_files)) &&
           ((kept & SANDBOX_WRITES_FILES) == 0 || ALLOW(filter, writing_files)) &&
           ((kept & SANDBOX_HAS_THREADS) == 0 || allow_threads(filter)) &&
           ((kept & SANDBOX_MAKES_PAIRS) == 0 ||
            allow_where(filter, SCMP_SYS(socketpair), 0, (uint64_t)AF_UNIX)) &&
           allow_sockets(filter, kept, call_family);
}

/* Calls in no row are sent to the handler in sandbox.c, and do not happen. */
bool sandbox_apply_calls(const char *process, unsigned keeps, int call_family, struct error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    int failed = filter == NULL ||
                         seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
                         !fill_filter(filter, keeps, call_family)
                     ? -EINVAL
                     : seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (failed == 0)
        return true;
    errno = -failed;
    return error_set_errno(error, EX_OSERR, "cannot sandbox the %s process with seccomp", process);
}

const char *sandbox_call_name(int number, char buffer[SANDBOX_CALL_NAME_MAX])
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name == NULL)
        snprintf(buffer, SANDBOX_CALL_NAME_MAX, "number %d", number);
    else
        snprintf(buffer, SANDBOX_CALL_NAME_MAX, "%s", name);
    free(name);
    return buffer;
}
