/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route_rules.h"

/* Returns the specificity of a rule for the domain; 0 if it does not match. */
static size_t specificity(struct bytes about, struct bytes domain)
{
    if (bytes_equal(about, domain))
        return SIZE_MAX;
    if (about.length == 0 || about.at[0] != '*')
        return 0;
    struct bytes tail = bytes_from(about, 1); /* ".example.net", or nothing */
    bool below = domain.length > tail.length &&
                 bytes_equal(bytes_from(domain, domain.length - tail.length), tail);
    return below ? 1 + tail.length : 0;
}

const struct route_rule *route_rules_find(const struct route_rules *rules, struct bytes domain)
{
    const struct route_rule *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < rules->count; i++) {
        size_t exact = specificity(bytes_of_text(rules->rules[i].domain), domain);
        if (exact > most) {
            most = exact;
            best = &rules->rules[i];
        }
    }
    return best;
}
