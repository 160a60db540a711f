/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the listening sockets, and who holds a port that is taken. */
#ifndef MAILBOAT_LISTEN_H
#define MAILBOAT_LISTEN_H

#include "config.h"

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
bool listen_open(struct listen_set *set, const struct config *config, struct listen_set *before, struct error *error);
void listen_close(struct listen_set *set);

/* Of accept(2): nobody can be let in before something is given back. Whoever
 * waits stays in the backlog, so the socket is to be left alone for a while. */
bool listen_is_exhausted(int number);
enum { LISTEN_PAUSE_MS = 200 };

/* The socket in the data folder by which local programs submit. */
int listen_local(const char *path, struct error *error);

#endif
