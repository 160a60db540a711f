/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission_control: very many connections at once. core/server/admission.h decides what is
 * due; here is counted what it needs to know, over all smtpd processes, and
 * carried out what it says.
 *
 * The listener asks admission_control_lets_in() for each who comes; it makes room where there is
 * none, by sending away the one that has waited longest of the network with the
 * most strangers (connection_limit.c knows networks). A connection that is let in has a
 * place, tells admission_control_progress() whenever something came of it, and leaves by
 * admission_control_leave(). A timer looks at those whose time is over; under pressure once a
 * second.
 *
 * Each process sees its own connections alone. One that has fewer strangers than its
 * part lets a few in beyond the limit; another that has more sends away as many, at
 * its next client or within a second.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H
#define MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H

#include "core/server/admission.h"
#include "io/loop.h"
#include "run/child.h"

struct smtpd;
struct listener;
struct counted_network;
struct smtp_connection;

enum {
    ADMISSION_CONTROL_LOOK_MS = 10 * 1000, /* while many strangers are here: is there pressure? */
    ADMISSION_CONTROL_LOOK_PRESSED_MS = 1000,
    ADMISSION_CONTROL_TELL_MS = 60 * 1000,
    ADMISSION_CONTROL_LOOK_PART = 64, /* "many": one part of so many of all connections */
    ADMISSION_CONTROL_OWED_PART = 32, /* one part of so many of all connections may be borrowed */
    /* connections that are asked in vain to make room for one */
    ADMISSION_CONTROL_TRIES_MAX = 32,
    /* networks are found by their number of strangers, up to this */
    ADMISSION_CONTROL_BUCKETS = 256,
    ADMISSION_CONTROL_LOCAL_PORT = 0x10000, /* stands for the local socket */
};

/* Connections in the order of their last progress. */
struct admission_line {
    struct smtp_connection *first, *last;
};

/* Of a connection. */
struct admission_place {
    struct admission_stay stay;
    struct admission_line *line; /* where it stands */
    struct smtp_connection *before, *after;
    bool known; /* it signed in, or its address did before */
};

struct admission_control {
    struct admission all; /* of all processes, as it was last measured */
    size_t port_count;
    uint32_t names[ADMISSION_PORTS_MAX];                        /* of the ports in metrics */
    uint32_t strangers;                                         /* of this process */
    uint32_t process_count;                                     /* that have connections; this one, too */
    struct counted_network *buckets[ADMISSION_CONTROL_BUCKETS]; /* networks with strangers, by their number */
    uint32_t fullest;                                           /* no bucket above has any */
    struct admission_line known_clients, signed_in;
    struct timer look;
    uint64_t look_at_ms;           /* when the timer rings; 0: it does not */
    uint64_t sent_away, logged_ms; /* since it was last told, and when that was */
};

/* Once, when the listeners are known: they get their numbers. */
void admission_control_start(struct smtpd *smtpd);
/* Is there room behind this listener? Somebody else may have had to go for it. */
bool admission_control_lets_in(struct listener *listener, bool known);
/* Sends one away that does nothing, whoever comes. False: all are at work. */
bool admission_control_makes_room(struct smtpd *smtpd, bool for_known);
void admission_control_enter(struct smtp_connection *connection, bool known);
void admission_control_leave(struct smtp_connection *connection);
/* Something was heard, or answered. */
void admission_control_progress(struct smtp_connection *connection);

#endif
