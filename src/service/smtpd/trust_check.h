/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust_check: mail authentication of the message in transfer, on port 25. The process trust judges; here the
 * header is read and the body hashed as they stream by, forged Authentication-Results of this server are
 * removed, the question is asked, and the answer waited for before the message is stored.
 *
 *     trust_check_begin()           the message begins
 *     trust_check_pass()            for each run of it: what stays
 *     trust_check_finish()          all has passed: the rest of what stays
 *     trust_check_ask()             the session asks: answered at once, or later
 *     trust_check_end()             the message is stored, refused or dropped
 *
 * Without an answer (trust is restarting, has too much to do, or is silent for TRUST_CHECK_WAIT_MS) the
 * message is accepted as if nobody had checked, and Authentication-Results says temperror.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_TRUST_CHECK_H
#define MAILBOAT_SERVICE_SMTPD_TRUST_CHECK_H

#include "base/map.h"
#include "core/trust/authres_filter.h"
#include "core/trust/trust_record.h"
#include "io/signature.h"
#include "io/timer.h"
#include "ipc/ipc_message.h"

struct smtpd;
struct smtp_connection;
struct channel;

enum {
    /* after the end of the message: trust answers within 10 s, unless it is stuck */
    TRUST_CHECK_WAIT_MS = 15 * 1000,
};

/* Of a process: its open questions. */
struct trust_checks {
    struct map asked; /* by request */
    uint64_t last_request;
};

struct trust_check {
    struct smtp_connection *connection;
    struct authres_filter filter;
    struct buffer header;      /* until it is sent to trust */
    bool header_ended;         /* it was sent, or could not be */
    struct body_hashes hashes; /* from then on */
    struct channel *peer;      /* trust, while it is asked; NULL: it is not */
    uint64_t request;
    bool answered, waits; /* waits: the session has asked, and there is no answer yet */
    struct timer patience;
    /* the answer */
    struct trust_record found; /* its texts are in `author`, `story` and `evidence` */
    unsigned code;
    struct buffer enhanced, text, results, author, story, evidence;
};

void trust_checks_start(struct trust_checks *checks, uint64_t seed);
void trust_check_answered(struct smtpd *smtpd, const struct ipc_trust_answer *answer);
/* trust has died, or its old process has ended. */
void trust_check_peer_lost(struct smtpd *smtpd, const struct channel *peer);

/* Begins, if the listener is one that judges. */
void trust_check_begin(struct smtp_connection *connection);
/* Appends what stays of a run of the message. */
void trust_check_pass(struct trust_check *check, struct bytes octets, struct buffer *out);
void trust_check_finish(struct trust_check *check, struct buffer *out);
/* Answers the session's question, now or later. */
void trust_check_ask(struct trust_check *check);
void trust_check_end(struct smtp_connection *connection);

#endif
