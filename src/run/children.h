/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children: the supervisor's processes and the channels between them.
 *
 * A child is started, says READY, and one day ends: because it was drained
 * (its successor goes on with the same channels, so that nothing that was
 * asked is lost) or because it died (its peers see their channels end and
 * get fresh ones with the successor).
 */
#ifndef MAILBOAT_RUN_CHILDREN_H
#define MAILBOAT_RUN_CHILDREN_H

#include "io/log_throttle.h"
#include "ipc/channel.h"
#include "run/child.h"
#include "run/listen.h"

enum {
    /* processes of one service, of all generations; 254 and 255 are the slots of pickup's and queue's own
       queue ids */
    CHILD_NUMBERS = 254,
    RESTART_FIRST_MS = 100, /* after a second death in a row */
    RESTART_MAX_MS = 10 * 1000,
    REJOIN_MS = 1000,            /* after there was no descriptor for a channel, or no room for a process */
    RESTART_CALM_MS = 10 * 1000, /* a child that lived so long starts again at once */
};

enum child_stage { CHILD_STARTING, CHILD_RUNNING, CHILD_DRAINING, CHILD_WAITING /* to be restarted */ };

struct supervised {
    struct supervised *next;
    struct children *children;
    const struct service *service;
    uint32_t number;
    uint32_t generation; /* of the configuration it runs with */
    enum child_stage stage;
    pid_t pid; /* 0 while none runs */
    /* shared with it: the system call that it died of, plus one; 0: none (sandbox.h) */
    _Atomic int *forbidden_call;
    void *kept; /* shared with it, and then with its successor; NULL where the service has none */
    struct channel control;
    struct watch watch;
    struct timer restart;
    uint64_t started_ms;
    uint64_t backoff_ms;
    bool succeeds; /* a successor takes its place when it has drained */
};

/* One channel between two children. Both have their ends; the supervisor
 * keeps a copy of the answerer's end for its successor. */
struct child_link {
    struct child_link *next;
    struct supervised *asker, *answerer;
    int kept;
};

struct children {
    struct supervised *first;
    struct child_link *links;
    struct timer rejoin; /* channels that could not be made */
    struct loop *loop;
    const struct config *config;
    const struct listen_set *listening;
    int local_listener;
    uint32_t generation;
    struct shared_mappings shared; /* what rows of the service table share */
    struct log_throttle joining, forking;
    bool started; /* all were ready once: from now on deaths are survived */
    bool stopping;
    void (*on_change)(void *owner); /* a child became ready or ended */
    /* What is not about its life; owns `attached` where it is not -1. */
    void (*on_message)(void *owner, struct supervised *from, enum ipc_kind kind,
                       const union ipc_message *message, int attached);
    /* in the new process, first of all: wipes what of the supervisor's is none of its business */
    void (*on_forked)(void *owner);
    void (*on_stranger)(void *owner, pid_t pid, int status); /* a process ended that is none of these */
    void (*on_failed_start)(void *owner, int exit_code);
    void *owner;
};

/* Once, before the first child: the fields up to here are set. Maps what the services share. */
bool children_prepare(struct children *children, service_list *services, struct error *error);
/* Starts as many of the current generation as the configuration wants; false when one cannot be forked. */
bool children_start(struct children *children, const struct service *service, struct error *error);
/* Tells it to finish. With `succeeds` a successor of the current generation follows. */
void children_drain(struct children *children, struct supervised *child, bool quick, bool succeeds);
void children_kill(struct children *children); /* SIGKILL to all that live */
/* Says it to all that live of a role. */
void children_broadcast(struct children *children, enum process_role role, enum ipc_kind kind,
                        const void *message);
/* Reaps what has ended; called on SIGCHLD. */
void children_reap(struct children *children);

/* True when all of the current generation are ready and no other is left but those that overlap. */
bool children_settled(const struct children *children);

/* ---- its parts ---- */

bool children_is_alive(const struct supervised *child);
/* Forks it, with a fresh control channel. */
bool children_fork(struct children *children, struct supervised *child, struct error *error);
/* Unmaps what the supervisor shares with it alone. */
void children_unmap(struct supervised *child);
void children_control_ready(void *owner, bool readable, bool writable);
/* Joins a child to all it talks with. */
void children_join(struct children *children, struct supervised *child);
/* The same for all: what could not be done before. */
void children_rejoin(void *owner);
/* It has no end of that channel: a fresh one follows, once it may have room for it. */
void children_link_lost(struct supervised *child, const struct ipc_peer *peer);
/* What a child had goes with it; the peers see their ends close. What others ask it is kept for a successor.
 */
void children_unlink_dead(struct children *children, struct supervised *dead, bool succeeds);
/* The successor reads on where its predecessor stopped. */
void children_inherit_links(struct children *children, struct supervised *child);

#endif
