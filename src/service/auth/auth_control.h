/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_control: the control socket of the auth process for subcommands: list and clear lockouts; verify a
 * password, for Dovecot; list and change the accounts (account_control.h). A socket in the data directory,
 * for root and this process's own user. The owner verifies passwords and answers with
 * auth_control_answer(). While all places are in use, clients wait in the socket.
 */
#ifndef MAILBOAT_SERVICE_AUTH_AUTH_CONTROL_H
#define MAILBOAT_SERVICE_AUTH_AUTH_CONTROL_H

#include "io/timer.h"
#include "io/watch.h"
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
    struct account_job *gathering, *pending; /* for account_control.c; at most one of them */
};

struct auth_control {
    struct login_throttle *throttle;
    struct accounts *accounts;     /* for reading */
    struct account_writer *writer; /* for changes */
    unsigned pending_count;        /* all jobs of the writer, from any source */
    struct loop *loop;
    struct watch watch;
    struct timer reopen; /* after running out of descriptors */
    int listener;
    struct auth_control_client clients[AUTH_CONTROL_CLIENTS_MAX];
    void (*on_password)(void *owner, struct channel *from, const struct ipc_password *asked);
    void (*on_lost)(void *owner, struct channel *from); /* the client has disconnected */
    void *owner;
};

/* With privileges: the socket gets the owner uid and gid. */
bool auth_control_open(struct auth_control *control, const char *data_dir, unsigned uid, unsigned gid,
                       struct error *error);
/* Requires accounts, writer, on_password, on_lost and owner. */
void auth_control_start(struct auth_control *control, struct loop *loop, struct login_throttle *throttle);
/* Answers a client's on_password; only for clients that are not lost. */
void auth_control_answer(struct auth_control *control, struct channel *to,
                         const struct ipc_password_answer *answer);
/* Sends to a client that is not lost; remaining output, and waiting input, follow when there is space. */
void auth_control_say(struct auth_control_client *client, enum ipc_kind kind, const void *message);

#endif
