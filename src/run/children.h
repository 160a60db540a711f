/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children: the supervisor's processes and the channels between them.
 *
 * A child starts, sends READY, and ends: because it was drained (its successor continues with the same
 * channels, so that no question is lost) or because it died (its peers lose their channels and get fresh
 * ones with the successor). A child that cannot go on with a channel reports it (IPC_PEER_LOST), also with
 * its last words: the channel is then given up, so that its other end closes, and a fresh one is made.
 */
#ifndef MAILBOAT_RUN_CHILDREN_H
#define MAILBOAT_RUN_CHILDREN_H

#include "io/log_throttle.h"
#include "io/timer.h"
#include "io/watch.h"
#include "ipc/channel.h"
#include "run/child.h"
#include "run/listen.h"

enum {
    /* processes of one service, of all generations; 254 and 255 are the slots of pickup's and queue's own
     * queue ids */
    CHILD_NUMBERS = 254,
    RESTART_FIRST_MS = 100, /* delay after a second death in a row */
    RESTART_MAX_MS = 10 * 1000,
    /* delay after a channel failed for lack of descriptors, or a process for lack of memory */
    REJOIN_MS = 1000,
    RESTART_CALM_MS = 10 * 1000, /* a child that lived so long is restarted immediately */
};

enum child_stage { CHILD_STARTING, CHILD_RUNNING, CHILD_DRAINING, CHILD_WAITING /* to be restarted */ };

struct supervised {
    struct supervised *next;
    struct children *children;
    const struct service *service;
    uint32_t number;
    uint32_t generation; /* of its configuration */
    enum child_stage stage;
    pid_t pid; /* 0 while not running */
    /* shared with the child: the forbidden system call, plus one; 0: none (sandbox.h) */
    _Atomic int *forbidden_call;
    void *kept; /* shared with the child, and then with its successor; NULL if the service has none */
    struct channel control;
    struct watch watch;
    struct timer restart;
    uint64_t started_ms;
    uint64_t backoff_ms;
    bool succeeds; /* a successor takes its place once drained */
};

/* A channel between two children. Each has its end; the supervisor keeps a copy of the answerer's end for
 * its successor. */
struct child_link {
    struct child_link *next;
    uint64_t number; /* of all links that were ever made */
    struct supervised *asker, *answerer;
    int kept;
};

struct children {
    struct supervised *first;
    struct child_link *links;
    uint64_t last_link;
    struct timer rejoin; /* retries channels that could not be made */
    struct loop *loop;
    const struct config *config;
    const struct listen_set *listening;
    int local_listener;
    uint32_t generation;
    struct shared_mappings shared; /* memory that rows of the service table share */
    struct log_throttle joining, forking;
    bool started; /* all were ready once: deaths are survived from now on */
    bool stopping;
    void (*on_change)(void *owner); /* a child became ready or ended */
    /* Handles messages unrelated to the lifecycle; owns `attached` if it is not -1. */
    void (*on_message)(void *owner, struct supervised *from, enum ipc_kind kind,
                       const union ipc_message *message, int attached);
    /* in the new process, first: wipes the supervisor's private data */
    void (*on_forked)(void *owner);
    void (*on_stranger)(void *owner, pid_t pid, int status); /* another process ended */
    void (*on_failed_start)(void *owner, int exit_code);
    void *owner;
};

/* Once, before the first child: requires the fields up to here. Maps shared memory. */
bool children_prepare(struct children *children, service_list *services, struct error *error);
/* Starts as many of the current generation as configured; false if one cannot be forked. */
bool children_start(struct children *children, const struct service *service, struct error *error);
/* Tells it to finish. With `succeeds` a successor of the current generation follows. */
void children_drain(struct children *children, struct supervised *child, bool quick, bool succeeds);
void children_kill(struct children *children); /* sends SIGKILL to all */
/* In a fresh process that is no child of the list: gives up the supervisor's secrets and its memory. */
bool children_leave(const struct children *children);
/* Sends a message to all of a role. */
void children_broadcast(struct children *children, enum process_role role, enum ipc_kind kind,
                        const void *message);
/* Reaps ended processes; called on SIGCHLD. */
void children_reap(struct children *children);

/* True if all of the current generation are ready and only overlapping services have older processes. */
bool children_settled(const struct children *children);

/* ---- internal ---- */

bool children_is_alive(const struct supervised *child);
/* Forks it, with a fresh control channel. */
bool children_fork(struct children *children, struct supervised *child, struct error *error);
/* Unmaps the memory shared only with it. */
void children_unmap(struct supervised *child);
void children_control_ready(void *owner, bool readable, bool writable);
/* Makes channels between a child and all its peers. */
void children_join(struct children *children, struct supervised *child);
/* Retries that for all children. */
void children_rejoin(void *owner);
/* Handles an end that the child did not receive, or cannot use any more: a fresh channel follows after
 * REJOIN_MS, when the child may have a free descriptor. Does nothing if the channel is gone already. */
void children_link_lost(struct supervised *child, const struct ipc_peer *peer);
/* Closes a dead child's channels; its peers see their ends close. The channels on which it answers are
 * kept for a successor. */
void children_unlink_dead(struct children *children, struct supervised *dead, bool succeeds);
/* The successor continues reading where its predecessor stopped. */
void children_inherit_links(struct children *children, struct supervised *child);

#endif
