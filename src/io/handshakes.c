/* SPDX-License-Identifier: Apache-2.0 */
#include "io/handshakes.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "io/clock.h"
#include "io/conn_tls.h"
#include "io/random.h"
#include "io/timer.h"

/* The waiting steps of one network. */
struct handshake_lane {
    struct handshakes *handshakes;
    struct handshake_network network;
    struct conn *first, *last;
    struct handshake_lane *previous, *next; /* in the ring, unless it sleeps */
    struct timer wake;
    bool sleeps; /* until the rules allow the next step */
};

static struct bytes key_of(const struct handshake_network *network)
{
    return bytes_of(network, sizeof *network);
}

/* ---- the ring of lanes ---- */

static void join_ring(struct handshake_lane *lane)
{
    struct handshakes *h = lane->handshakes;
    lane->next = NULL;
    lane->previous = h->last;
    *(h->last == NULL ? &h->first : &h->last->next) = lane;
    h->last = lane;
}

static void leave_ring(struct handshake_lane *lane)
{
    struct handshakes *h = lane->handshakes;
    *(lane->previous == NULL ? &h->first : &lane->previous->next) = lane->next;
    *(lane->next == NULL ? &h->last : &lane->next->previous) = lane->previous;
}

/* Runs after the events of this turn. */
static void run_soon(struct handshakes *h)
{
    if (h->first != NULL && !evtimer_pending(&h->turn.event, NULL))
        timer_soon(&h->turn);
}

static void lane_wakes(void *owner)
{
    struct handshake_lane *lane = owner;
    lane->sleeps = false;
    join_ring(lane);
    run_soon(lane->handshakes);
}

static void lane_sleeps(struct handshake_lane *lane, uint64_t wait_ms)
{
    leave_ring(lane);
    lane->sleeps = true;
    timer_set(&lane->wake, wait_ms);
}

static struct handshake_lane *lane_of(struct handshakes *h, const struct handshake_network *network)
{
    struct handshake_lane *lane = map_get(&h->lanes, key_of(network));
    if (lane != NULL)
        return lane;
    lane = memory_new(sizeof *lane);
    *lane = (struct handshake_lane){.handshakes = h, .network = *network};
    timer_start(&lane->wake, h->loop, lane_wakes, lane);
    map_put(&h->lanes, key_of(network), lane);
    join_ring(lane);
    return lane;
}

static void lane_free(struct handshake_lane *lane)
{
    timer_cancel(&lane->wake);
    if (!lane->sleeps)
        leave_ring(lane);
    map_remove(&lane->handshakes->lanes, key_of(&lane->network));
    free(lane);
}

/* ---- the places in a lane ---- */

static void insert(struct handshake_lane *lane, struct conn *conn, struct conn *previous)
{
    struct handshake_place *place = &conn->handshake;
    place->lane = lane;
    place->previous = previous;
    place->next = previous == NULL ? lane->first : previous->handshake.next;
    *(previous == NULL ? &lane->first : &previous->handshake.next) = conn;
    *(place->next == NULL ? &lane->last : &place->next->handshake.previous) = conn;
    lane->handshakes->queued++;
}

/* Frees the lane with its last conn. */
static void take_out(struct conn *conn)
{
    struct handshake_place *place = &conn->handshake;
    struct handshake_lane *lane = place->lane;
    *(place->previous == NULL ? &lane->first : &place->previous->handshake.next) = place->next;
    *(place->next == NULL ? &lane->last : &place->next->handshake.previous) = place->previous;
    place->lane = NULL;
    place->previous = place->next = NULL;
    lane->handshakes->queued--;
    if (lane->first == NULL)
        lane_free(lane);
}

void handshakes_queue(struct conn *conn)
{
    struct handshakes *h = conn->handshake.handshakes;
    assert(conn->handshake.lane == NULL);
    struct handshake_lane *lane = lane_of(h, &conn->handshake.network);
    /* A started handshake goes first: it is nearly done, and starting another would cost more. */
    insert(lane, conn, conn->handshake.begun ? NULL : lane->last);
    if (conn->handshake.begun && lane->sleeps) {
        timer_cancel(&lane->wake);
        lane_wakes(lane);
    }
    run_soon(h);
}

void handshakes_leave(struct conn *conn, bool failed)
{
    struct handshake_place *place = &conn->handshake;
    struct handshakes *h = place->handshakes;
    if (h == NULL)
        return;
    if (h->at_work == conn)
        h->at_work = NULL;
    if (place->lane != NULL)
        take_out(conn);
    if (failed && place->begun)
        h->rules->failed(h->owner, &place->network, place->cpu_us);
    place->handshakes = NULL;
}

/* ---- a turn ---- */

/* True if the client was gone, which cost next to nothing. */
static bool do_step(struct handshakes *h, struct conn *conn)
{
    struct handshake_network network = conn->handshake.network;
    conn->handshake.begun = true;
    h->at_work = conn;
    h->steps++;
    uint64_t before_us = clock_cpu_us();
    conn_handshake(conn);
    uint64_t cpu_us = clock_cpu_us() - before_us;
    bool gone = h->at_work != NULL && conn->ended && conn->tls.heard == 0;
    if (h->at_work != NULL)
        conn->handshake.cpu_us += cpu_us;
    h->at_work = NULL;
    h->rules->spent(h->owner, &network, cpu_us);
    return gone;
}

/* Runs one step of the next lane in turn, and some whose clients are gone; lanes that must wait go to
 * sleep. */
static void take_turn(void *owner)
{
    struct handshakes *h = owner;
    struct handshake_lane *lane;
    for (int gone = 0; gone < HANDSHAKES_GONE_A_TURN && (lane = h->first) != NULL;) {
        struct conn *conn = lane->first;
        uint64_t wait_ms = h->rules->wait_ms(h->owner, &lane->network, conn->handshake.begun);
        if (wait_ms > 0) {
            lane_sleeps(lane, wait_ms);
            continue;
        }
        leave_ring(lane);
        join_ring(lane);
        take_out(conn);
        if (!do_step(h, conn))
            break;
        gone++;
    }
    if (h->first != NULL)
        timer_set(&h->turn, 0); /* the next turn, after its events */
}

void handshakes_start(struct handshakes *handshakes, struct loop *loop, const struct handshake_rules *rules,
                      void *owner)
{
    *handshakes = (struct handshakes){.loop = loop, .rules = rules, .owner = owner};
    map_start(&handshakes->lanes, random_u64());
    timer_start(&handshakes->turn, loop, take_turn, handshakes);
}

void handshakes_free(struct handshakes *handshakes)
{
    if (handshakes->loop == NULL)
        return;
    assert(handshakes->queued == 0);
    timer_cancel(&handshakes->turn);
    map_free(&handshakes->lanes);
    handshakes->loop = NULL;
}
