/* SPDX-License-Identifier: Apache-2.0 */
#include "service/submission/question.h"

#include <assert.h>
#include <unistd.h>

#include "io/clock.h"
#include "run/child.h"

/* ---- the peers of a process ---- */

static enum question_peer_state child_state(void *context, enum process_role role)
{
    struct channel *peer = child_peer(context, role);
    return peer == NULL            ? QUESTION_PEER_GONE
           : channel_is_full(peer) ? QUESTION_PEER_FULL
                                   : QUESTION_PEER_READY;
}

static bool child_say(void *context, enum process_role role, enum ipc_kind kind, const void *message)
{
    struct channel *peer = child_peer(context, role);
    return peer != NULL && child_send(context, peer, kind, message, -1);
}

const struct question_peers question_child_peers = {.state = child_state, .send = child_say};

/* ---- matching answers with questions ---- */

struct question_pair {
    enum ipc_kind question, answer;
};
#define PAIR(kind, member)              \
    {                                   \
        IPC_##kind, IPC_##kind##_ANSWER \
    }
/* Each answer begins with the number of its question. */
#define NUMBERED(member) \
    static_assert(offsetof(union ipc_message, member.request) == 0, "an answer begins with its request")
NUMBERED(password_answer);
NUMBERED(salt_answer);
NUMBERED(proof_answer);
NUMBERED(credential_answer);
NUMBERED(limit_answer);
NUMBERED(sender_answer);
NUMBERED(recipient_answer);
NUMBERED(spool_answer);
NUMBERED(submit_answer);

static const struct question_pair question_pairs[] = {
    PAIR(PASSWORD, password_answer),     PAIR(SALT, salt_answer),   PAIR(PROOF, proof_answer),
    PAIR(CREDENTIAL, credential_answer), PAIR(LIMIT, limit_answer), PAIR(SENDER, sender_answer),
    PAIR(RECIPIENT, recipient_answer),   PAIR(SPOOL, spool_answer), PAIR(SUBMIT, submit_answer),
};

/* Returns the kind that it answers; IPC_KINDS: none that is asked here. */
static enum ipc_kind question_of(enum ipc_kind answer)
{
    for (size_t i = 0; i < ARRAY_LENGTH(question_pairs); i++)
        if (question_pairs[i].answer == answer)
            return question_pairs[i].question;
    return IPC_KINDS;
}

static enum process_role answerer(enum ipc_kind question)
{
    return question == IPC_SPOOL || question == IPC_SPOOL_DROP || question == IPC_SUBMIT ||
                   question == IPC_JUDGED
               ? PROCESS_QUEUE
               : PROCESS_AUTH;
}

/* False for IPC_SUBMIT: whether a message was stored is unknown once queue has died; other questions are
 * repeated. */
static bool can_be_asked_twice(enum ipc_kind question)
{
    return question != IPC_SUBMIT;
}

/* ---- the lists ---- */

static void list_start(struct question_list *list)
{
    *list = (struct question_list){.end = &list->first};
}

static struct question_list *list_of(struct questions *questions, const struct question *question)
{
    if (question->request == 0)
        return &questions->waiting;
    return answerer(question->kind) == PROCESS_QUEUE ? &questions->asked_queue : &questions->asked_auth;
}

static void list_add(struct question_list *list, struct question *question)
{
    question->next = NULL;
    question->link = list->end;
    *list->end = question;
    list->end = &question->next;
}

static void list_take(struct question_list *list, struct question *question)
{
    assert(*question->link == question);
    *question->link = question->next;
    if (question->next != NULL)
        question->next->link = question->link;
    else
        list->end = question->link;
    question->next = NULL;
    question->link = NULL;
}

/* ---- asking ---- */

static void check(const struct question *question)
{
    const struct questions *questions = question->questions;
    assert(question->open == (question->link != NULL));
    assert(question->open || question->request == 0);
    assert(question->request <= questions->last_request);
    assert(question->request == 0 || map_get_u64(&questions->asked, question->request) == question);
}

/* False if it has to wait. */
static bool try_to_ask(struct question *question)
{
    struct questions *questions = question->questions;
    if (questions->peers->state(questions->context, answerer(question->kind)) != QUESTION_PEER_READY)
        return false;
    question->request = ++questions->last_request;
    if (!question->rules->say(question)) {
        question->request = 0;
        return false;
    }
    map_put_u64(&questions->asked, question->request, question);
    list_add(list_of(questions, question), question);
    return true;
}

static void wait_in_line(struct question *question)
{
    struct questions *questions = question->questions;
    if (questions->waiting.first == NULL)
        timer_set(&questions->retry, QUESTION_RETRY_MS);
    question->request = 0;
    list_add(&questions->waiting, question);
}

void question_start(struct question *question, struct questions *questions,
                    const struct question_rules *rules, void *owner)
{
    *question = (struct question){.questions = questions, .rules = rules, .owner = owner};
}

void question_ask(struct question *question, enum ipc_kind kind)
{
    assert(!question->open);
    question->kind = kind;
    question->since_ms = clock_now_ms();
    question->open = true;
    if (!try_to_ask(question)) {
        question->open = question->questions->patience_ms > 0;
        if (question->open)
            wait_in_line(question);
        else
            question->rules->unavailable(question);
        return;
    }
    check(question);
}

bool question_send(struct question *question, const void *message)
{
    struct questions *questions = question->questions;
    return questions->peers->send(questions->context, answerer(question->kind), question->kind, message);
}

/* Removes it from all lists: it was answered, or never will be. */
static void leave(struct question *question)
{
    struct questions *questions = question->questions;
    check(question);
    list_take(list_of(questions, question), question);
    if (question->request != 0)
        map_remove_u64(&questions->asked, question->request);
    question->request = 0;
}

void question_forget(struct question *question)
{
    if (!question->open)
        return;
    leave(question);
    question->open = false;
}

static void report_unavailable(struct question *question)
{
    question->open = false;
    question->rules->unavailable(question);
    question->rules->go_on(question);
}

/* ---- answers, lost and new peers ---- */

bool questions_answered(struct questions *questions, enum ipc_kind kind, const union ipc_message *message,
                        int attached)
{
    enum ipc_kind asked = question_of(kind);
    uint64_t request = 0;
    if (asked == IPC_KINDS)
        return false;
    memcpy(&request, message, sizeof request);
    struct question *question = map_get_u64(&questions->asked, request);
    if (question == NULL || question->kind != asked)
        return false;
    leave(question);
    question->open = false;
    if (attached >= 0 && asked != IPC_SPOOL) {
        close(attached);
        attached = -1;
    }
    question->rules->answered(question, message, attached);
    question->rules->go_on(question);
    return true;
}

void questions_retry(void *owner)
{
    struct questions *questions = owner;
    const uint64_t now = clock_now_ms();
    size_t count = 0;
    for (const struct question *at = questions->waiting.first; at != NULL; at = at->next)
        count++;
    for (struct question *question; count > 0 && (question = questions->waiting.first) != NULL; count--) {
        list_take(&questions->waiting, question);
        if (try_to_ask(question))
            continue;
        if (now - question->since_ms < questions->patience_ms ||
            questions->peers->state(questions->context, answerer(question->kind)) != QUESTION_PEER_GONE)
            wait_in_line(question);
        else
            report_unavailable(question);
    }
    if (questions->waiting.first != NULL)
        timer_set(&questions->retry, QUESTION_RETRY_MS);
}

void questions_peer_came(struct questions *questions)
{
    if (questions->waiting.first != NULL)
        timer_soon(&questions->retry);
}

void questions_peer_lost(struct questions *questions, enum process_role peer)
{
    struct question_list *list = peer == PROCESS_QUEUE  ? &questions->asked_queue
                                 : peer == PROCESS_AUTH ? &questions->asked_auth
                                                        : NULL;
    if (list == NULL)
        return;
    const uint64_t last = questions->last_request; /* new questions are sent to the successor */
    for (struct question *question; (question = list->first) != NULL && question->request <= last;) {
        leave(question);
        question->since_ms = clock_now_ms();
        if (can_be_asked_twice(question->kind) && questions->patience_ms > 0)
            wait_in_line(question);
        else
            report_unavailable(question);
    }
}

/* ---- lifecycle ---- */

void questions_start(struct questions *questions, const struct question_peers *peers, void *context,
                     struct loop *loop, uint32_t patience_ms, uint64_t seed)
{
    *questions = (struct questions){.peers = peers, .context = context, .patience_ms = patience_ms};
    map_start(&questions->asked, seed);
    list_start(&questions->asked_auth);
    list_start(&questions->asked_queue);
    list_start(&questions->waiting);
    timer_start(&questions->retry, loop, questions_retry, questions);
}

void questions_free(struct questions *questions)
{
    assert(questions->waiting.first == NULL);
    timer_cancel(&questions->retry);
    map_free(&questions->asked);
}

uint64_t questions_number(struct questions *questions)
{
    return ++questions->last_request;
}

bool questions_tell(struct questions *questions, enum ipc_kind kind, const void *message)
{
    return questions->peers->send(questions->context, answerer(kind), kind, message);
}
