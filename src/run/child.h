/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: the common part of every process but the supervisor: its loop, its control channel, the channels
 * to its peers, and its lifecycle.
 *
 * The supervisor forks and calls child_run() with the service's row. child_run() calls service->open
 * (still privileged: reads keys, opens root's files), drops to the role's user, calls service->open_own
 * (opens the role's own folders), enters the sandbox (sandbox.h), calls service->start, sends READY and
 * runs the loop. Both open functions list in child->paths the files that must stay accessible. Channels to
 * peers come and go: a restarted peer gets a fresh one.
 *
 * A process that is drained leaves the channels on which it answers to its successor, which reads on where it
 * stopped: never within a message (ipc/channel.h). So child_exit() first waits until the messages that were
 * read in part are whole; they are handled, then service->on_drain is called again. No other message is begun
 * meanwhile. A sender that does not send the rest in time, and one that does not read the answers, lose their
 * channel (IPC_PEER_LOST), as if the process had died: their open questions fail, and they get a fresh
 * channel. So does a peer that sent something malformed.
 */
#ifndef MAILBOAT_RUN_CHILD_H
#define MAILBOAT_RUN_CHILD_H

#include "io/loop.h"
#include "run/service.h"
#include "run/users.h"

enum {
    DESCRIPTORS_BESIDE = 512, /* reserved per process besides its connections */
    CHILD_REST_MS = 5000,     /* an ending process waits so long for the rest of messages */
};

struct child {
    const struct service *service;
    const struct config *config;
    uint32_t number; /* distinguishes processes of one service: for smtpd also the slot of its queue ids */
    struct loop *loop;
    const int *listeners; /* of a listening service: the sockets, in the order of listener_facts */
    const struct config_listener *listener_facts;
    size_t listener_count;
    int local_listener; /* of a listening service: the socket in the data directory; -1 if none */
    const struct shared_mappings *shared; /* see child_shared() */
    /* kept_octets of the service's own memory, as the predecessor left it, even after a crash; zeros at
     * first */
    void *kept;
    void *service_data;          /* owned by the service */
    pid_t supervisor;            /* the parent */
    struct process_user user;    /* the user to change to */
    _Atomic int *forbidden_call; /* shared with the supervisor: see sandbox.h */
    struct sandbox_paths *paths; /* during open: files that stay accessible in the sandbox (sandbox_allow) */
    struct child_wiring *wiring; /* private to child.c */
};

/* Returns the shared memory that the service's row lists. */
void *child_shared(const struct child *child, const struct shared_memory *memory);
/* Returns the channel to the first living peer of a role, or NULL; smtpd has several processes, the others
 * one. */
struct channel *child_peer(struct child *child, enum process_role role);
/* The same, round robin. */
struct channel *child_next_peer(struct child *child, enum process_role role);
/* Sends, and watches for capacity if needed. False if the peer is gone. */
bool child_send(struct child *child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached);
bool child_send_supervisor(struct child *child, enum ipc_kind kind, const void *message);
/* False if the content's file is missing, because no descriptor was free for it. The delivery is then
 * answered with a failure: an empty message must not replace this one. */
bool child_has_content(struct child *child, struct channel *from, const struct ipc_deliver *deliver,
                       int attached);
/* Stops reading questions of others; answers to own questions still arrive. */
void child_deafen(struct child *child);
/* Resumes that. */
void child_hear(struct child *child);
/* During open, for services that later use whole paths only below the data directory: makes it the root
 * directory, with child->config->data_dir empty. Does nothing if the root cannot be changed. */
bool child_enter_data_dir(struct child *child, struct error *error);
/* True if a question was read in part. The rest follows, or the peer is lost. */
bool child_reads_partial(const struct child *child);
/* Ends the loop; the process exits with `code`. With EX_OK, after a drain, questions that were read in part
 * come first, and then another call of service->on_drain. */
void child_exit(struct child *child, int code);

/* Runs the whole lifecycle in a freshly forked process: open, drop, sandbox, start, run. `control` is the
 * channel's end to the supervisor. Returns the exit code. */
int child_run(struct child *child, int control);

#endif
