/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: what every process but the supervisor has: its loop, its control
 * channel, the channels to its peers, and the steps of its life.
 *
 * The supervisor forks and calls child_run() with the role's service. It
 * calls service->open (still privileged: read keys, open what is root's),
 * drops to the role's user, calls service->open_own (open what is in the role's
 * own folders), seals itself (sandbox.h), calls service->start, says READY and
 * runs the loop. Both name in child->paths what must stay open to it. Channels
 * to peers come and go: a peer that was restarted arrives as a fresh one.
 */
#ifndef MAILBOAT_RUN_CHILD_H
#define MAILBOAT_RUN_CHILD_H

#include "config/config.h"
#include "io/loop.h"
#include "io/tls.h"
#include "ipc/channel.h"
#include "run/sandbox.h"
#include "run/users.h"
#include "service/handshake_budget.h"
#include "service/over_quota_table.h"

struct child;

struct child_service {
    enum process_role role;
    size_t kept_octets; /* of memory that outlives the process: child->kept */
    /* Before the seal; may be NULL. The first is privileged, and does nothing in folders of other users. */
    bool (*open)(struct child *child, struct error *error);
    bool (*open_own)(struct child *child, struct error *error);
    bool (*start)(struct child *child, struct error *error); /* sealed; the loop exists */
    void (*on_message)(struct child *child, struct channel *from, enum ipc_kind kind,
                       union ipc_message *message, int attached); /* owns `attached` where it is not -1 */
    void (*on_turn)(struct child *child); /* all messages that waited have been handled; may be NULL */
    void (*on_peer)(struct child *child, struct channel *peer); /* a fresh channel; may be NULL */
    /* it died; questions to it are unanswered; may be NULL */
    void (*on_peer_lost)(struct child *child, struct channel *peer);
    /* Finish, then child_exit(0). `quick`: the server stops, so idle sessions end now; otherwise a successor
     * comes: smtpd's sessions may go on, the others call child_deafen() when they read no more questions:
     * what waits in the channels is then read by the successor. */
    void (*on_drain)(struct child *child, bool quick);
    /* what else it says; may be NULL */
    void (*on_supervisor)(struct child *child, enum ipc_kind kind, const union ipc_message *message);
};

/* What the smtpd processes know of each other, in memory that all of them
 * share: the limits are one for all. Each writes its own row; the supervisor
 * clears those of the dead. */
enum { DESCRIPTORS_BESIDE = 512 }; /* that a process has room for beside its connections */
enum {
    METRICS_SLOTS = 256,
    METRICS_TLS_HISTORY = 4096,
    METRICS_CLIENTS = 16384,
    METRICS_PORTS = 40,
    METRICS_KNOWN_CLIENTS = 65536,
    METRICS_HARVESTS = 32768,
    METRICS_NAMED = 262144
};
struct shared_metrics {
    _Atomic uint32_t connections[METRICS_SLOTS];
    /* of them, by address: see smtpd/connection_limit.c */
    _Atomic uint32_t clients[METRICS_SLOTS][METRICS_CLIENTS];
    struct metrics_port {
        _Atomic uint32_t name;             /* the port, or the local socket's stand-in; 0: the end */
        _Atomic uint32_t strangers, known; /* connections: see server/admission.h */
    } ports[METRICS_SLOTS][METRICS_PORTS];
    _Atomic uint32_t pressed; /* 1 while strangers have little patience */
    /* places that one process borrowed of another: see smtpd/admission_control.h */
    _Atomic uint32_t owed;
    /* addresses that signed in: see smtpd/known_clients.c */
    _Atomic uint64_t known_clients[METRICS_KNOWN_CLIENTS];
    struct harvest_slot {
        /* of unknown recipients, by address: see smtpd/harvest_table.c */
        _Atomic uint64_t counts, state;
    } harvests[METRICS_HARVESTS];
    _Atomic uint32_t named[METRICS_NAMED]; /* recipients that a client named lately: the same */
    unsigned char ticket_secret[TLS_TICKET_SECRET_OCTETS]; /* of TLS session tickets */
    struct handshake_budget handshakes;                    /* CPU of TLS handshakes, by network */
    /* how the clients of an address begin: see smtpd/tls_sniff.c */
    _Atomic uint64_t tls_history[METRICS_TLS_HISTORY];
};

struct child {
    const struct child_service *service;
    const struct config *config;
    uint32_t number; /* tells the smtpd processes apart: also the slot of their queue ids */
    struct loop *loop;
    const int *listeners; /* smtpd: listening sockets, in the order of listener_facts */
    const struct config_listener *listener_facts;
    size_t listener_count;
    int local_listener;                  /* smtpd: the socket in the data folder; -1 where there is none */
    struct shared_metrics *metrics;      /* smtpd: its own is connections[number] */
    struct over_quota_table *over_quota; /* local writes it, smtpd may read it; NULL for all others */
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

/* The channel to the first living peer of a role, or NULL; smtpd has many,
 * the others one. */
struct channel *child_peer(struct child *child, enum process_role role);
/* The same, each in its turn. */
struct channel *child_next_peer(struct child *child, enum process_role role);
/* Sends and sees to the rest (watching for room). False when the peer is not there. */
bool child_send(struct child *child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached);
bool child_send_supervisor(struct child *child, enum ipc_kind kind, const void *message);
/* The same with a descriptor, which stays the caller's to close. */
bool child_give_supervisor(struct child *child, enum ipc_kind kind, const void *message, int attached);
/* False when the content's file is missing: no descriptor was free for it. The
 * delivery is answered then: an empty message must not pass for this one. */
bool child_has_content(struct child *child, struct channel *from, const struct ipc_deliver *deliver,
                       int attached);
/* Reads no more of what others ask of us; answers to our own questions still come. */
void child_deafen(struct child *child);
/* During open, for those who use whole paths below the data directory later on and none elsewhere: from now
 * on it is the root directory, and child->config->data_dir is empty. Where it cannot be changed it does
 * nothing. */
bool child_enter_data_dir(struct child *child, struct error *error);
/* Ends the loop; the process exits with `code`. */
void child_exit(struct child *child, int code);

/* The whole life, in a freshly forked process: open, drop, seal, start, run.
 * `control` is the channel's end to the supervisor. Returns the exit code. */
int child_run(struct child *child, int control);

/* The services, one a process. */
extern const struct child_service smtpd_service, auth_service, queue_service, relay_service, local_service,
    pickup_service, web_service;

#endif
