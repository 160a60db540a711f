/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: a virtual clock, chance from a seed, and links that lose, delay and
 * cut: everything outside the machines. One seed is one history.
 *
 * Events run in the order of their times. A link carries octets both ways in
 * order, in pieces of any size; in stormy weather it is cut after any octet,
 * or goes silent so that only time-outs help.
 */
#ifndef MAILBOAT_SIMULATION_WORLD_H
#define MAILBOAT_SIMULATION_WORLD_H

#include "base/arena.h"
#include "base/buffer.h"

enum { EPOCH_MS = 1 }; /* times begin behind 0, which means "never" */

struct world_event {
    uint64_t at_ms, order;
    void (*run)(void *owner);
    void *owner;
    const uint64_t *alive; /* runs only while this still holds `ticket` */
    uint64_t ticket;
};

struct world {
    uint64_t now_ms, order, random;
    bool stormy; /* faults happen */
    bool talkative;
    struct world_event *events; /* a heap */
    size_t event_count, event_room;
    struct arena memory; /* of all that lives as long as the world */
};

void world_start(struct world *world, uint64_t seed, bool talkative);
void world_free(struct world *world);
/* False when nothing more will happen. */
bool world_step(struct world *world);
void world_say(const struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t world_random(struct world *world, uint64_t below);
bool world_chance(struct world *world, unsigned per_thousand); /* only in stormy weather */
void world_after(struct world *world, uint64_t delay_ms, void (*run)(void *owner), void *owner);

/* An alarm of its owner: setting it again moves it. */
struct alarm {
    struct world *world;
    uint64_t ticket;
    void (*run)(void *owner);
    void *owner;
};
void alarm_start(struct alarm *alarm, struct world *world, void (*run)(void *owner), void *owner);
void alarm_set(struct alarm *alarm, uint64_t delay_ms);
void alarm_cancel(struct alarm *alarm);

/* One end of a link. */
struct end {
    struct link *link;
    struct end *other;
    struct buffer input;
    void (*on_input)(void *owner);
    void (*on_end)(void *owner); /* the other side closed, or the link was cut */
    void *owner;
    uint64_t last_ms; /* when the last piece sent from here arrives */
    bool closed;
};

struct link {
    struct world *world;
    struct end ends[2];
    bool cut, silent;
    uint64_t octets_left; /* until it is cut or goes silent */
    bool falls_silent;
};

/* Two connected ends; owners and callbacks are the callers' to set. */
struct link *link_new(struct world *world);
void end_send(struct end *end, struct bytes octets);
void end_close(struct end *end); /* what was sent arrives there, then the end; nothing comes here any more */

#endif
