/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: one row per service of the server, defined in its own folder (service/smtpd/smtpd.c:
 * smtpd_service) and collected in one list (service/services.h), which `serve` passes to the supervisor.
 * Everything in run/ is driven by these rows: the start order and process counts, folder owners, shared
 * memory, the sandbox, and the order of shutdown. Only the table in ipc/ defines which process asks which
 * (ipc_asks).
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

/* Shutdown stages: each ends when all of its processes have ended. A process ends before those that it
 * asks, except for deliveries, whose results are recorded by the process that requested them. */
enum service_stop {
    STOP_INTAKE,    /* accepts mail and questions */
    STOP_DELIVERY,  /* delivers for the next stage */
    STOP_RECORDS,   /* records the results */
    STOP_ANSWERERS, /* answers all of them */
    SERVICE_STOPS
};

/* A command that the supervisor runs for a sandboxed process, and its key in the configuration. */
struct service_command {
    const char *line, *key; /* `line` NULL: none */
};

struct service {
    enum process_role role; /* names the process, and its user: mailboat-NAME */

    /* ---- how many, and when ---- */
    /* Returns the number wanted; NULL: one. At most one if not overlapping. */
    uint32_t (*count)(const struct config *config);
    /* On a reload, new processes start beside the old, which finish their work; others are replaced, one
     * after the other, by a successor that reads the same channels. */
    bool overlaps;
    bool resolves; /* it read resolv.conf when it started: another list of resolvers needs a successor */
    bool asks_to_the_end; /* gets channels to fresh processes even while it drains */
    enum service_stop stop;

    /* ---- resources ---- */
    unsigned keeps;     /* of enum sandbox_keeps: its sandbox permissions */
    const char *folder; /* in the data directory, owned by its user; NULL: none */
    /* any user may add files to the folder; the process sets its mode when ready */
    bool folder_is_shared;
    const char *folder_hint; /* hint for when the owner of the folder has changed; NULL: none */
    /* a second folder of its user, readable by the group of another process; root owned it in an earlier
     * release, and it is given over with its contents. NULL: none */
    const char *shown_folder;
    enum process_role shown_to;
    const char *socket; /* in the data directory; removed by the supervisor at the end */
    bool listens;       /* gets the listening sockets, and `socket` as another */
    struct service_share shares[SERVICE_SHARES_MAX];
    size_t kept_octets; /* of its own memory that outlives the process: child->kept */

    /* ---- in the supervisor ---- */
    /* Once, before the data directory is changed: false if another server uses it. May be NULL. */
    bool (*check_free)(const struct folder *data, struct error *error);
    /* Before the start and each reload, privileged, in a short-lived process (subprocess.h). May be NULL. */
    bool (*prepare)(const struct config *config, struct error *error);
    /* Now and then, privileged, in a short-lived process (chore.h): returns the minutes until the next time,
     * from 1. May be NULL. */
    uint32_t (*tend)(const struct config *config);
    /* A file in the data directory: when it is replaced, a successor takes over (not if overlapping). NULL:
     * none. */
    const char *follows;
    /* Answers IPC_SECRET. May be NULL. */
    struct service_command (*command)(const struct config *config);

    /* ---- in its process, in this order ---- */
    /* Before the sandbox; may be NULL. The first is privileged, and does nothing in folders of other
     * users. */
    bool (*open)(struct child *child, struct error *error);
    bool (*open_own)(struct child *child, struct error *error);
    bool (*start)(struct child *child, struct error *error); /* sandboxed; the loop exists */
    void (*on_message)(struct child *child, struct channel *from, enum ipc_kind kind,
                       union ipc_message *message, int attached); /* owns `attached` if it is not -1 */
    void (*on_turn)(struct child *child); /* all pending messages have been handled; may be NULL */
    void (*on_peer)(struct child *child, struct channel *peer); /* a fresh channel; may be NULL */
    /* the peer died; questions to it are unanswered; may be NULL */
    void (*on_peer_lost)(struct child *child, struct channel *peer);
    /* Finish, then call child_exit(0). `quick`: the server stops, so idle sessions end now; otherwise a
     * successor follows: sessions of overlapping services may continue, the others call child_deafen()
     * once they read no more questions: the successor then reads those left in the channels. It can be
     * called again: when the server stops meanwhile, and after the rest of a question has arrived. */
    void (*on_drain)(struct child *child, bool quick);
    /* The process ends in order: closes what it has on disk. May be NULL. */
    void (*on_end)(struct child *child);
    /* other messages of the supervisor; may be NULL */
    void (*on_supervisor)(struct child *child, enum ipc_kind kind, const union ipc_message *message);
};

/* A list of rows in the order of start and replacement, NULL after the last. */
typedef const struct service *const service_list;

const char *service_name(const struct service *service);
/* Returns how many of it are wanted. */
uint32_t service_count(const struct service *service, const struct config *config);
/* Aborts if a list is inconsistent: a duplicate role, or too many processes of one. */
void service_list_check(service_list *services, const struct config *config);

#endif
