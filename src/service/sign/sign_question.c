/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sign/sign_question.h"

#include <stdlib.h>

#include "core/trust/arc_seal.h"
#include "core/trust/dkim_sign.h"

static void run(struct work *work)
{
    sign_question_answer((struct sign_question *)(void *)work);
}

struct sign_question *sign_question_new(const struct ipc_sign *asked, struct channel *asker,
                                        const struct sign_key *keys, uint64_t time_s)
{
    struct sign_question *question = memory_new(sizeof *question);
    question->work.run = run;
    question->asker = asker;
    question->request = asked->request;
    question->time_s = time_s;
    question->keys = keys;
    question->header = arena_copy(&question->arena, asked->header);
    question->body_digest = arena_copy(&question->arena, asked->body_digest);
    question->chain = asked->chain < ARC_RESULTS ? (enum arc_result)asked->chain : ARC_TEMPERROR;
    question->results = arena_copy(&question->arena, asked->results);
    return question;
}

void sign_question_free(struct sign_question *question)
{
    arena_clear(&question->arena);
    buffer_free(&question->fields);
    free(question);
}

/* ---- DKIM ---- */

static void add_field(struct sign_question *question, const struct sign_key *key,
                      const struct field_index *index, struct bytes names)
{
    const struct dkim_sign_request request = {.algorithm = key->key.algorithm,
                                              .domain = key->domain,
                                              .selector = key->selector,
                                              .time_s = question->time_s,
                                              .names = names,
                                              .body_digest = question->body_digest};
    struct buffer input = {0}, signature = {0};
    dkim_sign_input(&request, index, &input);
    if (signature_sign(&key->key, buffer_bytes(&input), &signature))
        dkim_sign_field(&request, buffer_bytes(&signature), &question->fields);
    buffer_free(&input);
    buffer_free(&signature);
}

static enum sign_verdict sign(struct sign_question *question, const struct field_index *index,
                              struct bytes names)
{
    for (const struct sign_key *key = question->keys; key != NULL; key = key->next)
        if (key->key.key != NULL)
            add_field(question, key, index, names);
    if (question->fields.length > 0)
        return SIGN_DONE;
    return question->why = "the domain's DKIM key cannot be used", SIGN_FAILED;
}

/* ---- ARC ---- */

/* Every verifier knows RSA; a chain has one key per set. NULL: none can be used. */
static const struct sign_key *sealing_key(const struct sign_key *keys)
{
    const struct sign_key *found = NULL;
    for (const struct sign_key *key = keys; key != NULL; key = key->next)
        if (key->key.key != NULL && (found == NULL || key->key.algorithm == DKIM_RSA_SHA256))
            found = key;
    return found;
}

/* Makes both signatures; false if the key does not sign. */
static bool make_set(struct sign_question *question, struct arc_seal *seal, const struct sign_key *key)
{
    struct buffer input = {0}, signature = {0};
    arc_seal_message_input(seal, &input);
    bool made = signature_sign(&key->key, buffer_bytes(&input), &signature);
    if (made) {
        arc_seal_message(seal, buffer_bytes(&signature));
        buffer_clear(&input);
        buffer_clear(&signature);
        arc_seal_chain_input(seal, &input);
        made = signature_sign(&key->key, buffer_bytes(&input), &signature);
    }
    if (made) {
        question->instance = seal->instance;
        arc_seal_finish(seal, buffer_bytes(&signature), &question->fields);
    }
    buffer_free(&input);
    buffer_free(&signature);
    return made;
}

/* The structure is read again, and must fit the judgement; signatures are not verified again. */
static const char *take_judged(struct arc *arc, enum arc_result judged)
{
    if (arc->result == ARC_PENDING && judged != ARC_NONE)
        arc->result = judged;
    return arc->result == judged ? arc_seal_obstacle(arc) : "the ARC chain is not the one that was judged";
}

static enum sign_verdict seal_chain(struct sign_question *question, struct arc *arc,
                                    const struct field_index *index, struct bytes names)
{
    const struct sign_key *key = sealing_key(question->keys);
    struct arc_seal seal;
    arc_begin(arc, index, &question->arena);
    question->why = question->results.length == 0 ? "the message has no results of authentication here"
                                                  : take_judged(arc, question->chain);
    if (question->why != NULL)
        return SIGN_UNFIT;
    if (key == NULL)
        return question->why = "the domain's DKIM key cannot be used", SIGN_FAILED;
    const struct arc_seal_request request = {.algorithm = key->key.algorithm,
                                             .domain = key->domain,
                                             .selector = key->selector,
                                             .time_s = question->time_s,
                                             .names = names,
                                             .results = question->results,
                                             .body_digest = question->body_digest,
                                             .folds_values = true};
    bool made = arc_seal_start(&seal, arc, &request) && make_set(question, &seal, key);
    arc_seal_free(&seal);
    return made ? SIGN_DONE : (question->why = "the domain's DKIM key cannot be used", SIGN_FAILED);
}

static enum sign_verdict seal(struct sign_question *question, const struct field_index *index,
                              struct bytes names)
{
    struct arc *arc = memory_new(sizeof *arc); /* too large for the stack of a thread */
    enum sign_verdict verdict = seal_chain(question, arc, index, names);
    free(arc);
    return verdict;
}

/* ---- both ---- */

static enum sign_verdict answer(struct sign_question *question, struct field_index *index)
{
    struct buffer names = {0};
    bool seals = question->chain != ARC_PENDING;
    if (question->body_digest.length != DKIM_DIGEST)
        return question->why = "the request has no digest", SIGN_FAILED;
    if (question->header.length > FIELD_INDEX_OCTETS_MAX ||
        (field_index_start(index, question->header), index->over))
        return question->why = "the header is too large", SIGN_UNFIT;
    if (seals ? !arc_seal_names(index, &names) : !dkim_sign_names(index, &names))
        return question->why = "the message has no From field", SIGN_UNFIT;
    enum sign_verdict verdict = seals ? seal(question, index, buffer_bytes(&names))
                                      : sign(question, index, buffer_bytes(&names));
    buffer_free(&names);
    return verdict;
}

void sign_question_answer(struct sign_question *question)
{
    struct field_index *index = memory_resize(NULL, sizeof *index); /* too large for the stack of a thread */
    question->verdict = answer(question, index);
    free(index);
}
