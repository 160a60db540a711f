/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: what a person asks of the running auth process: who is locked for
 * guessing, and to undo it. A socket in the data folder, for root and this
 * process's own user; each question is answered at once.
 */
#ifndef MAILBOAT_AUTH_CONTROL_H
#define MAILBOAT_AUTH_CONTROL_H

#include "auth/guesses.h"
#include "channel.h"
#include "loop.h"

enum { AUTH_CONTROL_CLIENTS_MAX = 8 };

struct auth_control;

struct auth_control_client {
    struct auth_control *control;
    struct channel channel;
    struct watch watch;
    bool connected;
};

struct auth_control {
    struct guesses *guesses;
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after the descriptors ran out */
    int listener;
    struct auth_control_client clients[AUTH_CONTROL_CLIENTS_MAX];
};

/* With privileges: the socket belongs to uid and gid then. */
bool auth_control_open(struct auth_control *control, const char *data_dir, unsigned uid, unsigned gid, struct error *error);
void auth_control_start(struct auth_control *control, struct loop *loop, struct guesses *guesses);

#endif
