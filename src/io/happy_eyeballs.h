/* SPDX-License-Identifier: Apache-2.0 */
/*
 * happy_eyeballs: connects to the first address of a host that answers (RFC 8305 5). The next address is
 * tried after HAPPY_EYEBALLS_STAGGER_MS of silence, or immediately after a refusal; earlier attempts
 * continue. The owner gets the first connection that succeeds; the others are closed.
 *
 * happy_eyeballs_start(), then on_done once, from the loop; or happy_eyeballs_stop().
 */
#ifndef MAILBOAT_IO_HAPPY_EYEBALLS_H
#define MAILBOAT_IO_HAPPY_EYEBALLS_H

#include "io/conn.h"
#include "io/timer.h"
#include "io/watch.h"

enum { HAPPY_EYEBALLS_STAGGER_MS = 250 };

struct happy_eyeballs;
struct happy_eyeballs_events {
    /* Reports the end; the struct may then be passed to loop_release(). `descriptor`: connected to
     * addresses[index], owned by the caller; -1: no address answered, and `why` is a sentence about the
     * last. */
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
    /* an address refused, or was silent; the reported reason prefers a refusal, which shows a live host */
    bool refused, silent;
    struct connect_attempt {
        struct happy_eyeballs *eyeballs;
        struct watch watch;
        int descriptor; /* -1: ended, or not started */
    } attempts[ROUTE_ADDRESSES_MAX];
    struct timer next, deadline;
    char why[160];
    struct released released; /* for the owner */
};

/* `timeout_ms`: for the last address. */
void happy_eyeballs_start(struct happy_eyeballs *eyeballs, struct loop *loop,
                          const struct route_address *addresses, size_t count, uint16_t port,
                          uint32_t timeout_ms, const struct happy_eyeballs_events *events, void *owner);
void happy_eyeballs_stop(struct happy_eyeballs *eyeballs);

#endif
