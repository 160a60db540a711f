/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc.h"

#include <assert.h>

static const char *const RESULT_NAMES[] = {
    [DMARC_NONE] = "none",           [DMARC_PASS] = "pass",           [DMARC_FAIL] = "fail",
    [DMARC_TEMPERROR] = "temperror", [DMARC_PERMERROR] = "permerror",
};

const char *dmarc_result_name(enum dmarc_result result)
{
    return RESULT_NAMES[result];
}

/* Finds the record that applies (RFC 9989 4.10.1). False if there is none. */
static bool find_record(const struct dmarc_walk *walk, struct dmarc_verdict *verdict)
{
    if (!walk->has_own && !walk->has_top)
        return false;
    verdict->record = walk->has_own ? walk->own : walk->top;
    verdict->record_domain = walk->has_own ? walk->start : walk->top_domain;
    return true;
}

/* True if it matters whether the author domain exists: np= says something else than sp=, or p=. */
static bool existence_matters(const struct dmarc_verdict *verdict)
{
    const struct dmarc_record *record = &verdict->record;
    enum dmarc_policy other = record->sp != DMARC_POLICY_UNSET ? record->sp : record->p;
    return !bytes_equal(verdict->record_domain, verdict->author) && record->np != DMARC_POLICY_UNSET &&
           record->np != other;
}

/* Sets what the record asks for (RFC 9989 4.7). `exists`: what DNS says of the author domain, if it matters.
 */
static void choose_policy(struct dmarc_verdict *verdict, bool exists)
{
    const struct dmarc_record *record = &verdict->record;
    bool below = !bytes_equal(verdict->record_domain, verdict->author);
    verdict->policy = record->p;
    verdict->source = DMARC_SOURCE_P;
    if (below && record->sp != DMARC_POLICY_UNSET) {
        verdict->policy = record->sp;
        verdict->source = DMARC_SOURCE_SP;
    }
    if (below && !exists && record->np != DMARC_POLICY_UNSET) {
        verdict->policy = record->np;
        verdict->source = DMARC_SOURCE_NP;
    }
    verdict->testing = record->testing && verdict->policy > DMARC_POLICY_NONE;
    if (verdict->testing)
        verdict->policy--; /* one step weaker */
}

/* Adds an identifier to the result: an aligned pass wins; a temporary error keeps a fail from being final. */
static bool add_identifier(const struct dmarc_walk *walk, const struct dmarc_identifier *identifier,
                           bool strict, struct dns_facts *facts, enum dmarc_result *result)
{
    if (identifier->outcome == DMARC_OUTCOME_OTHER)
        return false;
    enum dmarc_alignment alignment = dmarc_walk_align(walk, identifier->domain, strict, facts);
    bool passes = identifier->outcome == DMARC_OUTCOME_PASS && alignment == DMARC_ALIGNED;
    if (passes)
        *result = DMARC_PASS;
    else if (alignment != DMARC_NOT_ALIGNED && *result != DMARC_PASS)
        *result = DMARC_TEMPERROR;
    return passes;
}

static enum dmarc_result compare(const struct dmarc_question *question, const struct dmarc_walk *walk,
                                 struct dns_facts *facts, struct dmarc_verdict *verdict)
{
    const struct dmarc_record *record = &verdict->record;
    enum dmarc_result result = DMARC_FAIL;
    verdict->spf_aligned = add_identifier(walk, &question->spf, record->strict_spf, facts, &result);
    for (size_t i = 0; i < question->dkim_count; i++)
        verdict->dkim_aligned[i] = add_identifier(walk, &question->dkim[i], record->strict_dkim, facts,
                                                  &result);
    return result;
}

/* Asks the walks of identifiers that may align ahead, while the author domain's is lacking. */
static void ask_identifiers(const struct dmarc_question *question, const struct dmarc_walk *walk,
                            struct dns_facts *facts)
{
    enum dmarc_result ignored = DMARC_FAIL;
    add_identifier(walk, &question->spf, false, facts, &ignored);
    for (size_t i = 0; i < question->dkim_count; i++)
        add_identifier(walk, &question->dkim[i], false, facts, &ignored);
}

static enum dmarc_result judge_domain(const struct dmarc_question *question, const struct dmarc_walk *walk,
                                      struct dns_facts *facts, struct dmarc_verdict *verdict)
{
    if (walk->state == DMARC_WALK_LACKING) {
        ask_identifiers(question, walk, facts);
        return DMARC_TEMPERROR;
    }
    if (walk->state == DMARC_WALK_FAILED && !walk->has_own)
        return DMARC_TEMPERROR;
    if (!find_record(walk, verdict) || !verdict->record.usable)
        return DMARC_NONE;
    bool exists = true, unknown = false;
    if (existence_matters(verdict)) {
        enum dns_status status = dns_facts_look_up(facts, DNS_CNAME, verdict->author)->status;
        exists = status != DNS_NXDOMAIN;
        unknown = status == DNS_UNKNOWN || !dns_status_is_told(status);
    }
    choose_policy(verdict, exists);
    enum dmarc_result result = compare(question, walk, facts, verdict);
    return result == DMARC_FAIL && unknown ? DMARC_TEMPERROR : result;
}

struct dmarc_verdict dmarc_judge(const struct dmarc_question *question, struct dns_facts *facts)
{
    struct dmarc_verdict verdict = {.result = DMARC_NONE};
    struct dmarc_walk walk;
    assert(question->dkim_count <= DMARC_DKIM_MAX);
    if (question->from->count != 1) {
        verdict.result = question->from->count == 0 && !question->from->malformed ? DMARC_NONE
                                                                                  : DMARC_PERMERROR;
        return verdict;
    }
    verdict.author = dmarc_walk_domain(question->from->domains[0], facts->texts);
    if (verdict.author.length == 0)
        return verdict;
    dmarc_walk_from(verdict.author, facts, &walk);
    verdict.walked_count = walk.count;
    memcpy(verdict.walked, walk.names, sizeof(verdict.walked));
    if (walk.state == DMARC_WALK_DONE)
        verdict.organization = walk.organization;
    verdict.result = judge_domain(question, &walk, facts, &verdict);
    return verdict;
}

/* ---- reports to other hosts ---- */

/* True if one of the records says so; *failed: DNS did not tell (yet). */
static bool host_agrees(struct bytes domain, struct bytes host, struct dns_facts *facts, bool *failed)
{
    struct dmarc_record record;
    char *name = arena_format(facts->texts, "%.*s._report._dmarc.%.*s", BYTES_ARG(domain), BYTES_ARG(host));
    const struct dns_answer *answer = dns_facts_look_up_text(facts, bytes_of_text(name), DMARC_PREFIX);
    *failed = answer->status == DNS_UNKNOWN || !dns_status_is_told(answer->status);
    for (size_t i = 0; i < answer->count; i++)
        if (dmarc_record_read(answer->records[i].data, &record))
            return true;
    return false;
}

enum dmarc_external dmarc_external_allowed(struct bytes domain, struct bytes host, struct dns_facts *facts)
{
    struct dmarc_walk walk;
    bool failed = false;
    domain = dmarc_walk_domain(domain, facts->texts);
    host = dmarc_walk_domain(host, facts->texts);
    if (domain.length == 0 || host.length == 0)
        return DMARC_EXTERNAL_NO;
    if (bytes_equal(domain, host))
        return DMARC_EXTERNAL_YES;
    bool agrees = host_agrees(domain, host, facts, &failed);
    dmarc_walk_from(domain, facts, &walk);
    switch (dmarc_walk_align(&walk, host, false, facts)) {
    case DMARC_ALIGNED: return DMARC_EXTERNAL_YES;
    case DMARC_ALIGNMENT_UNKNOWN: failed = true; break;
    case DMARC_NOT_ALIGNED: break;
    }
    return agrees ? DMARC_EXTERNAL_YES : failed ? DMARC_EXTERNAL_TEMPERROR : DMARC_EXTERNAL_NO;
}
