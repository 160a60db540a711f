/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission: decides who may connect under load, and how long each connection may stay. smtpd keeps the
 * counts (smtpd/admission_control.c); this module decides, with the time as an argument.
 *
 * Shares. A fifth of all connections is reserved for known clients: authenticated ones, and those on a
 * submission port from an address that authenticated before. They may use more, but a quarter is left to
 * strangers, which include other servers. Of the strangers' part, half is divided equally between the
 * ports (the local socket is one of them), and half is open to any of them. So a flood on one port leaves
 * the others usable, and no flood of strangers locks out this server's users.
 *
 * Pressure. When most of that open half, or of all connections, is in use, strangers get short timeouts
 * (like Postfix' stress mode) and idle ones are closed first. Authenticated clients keep the normal
 * timeouts.
 *
 * Stay. Besides the timeout of each command (RFC 5321 4.5.3.2) a connection has a time budget, which only
 * progress refills: a stored message, an accepted recipient, octets of content. Commands without effect
 * and single octets refill nothing. An authenticated session has a larger budget.
 */
#ifndef MAILBOAT_CORE_SERVER_ADMISSION_H
#define MAILBOAT_CORE_SERVER_ADMISSION_H

#include "core/server/server_session.h"

enum admission_limit {
    ADMISSION_PORTS_MAX = 40,
    KNOWN_SHARE = 5,     /* one part in so many is reserved for known clients */
    STRANGERS_SHARE = 4, /* one part in so many is left to strangers */
    /* of the strangers' part, one part in so many is divided between the ports */
    PORT_SHARE = 2,
    PRESSURE_BEGIN_PERCENT = 70,
    PRESSURE_END_PERCENT = 60,

    STAY_MX_MS = 10 * 60 * 1000,        /* on 25 without progress */
    STAY_SUBMISSION_MS = 5 * 60 * 1000, /* on a submission port until authenticated */
    STAY_SIGNED_IN_MS = 30 * 60 * 1000, /* once authenticated, and for local programs: without progress */
    STAY_RECIPIENT_MS = 2000,           /* refilled by an accepted recipient */
    /* of content: a slower rate uses up the budget, a faster one refills it */
    STAY_OCTETS_A_SECOND = 500,

    /* Under pressure, for strangers: */
    PRESSED_STEP_MS = 10 * 1000, /* for the next command, a handshake or PRESSED_STEP_OCTETS */
    PRESSED_STEP_OCTETS = STAY_OCTETS_A_SECOND * PRESSED_STEP_MS / 1000,
    PRESSED_STAY_MS = 60 * 1000, /* until the next content */
    /* a client that sent content so recently is not closed; nor one that named a local recipient, until
     * PRESSED_STAY_MS */
    WORKED_RECENTLY_MS = 10 * 1000,
    /* an authenticated client that is idle for so long may be closed */
    SIGNED_IN_IDLE_MS = 60 * 1000,
};

/* ---- shares ---- */

/* Connections of all smtpd processes together. */
struct admission {
    uint32_t max;
    uint32_t known;
    uint32_t strangers[ADMISSION_PORTS_MAX]; /* per port */
    size_t port_count;                       /* at least 1 */
};

/* True if known clients use their whole share. */
bool admission_known_are_many(const struct admission *admission);
/* True if one more fits. False: another must be closed first, or it is rejected. */
bool admission_has_room(const struct admission *admission, size_t port, bool known);
/* `already`: it was under pressure just before; pressure ends at a lower level than it begins. */
bool admission_is_pressed(const struct admission *admission, bool already);

/* ---- one connection's stay ---- */

struct admission_stay {
    enum server_role role;
    struct server_progress seen; /* counts already credited */
    uint64_t until_ms;           /* the end of its budget */
    uint64_t progress_ms;        /* when it connected, authenticated, or last sent content or a message */
    uint64_t recipient_ms;       /* when it last named a local recipient */
    uint64_t step_ms;            /* when it last completed a step, or connected */
    uint64_t step_octets;        /* of content at that time */
};

enum admission_stay_verdict {
    STAY_GOES_ON,
    STAY_IS_OVER,      /* its budget is used up */
    STAY_IS_IN_THE_WAY /* its place is needed: only under pressure, and never a known client's */
};

void admission_stay_begin(struct admission_stay *stay, enum server_role role, uint64_t now_ms);
void admission_stay_count(struct admission_stay *stay, const struct server_progress *progress,
                          uint64_t now_ms);
/* Extends its time by a delay of this server. */
void admission_stay_excuse(struct admission_stay *stay, uint64_t now_ms);
enum admission_stay_verdict admission_stay_check(const struct admission_stay *stay, bool pressed, bool known,
                                                 uint64_t now_ms);
/* True if it may be closed for a new connection. */
bool admission_stay_can_make_room(const struct admission_stay *stay, uint64_t now_ms);

#endif
