/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/trust_record.h"

#include <assert.h>

/* Where each number stands in the code. */
enum { DISPOSITION_BITS = 2, OVERRIDE_BITS = 4, FINDING_BITS = 5, CHAIN_BITS = 3 };
enum {
    PROPOSED_AT = DISPOSITION_BITS,
    OVERRIDE_AT = PROPOSED_AT + DISPOSITION_BITS,
    FINDING_AT = OVERRIDE_AT + OVERRIDE_BITS,
    CHAIN_AT = FINDING_AT + FINDING_BITS,
};
static_assert(DISPOSITION_REJECT < 1 << DISPOSITION_BITS, "a disposition has room");
static_assert(OVERRIDE_LOCAL_POLICY < 1 << OVERRIDE_BITS, "an override has room");
static_assert(VERDICT_FINDINGS <= 1 << FINDING_BITS, "a finding has room");
static_assert(ARC_RESULTS <= 1 << CHAIN_BITS, "a chain has room");
static_assert(TRUST_CODE_MAX == (1 << (CHAIN_AT + CHAIN_BITS)) - 1, "the code has its bits");

unsigned trust_record_code(const struct trust_record *record)
{
    assert(trust_record_is_sound(record));
    return (unsigned)record->disposition | (unsigned)record->proposed << PROPOSED_AT |
           (unsigned)record->override << OVERRIDE_AT | (unsigned)record->finding << FINDING_AT |
           (unsigned)record->chain << CHAIN_AT;
}

bool trust_record_decode(unsigned code, struct trust_record *record)
{
    const unsigned disposition = (1u << DISPOSITION_BITS) - 1;
    unsigned override = code >> OVERRIDE_AT & ((1u << OVERRIDE_BITS) - 1);
    unsigned finding = code >> FINDING_AT & ((1u << FINDING_BITS) - 1), chain = code >> CHAIN_AT;
    *record = (struct trust_record){.disposition = DISPOSITION_DELIVER};
    if (override > OVERRIDE_LOCAL_POLICY || finding >= VERDICT_FINDINGS || chain >= ARC_RESULTS)
        return false;
    record->disposition = (enum disposition)(code & disposition);
    record->proposed = (enum disposition)(code >> PROPOSED_AT & disposition);
    record->override = (enum verdict_override) override;
    record->finding = (enum verdict_finding)finding;
    record->chain = (enum arc_result)chain;
    return true;
}

bool trust_record_is_sound(const struct trust_record *record)
{
    return record->disposition <= DISPOSITION_REJECT && record->proposed <= DISPOSITION_REJECT &&
           record->override <= OVERRIDE_LOCAL_POLICY && record->finding < VERDICT_FINDINGS &&
           record->chain < ARC_RESULTS && record->author.length <= TRUST_AUTHOR_MAX &&
           record->story.length <= TRUST_STORY_MAX && record->evidence.length <= TRUST_EVIDENCE_MAX;
}

struct bytes trust_record_story(struct bytes story)
{
    size_t length = story.length;
    if (length <= TRUST_STORY_MAX)
        return story;
    for (length = TRUST_STORY_MAX; length > 0 && ((unsigned char)story.at[length] & 0xC0) == 0x80;)
        length--;
    return bytes_first(story, length);
}
