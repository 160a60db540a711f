/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of each process, tested by attempts: a child enters the sandbox of the role and tries a
 * forbidden action. It is killed by SIGSYS, or gets an error where libraries try the same and continue
 * without. An unsandboxed child makes the same attempt: a failure shows the sandbox and not a typo.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/landlock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "run/sandbox.h"
#include "run/users.h"
#include "sandbox_attempts.h"
#include "service/services.h"
#include "unit.h"

/* Result of the child, without a system call. */
struct told {
    bool entered, could;
    _Atomic int forbidden_call;
    char reason[ERROR_TEXT_MAX];
};

enum call_fate { COULD, WAS_REFUSED, WAS_ENDED };

static bool has_folder(const struct service *service)
{
    return ((AUTH | QUEUE | LOCAL | PICKUP | REPORT) & 1u << service->role) != 0;
}

static void apply_and_try(struct told *told, bool sandboxed, const struct service *service, unsigned who,
                          const struct attempt *attempt)
{
    struct error error = {0};
    struct sandbox_paths paths = {.forbidden_call = &told->forbidden_call};
    paths.call_family = who == LOCAL_CALLS ? AF_UNIX : who == LOCAL_CALLS_TCP ? AF_INET : AF_UNSPEC;
    paths.call_port = who == LOCAL_CALLS_TCP ? (uint16_t)prey.listener_port : 0;
    if (has_folder(service))
        sandbox_allow(&paths, prey.folder, true);
    told->entered = !sandboxed || sandbox_apply(service_name(service), service->keeps, &paths, &error);
    memcpy(told->reason, error.text, sizeof told->reason);
    told->could = told->entered && attempt->try();
}

static enum call_fate fate_of(bool sandboxed, const struct service *service, unsigned who,
                              const struct attempt *attempt)
{
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    assert_ptr_not_equal(told, MAP_FAILED);
    prey.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    prey.other_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on with the next test in here */
        apply_and_try(told, sandboxed, service, who, attempt);
        syscall(SYS_exit_group, 42);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(prey.socket);
    close(prey.other_socket);
    if (!told->entered)
        fail_msg("%s", told->reason);
    /* A kernel without calls of 32 bits answers int 0x80 with SIGSEGV. */
    bool ended = WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS ||
                                         (WTERMSIG(status) == SIGSEGV && (attempt->needs & UNSURE) != 0)),
         became_another = !sandboxed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ended && !became_another && !(WIFEXITED(status) && WEXITSTATUS(status) == 42))
        fail_msg("%s, %s: status %x", service_name(service), attempt->what, (unsigned)status);
    if (ended && attempt->call != 0 && told->forbidden_call != attempt->call + 1)
        fail_msg("%s, %s: it died of call %d, which is not told: %d", service_name(service), attempt->what,
                 attempt->call, told->forbidden_call - 1);
    enum call_fate fate = ended ? WAS_ENDED : told->could || became_another ? COULD : WAS_REFUSED;
    munmap(told, sizeof *told);
    return fate;
}

static void without_a_sandbox_all_of_it_works(void **state)
{
    for (size_t i = 0; i < sandbox_attempt_count; i++) {
        bool could = fate_of(false, &smtpd_service, SMTPD, &sandbox_attempts[i]) == COULD;
        if (!could && (sandbox_attempts[i].needs & UNSURE) == 0)
            fail_msg("nobody can %s: the attempt proves nothing", sandbox_attempts[i].what);
        if (!could)
            print_message("here nobody can %s, sandboxed or not\n", sandbox_attempts[i].what);
    }
}

/* True if the machine may allow it although the process must not. */
static bool is_out_of_reach(const struct attempt *attempt, const struct service *service, unsigned who)
{
    bool opens = has_folder(service);
    if ((attempt->needs & NO_ASAN) != 0 && WITH_ADDRESS_SANITIZER)
        return true;
    if ((attempt->needs & NET) != 0 && (who == LOCAL_CALLS || who == LOCAL_CALLS_TCP) &&
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 4)
        return true;
    return (attempt->needs & LANDLOCK) != 0 && !sandbox_has_landlock() && (opens || WITH_ADDRESS_SANITIZER);
}

static void check(const struct service *service, unsigned who)
{
    static const char *const fates[] = {"can", "is refused to", "is ended when it tries to"};
    for (size_t i = 0; i < sandbox_attempt_count; i++) {
        const struct attempt *attempt = &sandbox_attempts[i];
        enum call_fate wanted = (attempt->may & who) != 0       ? COULD
                                : (attempt->refused & who) != 0 ? WAS_REFUSED
                                                                : WAS_ENDED;
        if (is_out_of_reach(attempt, service, who))
            continue;
        enum call_fate fate = fate_of(true, service, who, attempt);
        if (fate != wanted && !(wanted == COULD && fate == WAS_REFUSED && (attempt->needs & UNSURE) != 0))
            fail_msg("%s %s %s", service_name(service), fates[fate], attempt->what);
    }
}

static void each_process_is_in_its_sandbox(void **state)
{
    for (service_list *at = services; *at != NULL; at++)
        check(*at, 1u << (*at)->role);
}
static void local_that_delivers_by_lmtp_is_in_its_sandbox(void **state)
{
    check(&local_service, LOCAL_CALLS);
}
static void local_that_delivers_by_tcp_is_in_its_sandbox(void **state)
{
    check(&local_service, LOCAL_CALLS_TCP);
}

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
    if (bind(made, (struct sockaddr *)&address, sizeof address) != 0 || listen(made, 16) != 0 ||
        getsockname(made, (struct sockaddr *)&address, &length) != 0)
        return -1;
    *port = ntohs(address.sin_port);
    return made;
}

static int set_up(void **state)
{
    struct error error;
    /* all of one user: that alone keeps nobody apart */
    if (!users_become(users_of(PROCESS_SMTPD, "mailboat"), &error) || start_victim() != 0)
        return -1;
    snprintf(prey.folder, sizeof prey.folder, "/tmp/mailboat-sandbox-XXXXXX");
    if (mkdtemp(prey.folder) == NULL)
        return -1;
    snprintf(prey.inside, sizeof prey.inside, "%s/file", prey.folder);
    prey.file = open(prey.inside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    prey.terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
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
        cmocka_unit_test(without_a_sandbox_all_of_it_works),
        cmocka_unit_test(each_process_is_in_its_sandbox),
        cmocka_unit_test(local_that_delivers_by_lmtp_is_in_its_sandbox),
        cmocka_unit_test(local_that_delivers_by_tcp_is_in_its_sandbox),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
