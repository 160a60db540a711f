/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission_control: connection limits under load. core/server/admission.h holds the rules; this module
 * keeps the counts, over all smtpd processes, and acts on the rules.
 *
 * The listener calls admission_control_lets_in() for each client; if no place is free, it makes room by
 * closing the connection that has been idle longest in the network with the most strangers
 * (connection_limit.c defines networks). An accepted connection has a place, calls
 * admission_control_progress() after each progress, and leaves by admission_control_leave(). A timer ends
 * expired connections; under pressure once a second.
 *
 * Each process sees only its own connections. One that has fewer strangers than its part may exceed the
 * limit a little; another that has more closes as many, at its next client or within a second.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H
#define MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H

#include "core/server/admission.h"
#include "io/timer.h"
#include "run/child.h"

struct smtpd;
struct listener;
struct counted_network;
struct smtp_connection;

enum {
    /* interval of checks for pressure while there are many strangers */
    ADMISSION_CONTROL_LOOK_MS = 10 * 1000,
    ADMISSION_CONTROL_LOOK_PRESSED_MS = 1000,
    ADMISSION_CONTROL_TELL_MS = 60 * 1000,
    ADMISSION_CONTROL_LOOK_PART = 64, /* "many": one part in so many of all connections */
    ADMISSION_CONTROL_OWED_PART = 32, /* one part in so many of all connections may be borrowed */
    /* connections examined in vain to make room for one */
    ADMISSION_CONTROL_TRIES_MAX = 32,
    /* networks are indexed by their number of strangers, up to this */
    ADMISSION_CONTROL_BUCKETS = 256,
    ADMISSION_CONTROL_LOCAL_PORT = 0x10000, /* represents the local socket */
};

/* Connections by their last progress. */
struct admission_line {
    struct smtp_connection *first, *last;
};

/* Place of a connection. */
struct admission_place {
    struct admission_stay stay;
    struct admission_line *line; /* the line that it is in */
    struct smtp_connection *before, *after;
    bool known; /* it authenticated, or its address did before */
};

struct admission_control {
    struct admission all; /* of all processes, as last measured */
    size_t port_count;
    uint32_t names[ADMISSION_PORTS_MAX]; /* ports, in metrics */
    uint32_t strangers;                  /* of this process */
    /* processes with connections, including this one */
    uint32_t process_count;
    struct counted_network *buckets[ADMISSION_CONTROL_BUCKETS]; /* networks with strangers, by their number */
    uint32_t fullest;                                           /* highest non-empty bucket */
    struct admission_line known_clients, signed_in;
    struct timer look;
    uint64_t look_at_ms;           /* when the timer fires; 0: not set */
    uint64_t sent_away, logged_ms; /* since the last log line, and its time */
};

/* Once, when the listeners are known: numbers them. */
void admission_control_start(struct smtpd *smtpd);
/* True if this listener may accept one more; may close another for it. */
bool admission_control_lets_in(struct listener *listener, bool known);
/* Closes an idle connection for any client. False: all are active. */
bool admission_control_makes_room(struct smtpd *smtpd, bool for_known);
void admission_control_enter(struct smtp_connection *connection, bool known);
void admission_control_leave(struct smtp_connection *connection);
/* Records input, or an answer. */
void admission_control_progress(struct smtp_connection *connection);

#endif
