/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim: fault injection between the program and the C library (LD_PRELOAD), for the fault tests. It makes
 * selected calls fail, or complete partially, while a rule is active, moves the wall clock, and skips
 * time. The board is a file written by the test and shared by all processes of a server: it is mapped
 * before the sandbox, so that processes without file access see it too.
 *
 * FAULTS_BOARD names the file; tests/e2e/faults.py packs struct board. Without it, or without an active
 * rule, every call passes unchanged.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES = 16, DESCRIPTORS = 4096, PATH_KEPT = 96 };

struct rule {
    _Atomic uint32_t on;
    uint32_t skip;           /* matching calls that pass first */
    uint32_t times;          /* then so many fail; 0: all, while the rule is active */
    int32_t error;           /* the errno; 0: complete partially */
    uint32_t octets_max;     /* size of that part */
    _Atomic uint32_t met;    /* matching calls */
    _Atomic uint32_t failed; /* calls that failed */
    char role[16];           /* of the process: "queue"; empty: any */
    char call[16];
    char path[64]; /* a part of the file's path, or its end if followed by '$'; empty: any */
};

struct board {
    _Atomic int64_t clock_offset_ms; /* only of the wall clock */
    _Atomic int64_t passed_ms;       /* of all clocks: skipped time */
    struct rule rules[RULES];
};

static struct board *board;
static char role[16] = "supervisor";
static char paths[DESCRIPTORS][PATH_KEPT]; /* end of the path of each open file */

__attribute__((constructor)) static void map_board(void)
{
    const char *name = getenv("FAULTS_BOARD");
    int file = name == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    board = at == MAP_FAILED ? NULL : at;
}

/* ---- rules ---- */

static bool names(const char *part, const char *path)
{
    size_t length = strlen(part), whole = path == NULL ? 0 : strlen(path);
    if (length == 0)
        return true;
    if (part[length - 1] != '$')
        return path != NULL && strstr(path, part) != NULL;
    return whole >= length - 1 && strncmp(path + whole - (length - 1), part, length - 1) == 0;
}

static bool matches(const struct rule *rule, const char *call, const char *path)
{
    return strcmp(rule->call, call) == 0 && (rule->role[0] == '\0' || strcmp(rule->role, role) == 0) &&
           names(rule->path, path);
}

/* Returns the rule by which this call fails, NULL if it passes. */
static const struct rule *rule_for(const char *call, const char *path)
{
    for (size_t i = 0; board != NULL && i < RULES; i++) {
        struct rule *rule = &board->rules[i];
        if (!atomic_load(&rule->on) || !matches(rule, call, path))
            continue;
        uint32_t number = atomic_fetch_add(&rule->met, 1);
        if (number < rule->skip || (rule->times != 0 && number - rule->skip >= rule->times))
            continue;
        atomic_fetch_add(&rule->failed, 1);
        return rule;
    }
    return NULL;
}

/* True if it fails completely, with errno. */
static bool fails(const char *call, const char *path)
{
    const struct rule *rule = rule_for(call, path);
    if (rule != NULL)
        errno = rule->error;
    return rule != NULL;
}

static const char *path_of(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTORS ? paths[descriptor] : "";
}

/* False if it fails; otherwise *count may have shrunk. */
static bool may_move(const char *call, int descriptor, size_t *count)
{
    const struct rule *rule = rule_for(call, path_of(descriptor));
    if (rule != NULL && rule->error != 0) {
        errno = rule->error;
        return false;
    }
    if (rule != NULL && *count > rule->octets_max)
        *count = rule->octets_max;
    return true;
}

/* ---- files ---- */

static int remember(int descriptor, const char *path)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS) {
        size_t length = strlen(path);
        const char *end = length < PATH_KEPT ? path : path + length - PATH_KEPT + 1;
        snprintf(paths[descriptor], PATH_KEPT, "%s", end);
    }
    return descriptor;
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    char whole[2 * PATH_KEPT];
    snprintf(whole, sizeof whole, "%s/%s", path_of(folder), path);
    const char *known = path[0] == '/' || folder < 0 ? path : whole;
    return fails("open", known) ? -1 : remember((int)syscall(SYS_openat, folder, path, flags, mode), known);
}

#define MODE_OF(flags, mode)                                                      \
    do {                                                                          \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode = ((flags) & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                             \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(folder, path, flags, mode);
}

/* Variants used by the compiler with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
ssize_t __pread64_chk(int descriptor, void *room, size_t count, off64_t at, size_t room_size);

int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}
int __openat_2(int folder, const char *path, int flags)
{
    return open_at(folder, path, flags, 0);
}
int __openat64_2(int folder, const char *path, int flags)
{
    return open_at(folder, path, flags, 0);
}

int close(int descriptor)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        paths[descriptor][0] = '\0';
    return (int)syscall(SYS_close, descriptor);
}

int fsync(int descriptor)
{
    return fails("fsync", path_of(descriptor)) ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor)
{
    return fails("fdatasync", path_of(descriptor)) ? -1 : (int)syscall(SYS_fdatasync, descriptor);
}

int syncfs(int descriptor)
{
    return fails("syncfs", path_of(descriptor)) ? -1 : (int)syscall(SYS_syncfs, descriptor);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    return fails("mkdir", path) ? -1 : (int)syscall(SYS_mkdirat, folder, path, mode);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return fails("rename", new) ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

ssize_t write(int descriptor, const void *octets, size_t count)
{
    return may_move("write", descriptor, &count) ? syscall(SYS_write, descriptor, octets, count) : -1;
}

ssize_t pwrite(int descriptor, const void *octets, size_t count, off_t at)
{
    return may_move("write", descriptor, &count) ? syscall(SYS_pwrite64, descriptor, octets, count, at) : -1;
}

ssize_t pwrite64(int descriptor, const void *octets, size_t count, off64_t at)
{
    return may_move("write", descriptor, &count) ? syscall(SYS_pwrite64, descriptor, octets, count, at) : -1;
}

ssize_t pread(int descriptor, void *room, size_t count, off_t at)
{
    return may_move("read", descriptor, &count) ? syscall(SYS_pread64, descriptor, room, count, at) : -1;
}

ssize_t pread64(int descriptor, void *room, size_t count, off64_t at)
{
    return may_move("read", descriptor, &count) ? syscall(SYS_pread64, descriptor, room, count, at) : -1;
}

ssize_t __pread64_chk(int descriptor, void *room, size_t count, off64_t at, size_t room_size)
{
    return pread64(descriptor, room, count < room_size ? count : room_size, at);
}

/* ---- sockets and processes ---- */

ssize_t send(int descriptor, const void *octets, size_t count, int flags)
{
    return may_move("send", descriptor, &count)
               ? syscall(SYS_sendto, descriptor, octets, count, flags, NULL, 0)
               : -1;
}

/* A message with a descriptor while none is free: the octets arrive, the descriptor is lost (unix(7)). */
ssize_t recvmsg(int descriptor, struct msghdr *message, int flags)
{
    if (rule_for("forbidden", NULL) != NULL) /* like a compromised process */
        syscall(SYS_chroot, "/");
    ssize_t got = syscall(SYS_recvmsg, descriptor, message, flags);
    struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        rule_for("recvfd", NULL) == NULL)
        return got;
    int lost;
    memcpy(&lost, CMSG_DATA(header), sizeof lost);
    syscall(SYS_close, lost);
    message->msg_controllen = 0;
    message->msg_flags |= MSG_CTRUNC;
    return got;
}

int accept4(int listener, struct sockaddr *from, socklen_t *length, int flags)
{
    return fails("accept", NULL) ? -1 : (int)syscall(SYS_accept4, listener, from, length, flags);
}

int socket(int family, int type, int protocol)
{
    return fails("socket", NULL) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

int socketpair(int family, int type, int protocol, int ends[2])
{
    return fails("socketpair", NULL) ? -1 : (int)syscall(SYS_socketpair, family, type, protocol, ends);
}

pid_t fork(void)
{
    pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
    return fails("fork", NULL) ? -1 : real();
}

/* Records the name that a process sets. */
int prctl(int option, ...)
{
    va_list more;
    unsigned long given[4];
    va_start(more, option);
    for (size_t i = 0; i < 4; i++)
        given[i] = va_arg(more, unsigned long);
    va_end(more);
    if (option == PR_SET_NAME && strncmp((const char *)given[0], "mailboat-", 9) == 0)
        snprintf(role, sizeof role, "%.15s", (const char *)given[0] + 9);
    return (int)syscall(SYS_prctl, option, given[0], given[1], given[2], given[3]);
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);

void *malloc(size_t size)
{
    return fails("malloc", NULL) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails("malloc", NULL) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return fails("malloc", NULL) ? NULL : __libc_realloc(at, size);
}

/* ---- the wall clock ---- */

int clock_gettime(clockid_t which, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, which, now);
    bool counts_cpu = which == CLOCK_PROCESS_CPUTIME_ID || which == CLOCK_THREAD_CPUTIME_ID;
    if (result == 0 && board != NULL && !counts_cpu)
        now->tv_sec += atomic_load(&board->passed_ms) / 1000;
    if (result == 0 && board != NULL && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += atomic_load(&board->clock_offset_ms) / 1000;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *room)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (room != NULL)
        *room = exact.tv_sec;
    return exact.tv_sec;
}
