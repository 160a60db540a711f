/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/arc.h"

#include <assert.h>

#include "base/white_space.h"
#include "core/trust/tags.h"

/* ---- structure ---- */

static void fail(struct arc *arc, size_t instance, const char *reason)
{
    if (arc->result == ARC_FAIL)
        return;
    arc->result = ARC_FAIL;
    arc->reason = reason;
    arc->failed_instance = (unsigned)instance;
}

/* Splits "i=N; results"; returns the instance, 0 if it is not of that form. */
static unsigned split_results(struct bytes value, struct bytes *results)
{
    uint64_t instance = 0;
    size_t end = bytes_find(value, ';');
    if (end == SIZE_MAX)
        return 0;
    struct bytes first = bytes_first(value, end);
    size_t equals = bytes_find(first, '=');
    *results = bytes_from(value, end + 1);
    if (equals == SIZE_MAX || !bytes_is(white_space_trim(bytes_first(first, equals)), "i") ||
        !bytes_to_u64(white_space_trim(bytes_from(first, equals + 1)), ARC_INSTANCE_MAX, &instance))
        return 0;
    return (unsigned)instance;
}

static struct arc_set *set_of(struct arc *arc, unsigned instance)
{
    assert(instance > 0 && instance <= ARC_INSTANCE_MAX);
    arc->count = instance > arc->count ? instance : arc->count;
    return &arc->sets[instance - 1];
}

static void take_results(struct arc *arc, uint16_t at)
{
    struct bytes ignored;
    unsigned instance = split_results(arc->index->fields[at].value, &ignored);
    if (instance == 0) {
        fail(arc, 0, "ARC-Authentication-Results without an instance");
        return;
    }
    struct arc_set *set = set_of(arc, instance);
    if (set->has_results)
        fail(arc, instance, "two ARC-Authentication-Results of one instance");
    set->has_results = true;
    set->results_at = at;
}

static void take_signature(struct arc *arc, uint16_t at, struct arena *arena)
{
    struct dkim_field field;
    const char *reason = dkim_field_parse(&field, arc->index, at, DKIM_FIELD_ARC_SIGNATURE, arena);
    if (reason != NULL) {
        fail(arc, field.instance, reason);
        return;
    }
    struct arc_set *set = set_of(arc, field.instance);
    if (set->has_signature)
        fail(arc, field.instance, "two ARC-Message-Signatures of one instance");
    set->has_signature = true;
    set->signature = field;
}

static void take_seal(struct arc *arc, uint16_t at, struct arena *arena)
{
    struct dkim_field field;
    const char *reason = dkim_field_parse(&field, arc->index, at, DKIM_FIELD_ARC_SEAL, arena);
    if (reason != NULL) {
        fail(arc, field.instance, reason);
        return;
    }
    struct arc_set *set = set_of(arc, field.instance);
    if (set->has_seal)
        fail(arc, field.instance, "two ARC-Seals of one instance");
    set->has_seal = true;
    set->seal = field;
}

/* RFC 8617 5.2, steps 2 and 3. */
static void check_structure(struct arc *arc)
{
    for (size_t i = arc->count; i > 0; i--) {
        const struct arc_set *set = &arc->sets[i - 1];
        if (!set->has_results || !set->has_signature || !set->has_seal)
            fail(arc, i, "the set is not complete");
        else if (bytes_is_nocase(set->seal.chain, "fail"))
            fail(arc, i, "the sealer found the chain broken");
        else if (!bytes_is_nocase(set->seal.chain, i == 1 ? "none" : "pass"))
            fail(arc, i, "cv= does not fit the instance");
    }
    if (arc->index->over && arc->count > 0)
        fail(arc, 0, "the header is too large");
}

void arc_begin(struct arc *arc, const struct field_index *index, struct arena *arena)
{
    *arc = (struct arc){.index = index, .result = ARC_PENDING};
    for (size_t i = 0; i < index->count; i++) {
        struct bytes name = index->fields[i].name;
        if (arc->sets == NULL && bytes_starts_nocase(name, "arc-"))
            arc->sets = ARENA_ARRAY(arena, struct arc_set, ARC_INSTANCE_MAX);
        if (bytes_is_nocase(name, "arc-authentication-results"))
            take_results(arc, (uint16_t)i);
        else if (bytes_is_nocase(name, "arc-message-signature"))
            take_signature(arc, (uint16_t)i, arena);
        else if (bytes_is_nocase(name, "arc-seal"))
            take_seal(arc, (uint16_t)i, arena);
    }
    check_structure(arc);
    if (arc->count == 0 && arc->result == ARC_PENDING)
        arc->result = ARC_NONE;
    if (arc->result != ARC_PENDING)
        return;
    const struct dkim_field *newest = &arc->sets[arc->count - 1].signature;
    arc->needs_body = true;
    arc->body = (struct dkim_body){newest->body_form, newest->limit};
}

struct bytes arc_results_of(const struct arc *arc, unsigned instance)
{
    struct bytes results = bytes_none();
    assert(instance > 0 && instance <= arc->count && arc->sets[instance - 1].has_results);
    split_results(arc->index->fields[arc->sets[instance - 1].results_at].value, &results);
    return results;
}

/* ---- judgement ---- */

void arc_facts_start(struct arc_facts *facts, struct dns_facts *dns, struct signature_facts *signatures)
{
    *facts = (struct arc_facts){.dns = dns, .signatures = signatures};
}

/* Appends a set, with or without its seal. */
static void add_set(const struct arc *arc, size_t i, bool sealed, struct buffer *out)
{
    const struct arc_set *set = &arc->sets[i];
    canon_field(out, arc->index->fields[set->results_at].whole, CANON_RELAXED);
    canon_field(out, set->signature.whole, CANON_RELAXED);
    if (sealed)
        canon_field(out, set->seal.whole, CANON_RELAXED);
}

void arc_add_sets(const struct arc *arc, size_t count, struct buffer *out)
{
    assert(count <= arc->count);
    for (size_t i = 0; i < count; i++)
        add_set(arc, i, true, out);
}

static void seal_input(const void *context, const struct dkim_field *seal, struct buffer *out)
{
    const struct arc *arc = context;
    arc_add_sets(arc, seal->instance - 1, out);
    add_set(arc, seal->instance - 1, false, out);
    canon_signature_field(out, seal->whole, seal->hole, CANON_RELAXED);
}

static void header_input(const void *context, const struct dkim_field *field, struct buffer *out)
{
    dkim_field_input(field, ((const struct arc *)context)->index, out);
}

/* A signature of the chain, as far as it is known. */
struct arc_finding {
    enum arc_result result;
    const char *reason;
};

static struct arc_finding find_signature(const struct arc *arc, struct arc_facts *facts, size_t slot,
                                         const struct dkim_field *field, dkim_input *input)
{
    struct dkim_key key;
    const char *reason = NULL;
    enum dkim_result found = dkim_find_key(facts->dns, field, 0, &key, &reason);
    if (found == DKIM_PENDING)
        return (struct arc_finding){ARC_PENDING, NULL};
    if (found != DKIM_PASS)
        return (struct arc_finding){found == DKIM_TEMPERROR ? ARC_TEMPERROR : ARC_FAIL, reason};
    switch (dkim_try_keys(facts->dns, facts->signatures, slot, field, input, arc, &key)) {
    case SIGNATURE_UNKNOWN: return (struct arc_finding){ARC_PENDING, NULL};
    case SIGNATURE_GOOD: return (struct arc_finding){ARC_PASS, NULL};
    case SIGNATURE_BAD: break;
    }
    return (struct arc_finding){ARC_FAIL, "signature did not verify"};
}

/* The body, as the newest message signature has it. */
static struct arc_finding find_body(const struct arc *arc, const struct arc_facts *facts)
{
    const struct dkim_field *field = &arc->sets[arc->count - 1].signature;
    if (!facts->body_is_known)
        return (struct arc_finding){ARC_PENDING, NULL};
    if (memcmp(facts->body.digest, field->body_digest.at, DKIM_DIGEST) != 0)
        return (struct arc_finding){ARC_FAIL, "body hash did not verify"};
    if (field->limit != CANON_WHOLE && field->limit != facts->body.length)
        return (struct arc_finding){ARC_FAIL, "l= covers only a part of the body"};
    return (struct arc_finding){ARC_PASS, NULL};
}

/* Findings from the newest on: a failure before a temporary one, and none while any is pending, so that the
 * order of facts changes nothing. */
struct arc_summary {
    bool pending;
    struct arc_finding worst;
    size_t instance;
};

static void add_finding(struct arc_summary *summary, struct arc_finding finding, size_t instance)
{
    summary->pending = summary->pending || finding.result == ARC_PENDING;
    bool worse = (finding.result == ARC_FAIL && summary->worst.result != ARC_FAIL) ||
                 (finding.result == ARC_TEMPERROR && summary->worst.result == ARC_PASS);
    if (!worse)
        return;
    summary->worst = finding;
    summary->instance = instance;
}

bool arc_judge(struct arc *arc, struct arc_facts *facts, uint64_t now_s)
{
    struct arc_summary summary = {.worst = {ARC_PASS, NULL}};
    dns_facts_begin(facts->dns);
    signature_facts_begin(facts->signatures);
    if (arc->result != ARC_PENDING)
        return true;
    const struct dkim_field *newest = &arc->sets[arc->count - 1].signature;
    if (newest->has_expiry && newest->expiry_s + DKIM_EXPIRY_GRACE_S < now_s)
        add_finding(&summary, (struct arc_finding){ARC_FAIL, "signature expired"}, arc->count);
    add_finding(&summary, find_signature(arc, facts, 0, newest, header_input), arc->count);
    add_finding(&summary, find_body(arc, facts), arc->count);
    for (size_t i = arc->count; i > 0; i--)
        add_finding(&summary, find_signature(arc, facts, i, &arc->sets[i - 1].seal, seal_input), i);
    if (summary.pending)
        return false;
    arc->result = summary.worst.result;
    arc->reason = summary.worst.reason;
    arc->failed_instance = (unsigned)summary.instance;
    return true;
}

const char *arc_result_word(enum arc_result result)
{
    static const char *const words[ARC_RESULTS] = {
        [ARC_PENDING] = "pending", [ARC_NONE] = "none",           [ARC_PASS] = "pass",
        [ARC_FAIL] = "fail",       [ARC_TEMPERROR] = "temperror",
    };
    assert(result < ARC_RESULTS);
    return words[result];
}
