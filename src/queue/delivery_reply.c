/* SPDX-License-Identifier: Apache-2.0 */
/* delivery_reply: what the replies to a delivery mean for its recipients, and for all mail to its
 * destination. */
#include "core/queue/attempt_meaning.h"
#include "queue/queue_state.h"

static const struct reply_meaning *meaning_of(const struct queue *queue, const struct store_message *message,
                                              const struct store_recipient *recipient,
                                              const struct attempt_record *attempt)
{
    struct attempt_names names = {.id = message->id,
                                  .hostname = queue->options.hostname,
                                  .sender = message->envelope.sender,
                                  .recipient = recipient->recipient.address,
                                  .original = recipient->recipient.original,
                                  .destination = recipient->destination};
    return attempt_meaning_find(attempt, &names);
}

void delivery_reply_read(const struct queue *queue, struct queue_delivery *d)
{
    d->meanings = ARENA_ARRAY(&d->arena, const struct reply_meaning *, d->recipient_count);
    assert(d->answer.result_count == d->recipient_count);
    for (size_t i = 0; i < d->recipient_count; i++) {
        const struct delivery_result *result = &d->answer.results[i];
        struct attempt_record attempt = {
            .code = result->code, .enhanced = result->enhanced, .text = result->text, .peer = d->answer.peer};
        d->meanings[i] = meaning_of(queue, &d->message, &d->recipients[i], &attempt);
    }
}

const struct reply_meaning *delivery_reply_last(const struct queue *queue,
                                                const struct store_message *message,
                                                const struct store_recipient *recipient)
{
    return meaning_of(queue, message, recipient, &recipient->last);
}

/* ---- the destination ---- */

/* The server replied, was busy, or was not reached. */
static enum schedule_news reached(const struct ipc_deliver_answer *answer)
{
    enum schedule_news news = SCHEDULE_UNREACHABLE;
    for (size_t i = 0; i < answer->result_count; i++) {
        const struct delivery_result *r = &answer->results[i];
        if (r->outcome == OUTCOME_DEFERRED && (r->code == 421 || (r->code != 0 && r->step == STEP_GREETING)))
            news = SCHEDULE_BUSY;
        else if (r->outcome != OUTCOME_DEFERRED || r->step >= STEP_MAIL)
            return SCHEDULE_ANSWERED;
    }
    return news;
}

/* A reply about this server's address concerns all mail to the destination: it is limited, or, where the
 * table is sure and the servers are the domain's own, rejected. A server that all mail goes through is
 * never stopped for one reply. */
static enum schedule_news concerned(const struct reply_meaning *meaning, enum next_hop hop)
{
    bool own = hop == NEXT_HOP_MX || hop == NEXT_HOP_AUTO;
    if (meaning == NULL || meaning->about != ABOUT_SENDING_IP)
        return SCHEDULE_ANSWERED;
    switch (meaning->retry) {
    case REPLY_RETRY_NO:
    case REPLY_RETRY_SOON:
    case REPLY_RETRY_SLOWLY: break;
    case REPLY_RETRY_SLOW_DOWN: return SCHEDULE_LIMITED;
    case REPLY_RETRY_STOP:
    case REPLY_RETRY_OTHER_SOURCE: return own && meaning->sure ? SCHEDULE_REJECTED : SCHEDULE_LIMITED;
    }
    return SCHEDULE_ANSWERED;
}

enum schedule_news delivery_reply_news(const struct queue_delivery *d)
{
    enum schedule_news news = SCHEDULE_ANSWERED;
    bool any_delivered = false;
    if (d->transport != SCHEDULE_AWAY)
        return reached(&d->answer);
    for (size_t i = 0; i < d->recipient_count; i++) {
        enum schedule_news here = concerned(d->meanings[i], d->active->hop);
        any_delivered = any_delivered || d->answer.results[i].outcome == OUTCOME_DELIVERED;
        if (here == SCHEDULE_REJECTED || news == SCHEDULE_ANSWERED)
            news = here;
    }
    if (news == SCHEDULE_REJECTED && any_delivered)
        return SCHEDULE_LIMITED;
    return news == SCHEDULE_ANSWERED ? reached(&d->answer) : news;
}
