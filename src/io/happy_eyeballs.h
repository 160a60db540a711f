/* SPDX-License-Identifier: Apache-2.0 */
/*
 * happy_eyeballs: which of a host's addresses answers first (RFC 8305 5). The next one
 * is tried when the last was silent for HAPPY_EYEBALLS_STAGGER_MS, or at once where it
 * refused; those before it go on meanwhile. The first connection that comes
 * through is the owner's, the others are closed.
 *
 * happy_eyeballs_start(), then on_done once, from the loop; or happy_eyeballs_stop().
 */
#ifndef MAILBOAT_IO_HAPPY_EYEBALLS_H
#define MAILBOAT_IO_HAPPY_EYEBALLS_H

#include "io/conn.h"

enum { HAPPY_EYEBALLS_STAGGER_MS = 250 };

struct happy_eyeballs;
struct happy_eyeballs_events {
    /* The race is over, and may be let go by loop_release(). `descriptor`: connected, the
     * owner's, to addresses[index]; -1: none answered, and the `why` of the
     * last is a sentence. */
    void (*on_done)(void *owner, int descriptor, size_t index, enum conn_end end, const char *why);
};

struct happy_eyeballs {
    struct loop *loop;
    const struct happy_eyeballs_events *events;
    void *owner;
    struct route_address addresses[ROUTE_ADDRESSES_MAX];
    size_t count, started, failed;
    uint16_t port;
    uint32_t timeout_ms;
    bool refused, silent; /* somebody was; the end tells the strongest: who refuses is there */
    struct connect_attempt {
        struct happy_eyeballs *eyeballs;
        struct watch watch;
        int descriptor; /* -1: over, or not begun */
    } attempts[ROUTE_ADDRESSES_MAX];
    struct timer next, deadline;
    char why[160];
    struct released released; /* the owner's */
};

/* `timeout_ms`: for the last of them. */
void happy_eyeballs_start(struct happy_eyeballs *eyeballs, struct loop *loop,
                          const struct route_address *addresses, size_t count, uint16_t port,
                          uint32_t timeout_ms, const struct happy_eyeballs_events *events, void *owner);
void happy_eyeballs_stop(struct happy_eyeballs *eyeballs);

#endif
