/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickup: takes in what local programs have put into the drop folder while
 * nobody listened at the socket. It touches that folder and nothing else.
 *
 * pickup.c finds the files, one after the other; dropped.c looks at one;
 * passage.c brings its message to queue: asks auth where each recipient goes,
 * gives queue the content, and has the sender told of recipients that are
 * not there. Only when queue has stored all of that is the file removed: a
 * crash in between leads to a duplicate, never to a loss. The folder is synced
 * once what was found there is through, so that a power loss takes back the
 * last removals at most. What is bad is set aside under another name, and said so.
 */
#ifndef MAILBOAT_PICKUP_H
#define MAILBOAT_PICKUP_H

#include "child.h"
#include "map.h"
#include "message/dsn.h"
#include "pickup/dropped.h"
#include "queue/id.h"
#include "trouble.h"

enum pickup_limit {
    PICKUP_NAMES_MAX = 4096,            /* of one look into the folder */
    PICKUP_LOOK_MS = 60 * 1000,         /* between two looks, besides those when something arrives */
    PICKUP_BLIND_LOOK_MS = 1000,        /* the same where the kernel does not tell what arrives */
    PICKUP_RETRY_MS = 2 * 1000,         /* after something could not be taken in */
    PICKUP_ABANDONED_S = 24 * 60 * 60,  /* a file that is still being written then is not written any more */
    PICKUP_IGNORED_MAX = 1000,          /* files that cannot even be set aside */
    PICKUP_UNSYNCED_MAX = 64,           /* removals that a power loss may take back */
    PICKUP_SLOT = 254,                  /* of its queue ids */
    SUBMIT_TARGETS_MAX = 1024 * 1024,   /* octets of the recipients of one message to queue */
    SUBMIT_COUNT_MAX = 5000,            /* and how many */
};

/* Names in the folder: ".NAME" is being written, "bad-NAME" was set aside, NAME is for us. */
#define PICKUP_BAD "bad-"

struct pickup;

enum passage_step { PASSAGE_NONE, PASSAGE_RECIPIENT, PASSAGE_SPOOL, PASSAGE_SUBMIT };

/* One message on its way from the folder to queue. */
struct passage {
    enum passage_step step;   /* which question is open */
    uint64_t request;         /* its number */
    struct dropped dropped;
    struct origin origin;
    char account[32];         /* "uid 1000" */
    size_t asked;             /* recipients that were asked about */
    struct recipient *targets;
    size_t target_count, target_room, given; /* given: those that queue has */
    struct map seen;          /* targets by address */
    struct dsn_recipient *unknown;
    size_t unknown_count;
    bool reporting;           /* it is the report on the unknown ones now, the last thing */
    uint64_t id, spool;
    struct buffer content;    /* inline */
    uint64_t size;            /* of what queue gets */
    size_t giving;            /* targets in the open question */
};

/* How a passage ended. */
enum passage_end { PASSAGE_STORED, PASSAGE_BAD, PASSAGE_LATER };

struct pickup {
    struct child *child;
    int folder, inotify;      /* inotify: -1 where there is none */
    struct watch news;
    struct timer look;
    struct arena arena;       /* of the names */
    const char **names;
    size_t name_count, name_at;
    size_t unsynced;          /* removals since the folder was synced */
    bool unread;              /* there is more than was listed */
    bool again;               /* something must be tried again */
    bool arrived;             /* something came meanwhile */
    bool draining;
    struct trouble listing;
    struct map ignored;
    struct passage passage;
    uint64_t last_request;
    struct queue_id_maker ids;
};

/* ---- passage.c ---- */

/* Begins with a file that is FINE; passage_ended() follows, perhaps before this returns. */
void passage_begin(struct pickup *pickup);
void passage_answered(struct pickup *pickup, enum ipc_kind kind, union ipc_message *message, int attached);
/* auth or queue is gone: what is under way begins anew later. */
void passage_lost(struct pickup *pickup, enum process_role peer);

/* ---- pickup.c ---- */

/* `why` where it is BAD. */
void passage_ended(struct pickup *pickup, enum passage_end end, const char *why);

#endif
