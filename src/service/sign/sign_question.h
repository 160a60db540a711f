/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign_question: one request for signatures, and its work on a thread: the DKIM fields of all keys of a
 * domain for one header and one digest, or the three fields of an ARC set, with one of these keys.
 */
#ifndef MAILBOAT_SERVICE_SIGN_SIGN_QUESTION_H
#define MAILBOAT_SERVICE_SIGN_SIGN_QUESTION_H

#include "ipc/channel.h"
#include "service/sign/sign_keys.h"
#include "service/worker_threads.h"

enum { SIGN_OPEN_MAX = 256 }; /* further ones wait in the channel */

struct sign_question {
    struct work work;
    struct sign_question *previous, *next;
    struct channel *asker; /* NULL once it is gone */
    uint64_t request, time_s;
    struct arena arena; /* of the texts */
    struct bytes header, body_digest;
    enum arc_result chain; /* ARC_PENDING: no set is wanted */
    struct bytes results;
    const struct sign_key *keys; /* of the domain, at least one */
    /* the answer: */
    enum sign_verdict verdict;
    struct buffer fields;
    unsigned instance; /* of the ARC set; 0: none was made */
    const char *why;
};

/* Copies what was asked; `keys` must outlive the question. `time_s`: the t= of the signatures. */
struct sign_question *sign_question_new(const struct ipc_sign *asked, struct channel *asker,
                                        const struct sign_key *keys, uint64_t time_s);
/* Fills the answer: on a thread as work.run, and in tests. */
void sign_question_answer(struct sign_question *question);
void sign_question_free(struct sign_question *question);

#endif
