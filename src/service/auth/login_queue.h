/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_queue: logins waiting for their password check, in a fair order. Known pairs (an address from
 * which the account authenticated before) come first, pair by pair in turn; then strangers, network by
 * network in turn (IPv4: a /24, IPv6: a /48). So a flood of guesses delays other strangers by one check
 * per flooding network, and known users by the one check that is running.
 *
 * At most LOGINS_WAITING_MAX strangers wait. When another arrives, the last one of the largest network is
 * dropped. Known pairs are never dropped: their number is bounded by the connections.
 *
 * Call login_queue_add() for one that cannot be checked immediately, login_queue_next() when a check can
 * start. The owner keeps the entries.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_QUEUE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_QUEUE_H

#include "base/map.h"
#include "service/auth/login_throttle.h"

enum {
    LOGINS_WAITING_MAX = 256, /* strangers */
    LOGINS_LOOKED_AT = 8,     /* of one group, to find one that no longer has to wait */
};

struct login_group;

struct queued_login {
    struct queued_login *next;
    struct login_group *group; /* NULL: not in a queue */
};

struct login_ring {
    struct login_group *first, *last;
    struct map groups; /* by key */
    size_t count;      /* entries */
};

struct login_queue {
    struct login_ring known, strangers;
};

void login_queue_start(struct login_queue *queue, uint64_t seed);
void login_queue_free(struct login_queue *queue); /* the queue must be empty */
/* Returns the dropped one, perhaps `login` itself; NULL: none was dropped. */
struct queued_login *login_queue_add(struct login_queue *queue, struct queued_login *login,
                                     const struct throttle_try *tried);
void login_queue_remove(struct login_queue *queue, struct queued_login *login); /* if it is queued */

/* Decides about an entry; called again each time. */
typedef enum throttle_verdict login_decide(void *owner, struct queued_login *login);
/* Takes the next one that no longer has to wait; NULL: none. */
struct queued_login *login_queue_next(struct login_queue *queue, login_decide *decide, void *owner,
                                      enum throttle_verdict *verdict);
/* Takes any; NULL: empty. */
struct queued_login *login_queue_take(struct login_queue *queue);

#endif
