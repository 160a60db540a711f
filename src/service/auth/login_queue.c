/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/login_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

/* Logins that share a turn: of a known pair, or of a network. */
struct login_group {
    struct login_group *previous, *next; /* in the ring; the first is next */
    struct queued_login *first, *last;
    size_t count;
    struct login_ring *ring;
    struct buffer key;
};

void login_queue_start(struct login_queue *queue, uint64_t seed)
{
    *queue = (struct login_queue){0};
    map_start(&queue->known.groups, seed);
    map_start(&queue->strangers.groups, seed);
}

void login_queue_free(struct login_queue *queue)
{
    assert(queue->known.count + queue->strangers.count == 0);
    map_free(&queue->known.groups);
    map_free(&queue->strangers.groups);
}

/* ---- groups ---- */

static void add_key(struct buffer *key, const struct throttle_try *tried)
{
    struct bytes address = bytes_of_text(tried->address), network = bytes_of_text(tried->network);
    if (tried->known)
        buffer_add_format(key, "%s\n%s", tried->address, tried->account);
    else if (network.length > 0)
        buffer_add(key, network);
    else /* IPv4: its /24 */
        buffer_add(key, bytes_find_last(address, '.') == SIZE_MAX
                            ? address
                            : bytes_first(address, bytes_find_last(address, '.')));
}

static void link_last(struct login_ring *ring, struct login_group *group)
{
    group->previous = ring->last;
    group->next = NULL;
    if (ring->last != NULL)
        ring->last->next = group;
    else
        ring->first = group;
    ring->last = group;
}

static void unlink_group(struct login_ring *ring, struct login_group *group)
{
    if (group->previous != NULL)
        group->previous->next = group->next;
    else
        ring->first = group->next;
    if (group->next != NULL)
        group->next->previous = group->previous;
    else
        ring->last = group->previous;
}

static struct login_group *group_of(struct login_ring *ring, const struct throttle_try *tried)
{
    struct buffer key = {0};
    add_key(&key, tried);
    struct login_group *group = map_get(&ring->groups, buffer_bytes(&key));
    if (group != NULL) {
        buffer_free(&key);
        return group;
    }
    group = memory_new(sizeof *group);
    group->ring = ring;
    group->key = key;
    map_put(&ring->groups, buffer_bytes(&key), group);
    link_last(ring, group);
    return group;
}

/* Removes the one after `before`; frees the group with its last one. */
static struct queued_login *take_behind(struct login_group *group, struct queued_login *before)
{
    struct login_ring *ring = group->ring;
    struct queued_login *login = before == NULL ? group->first : before->next;
    if (before == NULL)
        group->first = login->next;
    else
        before->next = login->next;
    if (group->last == login)
        group->last = before;
    login->next = NULL;
    login->group = NULL;
    ring->count--;
    if (--group->count > 0)
        return login;
    unlink_group(ring, group);
    map_remove(&ring->groups, buffer_bytes(&group->key));
    buffer_free(&group->key);
    free(group);
    return login;
}

/* ---- adding and removing ---- */

static struct queued_login *take_last_of_largest(struct login_ring *ring)
{
    struct login_group *largest = ring->first;
    for (struct login_group *group = ring->first; group != NULL; group = group->next)
        if (group->count >= largest->count) /* the later one */
            largest = group;
    struct queued_login *before = NULL;
    while (largest->last != (before == NULL ? largest->first : before->next))
        before = before == NULL ? largest->first : before->next;
    return take_behind(largest, before);
}

struct queued_login *login_queue_add(struct login_queue *queue, struct queued_login *login,
                                     const struct throttle_try *tried)
{
    struct login_ring *ring = tried->known ? &queue->known : &queue->strangers;
    struct login_group *group = group_of(ring, tried);
    assert(login->group == NULL);
    login->next = NULL;
    login->group = group;
    if (group->last != NULL)
        group->last->next = login;
    else
        group->first = login;
    group->last = login;
    group->count++;
    ring->count++;
    return queue->strangers.count > LOGINS_WAITING_MAX ? take_last_of_largest(&queue->strangers) : NULL;
}

void login_queue_remove(struct login_queue *queue, struct queued_login *login)
{
    struct login_group *group = login->group;
    struct queued_login *before = NULL;
    if (group == NULL)
        return;
    assert(group->ring == &queue->known || group->ring == &queue->strangers);
    while (login != (before == NULL ? group->first : before->next))
        before = before == NULL ? group->first : before->next;
    take_behind(group, before);
}

/* Takes the next of this group, whose following turn comes after all others. */
static struct queued_login *next_of_group(struct login_group *group, login_decide *decide, void *owner,
                                          enum throttle_verdict *verdict)
{
    struct queued_login *before = NULL, *login = group->first;
    for (int i = 0; login != NULL && i < LOGINS_LOOKED_AT; i++, before = login, login = login->next) {
        *verdict = decide(owner, login);
        if (*verdict == LOGIN_WAITS)
            continue;
        unlink_group(group->ring, group);
        link_last(group->ring, group);
        return take_behind(group, before);
    }
    return NULL;
}

struct queued_login *login_queue_next(struct login_queue *queue, login_decide *decide, void *owner,
                                      enum throttle_verdict *verdict)
{
    struct login_ring *const rings[] = {&queue->known, &queue->strangers};
    for (size_t i = 0; i < ARRAY_LENGTH(rings); i++)
        for (struct login_group *group = rings[i]->first; group != NULL; group = group->next) {
            struct queued_login *login = next_of_group(group, decide, owner, verdict);
            if (login != NULL)
                return login;
        }
    return NULL;
}

struct queued_login *login_queue_take(struct login_queue *queue)
{
    struct login_group *group = queue->known.first != NULL ? queue->known.first : queue->strangers.first;
    return group == NULL ? NULL : take_behind(group, NULL);
}
