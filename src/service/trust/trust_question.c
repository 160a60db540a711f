/* SPDX-License-Identifier: Apache-2.0 */
/* trust_question: one message, from its header to the answer. */
#include <assert.h>
#include <stdlib.h>

#include "core/dns/host.h"
#include "core/trust/dmarc_evidence.h"
#include "core/trust/judgement_story.h"
#include "core/trust/report_message.h"
#include "io/clock.h"
#include "service/trust/trust.h"
#include "service/trust_digests.h"

static_assert((uint64_t)TRUST_OPEN_MAX * (sizeof(struct trust_question) + TRUST_ORDINARY_OCTETS) <=
                  TRUST_OCTETS_MAX,
              "memory for ordinary messages up to TRUST_OPEN_MAX");

/* ---- tables ---- */

struct question_key {
    const struct channel *asker;
    uint64_t request;
};

static struct bytes key_bytes(const struct question_key *key)
{
    return bytes_of((const char *)key, sizeof *key);
}

struct trust_question *trust_question_find(struct trust *trust, const struct channel *asker, uint64_t request)
{
    const struct question_key key = {asker, request};
    return map_get(&trust->by_number, key_bytes(&key));
}

/* An IPv6 client has all of its /64. */
static uint64_t client_key(const struct trust *trust, const struct route_address *client)
{
    return bytes_hash(bytes_of((const char *)client->octets, client->six ? 8 : 4), trust->seed);
}

static size_t client_count(const struct trust *trust, uint64_t client)
{
    return (size_t)(uintptr_t)map_get_u64(&trust->per_client, client);
}

static void set_client_count(struct trust *trust, uint64_t client, size_t count)
{
    if (count == 0)
        map_remove_u64(&trust->per_client, client);
    else
        map_put_u64(&trust->per_client, client, (void *)(uintptr_t)count);
}

static void enter(struct trust_question *question)
{
    struct trust *trust = question->trust;
    const struct question_key key = {question->asker, question->request};
    question->next = trust->first;
    if (question->next != NULL)
        question->next->previous = question;
    trust->first = question;
    trust->open++;
    map_put(&trust->by_number, key_bytes(&key), question);
    set_client_count(trust, question->client, client_count(trust, question->client) + 1);
}

static void question_free(void *owner)
{
    struct trust_question *question = owner;
    judgement_end(&question->judgement);
    arena_clear(&question->arena);
    free(question);
}

static void leave(struct trust_question *question)
{
    struct trust *trust = question->trust;
    const struct question_key key = {question->asker, question->request};
    assert(trust->open > 0 && trust->octets >= question->octets);
    judging_stop(&question->judging);
    timer_cancel(&question->given_up);
    map_remove(&trust->by_number, key_bytes(&key));
    set_client_count(trust, question->client, client_count(trust, question->client) - 1);
    if (question->previous != NULL)
        question->previous->next = question->next;
    else
        trust->first = question->next;
    if (question->next != NULL)
        question->next->previous = question->previous;
    trust->open--;
    trust->octets -= question->octets;
    loop_release(trust->child->loop, &question->released, question_free, question);
    trust_leave_if_done(trust);
}

/* ---- memory, and what DNS has said ---- */

static bool is_full(const struct trust *trust)
{
    return trust->octets >= TRUST_OCTETS_MAX;
}

static void count_octets(struct trust_question *question)
{
    size_t octets = sizeof *question + question->arena.used + question->judgement.round.used;
    question->trust->octets += octets - question->octets;
    question->octets = octets;
}

static bool recall(void *context, struct dns_fact_key key, struct dns_answer *answer)
{
    struct trust_question *question = context;
    struct trust *trust = question->trust;
    if (answer_cache_get(&trust->cache, key, clock_now_ms(), answer))
        return true;
    *answer = (struct dns_answer){.status = DNS_SERVER_FAILURE, .unanswered = true};
    return trust->alive.dead;
}

static void remember(void *context, struct dns_fact_key key, const struct dns_answer *answer)
{
    struct trust_question *question = context;
    struct trust *trust = question->trust;
    answer_cache_put(&trust->cache, key, clock_now_ms(), answer);
    dns_alive_notice(&trust->alive, answer);
    count_octets(question);
    if (is_full(trust))
        timer_soon(&question->given_up);
}

/* ---- the answer ---- */

void trust_refuse(struct trust *trust, struct channel *asker, uint64_t request)
{
    struct ipc_trust_answer answer = {.request = request,
                                      .disposition = DISPOSITION_DELIVER,
                                      .proposed = DISPOSITION_DELIVER,
                                      .finding = FINDING_TEMPERROR};
    child_send(trust->child, asker, IPC_TRUST_ANSWER, &answer, -1);
}

static void send_answer(struct trust_question *question)
{
    struct trust *trust = question->trust;
    const struct judgement *j = &question->judgement;
    const struct verdict *verdict = &j->verdict;
    struct buffer results = {0}, story = {0}, evidence = {0};
    judgement_write_results(j, j->question.hostname, &results);
    judgement_story(j, STORY_SENTENCES, &story);
    if (config_sends_reports(trust->child->config, report_kind_name(REPORT_KIND_DMARC)))
        dmarc_evidence_write(j, &evidence);
    struct ipc_trust_answer answer = {.request = question->request,
                                      .disposition = verdict->disposition,
                                      .proposed = verdict->proposed,
                                      .finding = verdict->finding,
                                      .override = verdict->override,
                                      .code = verdict->code,
                                      .enhanced = bytes_of_text(verdict->code == 0 ? "" : verdict->enhanced),
                                      .text = bytes_of_text(verdict->text),
                                      .author = j->dmarc.author,
                                      .results = buffer_bytes(&results),
                                      .story = buffer_bytes(&story),
                                      .evidence = buffer_bytes(&evidence),
                                      .chain = j->arc.result};
    child_send(trust->child, question->asker, IPC_TRUST_ANSWER, &answer, -1);
    buffer_free(&results);
    buffer_free(&story);
    buffer_free(&evidence);
}

/* A forwarder can be known by its name, which is known only now. */
static void judge_forwarder(struct trust_question *question)
{
    struct judgement *j = &question->judgement;
    if (j->iprev.result != IPREV_PASS ||
        !config_is_forwarder(question->trust->child->config, &j->question.client, j->iprev.name))
        return;
    j->question.forwarder = true;
    judgement_run(j, question->judging.now_s);
}

static void on_done(void *owner)
{
    struct trust_question *question = owner;
    judge_forwarder(question);
    send_answer(question);
    leave(question);
}

/* ---- life ---- */

void trust_question_give_up(struct trust_question *question)
{
    trust_refuse(question->trust, question->asker, question->request);
    leave(question);
}

static void give_up(void *owner)
{
    trust_question_give_up(owner);
}

/* Answers that are remembered count, too. */
static void go_on(struct trust_question *question)
{
    judging_go_on(&question->judging);
    if (!question->judging.done)
        count_octets(question);
}

static struct judgement_question asked_of(const struct trust *trust, const struct ipc_trust *asked,
                                          struct arena *arena)
{
    const struct config *config = trust->child->config;
    struct route_address client = route_literal(asked->client_address);
    return (struct judgement_question){.client = client,
                                       .helo = arena_copy(arena, asked->helo),
                                       .mail_from = arena_copy(arena, asked->mail_from),
                                       .hostname = bytes_of_text(config->hostname),
                                       .mode = config->trust.mode,
                                       .forwarder = config_is_forwarder(config, &client, bytes_none()),
                                       .deferred_enough = asked->deferred_enough != 0,
                                       .arc_trusted = trust->arc_trusted,
                                       .arc_trusted_count = config->trust.arc_trusted_count};
}

static bool is_too_much(const struct trust *trust, uint64_t client)
{
    return trust->open >= TRUST_OPEN_MAX || is_full(trust) ||
           client_count(trust, client) >= TRUST_OPEN_PER_CLIENT_MAX;
}

bool trust_question_start(struct trust *trust, struct channel *asker, const struct ipc_trust *asked)
{
    if ((!host_is_ipv4(asked->client_address) && !host_is_ipv6(asked->client_address)) ||
        trust_question_find(trust, asker, asked->request) != NULL)
        return false;
    struct route_address client = route_literal(asked->client_address);
    uint64_t key = client_key(trust, &client);
    if (is_too_much(trust, key))
        return false;
    struct trust_question *question = memory_resize(NULL, sizeof *question);
    memset(question, 0, offsetof(struct trust_question, judgement));
    question->trust = trust;
    question->asker = asker;
    question->request = asked->request;
    question->client = key;
    question->memory = (struct judging_memory){recall, remember, question};
    timer_start(&question->given_up, trust->child->loop, give_up, question);
    timer_set(&question->given_up, TRUST_BODY_MS);
    enter(question);
    struct judgement_question judged = asked_of(trust, asked, &question->arena);
    judgement_begin(&question->judgement, &judged, arena_copy(&question->arena, asked->header),
                    &question->arena);
    judging_use_ascii_names(&question->judgement);
    judging_start(&question->judging, &question->judgement, trust->dns, trust->child->loop, &question->memory,
                  clock_epoch_ms() / 1000, on_done, question);
    go_on(question); /* it may be done at once: without a signature the body does not count */
    return true;
}

void trust_question_give_body(struct trust_question *question, struct bytes digests)
{
    struct dkim_body_fact facts[JUDGEMENT_BODIES_MAX];
    if (question->body_is_known)
        return;
    if (!trust_digests_read(digests, facts, question->judgement.body_count)) {
        trust_question_give_up(question);
        return;
    }
    question->body_is_known = true;
    timer_cancel(&question->given_up);
    judgement_give_bodies(&question->judgement, facts);
    judging_give_up_after(&question->judging, JUDGING_MS);
    go_on(question);
}

void trust_question_drop(struct trust_question *question)
{
    leave(question);
}
