/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_facts: whether signatures verify, as facts from the shell that has a library for cryptography.
 *
 * As with dns_facts: a judgement looks a signature up by its number; one that is not known is noted as
 * lacked, with all that is needed to verify it; the shell verifies those, adds the answers, and calls the
 * judgement again.
 */
#ifndef MAILBOAT_CORE_TRUST_SIGNATURE_FACTS_H
#define MAILBOAT_CORE_TRUST_SIGNATURE_FACTS_H

#include "core/trust/dkim_key.h"

enum signature_facts_limit {
    SIGNATURES_MAX = 256,       /* numbers of one judgement */
    SIGNATURES_LACKED_MAX = 16, /* lacked at the same time; more are lacked in the next round */
};

enum signature_fact { SIGNATURE_UNKNOWN, SIGNATURE_GOOD, SIGNATURE_BAD };

struct signature_check {
    size_t number;
    enum dkim_algorithm algorithm;
    struct bytes key;       /* as in struct dkim_key */
    struct bytes input;     /* canonical octets whose SHA-256 is signed */
    struct bytes signature; /* the octets of b= */
};

struct signature_facts {
    enum signature_fact known[SIGNATURES_MAX];
    struct signature_check lacked[SIGNATURES_LACKED_MAX];
    size_t lacked_count;
    struct arena *arena; /* the owner's, of the inputs: it can be cleared before each judgement */
};

/* Makes empty facts; `arena` must outlive them. */
void signature_facts_start(struct signature_facts *facts, struct arena *arena);
/* Forgets what was lacked, before a judgement is called from the top. */
void signature_facts_begin(struct signature_facts *facts);
/* Adds an answer; the first one stands. */
void signature_facts_add(struct signature_facts *facts, size_t number, bool good);

/* ---- for judgements ---- */
enum signature_fact signature_facts_look_up(const struct signature_facts *facts, size_t number);
/* True if one more can be lacked in this round: only then its input is worth making. */
bool signature_facts_have_room(const struct signature_facts *facts);
void signature_facts_lack(struct signature_facts *facts, const struct signature_check *check);

#endif
