/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload_socket: DATA/reload.sock, on which `mailboat reload` waits for the outcome of a reload. The
 * connection is the request, so the supervisor reads nothing: it answers with one line, the exit code and
 * the reason ("0 reloaded", "78 ..."), and closes. Only the starting user may connect.
 */
#ifndef MAILBOAT_RUN_RELOAD_SOCKET_H
#define MAILBOAT_RUN_RELOAD_SOCKET_H

#include "io/folder.h"
#include "io/watch.h"

#define RELOAD_SOCKET_NAME "reload.sock"

enum {
    RELOAD_WAITERS_MAX = 16,       /* one more is told to try again */
    RELOAD_ANSWER_MAX = 600,       /* octets of the line */
    RELOAD_PATIENCE_MS = 60 * 1000 /* time that a waiter gives the server */
};

struct reload_waiter {
    int descriptor;
    bool is_current; /* waits for the reload in progress; otherwise for the next one */
};

struct reload_socket {
    int descriptor; /* -1: not open */
    struct watch watch;
    struct reload_waiter waiters[RELOAD_WAITERS_MAX];
    size_t count;
    void (*on_request)(void *owner);
    void *owner;
};

bool reload_socket_open(struct reload_socket *socket, const struct folder *data, const char *data_dir,
                        struct loop *loop, struct error *error);
/* All who wait get the answer of the reload that begins now. */
void reload_socket_begin(struct reload_socket *socket);
/* Answers those who wait for the reload in progress, or `all`. */
void reload_socket_answer(struct reload_socket *socket, bool all, int exit_code, const char *text);
/* Closes it; those who wait are told that the server stops. */
void reload_socket_close(struct reload_socket *socket);

/* For `mailboat reload`: requests a reload of the server in `data_dir` and waits for its outcome. False with
 * the server's reason; EX_UNAVAILABLE: none runs. */
bool reload_socket_ask(const char *data_dir, struct error *error);

#endif
