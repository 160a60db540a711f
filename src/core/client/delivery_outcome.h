/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_outcome: the result of one attempt for a recipient, and the step that decided it. Made by the
 * client session and the delivery, sent unchanged by relay and local, and evaluated by queue.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_OUTCOME_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_OUTCOME_H

#include "base/bytes.h"

/* Steps of an attempt: each has its own timeout, and is named in every failure. */
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

/* The outcome for one recipient, or for a whole session. */
enum client_outcome { OUTCOME_DELIVERED, OUTCOME_DEFERRED, OUTCOME_FAILED };
struct delivery_result {
    enum client_outcome outcome;
    enum client_step step; /* deciding step */
    uint32_t code;         /* the reply's basic code; 0 if there was none */
    /* "5.1.1" as the peer gave it, of any class, or empty; without a reply this server's */
    struct bytes enhanced;
    struct bytes text; /* the reply's text, or this server's reason, without control octets */
    /* delivered to a server with DSN, which sends further reports itself (RFC 3461 5.2.1) */
    bool peer_reports;
};

#endif
