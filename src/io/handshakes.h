/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshakes: the TLS handshakes that clients ask of a server, one step per
 * turn of its loop. A step costs up to some milliseconds of CPU where all
 * else that a loop does costs microseconds; so the events of a turn come
 * first (connections to accept, greetings, sessions), then one step, then the
 * next turn. A new client waits for one step at most, however many handshakes
 * are queued.
 *
 * The owner of the loop starts one queue; conn_queue_handshakes() puts a conn
 * into it, with the network that the client is from; the conn does the rest.
 * Networks take turns; of one network, a handshake that was begun goes before
 * one that was not, else first come, first served. `rules` say how long a
 * network has to wait, and are told what its handshakes have cost.
 * Memory: a conn has its place in the queue within itself; a network has a
 * lane (about 250 octets) while steps of it wait.
 */
#ifndef MAILBOAT_IO_HANDSHAKES_H
#define MAILBOAT_IO_HANDSHAKES_H

#include "base/map.h"
#include "io/loop.h"

struct conn;
struct handshake_lane;

/* Clients that hung up before their first step: as many end in a turn, more than
 * a turn accepts, so that they do not pile up. */
enum { HANDSHAKES_GONE_A_TURN = 64 };

/* Who pays: what the owner calls a network. All zero is one, too. */
struct handshake_network {
    uint64_t key[2];
};

struct handshake_rules {
    /* ms until a step may be done; 0: now. `begun`: the handshake has had a step. */
    uint64_t (*wait_ms)(void *owner, const struct handshake_network *network, bool begun);
    /* A step was done and cost so much CPU. */
    void (*spent)(void *owner, const struct handshake_network *network, uint64_t cpu_us);
    /* A handshake ended that was begun and did not succeed; it had cost so much. */
    void (*failed)(void *owner, const struct handshake_network *network, uint64_t cpu_us);
};

struct handshakes {
    struct loop *loop;
    const struct handshake_rules *rules;
    void *owner;
    struct map lanes;                    /* by network */
    struct handshake_lane *first, *last; /* those whose turn comes; the others sleep */
    struct conn *at_work;                /* whose step is being done; NULL once it was closed there */
    struct timer turn;
    uint64_t queued, steps; /* that wait now; that were done */
};

void handshakes_start(struct handshakes *handshakes, struct loop *loop, const struct handshake_rules *rules,
                      void *owner);
/* No conn is queued any more. */
void handshakes_free(struct handshakes *handshakes);

/* A conn's place. All zero: its steps are done when its socket is ready. */
struct handshake_place {
    struct handshakes *handshakes;
    struct handshake_network network;
    struct handshake_lane *lane; /* while it waits */
    struct conn *previous, *next;
    uint64_t cpu_us; /* that its steps have cost */
    bool begun;
};

/* ---- conn's ---- */
void handshakes_queue(struct conn *conn); /* a step can be done; it is not queued yet */
/* The conn is closed; `failed`: before its handshake was done. */
void handshakes_leave(struct conn *conn, bool failed);

#endif
