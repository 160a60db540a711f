/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "sandbox_attempts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct prey prey = {.secret = "a secret"};

static bool opened(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

static bool connected(int descriptor, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(descriptor, (struct sockaddr *)&to, sizeof to) == 0;
}

static bool open_foreign(void)
{
    return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static bool open_by_openat2(void)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_RDONLY};
    return opened((int)syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how));
}
static bool list_root(void)
{
    return opened(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
static bool make_foreign(void)
{
    bool made = opened(open("/tmp/mailboat-outside", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (made)
        unlink("/tmp/mailboat-outside");
    return made;
}
static bool read_inside(void)
{
    return opened(open(prey.inside, O_RDONLY | O_CLOEXEC));
}
static bool write_inside(void)
{
    return opened(open(prey.inside, O_WRONLY | O_CLOEXEC));
}
static bool make_inside(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/new", prey.folder);
    bool made = opened(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (made)
        unlink(path);
    return made;
}
static bool cut_open_file(void)
{
    return ftruncate(prey.file, 0) == 0;
}
static bool start_process(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        syscall(SYS_exit_group, 0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return child > 0;
}
static bool trace_victim(void)
{
    bool traced = ptrace(PTRACE_SEIZE, prey.victim, NULL, NULL) == 0;
    if (traced) {
        ptrace(PTRACE_INTERRUPT, prey.victim, NULL, NULL);
        waitpid(prey.victim, NULL, 0);
        ptrace(PTRACE_DETACH, prey.victim, NULL, NULL);
    }
    return traced;
}
static bool read_victim(void)
{
    char found[sizeof prey.secret];
    struct iovec local = {found, sizeof found}, remote = {prey.secret, sizeof prey.secret};
    return process_vm_readv(prey.victim, &local, 1, &remote, 1, 0) > 0;
}
static bool write_victim(void)
{
    char octets[] = "a secret";
    struct iovec local = {octets, sizeof octets}, remote = {prey.secret, sizeof octets};
    return process_vm_writev(prey.victim, &local, 1, &remote, 1, 0) > 0;
}
static bool open_victim_memory(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)prey.victim);
    return opened(open(path, O_RDWR | O_CLOEXEC));
}
static bool open_own_memory(void)
{
    return opened(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}
static bool signal_victim(void)
{
    return kill(prey.victim, 0) == 0;
}
static bool signal_victim_thread(void)
{
    return syscall(SYS_tgkill, prey.victim, prey.victim, 0) == 0;
}
static bool signal_victim_by_socket(void)
{
    return fcntl(prey.socket, F_SETOWN, prey.victim) == 0;
}
static bool limit_victim(void)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, prey.victim, RLIMIT_NOFILE, NULL, &limit) == 0;
}
static bool make_inet_socket(void)
{
    return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static bool make_six_socket(void)
{
    return opened(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static bool make_unix_socket(void)
{
    return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static bool connect_socket(void)
{
    return connected(prey.socket, prey.listener_port);
}
static bool connect_elsewhere(void)
{
    return connected(prey.other_socket, prey.other_port);
}
static bool change_root(void)
{
    return chroot("/") == 0;
}
static bool make_ring(void)
{
    char parameters[120] = {0};
    return opened((int)syscall(SYS_io_uring_setup, 1, parameters));
}
static bool make_user_space(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}

static bool run_program(void)
{
    char *const nothing[] = {NULL}, *const arguments[] = {(char[]){"true"}, NULL};
    execve("/bin/true", arguments, nothing);
    return false;
}

/* ---- memory that runs ---- */

static bool mapped(void *at)
{
    return at != MAP_FAILED && munmap(at, 4096) == 0;
}
static bool map_code(void)
{
    return mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static bool map_all(void)
{
    return mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}
static bool map_data(void)
{
    return mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static bool map_file_code(void)
{
    return mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, prey.file, 0));
}
static bool protected(int how)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED && mprotect(at, 4096, how) == 0;
}
static bool make_code(void)
{
    return protected(PROT_READ | PROT_EXEC);
}
static bool make_read_only(void)
{
    return protected(PROT_READ);
}
static bool make_code_by_key(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED && syscall(SYS_pkey_mprotect, at, 4096, PROT_READ | PROT_EXEC, -1) == 0;
}
static bool share_code(void)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
    void *at = shmat(id, NULL, SHM_EXEC);
    shmctl(id, IPC_RMID, NULL);
    return at != (void *)-1;
}
static bool let_data_run(void)
{
    return personality(READ_IMPLIES_EXEC) >= 0;
}
static bool make_memory_file(void)
{
    return opened(memfd_create("x", MFD_CLOEXEC));
}

/* ---- the sandbox itself, and ways around it ---- */

static bool become_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
static bool name_thread(void)
{
    return prctl(PR_SET_NAME, "other", 0, 0, 0) == 0;
}
static bool look_for_terminal(void)
{
    return isatty(prey.terminal) != 0;
}
static bool type_into_terminal(void)
{
    return ioctl(prey.terminal, TIOCSTI, "x") == 0;
}
static void ignore(int number) {}
static bool handle_forbidden(void)
{
    return signal(SIGSYS, ignore) != SIG_ERR;
}
static bool ignore_forbidden(void)
{
    return signal(SIGSYS, SIG_IGN) != SIG_ERR;
}
static bool handle_another(void)
{
    return signal(SIGUSR1, ignore) != SIG_ERR;
}
static bool block_and_call(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return change_root() || errno != 0;
}
static bool call_nothing(void)
{
    return syscall(999) != -1 || errno == ENOSYS;
}
static bool look_at_descriptor(void)
{
    struct stat facts;
    return fstat(prey.file, &facts) == 0;
}
static bool look_at_path(void)
{
    struct stat facts;
    return stat("/etc/passwd", &facts) == 0;
}
static bool watch_faults(void)
{
    return opened((int)syscall(SYS_userfaultfd, O_CLOEXEC)) || errno != 0;
}
static bool watch_hardware(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno != 0;
}
static bool keep_key(void)
{
    return syscall(SYS_add_key, "user", "x", "x", 1, -2) >= 0 || errno != 0;
}
static bool take_descriptor(void)
{
    return syscall(SYS_pidfd_getfd, -1, 0, 0) >= 0 || errno != 0;
}
static bool load_program(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != 0;
}
static bool wait_by_newer_call(void)
{
    return syscall(449, NULL, 0, 0, NULL, 0) == -1 && errno != ENOSYS;
}
static bool start_thread_newly(void)
{
    return syscall(SYS_clone3, NULL, 0) == -1 && errno != ENOSYS;
}
static bool make_raw_socket(void)
{
    return opened(socket(AF_PACKET, SOCK_RAW, 0)) || errno != 0;
}
static bool make_kernel_socket(void)
{
    return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}
static bool make_firewall_socket(void)
{
    return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 12)) || errno != 0;
}
static bool set_option(void)
{
    int one = 1;
    return setsockopt(prey.socket, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0 &&
           setsockopt(prey.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
}
static bool load_filter(void)
{
    return setsockopt(prey.socket, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0) == 0 || errno != 0;
}
static bool load_socket_program(void)
{
    return setsockopt(prey.socket, SOL_SOCKET, SO_ATTACH_BPF, NULL, 0) == 0 || errno != 0;
}
/* The kernel looks at the lower half of these arguments, a filter at all of it. */
static bool handle_forbidden_widely(void)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action = {.handler = SIG_IGN};
    return syscall(SYS_rt_sigaction, SIGSYS | 1L << 32, &action, NULL, 8) == 0 || errno != 0;
}
static bool load_filter_widely(void)
{
    return syscall(SYS_setsockopt, prey.socket, SOL_SOCKET | 1L << 32, SO_ATTACH_FILTER, NULL, 0) == 0 ||
           errno != 0;
}
static bool make_raw_socket_widely(void)
{
    return syscall(SYS_socket, AF_PACKET | 1L << 32, SOCK_RAW, 0) >= 0 || errno != 0;
}
static bool make_machine_socket(void)
{
    return opened(socket(AF_VSOCK, SOCK_STREAM, 0)) || errno != 0;
}
#ifdef __x86_64__
static bool call_like_32_bits(void) /* getpid of i386 */
{
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    return true;
}
static bool call_like_x32(void)
{
    return syscall(0x40000000 + SYS_getpid) > 0 || errno != 0;
}
#else
static bool call_like_32_bits(void)
{
    return change_root() || errno != 0;
}
static bool call_like_x32(void)
{
    return change_root() || errno != 0;
}
#endif

static void *call_from_thread(void *nothing)
{
    change_root();
    return NULL;
}
/* The whole process ends, not the thread alone. */
static bool call_in_thread(void)
{
    pthread_t thread;
    bool started = pthread_create(&thread, NULL, call_from_thread, NULL) == 0;
    if (started)
        pthread_join(thread, NULL);
    return started;
}

const struct attempt sandbox_attempts[] = {
    {"open a file", open_foreign, 0, FILES, LANDLOCK | NO_ASAN, SYS_openat},
    {"open a file by openat2", open_by_openat2, 0, 0, UNSURE, SYS_openat2},
    {"list a folder", list_root, 0, FILES, LANDLOCK | NO_ASAN, SYS_openat},
    {"make a file", make_foreign, 0, FILES, LANDLOCK | NO_ASAN, SYS_openat},
    {"read a file of its own folder", read_inside, FILES, 0, LANDLOCK | NO_ASAN, SYS_openat},
    {"write a file of its own folder", write_inside, FILES, 0, LANDLOCK | NO_ASAN, SYS_openat},
    {"make a file in its own folder", make_inside, FILES, 0, LANDLOCK | NO_ASAN, SYS_openat},
    /* relay: that of the MTA-STS policies */
    {"cut a file that is open", cut_open_file, SMTPD | CALLERS | FILES, 0, 0, SYS_ftruncate},
    {"look at a descriptor", look_at_descriptor, ALL, 0, 0, 0},
    {"look at a file", look_at_path, FILES, ALL, 0, 0}, /* FILES have another root directory besides */
    {"start a process", start_process, 0, 0, NO_ASAN, SYS_clone},
    {"run a program", run_program, 0, 0, UNSURE, SYS_execve},
    {"start a thread by a newer call", start_thread_newly, 0, ALL, UNSURE, 0},
    {"trace another process", trace_victim, 0, 0, UNSURE, SYS_ptrace},
    {"read another's memory", read_victim, 0, 0, UNSURE, SYS_process_vm_readv},
    {"write another's memory", write_victim, 0, 0, UNSURE, SYS_process_vm_writev},
    {"open another's memory", open_victim_memory, 0, FILES, LANDLOCK | UNSURE | NO_ASAN, SYS_openat},
    {"open its own memory", open_own_memory, 0, FILES, LANDLOCK | UNSURE | NO_ASAN, SYS_openat},
    {"signal another process", signal_victim, 0, 0, 0, SYS_kill},
    {"signal another's thread", signal_victim_thread, 0, 0, 0, SYS_tgkill},
    {"let a socket signal another", signal_victim_by_socket, 0, 0, 0, SYS_fcntl},
    {"ask for another's limits", limit_victim, 0, 0, UNSURE | NO_ASAN, SYS_prlimit64},
    {"make an IPv4 socket", make_inet_socket, CALLERS | LOCAL_CALLS_TCP, 0, 0, SYS_socket},
    {"make an IPv6 socket", make_six_socket, CALLERS, 0, UNSURE, SYS_socket},
    {"make a local socket", make_unix_socket, LOCAL_CALLS, CALLERS, 0, SYS_socket},
    {"make a socket to the kernel", make_kernel_socket, CALLERS, 0, 0, SYS_socket},
    {"make another socket to the kernel", make_firewall_socket, 0, 0, 0, SYS_socket},
    {"set an option of a socket", set_option, ALL, 0, 0, 0},
    {"load a filter into a socket", load_filter, 0, 0, 0, SYS_setsockopt},
    {"load a program into a socket", load_socket_program, 0, 0, 0, SYS_setsockopt},
    {"make a raw socket", make_raw_socket, 0, 0, 0, SYS_socket},
    {"make a socket to the machine below", make_machine_socket, 0, 0, 0, SYS_socket},
    {"connect a socket that was there", connect_socket, CALLERS | LOCAL_CALLS_TCP, LOCAL_CALLS, NET,
     SYS_connect},
    {"connect to another port", connect_elsewhere, CALLERS, LOCAL_CALLS | LOCAL_CALLS_TCP, NET, SYS_connect},
    {"change its root", change_root, 0, 0, UNSURE, SYS_chroot},
    {"make an io_uring", make_ring, 0, 0, UNSURE, SYS_io_uring_setup},
    {"make a user namespace", make_user_space, 0, 0, UNSURE, SYS_unshare},
    {"map memory", map_data, ALL, 0, 0, 0},
    {"map memory that runs", map_code, 0, 0, UNSURE, SYS_mmap},
    {"map memory that runs and is written to", map_all, 0, 0, UNSURE, SYS_mmap},
    {"map a file that runs", map_file_code, 0, 0, UNSURE, SYS_mmap},
    {"make memory read-only", make_read_only, ALL, 0, 0, 0},
    {"make memory run", make_code, 0, 0, UNSURE, SYS_mprotect},
    {"make memory run by a key", make_code_by_key, 0, 0, UNSURE, SYS_pkey_mprotect},
    {"share memory that runs", share_code, 0, 0, UNSURE, SYS_shmget},
    {"let all its data run", let_data_run, 0, 0, UNSURE, SYS_personality},
    {"make a file in memory", make_memory_file, 0, 0, UNSURE, SYS_memfd_create},
    {"become dumpable", become_dumpable, 0, 0, NO_ASAN, SYS_prctl},
    {"name a thread", name_thread, 0, ALL, NO_ASAN, 0},
    {"ask whether it writes to a terminal", look_for_terminal, 0, ALL, UNSURE, 0},
    {"type into a terminal", type_into_terminal, 0, 0, UNSURE, SYS_ioctl},
    {"handle SIGUSR1", handle_another, ALL, 0, 0, 0},
    {"handle the sandbox's signal", handle_forbidden, 0, 0, 0, 0},
    {"handle the sandbox's signal by more than 32 bits", handle_forbidden_widely, 0, 0, 0, 0},
    {"load a filter by more than 32 bits", load_filter_widely, 0, 0, 0, SYS_setsockopt},
    {"make a raw socket by more than 32 bits", make_raw_socket_widely, 0, 0, 0, SYS_socket},
    {"ignore the sandbox's signal", ignore_forbidden, 0, 0, 0, 0},
    {"block the sandbox's signal", block_and_call, 0, 0, 0, 0},
    {"make a call that no kernel has", call_nothing, 0, 0, 0, 999},
    {"wait by a newer call", wait_by_newer_call, 0, ALL, UNSURE, 0},
    {"make a call like a program of 32 bits", call_like_32_bits, 0, 0, UNSURE, 0},
    {"make a call like an x32 program", call_like_x32, 0, 0, UNSURE, 0},
    {"make a forbidden call in a thread", call_in_thread, 0, 0, 0, 0},
    {"handle page faults", watch_faults, 0, 0, 0, SYS_userfaultfd},
    {"watch the hardware", watch_hardware, 0, 0, 0, SYS_perf_event_open},
    {"keep a key in the kernel", keep_key, 0, 0, 0, SYS_add_key},
    {"take another's descriptor", take_descriptor, 0, 0, 0, SYS_pidfd_getfd},
    {"load a program into the kernel", load_program, 0, 0, 0, SYS_bpf},
};
const size_t sandbox_attempt_count = ARRAY_LENGTH(sandbox_attempts);
