/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "core/diagnosis/finding_group.h"

#define FINDING_ROW(name, source, words) {#name, source, words},
static const struct {
    const char *name;
    unsigned source;
    const char *words;
} rows[FINDING_COUNT] = {FINDINGS(FINDING_ROW)};

const char *finding_name(enum finding finding)
{
    assert(finding < FINDING_COUNT);
    return rows[finding].name;
}

const char *finding_words(enum finding finding)
{
    return rows[finding].words;
}

unsigned finding_source(enum finding finding)
{
    assert(finding < FINDING_COUNT);
    return rows[finding].source;
}

void finding_set(struct finding_group *group, enum finding finding, bool yes)
{
    assert(finding > FINDING_NONE && finding < FINDING_COUNT);
    group->findings->known[finding] = yes ? KNOWN_YES : KNOWN_NO;
}

void finding_set_known(struct finding_group *group, enum finding finding, enum known known)
{
    group->findings->known[finding] = (unsigned char)known;
}

bool finding_any(const struct finding_group *group, finding_test *test)
{
    const struct diagnosis_facts *facts = group->facts;
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (fact_attempt_is_of(&facts->attempts[i], group->findings->family) &&
            test(facts, &facts->attempts[i]))
            return true;
    return false;
}

size_t finding_count_ports(const struct finding_group *group, finding_test *test)
{
    size_t count = 0;
    for (size_t i = 0; i < group->seen.count; i++)
        count += test(group->facts, group->seen.ports[i].attempt);
    return count;
}

static void mark_port(struct finding_group *group, enum finding finding, uint16_t port)
{
    for (size_t i = 0; i < group->seen.count; i++)
        if (group->seen.ports[i].port == port)
            group->findings->ports[finding] |= (uint16_t)(1u << i);
}

void finding_set_any(struct finding_group *group, enum finding finding, finding_test *test)
{
    const struct diagnosis_facts *facts = group->facts;
    finding_set(group, finding, finding_any(group, test));
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (fact_attempt_is_of(&facts->attempts[i], group->findings->family) &&
            test(facts, &facts->attempts[i]))
            mark_port(group, finding, facts->attempts[i].port);
}

void finding_set_ports(struct finding_group *group, enum finding finding, finding_test *test)
{
    finding_set(group, finding, finding_count_ports(group, test) > 0);
    for (size_t i = 0; i < group->seen.count; i++)
        if (test(group->facts, group->seen.ports[i].attempt))
            mark_port(group, finding, group->seen.ports[i].port);
}

void finding_set_states(struct finding_group *group, enum finding finding, bool yes, unsigned states)
{
    finding_set(group, finding, yes);
    for (size_t i = 0; i < group->seen.count; i++)
        if ((states & 1u << group->seen.ports[i].state) != 0 &&
            port_seen_counts(group->facts, &group->seen.ports[i]))
            mark_port(group, finding, group->seen.ports[i].port);
}

/* Resets facts that were not gathered to unknown, whatever their zeroes seem to say. */
static void forget_what_was_not_gathered(struct findings *findings)
{
    for (size_t i = 0; i < FINDING_COUNT; i++)
        if ((rows[i].source & ~findings->facts->gathered) != 0)
            findings->known[i] = KNOWN_NOT;
}

void findings_make(struct findings *findings, const struct diagnosis_facts *facts, enum finding_family family)
{
    struct finding_group group = {.findings = findings, .facts = facts};
    *findings = (struct findings){.facts = facts, .family = family};
    ports_seen_make(&group.seen, facts, family);
    finding_reach(&group);
    finding_names(&group);
    finding_machine(&group);
    finding_identity(&group);
    finding_tls(&group);
    finding_words_of_server(&group);
    finding_reply(&group);
    forget_what_was_not_gathered(findings);
    finding_sum_of_reach(&group);
    finding_doubt(&group);
    assert(findings->known[FINDING_NONE] == KNOWN_NOT);
    assert(findings->known[FINDING_IDENTITY_IN_DOUBT] != KNOWN_NOT); /* guards rely on it */
}
