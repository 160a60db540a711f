/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arc_seal: adds an ARC set to a message that is passed on (RFC 8617 5.1). Pure: the shell hashes the body
 * and signs twice.
 *
 *     arc_begin(), arc_judge()                      the chain as it came
 *     arc_seal_names(index, &names)                 false: without From, nothing can be signed
 *     arc_seal_start(&seal, arc, &request)          false: arc_seal_obstacle(arc) says why not
 *     arc_seal_message_input(&seal, &input);        the key signs the input: `signature`
 *     arc_seal_message(&seal, signature);
 *     arc_seal_chain_input(&seal, &input);          the key signs it as well
 *     arc_seal_finish(&seal, signature, &out);      three fields, to be put above the header
 *
 * A chain that failed gets one more set, with cv=fail, whose seal covers itself alone (5.1.2): it says where
 * the chain was found broken, and no set follows it. Header and body are relaxed; From is signed once more
 * than it is there.
 */
#ifndef MAILBOAT_CORE_TRUST_ARC_SEAL_H
#define MAILBOAT_CORE_TRUST_ARC_SEAL_H

#include "core/trust/arc.h"

enum { ARC_SEAL_SIGNATURES_MAX = 8 }; /* DKIM-Signature fields that are signed, the lowest */

struct arc_seal_request {
    enum dkim_algorithm algorithm;
    struct bytes domain, selector; /* d=, s=: in the form of DNS (A-labels) */
    uint64_t time_s;               /* t=: seconds of the Unix clock */
    struct bytes names;            /* h=: of arc_seal_names() */
    struct bytes results;          /* the payload of our own Authentication-Results */
    struct bytes body_digest;      /* DKIM_DIGEST octets: of the body in relaxed form, without a limit */
    bool folds_values;             /* breaks lines in long values too: below 78 columns */
};

struct arc_seal {
    const struct arc *arc;
    struct arc_seal_request request;
    unsigned instance;
    struct buffer results, message; /* the fields that are complete */
};

/* Appends the names of dkim_sign_names(), and of the signatures that the message has (4.1.2). False, and
 * nothing, if there is no From. */
bool arc_seal_names(const struct field_index *index, struct buffer *out);
/* Returns why this chain, which is judged, gets no further set, as a clause for the log; NULL: it can get
 * one. It was not or could not be checked, has ARC_INSTANCE_MAX sets, or its newest seal says cv=fail (5.1).
 */
const char *arc_seal_obstacle(const struct arc *arc);
/* Begins a set. False where there is an obstacle. What the request points to must outlive the seal. */
bool arc_seal_start(struct arc_seal *seal, const struct arc *arc, const struct arc_seal_request *request);
/* Appends what the ARC-Message-Signature signs. */
void arc_seal_message_input(const struct arc_seal *seal, struct buffer *out);
/* Completes the ARC-Message-Signature. */
void arc_seal_message(struct arc_seal *seal, struct bytes signature);
/* Appends what the ARC-Seal signs: all sets, of a chain that failed only its own. */
void arc_seal_chain_input(const struct arc_seal *seal, struct buffer *out);
/* Appends the set: ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results. */
void arc_seal_finish(struct arc_seal *seal, struct bytes signature, struct buffer *out);
/* Frees what the seal holds. */
void arc_seal_free(struct arc_seal *seal);

#endif
