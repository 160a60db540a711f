/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: one Mailboat: the real queue over a shaky store, its local delivery,
 * its relay (core/client/delivery) and the servers it takes mail by. Its
 * queue and its relay may die at any moment and come back.
 */
#ifndef MAILBOAT_SIMULATION_NODE_H
#define MAILBOAT_SIMULATION_NODE_H

#include "core/client/delivery.h"
#include "ledger.h"
#include "letters.h"
#include "peer.h"
#include "queue/queue.h"
#include "server.h"
#include "shaky.h"

enum { NODE_WAITING_MAX = 64, NODE_MAILBOX_MAX = 4096 };

struct node {
    struct world *world;
    struct letters *letters;
    struct shaky store;
    struct queue queue;
    struct queue_options options;
    struct ledger ledger;
    bool up, damaged;
    struct queue_id_maker ids;
    struct host host; /* takes submissions */
    struct alarm turn;
    struct {
        struct server *server;
        struct bytes content;
    } waiting[NODE_WAITING_MAX]; /* for the commit */
    size_t waiting_count;
    /* given while a commit is under way: they wait for its end */
    struct {
        struct server *server;
        struct envelope envelope;
        struct bytes content;
    } given[NODE_WAITING_MAX];
    size_t given_count;
    struct bytes unsaved[NODE_WAITING_MAX]; /* delivered far away; the result is not committed */
    size_t unsaved_count;
    struct node_errand *errands; /* local deliveries and look-ups under way */
    struct node_connection *connections;
    struct tls_fallback fallback; /* what they remember of hosts */
    /* what was delivered: never twice */
    struct {
        uint64_t id;
        struct bytes address;
    } mailbox[NODE_MAILBOX_MAX];
    size_t mailbox_count;
    struct alarm crash, relay_crash, departure; /* departure: of the store, and its return */
    uint64_t calm_ms;                           /* between two deaths, about */
    struct host far[3];                         /* mx1.there.test, mx2.there.test, far.test */
    struct peer *peers;                         /* in their places, for a while: those that misbehave */
    /* of there.test, far.test */
    enum far_policy { FAR_MAY, FAR_ENCRYPT, FAR_DANE, FAR_STS, FAR_POLICIES } policies[2];
};

/* `ground`: where its queue lies; NULL: in memory. */
void node_start(struct node *node, struct world *world, struct letters *letters, struct shaky_ground *ground);
void node_free(struct node *node);
/* A client's end of a link to it; NULL while nobody listens. */
struct end *node_connect(void *node);
/* Fair weather: room on the disk again. */
void node_calm(struct node *node);
bool node_is_empty(struct node *node);

#endif
