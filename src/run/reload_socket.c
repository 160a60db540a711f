/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/reload_socket.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "run/listen.h"

static void answer(int descriptor, int exit_code, const char *text)
{
    char line[RELOAD_ANSWER_MAX];
    int length = snprintf(line, sizeof line, "%d %s\n", exit_code, text);
    size_t size = length < (int)sizeof line ? (size_t)length : sizeof line - 1;
    /* a fresh socket has room for it */
    if (send(descriptor, line, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        errno = 0; /* the waiter is gone */
    close(descriptor);
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct reload_socket *socket = owner;
    int descriptor = accept4(socket->descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0)
        return;
    if (socket->count == RELOAD_WAITERS_MAX) {
        answer(descriptor, EX_TEMPFAIL, "too many reloads are waiting; try again");
        return;
    }
    socket->waiters[socket->count++] = (struct reload_waiter){.descriptor = descriptor};
    socket->on_request(socket->owner);
}

bool reload_socket_open(struct reload_socket *socket, const struct folder *data, const char *data_dir,
                        struct loop *loop, struct error *error)
{
    const struct listen_socket wanted = {.data_dir = data_dir,
                                         .name = RELOAD_SOCKET_NAME,
                                         .type = SOCK_STREAM,
                                         .backlog = RELOAD_WAITERS_MAX,
                                         .mode = 0600};
    assert(socket->on_request != NULL);
    socket->descriptor = listen_unix(data, &wanted, error);
    if (socket->descriptor < 0)
        return false;
    watch_start(&socket->watch, loop, socket->descriptor, true, false, on_ready, socket);
    return true;
}

void reload_socket_begin(struct reload_socket *socket)
{
    for (size_t i = 0; i < socket->count; i++)
        socket->waiters[i].is_current = true;
}

void reload_socket_answer(struct reload_socket *socket, bool all, int exit_code, const char *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < socket->count; i++)
        if (all || socket->waiters[i].is_current)
            answer(socket->waiters[i].descriptor, exit_code, text);
        else
            socket->waiters[kept++] = socket->waiters[i];
    socket->count = kept;
}

void reload_socket_close(struct reload_socket *socket)
{
    if (socket->descriptor < 0)
        return;
    reload_socket_answer(socket, true, EX_TEMPFAIL, "the server stops");
    watch_stop(&socket->watch);
    close(socket->descriptor);
    socket->descriptor = -1;
}

/* ---- the command ---- */

/* Reads the line until the server closes; false after RELOAD_PATIENCE_MS. */
static bool read_line(int descriptor, char line[RELOAD_ANSWER_MAX])
{
    uint64_t end_ms = clock_now_ms() + RELOAD_PATIENCE_MS;
    size_t length = 0;
    while (length < RELOAD_ANSWER_MAX - 1) {
        uint64_t now_ms = clock_now_ms();
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        if (now_ms >= end_ms || poll(&ready, 1, (int)(end_ms - now_ms)) < 1)
            break;
        ssize_t got = recv(descriptor, line + length, RELOAD_ANSWER_MAX - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return length > 0;
}

bool reload_socket_ask(const char *data_dir, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[RELOAD_ANSWER_MAX], *reason;
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/" RELOAD_SOCKET_NAME, data_dir);
    if (length >= (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "the path of data_dir is too long for a socket");
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&address, sizeof address) != 0) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED;
        if (absent)
            error_set(error, EX_UNAVAILABLE, "no server is running on %s; start it with mailboat serve",
                      data_dir);
        else
            error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_OSERR, "cannot connect to %s",
                            address.sun_path);
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    bool answered = read_line(descriptor, line);
    close(descriptor);
    if (!answered)
        return error_set(error, EX_TEMPFAIL,
                         "the new processes are not ready after %d s; the old ones go on: see the log",
                         RELOAD_PATIENCE_MS / 1000);
    long code = strtol(line, &reason, 10);
    return code == EX_OK || error_set(error, (int)code, "%s", reason[0] == ' ' ? reason + 1 : reason);
}
