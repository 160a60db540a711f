/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sign/sign_question.h"

#include <stdlib.h>

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
    return question;
}

void sign_question_free(struct sign_question *question)
{
    arena_clear(&question->arena);
    buffer_free(&question->fields);
    free(question);
}

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

static enum sign_verdict sign(struct sign_question *question, struct field_index *index)
{
    struct buffer names = {0};
    if (question->body_digest.length != DKIM_DIGEST)
        return question->why = "the request has no digest", SIGN_FAILED;
    if (question->header.length > FIELD_INDEX_OCTETS_MAX ||
        (field_index_start(index, question->header), index->over))
        return question->why = "the header is too large", SIGN_UNFIT;
    if (!dkim_sign_names(index, &names))
        return question->why = "the message has no From field", SIGN_UNFIT;
    for (const struct sign_key *key = question->keys; key != NULL; key = key->next)
        if (key->key.key != NULL)
            add_field(question, key, index, buffer_bytes(&names));
    buffer_free(&names);
    if (question->fields.length > 0)
        return SIGN_DONE;
    return question->why = "the domain's DKIM key cannot be used", SIGN_FAILED;
}

void sign_question_answer(struct sign_question *question)
{
    struct field_index *index = memory_new(sizeof *index); /* too large for the stack of a thread */
    question->verdict = sign(question, index);
    free(index);
}
