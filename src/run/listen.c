/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

union any_address {
    struct sockaddr plain;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

enum { HOLDER_NAME_MAX = 32 };

bool listen_is_exhausted(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/* ---- the holder of a port ---- */

/* Returns the inode of the socket that listens on the port, 0 if none is found. */
static unsigned long listening_inode(const char *table, uint16_t port)
{
    char line[512];
    FILE *file = fopen(table, "re");
    unsigned long found = 0;
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
        unsigned local_port, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%X %*[0-9A-Fa-f]:%*X %X %*s %*s %*s %*s %*s %lu", &local_port,
                   &state, &inode) == 3 &&
            state == 0x0A && local_port == port)
            found = inode;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static bool process_has_inode(const char *pid, unsigned long inode)
{
    char folder[64], path[400], target[64], wanted[64];
    snprintf(folder, sizeof folder, "/proc/%.20s/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *descriptors = opendir(folder);
    bool found = false;
    for (struct dirent *entry; descriptors != NULL && !found && (entry = readdir(descriptors)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            found = strcmp(target, wanted) == 0;
        }
    }
    if (descriptors != NULL)
        closedir(descriptors);
    return found;
}

/* Writes " by NAME (process PID)", or "" if unknown. `name` gets the NAME. */
static void describe_holder(uint16_t port, char *room, size_t size, char name[HOLDER_NAME_MAX])
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (inode == 0)
        inode = listening_inode("/proc/net/tcp6", port);
    room[0] = name[0] = '\0';
    DIR *processes = inode == 0 ? NULL : opendir("/proc");
    for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        if (!ascii_is_digit(entry->d_name[0]) || !process_has_inode(entry->d_name, inode))
            continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/%.20s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file != NULL && fgets(name, HOLDER_NAME_MAX, file) != NULL)
            name[strcspn(name, "\n")] = '\0';
        if (file != NULL)
            fclose(file);
        snprintf(room, size, " by %s (process %.20s)", name, entry->d_name);
        break;
    }
    if (processes != NULL)
        closedir(processes);
}

/* ---- sockets ---- */

static socklen_t fill_address(union any_address *address, const struct config_listener *facts, bool six)
{
    *address = (union any_address){0};
    if (six) {
        address->six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(facts->port)};
        if (facts->address != NULL)
            inet_pton(AF_INET6, facts->address, &address->six.sin6_addr);
        return sizeof address->six;
    }
    address->four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(facts->port)};
    if (facts->address != NULL)
        inet_pton(AF_INET, facts->address, &address->four.sin_addr);
    return sizeof address->four;
}

static bool fail_bind(const struct config_listener *facts, struct error *error)
{
    const char *where = facts->address == NULL ? "every address" : facts->address;
    char holder[128], name[HOLDER_NAME_MAX];
    if (errno == EADDRINUSE) {
        describe_holder(facts->port, holder, sizeof holder, name);
        return error_set(
            error, EX_UNAVAILABLE,
            "port %u on %s is already in use%s; stop that program, or choose another port under listeners",
            (unsigned)facts->port, where, holder);
    }
    if (errno == EACCES)
        return error_set(
            error, EX_NOPERM,
            "port %u is not permitted to this user; start as root, or use ports above 1023 under listeners",
            (unsigned)facts->port);
    if (errno == EADDRNOTAVAIL)
        return error_set(error, EX_CONFIG,
                         "this machine does not have the address %s of the listener on port %u", where,
                         (unsigned)facts->port);
    return error_set_errno(error, EX_OSERR, "cannot listen on port %u of %s", (unsigned)facts->port, where);
}

/* -1 with errno. */
static int bind_socket(const struct config_listener *facts, bool six)
{
    union any_address address;
    socklen_t length = fill_address(&address, facts, six);
    int one = 1;
    int descriptor = socket(address.plain.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Inherited by accepted sockets: replies are sent without delay. */
    setsockopt(descriptor, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    if (six)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(descriptor, &address.plain, length) == 0)
        return descriptor;
    int number = errno;
    close(descriptor);
    errno = number;
    return -1;
}

static int open_socket(const struct config_listener *facts, bool six, struct error *error)
{
    int descriptor = bind_socket(facts, six);
    if (descriptor >= 0 && listen(descriptor, LISTEN_BACKLOG) == 0)
        return descriptor;
    int number = errno;
    fail_bind(facts, error);
    if (descriptor >= 0)
        close(descriptor);
    errno = number;
    return -1;
}

static bool same_place(const struct listening *socket, const struct config_listener *facts, bool six)
{
    const char *a = socket->facts->address, *b = facts->address;
    return socket->descriptor >= 0 && socket->six == six && socket->facts->port == facts->port &&
           ((a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0));
}

static int take_over(struct listen_set *before, const struct config_listener *facts, bool six)
{
    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (same_place(&before->sockets[i], facts, six))
            return before->sockets[i].descriptor;
    return -1;
}

static bool kept_from(const struct listen_set *before, int descriptor)
{
    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (before->sockets[i].descriptor == descriptor)
            return true;
    return false;
}

static bool add_socket(struct listen_set *set, const struct config_listener *facts, bool six,
                       struct listen_set *before, struct error *error)
{
    if (set->count == LISTENERS_MAX)
        return error_set(error, EX_CONFIG, "more than %d listening sockets", LISTENERS_MAX);
    int descriptor = take_over(before, facts, six);
    if (descriptor < 0)
        descriptor = open_socket(facts, six, error);
    /* A host without IPv6 uses only IPv4. */
    if (descriptor < 0 && six && facts->address == NULL && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
        return true;
    if (descriptor < 0)
        return false;
    set->sockets[set->count++] = (struct listening){descriptor, six, facts};
    return true;
}

bool listen_open(struct listen_set *set, const struct config *config, struct listen_set *before,
                 struct error *error)
{
    set->count = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *facts = &config->listeners[i];
        bool named_six = facts->address != NULL && strchr(facts->address, ':') != NULL;
        bool opened = facts->address != NULL ? add_socket(set, facts, named_six, before, error)
                                             : add_socket(set, facts, false, before, error) &&
                                                   add_socket(set, facts, true, before, error);
        if (opened)
            continue;
        for (size_t k = 0; k < set->count; k++)
            if (!kept_from(before, set->sockets[k].descriptor))
                close(set->sockets[k].descriptor);
        set->count = 0;
        return false;
    }
    for (size_t i = 0; before != NULL && i < before->count; i++)
        for (size_t k = 0; k < set->count; k++)
            if (before->sockets[i].descriptor == set->sockets[k].descriptor)
                before->sockets[i].descriptor = -1;
    return true;
}

/* True if the place is free, or held by a running server of ours, or this user may not tell. */
static bool check_place(const struct config_listener *facts, bool six, bool runs, struct error *error)
{
    char holder[128], name[HOLDER_NAME_MAX];
    int descriptor = bind_socket(facts, six);
    if (descriptor >= 0) {
        close(descriptor);
        return true;
    }
    int number = errno;
    if (number == EACCES && geteuid() != 0) /* the server may be started by root */
        return true;
    if (six && facts->address == NULL && (number == EAFNOSUPPORT || number == EADDRNOTAVAIL))
        return true;
    if (number == EADDRINUSE) {
        describe_holder(facts->port, holder, sizeof holder, name);
        if ((runs && strncmp(name, "mailboat", strlen("mailboat")) == 0) ||
            (name[0] == '\0' && geteuid() != 0))
            return true;
    }
    errno = number;
    return fail_bind(facts, error);
}

bool listen_check(const struct config *config, bool runs, struct error *error)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *facts = &config->listeners[i];
        bool named_six = facts->address != NULL && strchr(facts->address, ':') != NULL;
        if (!check_place(facts, named_six, runs, error) ||
            (facts->address == NULL && !check_place(facts, true, runs, error)))
            return false;
    }
    return true;
}

void listen_close(struct listen_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->sockets[i].descriptor >= 0)
            close(set->sockets[i].descriptor);
    set->count = 0;
}

/* ---- Unix sockets ---- */

/* bind() does not accept a folder's descriptor, so this process changes into the folder and back. */
static bool bind_in(int folder, int descriptor, const struct sockaddr_un *address)
{
    /* a user without access to the current folder could not return to it */
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool bound = fchdir(folder) == 0 &&
                 bind(descriptor, (const struct sockaddr *)address, sizeof *address) == 0;
    int number = errno;
    if ((before < 0 || fchdir(before) != 0) && chdir("/") != 0)
        bound = false;
    if (before >= 0)
        close(before);
    errno = number;
    return bound;
}

int listen_unix(const struct folder *folder, const struct listen_socket *wanted, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t room = sizeof address.sun_path - 1, length = strlen(wanted->data_dir) + 1 + strlen(wanted->name);
    if (length > room) { /* clients connect by the whole path */
        error_set(error, EX_CONFIG,
                  "the path %s/%s is too long for a socket (at most %zu bytes); choose a shorter data_dir",
                  wanted->data_dir, wanted->name, room);
        return -1;
    }
    memcpy(address.sun_path, wanted->name, strlen(wanted->name));
    int descriptor = socket(AF_UNIX, wanted->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* left by a killed server; the queue's lock shows whether one is running */
    unlinkat(folder->descriptor, wanted->name, 0);
    mode_t before = umask(0777 & ~wanted->mode);
    bool listening = descriptor >= 0 && bind_in(folder->descriptor, descriptor, &address) &&
                     listen(descriptor, wanted->backlog) == 0;
    umask(before);
    if (listening && geteuid() == 0 && wanted->owner != 0)
        listening = fchownat(folder->descriptor, wanted->name, wanted->owner, wanted->group,
                             AT_SYMLINK_NOFOLLOW) == 0;
    if (listening)
        return descriptor;
    error_set_errno(error, EX_OSERR, "cannot listen on %s/%s", wanted->data_dir, wanted->name);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}
