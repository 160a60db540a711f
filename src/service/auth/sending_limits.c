/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sending_limits: may this account, or this local user, send one more message now?
 * What fits is counted at once (rate_limit.h) and noted under the number of the
 * question, until its asker says how it ended: sent, or not, which gives it
 * back. An asker that is gone has sent nothing of what is still noted. What was
 * noted by a process that is gone counts as sent, for an hour.
 */
#include "service/auth/auth.h"

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"

#include <stdlib.h>

/* By asker and question. */
struct noted {
    struct channel *asker;
    uint64_t request;
    struct allowance_taken taken;
};

void limits_start(struct auth *auth, struct allowances_kept *kept)
{
    allowances_start(&auth->allowances, kept, random_u64());
    map_start(&auth->noted, random_u64());
}

static struct bytes noted_key(const struct noted *noted)
{
    return bytes_of(noted, offsetof(struct noted, request) + sizeof noted->request);
}

static void note(struct auth *auth, struct channel *asker, uint64_t request,
                 const struct allowance_taken *taken)
{
    struct noted *noted = memory_new(sizeof *noted);
    *noted = (struct noted){asker, request, *taken};
    map_put(&auth->noted, noted_key(noted), noted);
}

/* ---- how much ---- */

static struct allowance_limits limits_of(const struct auth *auth, struct bytes account)
{
    const struct config *config = auth->child->config;
    uint32_t uid;
    if (local_users_is_one(account, &uid))
        return local_users_limits(&auth->local_users, uid);
    return (struct allowance_limits){config->submission.messages_per_hour,
                                     config->submission.recipients_per_hour};
}

static void tell(struct auth *auth, struct bytes account, uint64_t now_ms)
{
    struct allowance_limits sent = {0};
    uint32_t uid;
    if (allowances_tell(&auth->allowances, account, now_ms, &sent))
        log_event(LOG_EVENT_WARN, "limit_reached", LOG_BYTES("account", account),
                  LOG_U64("messages", sent.messages), LOG_U64("recipients", sent.recipients),
                  LOG_TEXT("mend", local_users_is_one(account, &uid)
                                       ? "look which program of this user sends; submission.local in the "
                                         "configuration sets its limit"
                                       : "if this is not its owner: mailboat user disable"));
}

static void answer(struct auth *auth, struct channel *asker, uint64_t request, enum limit_verdict verdict,
                   uint32_t number)
{
    child_send(auth->child, asker, IPC_LIMIT_ANSWER,
               &(struct ipc_limit_answer){.request = request, .verdict = verdict, .number = number}, -1);
}

void limits_ask(struct auth *auth, struct channel *asker, const struct ipc_limit *asked)
{
    struct allowance_limits limits = limits_of(auth, asked->account);
    struct allowance_taken taken = {0};
    uint64_t now_ms = clock_boot_ms();
    uint32_t wait_s = 0;
    enum allowance_verdict verdict =
        asked->recipients == 0 ? allowances_look(&auth->allowances, asked->account, limits, now_ms, &wait_s)
                               : allowances_take(&auth->allowances, asked->account, limits, asked->recipients,
                                                 now_ms, &taken, &wait_s);
    switch (verdict) {
    case ALLOWANCE_FITS:
        if (taken.key != 0)
            note(auth, asker, asked->request, &taken);
        answer(auth, asker, asked->request, LIMIT_FINE, 0);
        break;
    case ALLOWANCE_REACHED:
        tell(auth, asked->account, now_ms);
        answer(auth, asker, asked->request, LIMIT_REACHED, wait_s);
        break;
    case ALLOWANCE_NEVER:
        tell(auth, asked->account, now_ms);
        answer(auth, asker, asked->request, LIMIT_TOO_MANY, limits.recipients);
        break;
    }
}

/* ---- how it ended ---- */

void limits_ended(struct auth *auth, struct channel *asker, const struct ipc_limit_end *ended)
{
    struct noted wanted = {.asker = asker, .request = ended->request};
    struct noted *noted = map_remove(&auth->noted, noted_key(&wanted));
    if (noted == NULL)
        return;
    if (!ended->sent)
        allowances_give_back(&auth->allowances, &noted->taken);
    free(noted);
}

static struct noted *noted_by(struct auth *auth, const struct channel *asker)
{
    size_t position = 0;
    struct bytes key;
    void *value;
    while (map_next(&auth->noted, &position, &key, &value))
        if (((struct noted *)value)->asker == asker)
            return value;
    return NULL;
}

/* Few at a time are noted: those that are being sent. */
void limits_forget(struct auth *auth, const struct channel *asker)
{
    for (struct noted *noted; (noted = noted_by(auth, asker)) != NULL; free(noted)) {
        allowances_give_back(&auth->allowances, &noted->taken);
        map_remove(&auth->noted, noted_key(noted));
    }
}
