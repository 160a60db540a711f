/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_control: what subcommands ask of the running auth process: who is locked
 * for guessing, and to undo it; whether a password is right, for Dovecot; and to see
 * and change the accounts (account_control.h). A socket in the data folder, for root
 * and this process's own user. Passwords are the owner's matter, who answers with
 * auth_control_answer(). Who comes while all places are taken waits in the socket.
 */
#ifndef MAILBOAT_SERVICE_AUTH_AUTH_CONTROL_H
#define MAILBOAT_SERVICE_AUTH_AUTH_CONTROL_H

#include "io/loop.h"
#include "ipc/channel.h"
#include "service/auth/account_writer.h"
#include "service/auth/login_throttle.h"

enum { AUTH_CONTROL_CLIENTS_MAX = 64 };

#define AUTH_CONTROL_SOCKET "auth.sock" /* in the data directory */

struct auth_control;

struct auth_control_client {
    struct auth_control *control;
    struct channel channel;
    struct watch watch;
    bool connected;
    struct account_job *gathering, *pending; /* of account_control.c; one of them, or none */
};

struct auth_control {
    struct login_throttle *throttle;
    struct accounts *accounts;     /* for reading */
    struct account_writer *writer; /* for changes */
    unsigned pending_count;        /* jobs that the writer has, wherever they came from */
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after the descriptors ran out */
    int listener;
    struct auth_control_client clients[AUTH_CONTROL_CLIENTS_MAX];
    void (*on_password)(void *owner, struct channel *from, const struct ipc_password *asked);
    void (*on_lost)(void *owner, struct channel *from); /* nobody waits for its answers any more */
    void *owner;
};

/* With privileges: the socket belongs to uid and gid then. */
bool auth_control_open(struct auth_control *control, const char *data_dir, unsigned uid, unsigned gid,
                       struct error *error);
/* accounts, writer, on_password, on_lost and owner are set. */
void auth_control_start(struct auth_control *control, struct loop *loop, struct login_throttle *throttle);
/* To one that asked by on_password, and is not lost. */
void auth_control_answer(struct auth_control *control, struct channel *to,
                         const struct ipc_password_answer *answer);
/* To a client that is not lost; what is left is sent, and what waits is read, when there is room. */
void auth_control_say(struct auth_control_client *client, enum ipc_kind kind, const void *message);

#endif
