/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: what every process but the supervisor has: its loop, its control
 * channel, the channels to its peers, and the steps of its life.
 *
 * The supervisor forks and calls child_run() with the service's row. It
 * calls service->open (still privileged: read keys, open what is root's),
 * drops to the role's user, calls service->open_own (open what is in the role's
 * own folders), seals itself (sandbox.h), calls service->start, says READY and
 * runs the loop. Both name in child->paths what must stay open to it. Channels
 * to peers come and go: a peer that was restarted arrives as a fresh one.
 */
#ifndef MAILBOAT_RUN_CHILD_H
#define MAILBOAT_RUN_CHILD_H

#include "io/loop.h"
#include "run/service.h"
#include "run/users.h"

enum { DESCRIPTORS_BESIDE = 512 }; /* that a process has room for beside its connections */

struct child {
    const struct service *service;
    const struct config *config;
    uint32_t number; /* tells processes of one service apart: of smtpd also the slot of their queue ids */
    struct loop *loop;
    const int *listeners; /* of one that listens: the sockets, in the order of listener_facts */
    const struct config_listener *listener_facts;
    size_t listener_count;
    int local_listener; /* of one that listens: the socket in the data folder; -1 where there is none */
    const struct shared_mappings *shared; /* see child_shared() */
    /* kept_octets of the service's own memory, as the
     * predecessor left it, however that ended; zeros at first */
    void *kept;
    void *service_data;          /* the service's own */
    pid_t supervisor;            /* who forked us */
    struct process_user user;    /* whom it becomes */
    _Atomic int *forbidden_call; /* shared with the supervisor: see sandbox.h */
    struct sandbox_paths *paths; /* during open: what the seal shall leave open (sandbox_allow) */
    struct child_wiring *wiring; /* child.c's own */
};

/* The shared memory that the service's row names. */
void *child_shared(const struct child *child, const struct shared_memory *memory);
/* The channel to the first living peer of a role, or NULL; smtpd has many,
 * the others one. */
struct channel *child_peer(struct child *child, enum process_role role);
/* The same, each in its turn. */
struct channel *child_next_peer(struct child *child, enum process_role role);
/* Sends and sees to the rest (watching for room). False when the peer is not there. */
bool child_send(struct child *child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached);
bool child_send_supervisor(struct child *child, enum ipc_kind kind, const void *message);
/* False when the content's file is missing: no descriptor was free for it. The
 * delivery is answered then: an empty message must not pass for this one. */
bool child_has_content(struct child *child, struct channel *from, const struct ipc_deliver *deliver,
                       int attached);
/* Reads no more of what others ask of us; answers to our own questions still come. */
void child_deafen(struct child *child);
/* Reads that again. */
void child_hear(struct child *child);
/* During open, for those who use whole paths below the data directory later on and none elsewhere: from now
 * on it is the root directory, and child->config->data_dir is empty. Where it cannot be changed it does
 * nothing. */
bool child_enter_data_dir(struct child *child, struct error *error);
/* Ends the loop; the process exits with `code`. */
void child_exit(struct child *child, int code);

/* The whole life, in a freshly forked process: open, drop, seal, start, run.
 * `control` is the channel's end to the supervisor. Returns the exit code. */
int child_run(struct child *child, int control);

#endif
