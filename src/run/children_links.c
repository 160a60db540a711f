/* SPDX-License-Identifier: Apache-2.0 */
/* children_links: creates the channels between the processes, by the table in ipc/ (ipc_asks). */
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/children.h"

static void send_peer(struct supervised *whom, const struct supervised *about, uint64_t link, int descriptor)
{
    struct ipc_peer peer = {.role = about->service->role, .number = about->number, .link = link};
    channel_send(&whom->control, IPC_PEER, &peer, descriptor);
    watch_change(&whom->watch, true, channel_wants_write(&whom->control));
}

static void link_new(struct children *children, struct supervised *asker, struct supervised *answerer)
{
    int ends[2];
    struct error error;
    if (!channel_pair(ends, &error)) {
        if (log_throttle_is_due(&children->joining, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "channel_failed", LOG_TEXT("error", error.text));
        timer_set(&children->rejoin, REJOIN_MS);
        return;
    }
    log_throttle_recovered(&children->joining, clock_now_ms());
    struct child_link *link = memory_new(sizeof *link);
    *link = (struct child_link){children->links, ++children->last_link, asker, answerer, ends[1]};
    children->links = link;
    send_peer(asker, answerer, link->number, ends[0]);
    send_peer(answerer, asker, link->number, ends[1]);
    close(ends[0]);
}

static void link_remove(struct children *children, struct child_link *link)
{
    for (struct child_link **at = &children->links; *at != NULL; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            break;
        }
    close(link->kept);
    free(link);
}

void children_unlink_dead(struct children *children, struct supervised *dead, bool succeeds)
{
    for (struct child_link *link = children->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->asker == dead || (link->answerer == dead && !succeeds))
            link_remove(children, link);
    }
}

static bool linked(const struct children *children, const struct supervised *asker,
                   const struct supervised *answerer)
{
    for (const struct child_link *link = children->links; link != NULL; link = link->next)
        if (link->asker == asker && link->answerer == answerer)
            return true;
    return false;
}

static void join_generation(struct children *children, struct supervised *child, bool current)
{
    for (struct supervised *other = children->first; other != NULL; other = other->next) {
        if (!children_is_alive(other) || other == child ||
            (other->generation == children->generation) != current)
            continue;
        /* A draining process gets no channel to new peers. */
        if (other->stage == CHILD_DRAINING && !other->service->asks_to_the_end)
            continue;
        if (ipc_asks(child->service->role, other->service->role) && other->stage != CHILD_DRAINING &&
            !linked(children, child, other))
            link_new(children, child, other);
        if (ipc_asks(other->service->role, child->service->role) && !linked(children, other, child))
            link_new(children, other, child);
    }
}

/* A child asks the peer that it got last: one of the current generation, if there is one. */
void children_join(struct children *children, struct supervised *child)
{
    join_generation(children, child, false);
    join_generation(children, child, true);
}

void children_rejoin(void *owner)
{
    struct children *children = owner;
    for (struct supervised *child = children->first; child != NULL; child = child->next)
        if (children_is_alive(child) && child->stage != CHILD_DRAINING)
            children_join(children, child);
}

void children_link_lost(struct supervised *child, const struct ipc_peer *peer)
{
    struct children *children = child->children;
    for (struct child_link *link = children->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->number != peer->link || (link->asker != child && link->answerer != child))
            continue;
        link_remove(children, link);
        timer_set(&children->rejoin, REJOIN_MS);
    }
}

void children_inherit_links(struct children *children, struct supervised *child)
{
    for (struct child_link *link = children->links; link != NULL; link = link->next)
        if (link->answerer == child)
            send_peer(child, link->asker, link->number, link->kept);
}
