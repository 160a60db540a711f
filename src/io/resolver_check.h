/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver_check: do the resolvers of this machine answer? libunbound gives the
 * same failure for a resolver that is silent, one that refuses, and a domain
 * whose own servers are broken. Here each resolver is asked directly, by UDP,
 * for the name that failed and for the root's servers, which every resolver
 * knows: any reply shows that it is there.
 *
 * resolver_check_start(), then on_done once, from the loop: as soon as one
 * resolver has answered, all have failed, or the time is over. Or
 * resolver_check_stop().
 */
#ifndef MAILBOAT_IO_RESOLVER_CHECK_H
#define MAILBOAT_IO_RESOLVER_CHECK_H

#include "io/resolver_list.h"
#include "io/timer.h"
#include "io/watch.h"

/* Of several resolvers the last one counts. */
enum resolver_state {
    RESOLVER_UNKNOWN,     /* not looked at */
    RESOLVER_NONE,        /* none is configured */
    RESOLVER_UNREACHABLE, /* the kernel or an ICMP message says so: no route, nothing listens there */
    RESOLVER_SILENT,
    RESOLVER_REFUSES, /* RCODE 5 for the name (RFC 1035 4.1.1) */
    RESOLVER_FAILS,   /* RCODE 2 for the name */
    RESOLVER_ANSWERS,
};

enum { RESOLVER_QUESTION_MAX = 12 + 255 + 1 + 4, RESOLVER_AGAIN_MS = 500 /* packets get lost */ };

struct resolver_check {
    struct loop *loop;
    void (*on_done)(void *owner);
    void *owner;
    struct resolver_asked {
        struct resolver_check *check;
        int descriptor; /* -1: closed */
        struct watch watch;
        enum resolver_state state;
        bool there; /* it replied to one of the questions */
    } asked[RESOLVER_LIST_MAX];
    size_t count;
    uint8_t name[RESOLVER_QUESTION_MAX], root[RESOLVER_QUESTION_MAX];
    size_t name_length, root_length; /* 0: the name cannot be asked for */
    struct timer again, deadline;
    enum resolver_state state; /* the result */
    bool running;
};

/* `name`: the one that failed, in ASCII. */
void resolver_check_start(struct resolver_check *check, struct loop *loop, const struct resolver_list *list,
                          const char *name, uint32_t limit_ms, void (*on_done)(void *owner), void *owner);
void resolver_check_stop(struct resolver_check *check);
/* True if no resolver answers at all: a failure tells nothing about the name. */
static inline bool resolver_state_is_dead(enum resolver_state state)
{
    return state == RESOLVER_NONE || state == RESOLVER_UNREACHABLE || state == RESOLVER_SILENT;
}

#endif
