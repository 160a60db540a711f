/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/cause.h"

#include <assert.h>

static bool any_holds(const enum finding *list, size_t max, const struct findings *findings)
{
    for (size_t i = 0; i < max && list[i] != FINDING_NONE; i++)
        if (findings_say(findings, list[i]))
            return true;
    return false;
}

bool cause_holds(enum cause cause, const struct findings *findings)
{
    const struct cause_row *row = cause_row(cause);
    for (size_t i = 0; i < CAUSE_NEEDS_MAX && row->needs[i] != FINDING_NONE; i++)
        if (!findings_say(findings, row->needs[i]))
            return false;
    return (row->any[0] == FINDING_NONE || any_holds(row->any, CAUSE_FINDINGS_MAX, findings)) &&
           !any_holds(row->against, CAUSE_FINDINGS_MAX, findings) &&
           (row->needs[0] != FINDING_NONE || row->any[0] != FINDING_NONE);
}

bool cause_is_proved(enum cause cause, const struct findings *findings)
{
    return any_holds(cause_row(cause)->proof, CAUSE_NEEDS_MAX, findings);
}

static size_t count(const enum finding *list, const struct findings *findings)
{
    size_t holding = 0;
    for (size_t i = 0; i < CAUSE_FINDINGS_MAX && list[i] != FINDING_NONE; i++)
        holding += findings_say(findings, list[i]);
    return holding;
}

size_t cause_support(enum cause cause, const struct findings *findings)
{
    const struct cause_row *row = cause_row(cause);
    return count(row->any, findings) + count(row->likelier, findings);
}

/* ---- what is missing ---- */

static unsigned missing(const enum finding *list, size_t max, const struct findings *findings)
{
    unsigned sources = 0;
    for (size_t i = 0; i < max && list[i] != FINDING_NONE; i++)
        if (findings->known[list[i]] == KNOWN_NOT)
            sources |= finding_source(list[i]);
    return sources;
}

static bool all_are_no(const enum finding *list, const struct findings *findings)
{
    for (size_t i = 0; i < CAUSE_FINDINGS_MAX && list[i] != FINDING_NONE; i++)
        if (findings->known[list[i]] != KNOWN_NO)
            return false;
    return true;
}

unsigned cause_lacks(enum cause cause, const struct findings *findings)
{
    const struct cause_row *row = cause_row(cause);
    for (size_t i = 0; i < CAUSE_NEEDS_MAX && row->needs[i] != FINDING_NONE; i++)
        if (findings->known[row->needs[i]] == KNOWN_NO ||
            (findings->known[row->needs[i]] == KNOWN_NOT && finding_source(row->needs[i]) == 0))
            return 0;
    if (any_holds(row->against, CAUSE_FINDINGS_MAX, findings) || row->needs[0] == FINDING_NONE)
        return 0;
    assert(row->needs[0] != FINDING_NONE);
    if (row->any[0] != FINDING_NONE && all_are_no(row->any, findings))
        return 0;
    unsigned sources = missing(row->needs, CAUSE_NEEDS_MAX, findings) |
                       missing(row->any, CAUSE_FINDINGS_MAX, findings) |
                       missing(row->likelier, CAUSE_FINDINGS_MAX, findings) |
                       missing(row->against, CAUSE_FINDINGS_MAX, findings) |
                       missing(row->proof, CAUSE_NEEDS_MAX, findings);
    return sources & ~findings->facts->gathered;
}
