/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "sandbox.h"

#include "bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- which system calls a role keeps ---- */

/* What every process needs once it runs: memory, time, its descriptors, its
 * channels (sendmsg, recvmsg), its loop. */
static const int common[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(dup),
    SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_create), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrandom), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(fstat), SCMP_SYS(exit), SCMP_SYS(exit_group),
};
static const int accepting[] = {SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(listen)};
/* Writing large contents to descriptors that were handed over. */
static const int filling[] = {SCMP_SYS(pwrite64), SCMP_SYS(pread64), SCMP_SYS(ftruncate)};
/* Opening, making and syncing files (Landlock says which). */
static const int reading_files[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(statfs),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(pread64), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd), SCMP_SYS(flock), SCMP_SYS(uname),
};
static const int writing_files[] = {
    SCMP_SYS(pwrite64), SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(sync_file_range), SCMP_SYS(syncfs), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir), SCMP_SYS(fchmod), SCMP_SYS(chmod), SCMP_SYS(fchown), SCMP_SYS(utimensat), SCMP_SYS(umask),
};

#if defined(LEAKS_ARE_SOUGHT) && !defined(__SANITIZE_ADDRESS__)
#error "only for a sanitizer that looks for leaks: it stops threads and reads /proc, so nothing is sealed"
#endif

#ifdef __SANITIZE_ADDRESS__
/* What the sanitizers ask for at their own moments. */
static const int sanitizing[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(clone),
                                 SCMP_SYS(sched_getaffinity), SCMP_SYS(wait4)};
#else
static const int sanitizing[] = {SCMP_SYS(getrlimit)};
#endif

enum keeps { ACCEPTS = 1, READS_FILES = 2, WRITES_FILES = 4, HAS_THREADS = 8, CALLS_OUT = 16, CALLS_ONE = 32, FILLS_FILES = 64 };

/* The one table: a role and what it keeps besides the common calls. */
static const unsigned keeps[] = {
    [PROCESS_SMTPD] = ACCEPTS | FILLS_FILES,
    [PROCESS_AUTH] = READS_FILES | HAS_THREADS | ACCEPTS,
    [PROCESS_QUEUE] = READS_FILES | WRITES_FILES | ACCEPTS,
    [PROCESS_RELAY] = CALLS_OUT | HAS_THREADS,
    [PROCESS_LOCAL] = READS_FILES | WRITES_FILES | CALLS_ONE, /* if the configuration names one */
    [PROCESS_PICKUP] = READS_FILES | WRITES_FILES,
    [PROCESS_WEB] = ACCEPTS,
};

static bool allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i] >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    return true;
}

/* A call, where this argument of it has this value. */
static bool allow_where(scmp_filter_ctx filter, int call, unsigned argument, uint64_t value)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value}) == 0;
}

/* Signals to itself and its own limits (for abort and malloc), never those of another process of the same user. */
static bool allow_self(scmp_filter_ctx filter)
{
    return allow_where(filter, SCMP_SYS(tgkill), 0, (uint64_t)getpid()) &&
           allow_where(filter, SCMP_SYS(prlimit64), 0, 0);
}

/* Flags, copies and locks of descriptors; not who gets a signal when something arrives there. */
static bool allow_fcntl(scmp_filter_ctx filter)
{
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK,
                                   F_OFD_SETLKW};
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (!allow_where(filter, SCMP_SYS(fcntl), 1, (uint64_t)commands[i]))
            return false;
    return true;
}

/* New threads of this process, never a new process. */
static bool allow_threads(scmp_filter_ctx filter)
{
    static const int more[] = {SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(set_tid_address), SCMP_SYS(sched_setaffinity)};
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)) == 0 &&
           allow(filter, more, ARRAY_LENGTH(more));
}

static bool allow_sockets(scmp_filter_ctx filter, int family)
{
    return allow_where(filter, SCMP_SYS(socket), 0, (uint64_t)family) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0) == 0;
}

static bool allow_calls_out(scmp_filter_ctx filter)
{
    /* ftruncate: of the one file that relay has open to write to. */
    static const int more[] = {SCMP_SYS(bind), SCMP_SYS(pread64), SCMP_SYS(ftruncate), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(select), SCMP_SYS(pselect6)};
    /* Of ioctl only what sockets need: a terminal takes others as if they were typed. */
    return allow_sockets(filter, AF_INET) && allow_sockets(filter, AF_INET6) && allow_sockets(filter, AF_NETLINK) && allow(filter, more, ARRAY_LENGTH(more)) &&
           allow_where(filter, SCMP_SYS(ioctl), 1, FIONBIO) &&
           allow_where(filter, SCMP_SYS(ioctl), 1, FIONREAD);
}

static bool fill_filter(scmp_filter_ctx filter, enum process_role role, int call_family)
{
    unsigned kept = call_family == AF_UNSPEC ? keeps[role] & ~(unsigned)CALLS_ONE : keeps[role];
    /* An unknown call answers "not there", so that the C library falls back
     * to an older one (clone3 to clone); a known and forbidden one EPERM. */
    static const int refused[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
                                  SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(kill), SCMP_SYS(bpf), SCMP_SYS(mount), SCMP_SYS(openat2),
                                  SCMP_SYS(open_by_handle_at), SCMP_SYS(init_module), SCMP_SYS(keyctl), SCMP_SYS(io_uring_setup), SCMP_SYS(unshare),
                                  SCMP_SYS(setns), SCMP_SYS(chroot), SCMP_SYS(pidfd_getfd), SCMP_SYS(creat)};
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0) != 0)
            return false;
#ifndef __SANITIZE_ADDRESS__
    if ((kept & READS_FILES) == 0 && (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 0) != 0 ||
                                      seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 0) != 0))
        return false;
#endif
    if ((kept & (CALLS_OUT | CALLS_ONE)) == 0 && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0) != 0)
        return false;
    return allow(filter, common, ARRAY_LENGTH(common)) && allow_self(filter) && allow_fcntl(filter) && allow(filter, sanitizing, ARRAY_LENGTH(sanitizing)) &&
           ((kept & ACCEPTS) == 0 || allow(filter, accepting, ARRAY_LENGTH(accepting))) &&
           ((kept & FILLS_FILES) == 0 || allow(filter, filling, ARRAY_LENGTH(filling))) &&
           ((kept & READS_FILES) == 0 || allow(filter, reading_files, ARRAY_LENGTH(reading_files))) &&
           ((kept & WRITES_FILES) == 0 || allow(filter, writing_files, ARRAY_LENGTH(writing_files))) &&
           ((kept & HAS_THREADS) == 0 || allow_threads(filter)) && ((kept & CALLS_OUT) == 0 || allow_calls_out(filter)) &&
           ((kept & CALLS_ONE) == 0 || allow_sockets(filter, call_family));
}

static bool seal_calls(enum process_role role, int call_family, struct error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int failed = filter == NULL || !fill_filter(filter, role, call_family) ? -EINVAL : seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (failed == 0)
        return true;
    errno = -failed;
    return error_set_errno(error, EX_OSERR, "cannot seal the %s process with seccomp", process_role_name(role));
}

/* ---- which paths (Landlock) ---- */

void sandbox_allow(struct sandbox_paths *paths, const char *path, bool writable)
{
    assert(paths->count < SANDBOX_PATHS_MAX);
    paths->paths[paths->count].path = path;
    paths->paths[paths->count++].writable = writable;
}

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool sandbox_has_landlock(void)
{
    return landlock_version() > 0;
}

/* Rights of the first version; later ones are added where the kernel has them. */
static const uint64_t read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t all_rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

static bool allow_path(int ruleset, const char *path, bool writable, uint64_t handled, struct error *error)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = writable ? handled & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE : read_rights};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return error_set_errno(error, EX_OSERR, "cannot seal: %s", path);
    bool added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    if (!added && errno == EINVAL) { /* a file takes fewer rights than a folder */
        rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
        added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    }
    close(rule.parent_fd);
    return added || error_set_errno(error, EX_OSERR, "cannot seal: %s", path);
}

/* Landlock's version 4, which the headers of Debian 12 do not have yet. */
struct ruleset_facts { uint64_t handled_access_fs, handled_access_net; };
struct net_port_rule { uint64_t allowed_access, port; };
enum { RULE_NET_PORT = 2, CONNECT_TCP = 1 << 1 };

static bool allow_port(int ruleset, uint16_t port, struct error *error)
{
    struct net_port_rule rule = {.allowed_access = CONNECT_TCP, .port = port};
    return port == 0 || syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0 || error_set_errno(error, EX_OSERR, "cannot seal: port %u", (unsigned)port);
}

static bool seal_paths(const struct sandbox_paths *paths, bool ports_too, struct error *error)
{
    enum { REFER = 1 << 13, TRUNCATE = 1 << 14 }; /* of versions 2 and 3 */
    long version = landlock_version();
    if (version <= 0)
        return true;
    bool ports = ports_too && version >= 4;
    struct ruleset_facts handled = {.handled_access_fs = all_rights | (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0), .handled_access_net = ports ? CONNECT_TCP : 0};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, ports ? sizeof handled : sizeof handled.handled_access_fs, 0);
    if (ruleset < 0)
        return error_set_errno(error, EX_OSERR, "cannot seal with Landlock");
    bool sealed = !ports || allow_port(ruleset, paths->call_port, error);
    for (size_t i = 0; sealed && i < paths->count; i++)
        sealed = allow_path(ruleset, paths->paths[i].path, paths->paths[i].writable, handled.handled_access_fs, error);
    if (sealed && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        sealed = error_set_errno(error, EX_OSERR, "cannot seal with Landlock");
    close(ruleset);
    return sealed;
}

bool sandbox_seal(enum process_role role, const struct sandbox_paths *paths, struct error *error)
{
#ifdef LEAKS_ARE_SOUGHT
    return true;
#endif
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a core would hold keys and mail */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set_errno(error, EX_OSERR, "cannot seal the %s process", process_role_name(role));
    return seal_paths(paths, (keeps[role] & CALLS_OUT) == 0, error) && seal_calls(role, paths->call_family, error);
}
