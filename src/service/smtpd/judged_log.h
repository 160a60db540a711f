/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judged_log: messages that were rejected or deferred for what mail authentication found, on their way to the
 * queue process, which keeps them for `mailboat trust log`. They have no queue id: nothing of them is stored.
 * They go some at a time, so that a flood of them is not a flood of commits; a crash loses those of the last
 * seconds, and none is sent twice. (Accepted messages bring their findings with them.)
 */
#ifndef MAILBOAT_SERVICE_SMTPD_JUDGED_LOG_H
#define MAILBOAT_SERVICE_SMTPD_JUDGED_LOG_H

#include "core/event/mail_event.h"
#include "core/queue/attempt_record.h"
#include "io/timer.h"
#include "service/submission/question.h"

enum {
    JUDGED_LOG_WAIT_MS = 5 * 1000,     /* until they are sent, */
    JUDGED_LOG_OCTETS_MAX = 32 * 1024, /* or when there are so many octets of them */
    JUDGED_LOG_SENDS_MAX = 12,         /* per minute and process; more messages are not listed */
};

struct judged_log {
    struct questions *questions; /* the way to queue */
    struct buffer events;
    uint64_t last_id;
    uint64_t period_ms; /* start of the minute in which `sends` were sent */
    uint32_t sends;
    struct timer timer;
};

void judged_log_start(struct judged_log *log, struct questions *questions, struct loop *loop);
/* Adds one: `reply` has the code, the enhanced code and the text that the client gets. The texts are copied.
 */
void judged_log_add(struct judged_log *log, const struct envelope *envelope, const struct origin *origin,
                    const struct attempt_record *reply, const struct trust_record *found);
/* Sends what waits, at the end of the process too. */
void judged_log_send(struct judged_log *log);

#endif
