/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arc_seal: adds an ARC set to a message that is passed on (RFC 8617 5.1). Pure: the shell hashes the body
 * and signs twice.
 *
 *     arc_begin(), arc_judge()                      the chain as it came: ARC_NONE or ARC_PASS
 *     arc_seal_start(&seal, arc, &request)          false: this chain is not to be continued
 *     arc_seal_message_input(&seal, &input);        the key signs the input: `signature`
 *     arc_seal_message(&seal, signature);
 *     arc_seal_chain_input(&seal, &input);          the key signs it as well
 *     arc_seal_finish(&seal, signature, &out);      three fields, to be put above the header
 *
 * A chain that failed is not sealed: nobody could make use of it. Header and body are relaxed; From is signed
 * once more than it is there.
 */
#ifndef MAILBOAT_CORE_TRUST_ARC_SEAL_H
#define MAILBOAT_CORE_TRUST_ARC_SEAL_H

#include "core/trust/arc.h"

struct arc_seal_request {
    enum dkim_algorithm algorithm;
    struct bytes domain, selector; /* d=, s=: in the form of DNS (A-labels) */
    uint64_t time_s;               /* t=: seconds of the Unix clock */
    struct bytes names;            /* h=: of dkim_sign_names() */
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

/* Begins a set. False for a chain that is not ARC_NONE or ARC_PASS, or has ARC_INSTANCE_MAX sets. What the
 * request points to must outlive the seal. */
bool arc_seal_start(struct arc_seal *seal, const struct arc *arc, const struct arc_seal_request *request);
/* Appends what the ARC-Message-Signature signs. */
void arc_seal_message_input(const struct arc_seal *seal, struct buffer *out);
/* Completes the ARC-Message-Signature. */
void arc_seal_message(struct arc_seal *seal, struct bytes signature);
/* Appends what the ARC-Seal signs: all sets, and itself. */
void arc_seal_chain_input(const struct arc_seal *seal, struct buffer *out);
/* Appends the set: ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results. */
void arc_seal_finish(struct arc_seal *seal, struct bytes signature, struct buffer *out);
/* Frees what the seal holds. */
void arc_seal_free(struct arc_seal *seal);

#endif
