/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_queue: sign-ins that wait until their password can be checked, in a
 * fair order. Those of a known pair (an address from which the account signed
 * in before) come first, pair by pair in turn; then strangers, network by
 * network in turn (IPv4: a /24, IPv6: a /48). So a flood of guesses delays
 * other strangers by one check per network that floods, and known users by
 * the one check that is running.
 *
 * At most LOGINS_WAITING_MAX strangers wait. When one more comes, the last one
 * of the network that has most of them loses its place. Known pairs are never
 * turned away: there are as many of them as connections at most.
 *
 * login_queue_add() when one arrives that cannot be checked at once,
 * login_queue_next() when there is room to check. Entries are their owner's.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_QUEUE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_QUEUE_H

#include "base/map.h"
#include "service/auth/login_throttle.h"

enum {
    LOGINS_WAITING_MAX = 256, /* strangers */
    LOGINS_LOOKED_AT = 8,     /* of one group, in search of one that need not wait any more */
};

struct login_group;

struct queued_login {
    struct queued_login *next;
    struct login_group *group; /* NULL: it is in no queue */
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
void login_queue_free(struct login_queue *queue); /* nobody waits any more */
/* Returns the one that has no place in the queue, perhaps `login` itself; NULL: all have one. */
struct queued_login *login_queue_add(struct login_queue *queue, struct queued_login *login,
                                     const struct throttle_try *tried);
void login_queue_remove(struct login_queue *queue, struct queued_login *login); /* where it is in it */

/* What is to be done with one of them; asked anew each time. */
typedef enum throttle_verdict login_decide(void *owner, struct queued_login *login);
/* Takes out the next one that need not wait any more; NULL: there is none. */
struct queued_login *login_queue_next(struct login_queue *queue, login_decide *decide, void *owner,
                                      enum throttle_verdict *verdict);
/* Takes out any; NULL: nobody waits. */
struct queued_login *login_queue_take(struct login_queue *queue);

#endif
