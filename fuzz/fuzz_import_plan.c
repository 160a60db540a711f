/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan of anything: lines of a kind and two names, in capitals what is here already. Each name and pair is
 * added once, and every entry has a verdict.
 */
#include "choices.h"
#include "core/import/import_plan.h"

static bool counts(const struct import_entry *entry)
{
    return entry->known || entry->verdict == IMPORT_NEW;
}

static void check_pairs(const struct import_plan *plan)
{
    for (size_t i = 0; i + 1 < plan->count; i++) {
        const struct import_entry *one = &plan->entries[i], *two = &plan->entries[i + 1];
        INSIST(one->kind <= two->kind);
        INSIST(one->kind != two->kind || !bytes_equal(one->name, two->name) ||
               !bytes_equal(one->target, two->target) || one->verdict != IMPORT_NEW ||
               two->verdict != IMPORT_NEW);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_plan plan;
    struct bytes rest = bytes_of(data, size < 4096 ? size : 4096);
    size_t fresh = 0;
    import_plan_start(&plan);
    while (rest.length > 0) {
        struct bytes target = bytes_split(&rest, '\n');
        struct bytes kind = bytes_split(&target, ' '), name = bytes_split(&target, ' ');
        char letter = kind.length > 0 ? kind.at[0] : 'x';
        enum import_kind which = ascii_lower(letter) == 'd'   ? IMPORT_DOMAIN
                                 : ascii_lower(letter) == 'u' ? IMPORT_USER
                                                              : IMPORT_ALIAS;
        if (name.length == 0 || (which == IMPORT_ALIAS && target.length == 0))
            continue;
        if (letter >= 'A' && letter <= 'Z')
            import_plan_know(&plan, which, name, which == IMPORT_ALIAS ? target : bytes_none());
        else
            import_plan_add(&plan,
                            &(struct import_entry){.kind = which,
                                                   .name = name,
                                                   .target = which == IMPORT_ALIAS ? target : bytes_none()});
    }
    import_plan_make(&plan);
    check_pairs(&plan);
    for (size_t i = 0; i < plan.count; i++) {
        import_plan_reason(plan.entries[i].verdict);
        fresh += counts(&plan.entries[i]) && !plan.entries[i].known;
    }
    INSIST(fresh == import_plan_count(&plan, IMPORT_DOMAIN, IMPORT_NEW) +
                        import_plan_count(&plan, IMPORT_USER, IMPORT_NEW) +
                        import_plan_count(&plan, IMPORT_ALIAS, IMPORT_NEW));
    import_plan_free(&plan);
    return 0;
}
