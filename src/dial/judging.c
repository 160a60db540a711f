/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/judging.h"

#include <assert.h>

#include "io/signature.h"

enum { ASCII_NAME_MAX = 256 };

static void use_ascii(struct judgement *judgement, struct bytes *name)
{
    char ascii[ASCII_NAME_MAX];
    if (!bytes_is_ascii(*name) && dns_ascii_name(arena_text(judgement->arena, *name), ascii, sizeof ascii))
        *name = arena_copy(judgement->arena, bytes_of_text(ascii));
}

static void use_ascii_in_field(struct judgement *judgement, struct dkim_field *field)
{
    use_ascii(judgement, &field->domain);
    use_ascii(judgement, &field->selector);
    use_ascii(judgement, &field->identity_domain);
}

void judging_use_ascii_names(struct judgement *judgement)
{
    for (size_t i = 0; i < judgement->from.count; i++)
        use_ascii(judgement, &judgement->from.domains[i]);
    for (size_t i = 0; i < judgement->dkim.count; i++)
        use_ascii_in_field(judgement, &judgement->dkim.signatures[i].field);
    for (size_t i = 0; i < judgement->arc.count; i++) {
        use_ascii_in_field(judgement, &judgement->arc.sets[i].signature);
        use_ascii_in_field(judgement, &judgement->arc.sets[i].seal);
    }
}

/* ---- questions ---- */

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct judging_question *question = owner;
    struct judging_run *judging = question->judging;
    question->open = false;
    judgement_answer(judging->judgement, question->key, answer);
    if (judging->memory != NULL)
        judging->memory->remember(judging->memory->context, question->key, answer);
    timer_soon(&judging->again); /* others may come in the same turn */
}

/* Returns room for a question, or NULL: none, or it is asked already. */
static struct judging_question *room_for(struct judging_run *judging, struct dns_fact_key key)
{
    struct judging_question *room = NULL;
    for (size_t i = 0; i < JUDGING_OPEN_MAX; i++) {
        struct judging_question *question = &judging->questions[i];
        if (!question->open)
            room = question;
        else if (dns_fact_key_answers(question->key, key))
            return NULL;
    }
    return room;
}

static void ask(struct judging_run *judging, struct dns_fact_key key)
{
    struct judging_question *question = room_for(judging, key);
    if (question == NULL)
        return;
    question->judging = judging;
    question->key = key;
    question->key.name = arena_copy(judging->judgement->arena, key.name);
    question->open = true;
    if (key.prefix != NULL)
        dns_ask_text(judging->dns, &question->dns, key.name, key.prefix, on_answer, question);
    else
        dns_ask(judging->dns, &question->dns, key.name, key.type, on_answer, question);
}

static bool recall(struct judging_run *judging, struct dns_fact_key key)
{
    struct dns_answer answer;
    if (judging->memory == NULL || !judging->memory->recall(judging->memory->context, key, &answer))
        return false;
    judgement_answer(judging->judgement, key, &answer);
    return true;
}

/* Answers what can be answered now, and asks the rest; false if nothing was answered. */
static bool answer_lacked(struct judging_run *judging)
{
    struct dns_fact_key keys[JUDGEMENT_LACKED_MAX];
    bool signatures = signature_answer(&judging->judgement->signatures);
    bool seals = signature_answer(&judging->judgement->arc_signatures), known = false;
    size_t count = judgement_lacked(judging->judgement, keys), unknown = 0;
    for (size_t i = 0; i < count; i++)
        if (recall(judging, keys[i]))
            known = true;
        else
            keys[unknown++] = keys[i];
    for (size_t i = 0; i < unknown; i++)
        ask(judging, keys[i]);
    return signatures || seals || known;
}

static void cancel_all(struct judging_run *judging)
{
    for (size_t i = 0; i < JUDGING_OPEN_MAX; i++)
        if (judging->questions[i].open)
            dns_cancel(&judging->questions[i].dns);
    for (size_t i = 0; i < JUDGING_OPEN_MAX; i++)
        judging->questions[i].open = false;
}

/* ---- judging ---- */

void judging_go_on(struct judging_run *judging)
{
    assert(!judging->done);
    while (!judgement_run(judging->judgement, judging->now_s))
        if (!answer_lacked(judging))
            return;
    judging_stop(judging);
    judging->done = true;
    judging->on_done(judging->owner);
}

static void go_on(void *owner)
{
    judging_go_on(owner);
}

static void give_up(void *owner)
{
    judging_give_up(owner);
}

void judging_start(struct judging_run *judging, struct judgement *judgement, struct dns *dns,
                   struct loop *loop, const struct judging_memory *memory, uint64_t now_s,
                   void (*on_done)(void *owner), void *owner)
{
    *judging = (struct judging_run){.judgement = judgement,
                                    .dns = dns,
                                    .memory = memory,
                                    .now_s = now_s,
                                    .on_done = on_done,
                                    .owner = owner};
    timer_start(&judging->deadline, loop, give_up, judging);
    timer_start(&judging->again, loop, go_on, judging);
}

void judging_give_up_after(struct judging_run *judging, uint32_t delay_ms)
{
    timer_set(&judging->deadline, delay_ms);
}

void judging_give_up(struct judging_run *judging)
{
    cancel_all(judging);
    judgement_give_up(judging->judgement);
    judging_go_on(judging);
}

void judging_stop(struct judging_run *judging)
{
    cancel_all(judging);
    timer_cancel(&judging->deadline);
    timer_cancel(&judging->again);
}
