/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept_share: distributes clients over the smtpd processes. All of them wait at the same sockets, and the
 * kernel lets the one accept that comes first: mostly the one that just ran, so that of twenty clients that
 * stay connected one process may get all, and one core the work.
 *
 * Each process publishes its number of connections in memory that all share. One that has clearly more than
 * another leaves the next client to that one for ACCEPT_SHARE_US: it goes on with its other connections, and
 * gives way to other processes. It does not sleep, so that a client whose other process is busy waits for no
 * timer; after a wait in vain it accepts ACCEPT_SHARE_BUSY clients without one. Where clients come and go
 * (ACCEPT_SHARE_ENDS_MAX short connections ended within two windows) their numbers differ at any moment and
 * even out by themselves: nobody waits.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_ACCEPT_SHARE_H
#define MAILBOAT_SERVICE_SMTPD_ACCEPT_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtpd;

enum {
    ACCEPT_SHARE_US = 200,  /* about twice the time in which a sleeping process wakes up */
    ACCEPT_SHARE_SLACK = 1, /* connections more than another, beside a quarter, are no reason to wait */
    ACCEPT_SHARE_BUSY = 8,
    ACCEPT_SHARE_WINDOW_MS = 100, /* also: connections that ended sooner come and go */
    ACCEPT_SHARE_ENDS_MAX = 4,
};

struct accept_share {
    uint64_t since_us; /* when the wait began; 0: none */
    size_t least;      /* connections of the other process then */
    uint32_t accepts;  /* clients left that are accepted without a wait */
    uint64_t window;   /* the current one, since 1970 or another moment */
    uint32_t ends[2];  /* short connections that ended in it, and in the one before */
    bool ended;        /* it accepts no more */
};

/* Publishes the number of connections; to be called whenever it changes, and once at the start. */
void accept_share_publish(const struct smtpd *smtpd);
/* A connection ended, so long after it was accepted. */
void accept_share_count_end(struct smtpd *smtpd, uint64_t after_ms);
/* True if the next client is left to another process, in this turn of the loop. */
bool accept_share_leaves(struct smtpd *smtpd);
/* The process accepts no more: no other one waits for it. */
void accept_share_end(struct smtpd *smtpd);

#endif
