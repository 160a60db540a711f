/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission: who may connect when very many do, and how long each may stay.
 * smtpd counts (smtpd/admission_control.c); this decides, with the time as an argument.
 *
 * Shares. A fifth of all connections is reserved for clients that are known:
 * who has signed in, and who comes to a submission port from an address that
 * signed in before. They may have more, but a quarter is left to strangers, for
 * other servers are such. What strangers may have is half divided equally between
 * the ports (the local socket is one of them), half open to any of them. So a
 * flood on one port leaves the others usable, and no flood of strangers leaves
 * the users of the house outside.
 *
 * Pressure. When most of that open half is in use, or of all connections, then
 * strangers get little patience (as in Postfix' stress mode) and those who do
 * nothing go first. Who signed in keeps the time of always.
 *
 * Stay. Besides the time for each command (RFC 5321 4.5.3.2) a connection has a
 * budget of time, which only progress refills: a message that was stored, a
 * recipient that was accepted, octets of content. Commands that lead nowhere
 * and single octets refill nothing. A session that has signed in has more.
 */
#ifndef MAILBOAT_CORE_SERVER_ADMISSION_H
#define MAILBOAT_CORE_SERVER_ADMISSION_H

#include "core/server/server_session.h"

enum admission_limit {
    ADMISSION_PORTS_MAX = 40,
    KNOWN_SHARE = 5,     /* one part of so many is reserved for known clients */
    STRANGERS_SHARE = 4, /* one part of so many is left to strangers */
    /* of what they may have, one part of so many is divided between the ports */
    PORT_SHARE = 2,
    PRESSURE_BEGIN_PERCENT = 70,
    PRESSURE_END_PERCENT = 60,

    STAY_MX_MS = 10 * 60 * 1000,        /* on 25 without progress */
    STAY_SUBMISSION_MS = 5 * 60 * 1000, /* on a submission port until it has signed in */
    STAY_SIGNED_IN_MS = 30 * 60 * 1000, /* afterwards, and of local programs: without progress */
    STAY_RECIPIENT_MS = 2000,           /* that an accepted recipient is worth */
    STAY_OCTETS_A_SECOND = 500,         /* of content: slower loses time, faster gains it back */

    /* Under pressure, of strangers: */
    PRESSED_STEP_MS = 10 * 1000, /* for the next command, a handshake or PRESSED_STEP_OCTETS */
    PRESSED_STEP_OCTETS = STAY_OCTETS_A_SECOND * PRESSED_STEP_MS / 1000,
    PRESSED_STAY_MS = 60 * 1000, /* until the next content */
    /* one that gave content so lately makes room for nobody; nor one
     * that named a recipient of ours, until PRESSED_STAY_MS */
    WORKED_RECENTLY_MS = 10 * 1000,
    /* a client that signed in, and then did nothing for so long, may make room */
    SIGNED_IN_IDLE_MS = 60 * 1000,
};

/* ---- shares ---- */

/* Connections of all smtpd processes together. */
struct admission {
    uint32_t max;
    uint32_t known;
    uint32_t strangers[ADMISSION_PORTS_MAX]; /* by port */
    size_t port_count;                       /* at least 1 */
};

/* Known clients have all that they may. */
bool admission_known_are_many(const struct admission *admission);
/* Is there room for one more? False: somebody has to go first, or it cannot come in. */
bool admission_has_room(const struct admission *admission, size_t port, bool known);
/* `already`: it was under pressure just before; it ends later than it begins. */
bool admission_is_pressed(const struct admission *admission, bool already);

/* ---- one connection's stay ---- */

struct admission_stay {
    enum server_role role;
    struct server_progress seen; /* what was counted already */
    uint64_t until_ms;           /* the end of its budget */
    uint64_t progress_ms;        /* when it came, signed in, or last gave content or a message */
    uint64_t recipient_ms;       /* when it was last told of a recipient that is ours */
    uint64_t step_ms;            /* when it last said something whole, or came */
    uint64_t step_octets;        /* of content at that time */
};

enum admission_stay_verdict {
    STAY_GOES_ON,
    STAY_IS_OVER,      /* its budget is used up */
    STAY_IS_IN_THE_WAY /* others need its place: only under pressure, and never one that is known */
};

void admission_stay_begin(struct admission_stay *stay, enum server_role role, uint64_t now_ms);
void admission_stay_count(struct admission_stay *stay, const struct server_progress *progress,
                          uint64_t now_ms);
/* It was us who were slow: its time is not shorter for that. */
void admission_stay_excuse(struct admission_stay *stay, uint64_t now_ms);
enum admission_stay_verdict admission_stay_check(const struct admission_stay *stay, bool pressed, bool known,
                                                 uint64_t now_ms);
/* Whether a newcomer may have its place. */
bool admission_stay_can_make_room(const struct admission_stay *stay, uint64_t now_ms);

#endif
