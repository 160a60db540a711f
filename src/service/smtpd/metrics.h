/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: counters shared by all smtpd processes, and visible to no others, so that limits apply to all
 * of them together. Each process writes its own row, by its number; the supervisor clears those of dead
 * ones.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_METRICS_H
#define MAILBOAT_SERVICE_SMTPD_METRICS_H

#include "io/tls.h"
#include "run/shared_memory.h"
#include "service/handshake_budget.h"
#include "service/smtpd/harvest_entry.h"

enum {
    METRICS_SLOTS = 256,
    METRICS_TLS_SNIFFS = 65536,
    METRICS_CLIENTS = 16384,
    METRICS_PORTS = 40,
    METRICS_KNOWN_CLIENTS = 65536,
    METRICS_HARVESTS = 32768,
    METRICS_NAMED = 262144,
    METRICS_DEFERRALS = 65536
};
struct shared_metrics {
    /* Connections by address: see smtpd/connection_limit.c. `counted` grows before and shrinks after the
     * row of `clients`: where it is 0, the process has no client and its rows need no reading. */
    _Atomic uint32_t counted[METRICS_SLOTS];
    _Atomic uint32_t clients[METRICS_SLOTS][METRICS_CLIENTS];
    struct metrics_port {
        /* the port, or the constant for the local socket; 0 ends the list */
        _Atomic uint32_t name;
        _Atomic uint32_t strangers, known; /* connections: see server/admission.h */
    } ports[METRICS_SLOTS][METRICS_PORTS];
    /* 1 + the connections of a process that accepts, 0 for others: see smtpd/accept_share.h */
    _Atomic uint32_t accepting[METRICS_SLOTS];
    _Atomic uint32_t pressed; /* 1 while strangers have short timeouts */
    /* places that one process borrowed from another: see smtpd/admission_control.h */
    _Atomic uint32_t owed;
    /* addresses that authenticated: see smtpd/known_clients.c */
    _Atomic uint64_t known_clients[METRICS_KNOWN_CLIENTS];
    struct harvest_slot harvests[METRICS_HARVESTS]; /* of unknown recipients, by client */
    _Atomic uint64_t named[METRICS_NAMED];          /* recipients that a client named lately: the same */
    _Atomic uint64_t deferrals[METRICS_DEFERRALS];  /* see smtpd/trust_deferrals.h */
    unsigned char ticket_secret[TLS_TICKET_SECRET_OCTETS]; /* of TLS session tickets */
    struct handshake_budget handshakes;                    /* CPU of TLS handshakes, by network */
    /* TLS detection per client address: see smtpd/tls_sniff_table.c */
    _Atomic uint64_t tls_sniffs[METRICS_TLS_SNIFFS];
};

extern const struct shared_memory smtpd_metrics; /* a struct shared_metrics */

#endif
