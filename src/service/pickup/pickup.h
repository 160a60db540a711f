/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickup: submits messages that local programs have put into the drop directory while the server was down.
 * It accesses only that directory.
 *
 * pickup.c lists the files and processes them one after the other; drop_file.c reads one; permission.c
 * asks auth whether its user may send it, and as which sender; limited_users.c keeps the users over their
 * limit; drop_submission.c submits the message to queue: it drives a submission (service/submission/) for
 * as many recipients as one may have, then for the rest, and reports unknown recipients to the sender. The
 * file is removed only after queue has stored everything: a crash in between causes a duplicate, never a
 * loss. The folder is synced after each scan, so that a power loss undoes at most the last removals.
 * Invalid files are set aside under another name, and logged.
 */
#ifndef MAILBOAT_SERVICE_PICKUP_PICKUP_H
#define MAILBOAT_SERVICE_PICKUP_PICKUP_H

#include "base/map.h"
#include "core/message/dsn.h"
#include "core/message/gate.h"
#include "core/server/content.h"
#include "io/log_throttle.h"
#include "io/timer.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/pickup/drop_file.h"
#include "service/submission/submission.h"

enum pickup_limit {
    PICKUP_NAMES_MAX = 4096,           /* per scan of the folder */
    PICKUP_LOOK_MS = 60 * 1000,        /* between scans, besides those on new files */
    PICKUP_BLIND_LOOK_MS = 1000,       /* the same without inotify */
    PICKUP_RETRY_MS = 2 * 1000,        /* after a temporary failure */
    PICKUP_ABANDONED_S = 24 * 60 * 60, /* an unfinished file of this age is abandoned */
    PICKUP_IGNORED_MAX = 1000,         /* files that cannot even be renamed */
    PICKUP_UNSYNCED_MAX = 64,          /* removals that a power loss may undo */
    PICKUP_WAITS_MAX = 256,            /* users over their sending limit */
    PICKUP_WAITING_LOOK_MS = 1000,     /* between scans while there are such: each reads all files */
    PICKUP_SLOT = 254,                 /* of its queue ids */
    SUBMIT_TARGETS_MAX = 1024 * 1024,  /* octets of the recipients of one message to queue */
    SUBMIT_COUNT_MAX = 5000,           /* their number */
};

/* Names in the folder: ".NAME" is being written, "bad-NAME" was set aside, others are to be picked up. */
#define PICKUP_BAD "bad-"

struct pickup;

/* One message being submitted from the folder to queue. */
struct drop_submission {
    bool busy; /* one is in progress */
    struct submission submission;
    struct drop_file drop_file;
    struct origin origin;
    char account[32];  /* "uid 1000" */
    struct gate gate;  /* its header passes through it, to check authors */
    uint32_t wait_s;   /* how long its user has to wait */
    bool asking;       /* recipients are being resolved; of a report its only one */
    bool sender_asked; /* reporting: its recipient was resolved */
    size_t asked;      /* recipients resolved */
    struct recipient *targets;
    size_t target_count, target_capacity, given; /* given: targets stored by queue */
    struct map seen;                             /* targets by address */
    struct dsn_recipient *unknown;
    size_t unknown_count;
    bool reporting; /* the report on unknown recipients is being submitted, the last step */
    /* of the current submission to queue: some of the targets, or the report */
    struct envelope given_envelope;
    struct buffer report;   /* if the report is being sent */
    struct content content; /* decoder state */
    uint64_t copied;        /* octets of the file written */
    bool copying;           /* the rest follows when there is space */
};

/* The result of a submission. */
enum drop_submission_end {
    DROP_SUBMISSION_STORED,
    DROP_SUBMISSION_BAD,
    DROP_SUBMISSION_LATER,
    DROP_SUBMISSION_WAITS
};

struct limited_user {
    uint32_t uid;
    uint64_t until_ms;
};

struct pickup {
    struct child *child;
    int folder, inotify; /* inotify: -1 if unavailable */
    struct watch news;
    struct timer look;
    struct arena arena; /* of the names */
    const char **names;
    size_t name_count, name_at;
    size_t unsynced; /* removals since the folder was synced */
    bool unread;     /* more files than listed */
    bool again;      /* something must be retried */
    bool arrived;    /* files arrived meanwhile */
    bool draining;
    struct log_throttle listing;
    struct limited_user limited_users[PICKUP_WAITS_MAX];
    size_t wait_count;
    uint64_t looked_ms; /* when the folder was last listed */
    struct map ignored;
    struct drop_submission submission;
    struct submissions submissions;
};

/* ---- drop_submission.c ---- */

/* Starts with a file that is FINE; pickup_submission_ended() follows, perhaps before this returns. */
void drop_submission_begin(struct pickup *pickup);
void drop_submission_go_on(struct pickup *pickup); /* permission was granted */
void drop_submission_end(struct pickup *pickup, enum drop_submission_end end, const char *why);

/* ---- permission.c ---- */
/* drop_submission_go_on() or drop_submission_end() follows. */
void permission_ask(struct pickup *pickup);
void permission_sender_answered(struct pickup *pickup, enum sender_verdict verdict);
void permission_limit_answered(struct pickup *pickup, enum limit_verdict verdict, uint32_t number);

/* ---- limited_users.c ---- */
void limited_users_add(struct pickup *pickup, uint32_t uid, uint32_t wait_s);
void limited_users_expire(struct pickup *pickup);
bool limited_users_has(struct pickup *pickup, const char *name); /* the file's user is waiting */
uint64_t limited_users_next_ms(const struct pickup *pickup, uint64_t most_ms); /* until one may send again */

/* ---- pickup.c ---- */

/* `why` if it is BAD. */
void pickup_submission_ended(struct pickup *pickup, enum drop_submission_end end, const char *why);

#endif
