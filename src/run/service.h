/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: one row for each process of the server, defined in the process's
 * own folder (service/smtpd/smtpd.c: smtpd_service) and collected in one list
 * (service/services.h), which `serve` hands to the supervisor. Everything in
 * run/ follows from these rows: who starts when and how many, which folder is
 * whose, who shares memory, what the seal leaves, who ends before whom. Whom a
 * process asks stands in the table of ipc/ alone (ipc_asks).
 */
#ifndef MAILBOAT_RUN_SERVICE_H
#define MAILBOAT_RUN_SERVICE_H

#include "config/config.h"
#include "io/folder.h"
#include "ipc/channel.h"
#include "run/sandbox.h"
#include "run/shared_memory.h"

struct child;

enum { SERVICE_SHARES_MAX = 4 };

/* When the server stops, each stage ends when all of its processes have ended: whoever asks ends before
 * whoever answers, but for deliveries, whose results are recorded by the one that asked for them. */
enum service_stop {
    STOP_INTAKE,    /* lets mail and questions in */
    STOP_DELIVERY,  /* delivers for the next stage */
    STOP_RECORDS,   /* records the results */
    STOP_ANSWERERS, /* answers all of them */
    SERVICE_STOPS
};

/* A program that the supervisor runs for a process that may run none, and its key in the configuration. */
struct service_command {
    const char *line, *key; /* `line` NULL: there is none */
};

struct service {
    enum process_role role; /* gives its name, and its user's: mailboat-NAME */

    /* ---- how many, and when ---- */
    /* How many are wanted; NULL: one. Those that do not overlap are one at most. */
    uint32_t (*count)(const struct config *config);
    /* A reload starts new ones beside the old, which finish what they have; all others are replaced, one
     * after the other, by a successor that reads the same channels. */
    bool overlaps;
    bool asks_to_the_end; /* gets channels to fresh processes while it drains, too */
    enum service_stop stop;

    /* ---- what it has ---- */
    unsigned keeps;     /* of enum sandbox_keeps: the system calls that its seal leaves */
    const char *folder; /* in the data directory, its user's own; NULL: none */
    /* everybody may put files into the folder; the process sets its mode when it is there */
    bool folder_is_shared;
    const char *folder_hint; /* what to do when the folder went to another user; NULL: nothing */
    /* a second folder of its user's, which the group of another process can read; it was root's in an
     * earlier release, and is given over with what is in it. NULL: none */
    const char *shown_folder;
    enum process_role shown_to;
    const char *socket; /* in the data directory; the supervisor removes it in the end */
    bool listens;       /* gets the listening sockets, and `socket` as one more */
    struct service_share shares[SERVICE_SHARES_MAX];
    size_t kept_octets; /* of memory of its own that outlives the process: child->kept */

    /* ---- in the supervisor ---- */
    /* Once, before the data directory is touched: false if another server works there. May be NULL. */
    bool (*check_free)(const struct folder *data, struct error *error);
    /* Before the start and each reload, privileged, in a process that ends (subprocess.h). May be NULL. */
    bool (*prepare)(const struct config *config, struct error *error);
    /* Answers IPC_SECRET. May be NULL. */
    struct service_command (*command)(const struct config *config);

    /* ---- in its process, in this order ---- */
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
     * comes: sessions of those that overlap may go on, the others call child_deafen() when they read no more
     * questions: what waits in the channels is then read by the successor. */
    void (*on_drain)(struct child *child, bool quick);
    /* what else it says; may be NULL */
    void (*on_supervisor)(struct child *child, enum ipc_kind kind, const union ipc_message *message);
};

/* A list of rows: in the order of the start and of replacement, NULL behind the last. */
typedef const struct service *const service_list;

const char *service_name(const struct service *service);
/* How many of it are wanted. */
uint32_t service_count(const struct service *service, const struct config *config);
/* Aborts where a list contradicts itself: a role twice, more of one than can be. */
void service_list_check(service_list *services, const struct config *config);

#endif
