/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the listening sockets, and the process that holds a port already in use. */
#ifndef MAILBOAT_RUN_LISTEN_H
#define MAILBOAT_RUN_LISTEN_H

#include "config/config.h"
#include "io/folder.h"

enum {
    LISTEN_BACKLOG = 4096,
    LISTENERS_MAX = 64, /* sockets; a listener without an address has two */
};

/* A socket and its settings. `facts` borrows from the configuration. */
struct listening {
    int descriptor;
    bool six;
    const struct config_listener *facts;
};

struct listen_set {
    struct listening sockets[LISTENERS_MAX];
    size_t count;
};

/* Binds every listener of `config`. Takes over the sockets that `before` has for the same address and port
 * (setting their descriptors there to -1). On failure no new socket stays open and `before` is unchanged.
 * Errors name the port, its holder if known, and a hint. */
bool listen_open(struct listen_set *set, const struct config *config, struct listen_set *before,
                 struct error *error);
/* True if every listener could be bound now; keeps no socket. `runs`: a server uses the data directory, so
 * ports that a mailboat holds are its own. A port that this user may not bind is left to the start. */
bool listen_check(const struct config *config, bool runs, struct error *error);
void listen_close(struct listen_set *set);

/* True for an errno of accept(2) that means no resources: no connection can be accepted until some are
 * released. Clients wait in the backlog, so the socket should be ignored for a while. */
bool listen_is_exhausted(int number);
enum { LISTEN_PAUSE_MS = 200 };

/* A Unix socket, and the permission to connect to it. */
struct listen_socket {
    const char *data_dir; /* the path of its folder, for clients */
    const char *name;
    int type; /* SOCK_STREAM or SOCK_SEQPACKET */
    int backlog;
    mode_t mode;
    uid_t owner; /* a process running as root sets this owner; 0: unchanged */
    gid_t group;
};

/* Replaces any file with its name in `folder`. -1 with a reason. Only while the process has one thread: it
 * briefly changes the working directory and the umask. */
int listen_unix(const struct folder *folder, const struct listen_socket *wanted, struct error *error);

#endif
