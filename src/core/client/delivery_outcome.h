/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_outcome: what became of a recipient in one attempt, and in which
 * step it was decided. The client session and the delivery make it, relay and
 * local send it to queue as it is, and queue decides by it.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_OUTCOME_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_OUTCOME_H

#include "base/bytes.h"

/* The steps of an attempt: each has its own limit, and its name stands in
 * every failure. */
enum client_step {
    STEP_DNS,
    STEP_CONNECT,
    STEP_GREETING,
    STEP_EHLO,
    STEP_TLS,
    STEP_AUTH,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_QUIT,
};

/* One recipient's fate, or a whole session's. */
enum client_outcome { OUTCOME_DELIVERED, OUTCOME_DEFERRED, OUTCOME_FAILED };
struct delivery_result {
    enum client_outcome outcome;
    enum client_step step; /* where it was decided */
    uint32_t code;         /* the reply's basic code; 0 when there was no reply */
    struct bytes enhanced; /* "5.1.1" as the peer gave it, of any class, or empty; without a reply ours */
    struct bytes text;     /* the reply's text, or our sentence, without control octets */
    /* delivered to a server that offers DSN: reports on it are that one's to make (RFC 3461 5.2.1) */
    bool peer_reports;
};

#endif
