/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickup: takes in what local programs have put into the drop folder while
 * nobody listened at the socket. It touches that folder and nothing else.
 *
 * pickup.c finds the files, one after the other; drop_file.c looks at one;
 * permission.c asks auth whether its user may send it, and as whom; limited_users.c
 * keeps those who have sent too much for now;
 * drop_submission.c brings its message to queue: drives a submission
 * (service/submission/) for as many recipients as one may have, then for the
 * rest, and has the sender told of recipients that are not there. Only when queue has stored all of that is
 * the file removed: a crash in between leads to a duplicate, never to a loss. The folder is synced once what
 * was found there is through, so that a power loss takes back the last removals at most. What is bad is set
 * aside under another name, and said so.
 */
#ifndef MAILBOAT_SERVICE_PICKUP_PICKUP_H
#define MAILBOAT_SERVICE_PICKUP_PICKUP_H

#include "base/map.h"
#include "core/message/dsn.h"
#include "core/message/gate.h"
#include "core/server/content.h"
#include "io/log_throttle.h"
#include "run/child.h"
#include "service/pickup/drop_file.h"
#include "service/submission/submission.h"

enum pickup_limit {
    PICKUP_NAMES_MAX = 4096,           /* of one look into the folder */
    PICKUP_LOOK_MS = 60 * 1000,        /* between two looks, besides those when something arrives */
    PICKUP_BLIND_LOOK_MS = 1000,       /* the same where the kernel does not tell what arrives */
    PICKUP_RETRY_MS = 2 * 1000,        /* after something could not be taken in */
    PICKUP_ABANDONED_S = 24 * 60 * 60, /* a file that is still being written then is not written any more */
    PICKUP_IGNORED_MAX = 1000,         /* files that cannot even be set aside */
    PICKUP_UNSYNCED_MAX = 64,          /* removals that a power loss may take back */
    PICKUP_WAITS_MAX = 256,            /* users who have sent too much for now */
    PICKUP_WAITING_LOOK_MS = 1000,     /* between two looks while there are such: each looks at all files */
    PICKUP_SLOT = 254,                 /* of its queue ids */
    SUBMIT_TARGETS_MAX = 1024 * 1024,  /* octets of the recipients of one message to queue */
    SUBMIT_COUNT_MAX = 5000,           /* and how many */
};

/* Names in the folder: ".NAME" is being written, "bad-NAME" was set aside, NAME is for us. */
#define PICKUP_BAD "bad-"

struct pickup;

/* One message on its way from the folder to queue. */
struct drop_submission {
    bool busy; /* there is one */
    struct submission submission;
    struct drop_file drop_file;
    struct origin origin;
    char account[32]; /* "uid 1000" */
    struct gate gate; /* what its header passes: of whom it says that it is from */
    uint32_t wait_s;  /* how long its user has to wait */
    size_t asked;     /* recipients that were asked about */
    struct recipient *targets;
    size_t target_count, target_capacity, given; /* given: those that queue has */
    struct map seen;                             /* targets by address */
    struct dsn_recipient *unknown;
    size_t unknown_count;
    bool reporting;                 /* it is the report on the unknown ones now, the last thing */
    struct envelope given_envelope; /* of what is on its way to queue: some of the targets, or the report */
    struct buffer report;           /* where that is what is sent */
    struct content content;         /* what was read of it */
    uint64_t copied;                /* octets of the file that are written */
    bool copying;                   /* the rest follows when there is room */
};

/* How a submission ended. */
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
    int folder, inotify; /* inotify: -1 where there is none */
    struct watch news;
    struct timer look;
    struct arena arena; /* of the names */
    const char **names;
    size_t name_count, name_at;
    size_t unsynced; /* removals since the folder was synced */
    bool unread;     /* there is more than was listed */
    bool again;      /* something must be tried again */
    bool arrived;    /* something came meanwhile */
    bool draining;
    struct log_throttle listing;
    struct limited_user limited_users[PICKUP_WAITS_MAX];
    size_t wait_count;
    uint64_t looked_ms; /* when the folder was listed last */
    struct map ignored;
    struct drop_submission submission;
    struct submissions submissions;
};

/* ---- drop_submission.c ---- */

/* Begins with a file that is FINE; pickup_submission_ended() follows, perhaps before this returns. */
void drop_submission_begin(struct pickup *pickup);
void drop_submission_go_on(struct pickup *pickup); /* it may be sent */
void drop_submission_end(struct pickup *pickup, enum drop_submission_end end, const char *why);

/* ---- permission.c ---- */
/* drop_submission_go_on() or drop_submission_end() follows. */
void permission_ask(struct pickup *pickup);
void permission_sender_answered(struct pickup *pickup, enum sender_verdict verdict);
void permission_limit_answered(struct pickup *pickup, enum limit_verdict verdict, uint32_t number);

/* ---- limited_users.c ---- */
void limited_users_add(struct pickup *pickup, uint32_t uid, uint32_t wait_s);
void limited_users_expire(struct pickup *pickup);
bool limited_users_has(struct pickup *pickup, const char *name); /* the file is of a user who waits */
uint64_t limited_users_next_ms(const struct pickup *pickup, uint64_t most_ms); /* until one may send again */

/* ---- pickup.c ---- */

/* `why` where it is BAD. */
void pickup_submission_ended(struct pickup *pickup, enum drop_submission_end end, const char *why);

#endif
