/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/judged_log.h"

#include "io/clock.h"

enum { MINUTE_MS = 60 * 1000 };

static void waited(void *owner)
{
    judged_log_send(owner);
}

void judged_log_start(struct judged_log *log, struct questions *questions, struct loop *loop)
{
    *log = (struct judged_log){.questions = questions};
    timer_start(&log->timer, loop, waited, log);
}

void judged_log_add(struct judged_log *log, const struct envelope *envelope, const struct origin *origin,
                    const struct attempt_record *reply, const struct trust_record *found)
{
    struct mail_event added = mail_event_of_message(EVENT_RECEIVED, 0, envelope, origin);
    added.kind = EVENT_REFUSED;
    added.helo = origin->client_helo;
    added.code = reply->code;
    added.enhanced = reply->enhanced;
    added.text = reply->text;
    mail_event_set_trust(&added, found);
    if (log->events.length >= JUDGED_LOG_OCTETS_MAX)
        return;                /* this minute's sends are used up */
    added.id = ++log->last_id; /* queue gives it its own */
    added.at_ms = clock_epoch_ms();
    if (log->events.length == 0)
        timer_set(&log->timer, JUDGED_LOG_WAIT_MS);
    mail_event_encode(&log->events, &added);
    if (log->events.length >= JUDGED_LOG_OCTETS_MAX)
        judged_log_send(log);
}

void judged_log_send(struct judged_log *log)
{
    uint64_t now_ms = clock_now_ms();
    if (log->events.length == 0)
        return;
    if (log->period_ms == 0 || now_ms - log->period_ms >= MINUTE_MS) {
        log->period_ms = now_ms;
        log->sends = 0;
    }
    if (log->sends >= JUDGED_LOG_SENDS_MAX) {
        timer_set(&log->timer, log->period_ms + MINUTE_MS - now_ms);
        return;
    }
    log->sends++;
    timer_cancel(&log->timer);
    questions_tell(log->questions, IPC_JUDGED, &(struct ipc_judged){buffer_bytes(&log->events)});
    buffer_clear(&log->events);
}
