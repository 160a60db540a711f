/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshakes: a server's queue of TLS handshakes, one step per turn of its loop. A step costs up to some
 * milliseconds of CPU, while everything else in a loop costs microseconds; so the events of a turn come
 * first (connections to accept, greetings, sessions), then one step, then the next turn. A new client
 * waits for one step at most, however many handshakes are queued.
 *
 * The owner of the loop starts one queue; conn_queue_handshakes() adds a conn to it, with the client's
 * network; the conn does the rest. Networks take turns; within a network, a started handshake goes before
 * a new one, otherwise first come, first served. `rules` decide how long a network waits, and learn the
 * cost of its handshakes. Memory: the queue's links are inside the conn; a network has a lane (about 250
 * octets) while its steps wait.
 */
#ifndef MAILBOAT_IO_HANDSHAKES_H
#define MAILBOAT_IO_HANDSHAKES_H

#include "base/map.h"
#include "io/timer.h"

struct conn;
struct handshake_lane;

/* Clients that hung up before their first step: up to this many are ended per turn, more than a turn
 * accepts, so that they do not pile up. */
enum { HANDSHAKES_GONE_A_TURN = 64 };

/* The network charged for a handshake, as its owner names it. All zero is valid. */
struct handshake_network {
    uint64_t key[2];
};

struct handshake_rules {
    /* Returns ms until a step may run; 0: now. `begun`: the handshake has had a step. */
    uint64_t (*wait_ms)(void *owner, const struct handshake_network *network, bool begun);
    /* Reports the CPU time of a step. */
    void (*spent)(void *owner, const struct handshake_network *network, uint64_t cpu_us);
    /* Reports a started handshake that did not succeed, and its CPU time. */
    void (*failed)(void *owner, const struct handshake_network *network, uint64_t cpu_us);
};

struct handshakes {
    struct loop *loop;
    const struct handshake_rules *rules;
    void *owner;
    struct map lanes;                    /* by network */
    struct handshake_lane *first, *last; /* awake lanes in turn */
    struct conn *at_work;                /* whose step is running; NULL once it was closed there */
    struct timer turn;
    uint64_t queued, steps; /* conns waiting; steps done */
};

void handshakes_start(struct handshakes *handshakes, struct loop *loop, const struct handshake_rules *rules,
                      void *owner);
/* No conn may be queued any more. */
void handshakes_free(struct handshakes *handshakes);

/* A conn's place in the queue. All zero: its steps run as soon as its socket is ready. */
struct handshake_place {
    struct handshakes *handshakes;
    struct handshake_network network;
    struct handshake_lane *lane; /* while it waits */
    struct conn *previous, *next;
    uint64_t cpu_us; /* cost of its steps */
    bool begun;
};

/* ---- for conn ---- */
void handshakes_queue(struct conn *conn); /* a step can run; not queued yet */
/* The conn is closed; `failed`: before its handshake succeeded. */
void handshakes_leave(struct conn *conn, bool failed);

#endif
