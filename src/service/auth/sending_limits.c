/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sending_limits: whether this account, or this local user, may send one more message now. A message
 * within the limits is counted immediately (rate_limit.h) and recorded under the number of the question,
 * until its asker reports the result: sent, or not, which gives it back. If the asker dies, its recorded
 * messages were not sent. Messages recorded by a dead auth process count as sent, for an hour.
 */
#include <stdlib.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "service/auth/auth.h"

/* By asker and question. */
struct counted_message {
    struct channel *asker;
    uint64_t request;
    struct rate_limit_taken taken;
};

void sending_limits_start(struct auth *auth, struct rate_limits_kept *kept)
{
    rate_limit_start(&auth->rate_limits, kept, random_u64());
    map_start(&auth->noted, random_u64());
}

static struct bytes noted_key(const struct counted_message *noted)
{
    return bytes_of(noted, offsetof(struct counted_message, request) + sizeof noted->request);
}

static void note(struct auth *auth, struct channel *asker, uint64_t request,
                 const struct rate_limit_taken *taken)
{
    struct counted_message *noted = memory_new(sizeof *noted);
    *noted = (struct counted_message){asker, request, *taken};
    map_put(&auth->noted, noted_key(noted), noted);
}

/* ---- limits ---- */

static struct rate_limit_max limits_of(const struct auth *auth, struct bytes account)
{
    const struct config *config = auth->child->config;
    uint32_t uid;
    if (local_users_is_one(account, &uid))
        return local_users_limits(&auth->local_users, uid);
    return (struct rate_limit_max){config->submission.messages_per_hour,
                                   config->submission.recipients_per_hour};
}

static void log_limit(struct auth *auth, struct bytes account, uint64_t now_ms)
{
    struct rate_limit_max sent = {0};
    uint32_t uid;
    if (rate_limit_log_is_due(&auth->rate_limits, account, now_ms, &sent))
        log_event(LOG_EVENT_WARN, "account_rate_limited", LOG_BYTES("account", account),
                  LOG_U64("messages", sent.messages), LOG_U64("recipients", sent.recipients),
                  LOG_TEXT("hint", local_users_is_one(account, &uid)
                                       ? "check which program of this user sends; submission.local in the "
                                         "configuration sets its limit"
                                       : "if the account was stolen: mailboat user disable"));
}

static void answer(struct auth *auth, struct channel *asker, uint64_t request, enum limit_verdict verdict,
                   uint32_t number)
{
    child_send(auth->child, asker, IPC_LIMIT_ANSWER,
               &(struct ipc_limit_answer){.request = request, .verdict = verdict, .number = number}, -1);
}

void sending_limits_ask(struct auth *auth, struct channel *asker, const struct ipc_limit *asked)
{
    struct rate_limit_max limits = limits_of(auth, asked->account);
    struct rate_limit_taken taken = {0};
    uint64_t now_ms = clock_boot_ms();
    uint32_t wait_s = 0;
    enum rate_limit_verdict verdict = asked->recipients == 0
                                          ? rate_limit_look(&auth->rate_limits, asked->account, limits,
                                                            now_ms, &wait_s)
                                          : rate_limit_take(&auth->rate_limits, asked->account, limits,
                                                            asked->recipients, now_ms, &taken, &wait_s);
    switch (verdict) {
    case RATE_LIMIT_FITS:
        if (taken.key != 0)
            note(auth, asker, asked->request, &taken);
        answer(auth, asker, asked->request, LIMIT_FINE, 0);
        break;
    case RATE_LIMIT_REACHED:
        log_limit(auth, asked->account, now_ms);
        answer(auth, asker, asked->request, LIMIT_REACHED, wait_s);
        break;
    case RATE_LIMIT_NEVER:
        log_limit(auth, asked->account, now_ms);
        answer(auth, asker, asked->request, LIMIT_TOO_MANY, limits.recipients);
        break;
    }
}

/* ---- results ---- */

void sending_limits_ended(struct auth *auth, struct channel *asker, const struct ipc_limit_end *ended)
{
    struct counted_message wanted = {.asker = asker, .request = ended->request};
    struct counted_message *noted = map_remove(&auth->noted, noted_key(&wanted));
    if (noted == NULL)
        return;
    if (!ended->sent)
        rate_limit_give_back(&auth->rate_limits, &noted->taken);
    free(noted);
}

static struct counted_message *noted_by(struct auth *auth, const struct channel *asker)
{
    size_t position = 0;
    struct bytes key;
    void *value;
    while (map_next(&auth->noted, &position, &key, &value))
        if (((struct counted_message *)value)->asker == asker)
            return value;
    return NULL;
}

/* Few are recorded at a time: those being sent. */
void sending_limits_forget(struct auth *auth, const struct channel *asker)
{
    for (struct counted_message *noted; (noted = noted_by(auth, asker)) != NULL; free(noted)) {
        rate_limit_give_back(&auth->rate_limits, &noted->taken);
        map_remove(&auth->noted, noted_key(noted));
    }
}
