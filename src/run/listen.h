/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the listening sockets, and who holds a port that is taken. */
#ifndef MAILBOAT_RUN_LISTEN_H
#define MAILBOAT_RUN_LISTEN_H

#include "config/config.h"
#include "io/folder.h"

enum {
    LISTEN_BACKLOG = 4096,
    LISTENERS_MAX = 64, /* sockets; a listener without an address has two */
};

/* One socket and what it is for. `facts` borrows from the configuration. */
struct listening {
    int descriptor;
    bool six;
    const struct config_listener *facts;
};

struct listen_set {
    struct listening sockets[LISTENERS_MAX];
    size_t count;
};

/* Binds every listener of `config`. Sockets that `before` has for the same
 * address and port are taken over from it (their place there gets -1). On
 * failure nothing new stays open and `before` is as it was. Errors name the
 * port, its holder where that can be told, and the mend. */
bool listen_open(struct listen_set *set, const struct config *config, struct listen_set *before,
                 struct error *error);
void listen_close(struct listen_set *set);

/* Of accept(2): nobody can be let in before something is given back. Whoever
 * waits stays in the backlog, so the socket is to be left alone for a while. */
bool listen_is_exhausted(int number);
enum { LISTEN_PAUSE_MS = 200 };

/* A socket of the file system, and who may connect to it. */
struct listen_socket {
    const char *data_dir; /* the path of its folder, as others name it */
    const char *name;
    int type; /* SOCK_STREAM or SOCK_SEQPACKET */
    int backlog;
    mode_t mode;
    uid_t owner; /* root's process gives it to this user; 0: it stays whose it is */
    gid_t group;
};

/* Takes the place of whatever had its name in `folder`. -1 with a reason. Only
 * while the process has one thread: it changes the working directory and the
 * umask for a moment. */
int listen_unix(const struct folder *folder, const struct listen_socket *wanted, struct error *error);

#endif
