/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust_ground: the process that judges mail, without processes and without DNS. The functions below stand in
 * the place of io/dns and run/child: what is asked waits until the test answers it, and what is told to smtpd
 * is counted.
 */
#ifndef MAILBOAT_TESTS_TRUST_GROUND_H
#define MAILBOAT_TESTS_TRUST_GROUND_H

#include <stdio.h>
#include <stdlib.h>

#include "core/trust/dns_facts.h"
#include "core/trust/judgement.h"
#include "io/log.h"
#include "run/child.h"
#include "service/services.h"
#include "service/trust/trust.h"
#include "unit.h"

static struct trust_ground {
    struct loop loop;
    struct config config;
    struct child child;
    struct channel asker;
    struct trust *trust;
    struct dns_question *asked; /* not answered yet, newest first */
    size_t told[VERDICT_FINDINGS];
    struct ipc_trust_answer last;
    uint64_t last_request;
} g;

/* ---- in the place of io/dns.c ---- */

struct dns *dns_open(const char *const *servers, size_t server_count, struct error *error)
{
    return (struct dns *)&g;
}

bool dns_start(struct dns *dns, struct loop *loop, struct error *error)
{
    return true;
}

void dns_ask_text(struct dns *dns, struct dns_question *question, struct bytes name, const char *prefix,
                  void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner)
{
    *question = (struct dns_question){
        .on_answer = on_answer, .owner = owner, .type = DNS_TXT, .prefix = prefix, .asked = true};
    snprintf(question->name, sizeof question->name, "%.*s", BYTES_ARG(name));
    question->next = g.asked;
    question->to = &g.asked;
    if (question->next != NULL)
        question->next->to = &question->next;
    g.asked = question;
}

void dns_ask(struct dns *dns, struct dns_question *question, struct bytes name, enum dns_type type,
             void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner)
{
    dns_ask_text(dns, question, name, NULL, on_answer, owner);
    question->type = type;
}

void dns_cancel(struct dns_question *question)
{
    *question->to = question->next;
    if (question->next != NULL)
        question->next->to = question->to;
}

bool dns_ascii_name(const char *name, char *buffer, size_t size)
{
    return false;
}

/* ---- in the place of run/child.c ---- */

bool child_send(struct child *child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached)
{
    const struct ipc_trust_answer *answer = message;
    assert_int_equal(kind, IPC_TRUST_ANSWER);
    assert_true(answer->finding < VERDICT_FINDINGS);
    g.told[answer->finding]++;
    g.last = *answer;
    return true;
}

void child_exit(struct child *child, int code)
{
    fail_msg("the process ends with %d", code);
}

bool child_reads_partial(const struct child *child)
{
    return false;
}

/* ---- the ground ---- */

/* Lets what is due now happen. */
static inline void turn(void)
{
    event_base_loop(g.loop.base, EVLOOP_NONBLOCK);
}

static inline int prepare(void **state)
{
    struct error error;
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    g = (struct trust_ground){.config = {.hostname = "mx.example.org"}};
    g.child = (struct child){.config = &g.config, .loop = &g.loop};
    bool started = loop_start(&g.loop, &error) && trust_service.open(&g.child, &error) &&
                   trust_service.start(&g.child, &error);
    g.trust = g.child.service_data;
    return started ? 0 : -1;
}

/* All that is open has ended before; nothing of it is left. */
static inline int clean_up(void **state)
{
    trust_service.on_peer_lost(&g.child, &g.asker);
    bool left = g.trust->open > 0 || g.trust->octets > 0 || g.trust->per_client.count > 0 ||
                g.trust->by_number.count > 0;
    answer_cache_free(&g.trust->cache);
    map_free(&g.trust->per_client);
    map_free(&g.trust->by_number);
    free(g.trust->arc_trusted);
    loop_free(&g.loop);
    return left ? -1 : 0;
}

static inline uint64_t ask(const char *client, struct bytes header)
{
    union ipc_message message = {.trust = {.request = ++g.last_request,
                                           .client_address = bytes_of_text(client),
                                           .helo = BYTES("mx.sender.example"),
                                           .mail_from = BYTES("a@sender.example"),
                                           .header = header}};
    trust_service.on_message(&g.child, &g.asker, IPC_TRUST, &message, -1);
    return g.last_request;
}

static inline void give_body(uint64_t request, struct bytes digests)
{
    union ipc_message message = {.trust_body = {.request = request, .digests = digests}};
    trust_service.on_message(&g.child, &g.asker, IPC_TRUST_BODY, &message, -1);
}

static inline void drop(uint64_t request)
{
    union ipc_message message = {.trust_drop = {.request = request}};
    trust_service.on_message(&g.child, &g.asker, IPC_TRUST_DROP, &message, -1);
}

/* Answers a question of DNS. */
static inline void answer(struct dns_question *question, const struct dns_answer *said)
{
    dns_cancel(question);
    question->on_answer(question->owner, said);
}

#endif
