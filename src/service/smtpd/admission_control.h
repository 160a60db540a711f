/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission_control: very many connections at once. core/server/admission.h decides what is
 * due; here is counted what it needs to know, over all smtpd processes, and
 * carried out what it says.
 *
 * The door asks crowd_lets_in() for each who comes; it makes room where there is
 * none, by sending away the one that has waited longest of the network with the
 * most strangers (connection_limit.c knows networks). A dialogue that is let in has a
 * place, tells crowd_progress() whenever something came of it, and leaves by
 * crowd_leave(). A timer looks at those whose time is over; under pressure once a
 * second.
 *
 * Each process sees its own dialogues alone. One that has fewer strangers than its
 * part lets a few in beyond the limit; another that has more sends away as many, at
 * its next client or within a second.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H
#define MAILBOAT_SERVICE_SMTPD_ADMISSION_CONTROL_H

#include "run/child.h"
#include "io/loop.h"
#include "core/server/admission.h"

struct smtpd;
struct door;
struct visitor;
struct dialogue;

enum {
    CROWD_LOOK_MS = 10 * 1000,        /* while many strangers are here: is there pressure? */
    CROWD_LOOK_PRESSED_MS = 1000,
    CROWD_TELL_MS = 60 * 1000,
    CROWD_LOOK_PART = 64,             /* "many": one part of so many of all connections */
    CROWD_OWED_PART = 32,             /* one part of so many of all connections may be borrowed */
    CROWD_TRIES_MAX = 32,             /* dialogues that are asked in vain to make room for one */
    CROWD_BUCKETS = 256,              /* networks are found by their number of strangers, up to this */
    CROWD_LOCAL_PORT = 0x10000,       /* stands for the local socket */
};

/* Dialogues in the order of their last progress. */
struct crowd_line {
    struct dialogue *first, *last;
};

/* Of a dialogue. */
struct place {
    struct stay stay;
    struct crowd_line *line;       /* where it stands */
    struct dialogue *before, *after;
    bool known;                    /* it signed in, or its address did before */
};

struct crowd {
    struct admission all;          /* of all processes, as it was last measured */
    size_t port_count;
    uint32_t names[ADMISSION_PORTS_MAX]; /* of the ports in census */
    uint32_t strangers;            /* of this process */
    uint32_t process_count;        /* that have connections; this one, too */
    struct visitor *buckets[CROWD_BUCKETS]; /* networks with strangers, by their number */
    uint32_t fullest;              /* no bucket above has any */
    struct crowd_line familiar, signed_in;
    struct timer look;
    uint64_t look_at_ms;           /* when the timer rings; 0: it does not */
    uint64_t sent_away, told_ms;   /* since it was last told, and when that was */
};

/* Once, when the doors are known: they get their numbers. */
void crowd_start(struct smtpd *smtpd);
/* Is there room behind this door? Somebody else may have had to go for it. */
bool crowd_lets_in(struct door *door, bool known);
/* Sends one away that does nothing, whoever comes. False: all are at work. */
bool crowd_makes_room(struct smtpd *smtpd, bool for_known);
void crowd_enter(struct dialogue *dialogue, bool known);
void crowd_leave(struct dialogue *dialogue);
/* Something was heard, or answered. */
void crowd_progress(struct dialogue *dialogue);

#endif
