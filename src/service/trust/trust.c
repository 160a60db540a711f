/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trust/trust.h"

#include <sysexits.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "io/signature.h"
#include "service/services.h"

static struct trust here; /* one per process */

static bool trust_open(struct child *child, struct error *error)
{
    struct trust *trust = &here;
    const struct config *config = child->config;
    *trust = (struct trust){.child = child, .seed = random_u64()};
    child->service_data = trust;
    map_start(&trust->by_number, random_u64());
    map_start(&trust->per_client, random_u64());
    answer_cache_start(&trust->cache, random_u64());
    trust->arc_trusted = memory_new((config->trust.arc_trusted_count + 1) * sizeof *trust->arc_trusted);
    for (size_t i = 0; i < config->trust.arc_trusted_count; i++)
        trust->arc_trusted[i] = bytes_of_text(config->trust.arc_trusted[i]);
    signature_prepare();
    trust->dns = dns_open(config->resolver.servers, config->resolver.server_count, error);
    return trust->dns != NULL;
}

void trust_leave_if_done(struct trust *trust)
{
    if (trust->draining && trust->open == 0)
        timer_set(&trust->leave, TRUST_LINGER_MS);
}

static void leave_now(void *owner)
{
    struct trust *trust = owner;
    if (trust->open > 0)
        return;
    if (child_reads_partial(trust->child)) /* its body comes to this process too */
        timer_set(&trust->leave, TRUST_LINGER_MS);
    else
        child_exit(trust->child, 0);
}

static void drain_limit_passed(void *owner)
{
    struct trust *trust = owner;
    while (trust->first != NULL)
        trust_question_give_up(trust->first);
    child_exit(trust->child, 0);
}

static int64_t wall_ahead_ms(void)
{
    return (int64_t)clock_epoch_ms() - (int64_t)clock_boot_ms();
}

/* libunbound's cache and its queries wait by the wall clock: a fresh process has a new one. */
static void look_at_clock(struct trust *trust)
{
    int64_t now = wall_ahead_ms();
    bool jumped_back = now < trust->wall_ahead_ms - TRUST_CLOCK_BACK_MS;
    trust->wall_ahead_ms = now;
    if (!jumped_back)
        return;
    log_event(LOG_EVENT_WARN, "clock_jumped", LOG_TEXT("direction", "back"),
              LOG_TEXT("hint", "the process restarts, since the resolver depends on the clock; fix this "
                               "machine's clock"));
    child_exit(trust->child, EX_TEMPFAIL);
}

static bool trust_start(struct child *child, struct error *error)
{
    struct trust *trust = child->service_data;
    timer_start(&trust->leave, child->loop, leave_now, trust);
    timer_start(&trust->limit, child->loop, drain_limit_passed, trust);
    trust->wall_ahead_ms = wall_ahead_ms();
    if (!dns_start(trust->dns, child->loop, error))
        return false;
    dns_alive_start(&trust->alive, trust);
    return true;
}

static void trust_message(struct child *child, struct channel *from, enum ipc_kind kind,
                          union ipc_message *message, int attached)
{
    struct trust *trust = child->service_data;
    struct trust_question *question;
    switch (kind) {
    case IPC_TRUST:
        look_at_clock(trust);
        if (!trust_question_start(trust, from, &message->trust))
            trust_refuse(trust, from, message->trust.request);
        break;
    case IPC_TRUST_BODY: /* none: it was answered, or the process that had it has ended */
        question = trust_question_find(trust, from, message->trust_body.request);
        if (question != NULL)
            trust_question_give_body(question, message->trust_body.digests);
        else
            trust_refuse(trust, from, message->trust_body.request);
        break;
    case IPC_TRUST_DROP:
        question = trust_question_find(trust, from, message->trust_drop.request);
        if (question != NULL)
            trust_question_drop(question);
        break;
    default: break;
    }
}

static void trust_peer_lost(struct child *child, struct channel *peer)
{
    struct trust *trust = child->service_data;
    for (struct trust_question *question = trust->first, *next; question != NULL; question = next) {
        next = question->next;
        if (question->asker == peer)
            trust_question_drop(question);
    }
}

/* The server stops after smtpd has ended: nothing is asked any more. */
static void trust_drain(struct child *child, bool quick)
{
    struct trust *trust = child->service_data;
    trust->draining = true;
    timer_set(&trust->limit, quick ? 0 : TRUST_DRAIN_MS);
    trust_leave_if_done(trust);
}

static uint32_t trust_count(const struct config *config)
{
    return config->trust.mode == VERDICT_OFF ? 0 : 1;
}

const struct service trust_service = {
    .role = PROCESS_TRUST,
    .count = trust_count,
    .overlaps = true,
    .resolves = true,
    .stop = STOP_ANSWERERS,
    .keeps = SANDBOX_CALLS_OUT | SANDBOX_HAS_THREADS,
    .open = trust_open,
    .start = trust_start,
    .on_message = trust_message,
    .on_peer_lost = trust_peer_lost,
    .on_drain = trust_drain,
};
