/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void world_start(struct world *world, uint64_t seed, bool talkative)
{
    *world = (struct world){.now_ms = EPOCH_MS,
                            .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
                            .stormy = true,
                            .talkative = talkative};
}

void world_free(struct world *world)
{
    free(world->events);
    arena_clear(&world->memory);
}

void world_say(const struct world *world, const char *format, ...)
{
    va_list arguments;
    if (!world->talkative)
        return;
    printf("%10llu ms  ", (unsigned long long)world->now_ms);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* ---- chance ---- */

uint64_t world_random(struct world *world, uint64_t below)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return below == 0 ? z : z % below;
}

bool world_chance(struct world *world, unsigned per_thousand)
{
    return world->stormy && world_random(world, 1000) < per_thousand;
}

/* ---- events ---- */

static bool earlier(const struct world_event *a, const struct world_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct world_event *a, struct world_event *b)
{
    struct world_event kept = *a;
    *a = *b;
    *b = kept;
}

static void add(struct world *world, struct world_event event)
{
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room == 0 ? 64 : world->event_room * 2;
        world->events = memory_resize(world->events, world->event_room * sizeof event);
    }
    size_t i = world->event_count++;
    event.order = world->order++;
    world->events[i] = event;
    for (; i > 0 && earlier(&world->events[i], &world->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&world->events[i], &world->events[(i - 1) / 2]);
}

static struct world_event take(struct world *world)
{
    struct world_event first = world->events[0];
    world->events[0] = world->events[--world->event_count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < world->event_count && earlier(&world->events[left], &world->events[least]))
            least = left;
        if (right < world->event_count && earlier(&world->events[right], &world->events[least]))
            least = right;
        if (least == i)
            return first;
        swap(&world->events[i], &world->events[least]);
        i = least;
    }
}

bool world_step(struct world *world)
{
    if (world->event_count == 0)
        return false;
    struct world_event event = take(world);
    assert(event.at_ms >= world->now_ms);
    if (event.alive != NULL && *event.alive != event.ticket)
        return true;
    world->now_ms = event.at_ms;
    event.run(event.owner);
    return true;
}

void world_after(struct world *world, uint64_t delay_ms, void (*run)(void *owner), void *owner)
{
    add(world, (struct world_event){.at_ms = world->now_ms + delay_ms, .run = run, .owner = owner});
}

void alarm_start(struct alarm *alarm, struct world *world, void (*run)(void *owner), void *owner)
{
    *alarm = (struct alarm){.world = world, .run = run, .owner = owner};
}

void alarm_set(struct alarm *alarm, uint64_t delay_ms)
{
    struct world *world = alarm->world;
    alarm->ticket++;
    add(world, (struct world_event){.at_ms = world->now_ms + delay_ms,
                                    .run = alarm->run,
                                    .owner = alarm->owner,
                                    .alive = &alarm->ticket,
                                    .ticket = alarm->ticket});
}

void alarm_cancel(struct alarm *alarm)
{
    alarm->ticket++;
}

/* ---- links ---- */

struct piece {
    struct end *to; /* who gets it */
    struct bytes octets;
    bool ends; /* no octets: the sender closed */
};

struct link *link_new(struct world *world)
{
    struct link *link = ARENA_NEW(&world->memory, struct link);
    link->world = world;
    link->octets_left = UINT64_MAX;
    if (world_chance(world, 250)) {
        link->octets_left = world_random(world, 3000);
        link->falls_silent = world_random(world, 3) == 0;
    }
    for (int i = 0; i < 2; i++)
        link->ends[i] = (struct end){.link = link, .other = &link->ends[1 - i]};
    return link;
}

static void arrive(void *owner)
{
    struct piece *piece = owner;
    struct end *to = piece->to;
    bool deaf = to->closed || to->link->silent;
    if (!deaf && piece->ends) {
        to->on_end(to->owner);
    } else if (!deaf) {
        buffer_add(&to->input, piece->octets);
        to->on_input(to->owner);
    }
}

static void post(struct end *from, struct bytes octets, bool ends)
{
    struct world *world = from->link->world;
    uint64_t at_ms = world->now_ms + world_random(world, world_chance(world, 20) ? 20000 : 30);
    struct piece *piece = ARENA_NEW(&world->memory, struct piece);
    *piece = (struct piece){from->other, arena_copy(&world->memory, octets), ends};
    if (at_ms < from->last_ms)
        at_ms = from->last_ms; /* in order */
    from->last_ms = at_ms;
    world_after(world, at_ms - world->now_ms, arrive, piece);
}

static void cut(struct link *link)
{
    if (link->falls_silent) {
        link->silent = true;
        return;
    }
    link->cut = true;
    for (int i = 0; i < 2; i++)
        if (!link->ends[i].closed)
            post(link->ends[i].other, bytes_none(), true);
}

void end_send(struct end *end, struct bytes octets)
{
    struct link *link = end->link;
    while (octets.length > 0 && !link->cut && !end->closed) {
        size_t length = world_random(link->world, 3) == 0 ? 1 + world_random(link->world, 40) : octets.length;
        struct bytes piece = bytes_first(octets, length);
        bool fatal = piece.length >= link->octets_left;
        piece = bytes_first(piece, fatal ? (size_t)link->octets_left : piece.length);
        if (piece.length > 0)
            post(end, piece, false);
        octets = bytes_from(octets, piece.length);
        link->octets_left -= link->octets_left == UINT64_MAX ? 0 : piece.length;
        if (fatal) {
            cut(link);
            return;
        }
    }
}

void end_close(struct end *end)
{
    buffer_free(&end->input);
    if (end->closed)
        return;
    if (!end->link->cut)
        post(end, bytes_none(), true);
    end->closed = true;
}
