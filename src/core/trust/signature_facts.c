/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/signature_facts.h"

#include <assert.h>

void signature_facts_start(struct signature_facts *facts, struct arena *arena)
{
    memset(facts, 0, sizeof(*facts));
    facts->arena = arena;
}

void signature_facts_begin(struct signature_facts *facts)
{
    facts->lacked_count = 0;
}

void signature_facts_add(struct signature_facts *facts, size_t number, bool good)
{
    assert(number < SIGNATURES_MAX);
    if (facts->known[number] == SIGNATURE_UNKNOWN)
        facts->known[number] = good ? SIGNATURE_GOOD : SIGNATURE_BAD;
}

enum signature_fact signature_facts_look_up(const struct signature_facts *facts, size_t number)
{
    assert(number < SIGNATURES_MAX);
    return facts->known[number];
}

bool signature_facts_have_room(const struct signature_facts *facts)
{
    assert(facts->lacked_count <= SIGNATURES_LACKED_MAX);
    return facts->lacked_count < SIGNATURES_LACKED_MAX;
}

void signature_facts_lack(struct signature_facts *facts, const struct signature_check *check)
{
    assert(signature_facts_have_room(facts) && check->number < SIGNATURES_MAX);
    facts->lacked[facts->lacked_count++] = *check;
}
