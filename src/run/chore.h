/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chore: work that the supervisor starts now and then in a short-lived process (service->tend), and the files
 * by which other processes learn of its results (service->follows).
 *
 * chore_start() once the server is ready; chore_ended() for each ended process that is not another child of
 * the supervisor; chore_stop() at the end. The work runs as the starting user, with none of the supervisor's
 * descriptors and secrets, and its end tells when it is due again.
 */
#ifndef MAILBOAT_RUN_CHORE_H
#define MAILBOAT_RUN_CHORE_H

#include "run/children.h"

enum {
    CHORE_FIRST_MS = 30 * 1000, /* after the server is ready: mail comes first */
    CHORE_MINUTE_MS = 60 * 1000,
    CHORE_MINUTES_MAX = 60, /* also where the work has died */
    CHORE_LIMIT_MS = 30 * 60 * 1000,
    CHORE_FOLLOWED_MAX = 16, /* services that follow a file */
};

/* A file as it was seen last. */
struct chore_file {
    uint64_t inode, seconds, nanoseconds; /* 0: there is none */
};

struct chore {
    const struct children *children;
    const struct service *const *services; /* whose work it is: the rows with `tend` */
    bool has_work;                         /* one of them has */
    struct timer due, limit;
    pid_t pid;                                      /* 0: not running */
    struct chore_file followed[CHORE_FOLLOWED_MAX]; /* by place in the list of services */
};

/* The work of all rows that have some is done in one process, in their order. `data`: the data directory. */
void chore_start(struct chore *chore, const struct children *children, service_list *services,
                 const struct folder *data);
/* True if the process was the work. */
bool chore_ended(struct chore *chore, pid_t pid, int status);
void chore_stop(struct chore *chore);

/* Looks at the file of a service, by its place in the list: true if it has changed since the last look. */
bool chore_has_news(struct chore *chore, const struct service *service, size_t place,
                    const struct folder *data);

#endif
