/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal of each process, proved by trying: a child seals itself like the
 * role and attempts what it must not be able to do. An unsealed child
 * attempts the same, so that a failure means the seal and not a typing error.
 */
#define _GNU_SOURCE
#include "unit.h"

#include "sandbox.h"
#include "users.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child needs for its attempts, made before it is sealed. */
struct prey {
    pid_t victim;   /* another process of the same user */
    char secret[16]; /* in the victim's memory, at the same address */
    int listener_port, other_port, socket, other_socket, file; /* file: open to write to */
    char folder[64], inside[96];
};
static struct prey prey = {.secret = "a secret"};

static bool opened(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

static bool connected(int descriptor, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(descriptor, (struct sockaddr *)&to, sizeof to) == 0;
}

static bool open_foreign(void) { return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static bool open_by_openat2(void)
{
    struct { uint64_t flags, mode, resolve; } how = {.flags = O_RDONLY};
    return opened((int)syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how));
}
static bool list_root(void) { return opened(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
static bool make_foreign(void)
{
    bool made = opened(open("/tmp/mailboat-sealed", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (made)
        unlink("/tmp/mailboat-sealed");
    return made;
}
static bool read_inside(void) { return opened(open(prey.inside, O_RDONLY | O_CLOEXEC)); }
static bool write_inside(void) { return opened(open(prey.inside, O_WRONLY | O_CLOEXEC)); }
static bool make_inside(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/new", prey.folder);
    bool made = opened(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (made)
        unlink(path);
    return made;
}
static bool cut_open_file(void) { return ftruncate(prey.file, 0) == 0; }
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
static bool open_own_memory(void) { return opened(open("/proc/self/mem", O_RDWR | O_CLOEXEC)); }
static bool signal_victim(void) { return kill(prey.victim, 0) == 0; }
static bool signal_victim_thread(void) { return syscall(SYS_tgkill, prey.victim, prey.victim, 0) == 0; }
static bool signal_victim_by_socket(void) { return fcntl(prey.socket, F_SETOWN, prey.victim) == 0; }
static bool limit_victim(void)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, prey.victim, RLIMIT_NOFILE, NULL, &limit) == 0;
}
static bool make_inet_socket(void) { return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static bool make_six_socket(void) { return opened(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static bool make_unix_socket(void) { return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static bool connect_socket(void) { return connected(prey.socket, prey.listener_port); }
static bool connect_elsewhere(void) { return connected(prey.other_socket, prey.other_port); }
static bool change_root(void) { return chroot("/") == 0; }
static bool make_ring(void)
{
    char parameters[120] = {0};
    return opened((int)syscall(SYS_io_uring_setup, 1, parameters));
}
static bool make_user_space(void) { return unshare(CLONE_NEWUSER) == 0; }

/* Who may do it, besides an unsealed process. */
enum may { SMTPD = 1 << PROCESS_SMTPD, AUTH = 1 << PROCESS_AUTH, QUEUE = 1 << PROCESS_QUEUE, RELAY = 1 << PROCESS_RELAY, LOCAL = 1 << PROCESS_LOCAL,
           PICKUP = 1 << PROCESS_PICKUP,
           /* local, where it hands mail to an LMTP server: on a Unix socket, or at the listener's port */
           LOCAL_CALLS = 1 << 16, LOCAL_CALLS_TCP = 1 << 17, LOCALS = LOCAL | LOCAL_CALLS | LOCAL_CALLS_TCP };
enum needs {
    LANDLOCK = 1, /* without it only those who open nothing are kept from it */
    UNSURE = 2,   /* machines exist where nobody may do it */
    NO_ASAN = 4,  /* the sanitizers keep it for themselves */
    NET = 8,      /* without Landlock of Linux 6.7 whoever may call at all may call everywhere */
};

static const struct attempt {
    const char *what;
    bool (*try)(void);
    unsigned may, needs;
} attempts[] = {
    {"open a file", open_foreign, 0, LANDLOCK},
    {"open a file by openat2", open_by_openat2, 0, UNSURE},
    {"list a folder", list_root, 0, LANDLOCK},
    {"make a file", make_foreign, 0, LANDLOCK},
    {"read a file of its own folder", read_inside, AUTH | QUEUE | LOCALS | PICKUP, LANDLOCK},
    {"write a file of its own folder", write_inside, QUEUE | LOCALS | PICKUP, LANDLOCK},
    {"make a file in its own folder", make_inside, QUEUE | LOCALS | PICKUP, LANDLOCK},
    {"cut a file that is open", cut_open_file, SMTPD | QUEUE | RELAY | LOCALS | PICKUP, 0}, /* relay: that of the MTA-STS policies */
    {"start a process", start_process, 0, NO_ASAN},
    {"trace another process", trace_victim, 0, UNSURE},
    {"read another's memory", read_victim, 0, UNSURE},
    {"write another's memory", write_victim, 0, UNSURE},
    {"open another's memory", open_victim_memory, 0, LANDLOCK | UNSURE},
    {"open its own memory", open_own_memory, 0, LANDLOCK | UNSURE},
    {"signal another process", signal_victim, 0, 0},
    {"signal another's thread", signal_victim_thread, 0, 0},
    {"let a socket signal another", signal_victim_by_socket, 0, 0},
    {"ask for another's limits", limit_victim, 0, UNSURE | NO_ASAN},
    {"make an IPv4 socket", make_inet_socket, RELAY | LOCAL_CALLS_TCP, 0},
    {"make an IPv6 socket", make_six_socket, RELAY, UNSURE},
    {"make a local socket", make_unix_socket, LOCAL_CALLS, 0},
    {"connect a socket that was there", connect_socket, RELAY | LOCAL_CALLS_TCP, NET},
    {"connect to another port", connect_elsewhere, RELAY, NET},
    {"change its root", change_root, 0, UNSURE},
    {"make an io_uring", make_ring, 0, UNSURE},
    {"make a user namespace", make_user_space, 0, UNSURE},
};

/* What the child tells, without a system call. */
struct told {
    bool sealed, could[ARRAY_LENGTH(attempts)], stayed; /* stayed: execve came back */
    char reason[ERROR_TEXT_MAX];
};

#ifdef __SANITIZE_ADDRESS__
enum { WITH_ASAN = true };
#else
enum { WITH_ASAN = false };
#endif

static bool has_folder(enum process_role role)
{
    return ((AUTH | QUEUE | LOCAL | PICKUP) & 1u << role) != 0;
}

static void seal_and_try(struct told *told, bool seal, enum process_role role, unsigned who)
{
    char *const nothing[] = {NULL}, *const arguments[] = {(char[]){"true"}, NULL};
    struct error error = {0};
    struct sandbox_paths paths = {0};
    paths.call_family = who == LOCAL_CALLS ? AF_UNIX : who == LOCAL_CALLS_TCP ? AF_INET : AF_UNSPEC;
    paths.call_port = who == LOCAL_CALLS_TCP ? (uint16_t)prey.listener_port : 0;
    if (has_folder(role))
        sandbox_allow(&paths, prey.folder, role != PROCESS_AUTH);
    told->sealed = !seal || sandbox_seal(role, &paths, &error);
    memcpy(told->reason, error.text, sizeof told->reason);
    for (size_t i = 0; told->sealed && i < ARRAY_LENGTH(attempts); i++)
        told->could[i] = attempts[i].try();
    execve("/bin/true", arguments, nothing);
    told->stayed = true;
}

static struct told *run_child(bool seal, enum process_role role, unsigned who)
{
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    assert_ptr_not_equal(told, MAP_FAILED);
    prey.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    prey.other_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t child = fork();
    if (child == 0) {
        seal_and_try(told, seal, role, who);
        syscall(SYS_exit_group, 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(prey.socket);
    close(prey.other_socket);
    if (!told->sealed)
        fail_msg("%s", told->reason);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return told;
}

static void unsealed_all_of_it_works(void **state)
{
    struct told *told = run_child(false, PROCESS_SMTPD, SMTPD);
    for (size_t i = 0; i < ARRAY_LENGTH(attempts); i++) {
        if (!told->could[i] && (attempts[i].needs & UNSURE) == 0)
            fail_msg("nobody can %s: the attempt proves nothing", attempts[i].what);
        if (!told->could[i])
            print_message("here nobody can %s, sealed or not\n", attempts[i].what);
    }
    assert_false(told->stayed); /* /bin/true ran in its place */
    munmap(told, sizeof *told);
}

/* May the machine let it through although the role must not? */
static bool is_out_of_reach(const struct attempt *attempt, enum process_role role, unsigned who)
{
    bool opens = has_folder(role);
    if ((attempt->needs & NO_ASAN) != 0 && WITH_ASAN)
        return true;
    if ((attempt->needs & NET) != 0 && (who == LOCAL_CALLS || who == LOCAL_CALLS_TCP) && syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 4)
        return true;
    return (attempt->needs & LANDLOCK) != 0 && !sandbox_has_landlock() && (opens || WITH_ASAN);
}

static void check(enum process_role role, unsigned who)
{
    struct told *told = run_child(true, role, who);
    for (size_t i = 0; i < ARRAY_LENGTH(attempts); i++) {
        bool may = (attempts[i].may & who) != 0;
        if (may && !told->could[i] && (attempts[i].needs & UNSURE) == 0)
            fail_msg("%s cannot %s", process_role_name(role), attempts[i].what);
        if (!may && told->could[i] && !is_out_of_reach(&attempts[i], role, who))
            fail_msg("%s can %s", process_role_name(role), attempts[i].what);
    }
    if (!told->stayed)
        fail_msg("%s can start a program", process_role_name(role));
    munmap(told, sizeof *told);
}

static void check_role(enum process_role role) { check(role, 1u << role); }
static void smtpd_is_sealed(void **state) { check_role(PROCESS_SMTPD); }
static void auth_is_sealed(void **state) { check_role(PROCESS_AUTH); }
static void queue_is_sealed(void **state) { check_role(PROCESS_QUEUE); }
static void relay_is_sealed(void **state) { check_role(PROCESS_RELAY); }
static void local_is_sealed(void **state) { check_role(PROCESS_LOCAL); }
static void local_that_delivers_by_lmtp_is_sealed(void **state) { check(PROCESS_LOCAL, LOCAL_CALLS); }
static void local_that_delivers_by_tcp_is_sealed(void **state) { check(PROCESS_LOCAL, LOCAL_CALLS_TCP); }
static void pickup_is_sealed(void **state) { check_role(PROCESS_PICKUP); }
static void web_is_sealed(void **state) { check_role(PROCESS_WEB); }

/* ---- the ground ---- */

static int start_victim(void)
{
    int ready[2];
    char octet;
    if (pipe2(ready, O_CLOEXEC) != 0)
        return -1;
    prey.victim = fork();
    if (prey.victim == 0) {
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)!write(ready[1], "r", 1);
        for (;;)
            poll(NULL, 0, -1);
    }
    close(ready[1]);
    bool started = read(ready[0], &octet, 1) == 1;
    close(ready[0]);
    return started ? 0 : -1;
}

static int listener = -1, other_listener = -1;

static int listen_somewhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(made, (struct sockaddr *)&address, sizeof address) != 0 || listen(made, 16) != 0 || getsockname(made, (struct sockaddr *)&address, &length) != 0)
        return -1;
    *port = ntohs(address.sin_port);
    return made;
}

static int set_up(void **state)
{
    struct error error;
    if (!user_become(user_of(PROCESS_SMTPD, "mailboat"), &error) || start_victim() != 0) /* all of one user: that alone keeps nobody apart */
        return -1;
    snprintf(prey.folder, sizeof prey.folder, "/tmp/mailboat-seal-XXXXXX");
    if (mkdtemp(prey.folder) == NULL)
        return -1;
    snprintf(prey.inside, sizeof prey.inside, "%s/file", prey.folder);
    prey.file = open(prey.inside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    listener = listen_somewhere(&prey.listener_port);
    other_listener = listen_somewhere(&prey.other_port);
    if (listener < 0 || other_listener < 0)
        return -1;
    print_message("Landlock: %s\n", sandbox_has_landlock() ? "there" : "not there; seccomp alone holds");
    return 0;
}

static int tear_down(void **state)
{
    close(listener);
    close(other_listener);
    kill(prey.victim, SIGKILL);
    waitpid(prey.victim, NULL, 0);
    close(prey.file);
    unlink(prey.inside);
    rmdir(prey.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsealed_all_of_it_works), cmocka_unit_test(smtpd_is_sealed), cmocka_unit_test(auth_is_sealed),
        cmocka_unit_test(queue_is_sealed), cmocka_unit_test(relay_is_sealed), cmocka_unit_test(local_is_sealed),
        cmocka_unit_test(local_that_delivers_by_lmtp_is_sealed), cmocka_unit_test(local_that_delivers_by_tcp_is_sealed),
        cmocka_unit_test(pickup_is_sealed), cmocka_unit_test(web_is_sealed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
