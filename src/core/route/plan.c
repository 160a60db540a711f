/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/plan.h"

#include <assert.h>

#include "core/smtp/address.h"

static enum next_hop hop_via(enum relay_via via)
{
    switch (via) {
    case RELAY_SMARTHOST: return NEXT_HOP_SMARTHOST;
    case RELAY_AUTO: return NEXT_HOP_AUTO;
    case RELAY_HOST: return NEXT_HOP_HOST;
    case RELAY_MX:
    case RELAY_UNSAID: break;
    }
    return NEXT_HOP_MX;
}

static struct plan to_smarthost(const struct route_rules *rules)
{
    return (struct plan){.hop = NEXT_HOP_SMARTHOST,
                         .name = DESTINATION_SMARTHOST,
                         .connections = rules->smarthost_connections,
                         .rate = rules->smarthost_rate};
}

/* Mail for the smarthost shares one destination, whose limits apply to all of it. */
static struct plan to_domain(const struct route_rules *rules, struct bytes domain)
{
    const struct route_rule *rule = route_rules_find(rules, domain);
    struct plan plan = {.hop = hop_via(rule == NULL ? rules->via : rule->via), .name = domain};
    if (rule != NULL) {
        plan.connections = rule->connections;
        plan.rate = rule->rate;
    }
    return plan;
}

struct plan plan_recipient(const struct route_rules *rules, const struct recipient *recipient,
                           char buffer[PLAN_NAME_MAX])
{
    struct bytes local, domain;
    if (recipient->expands != EXPANDS_NOT)
        return (struct plan){.hop = NEXT_HOP_LOOKUP, .name = DESTINATION_LOOKUP};
    if (recipient->local && recipient->reports)
        return (struct plan){.hop = NEXT_HOP_REPORTS, .name = DESTINATION_REPORTS};
    if (recipient->local)
        return (struct plan){.hop = NEXT_HOP_LOCAL, .name = DESTINATION_LOCAL};
    if (!address_split(recipient->address, &local, &domain))
        return rules->via == RELAY_SMARTHOST
                   ? to_smarthost(rules)
                   : (struct plan){.hop = hop_via(rules->via), .name = DESTINATION_NOWHERE};
    domain = bytes_first(domain, PLAN_NAME_MAX);
    for (size_t i = 0; i < domain.length; i++)
        buffer[i] = ascii_lower(domain.at[i]);
    struct plan plan = to_domain(rules, bytes_of(buffer, domain.length));
    return plan.hop == NEXT_HOP_SMARTHOST ? to_smarthost(rules) : plan;
}

struct plan plan_destination(const struct route_rules *rules, struct bytes name)
{
    struct plan plan;
    if (bytes_equal(name, DESTINATION_LOCAL))
        plan = (struct plan){.hop = NEXT_HOP_LOCAL};
    else if (bytes_equal(name, DESTINATION_REPORTS))
        plan = (struct plan){.hop = NEXT_HOP_REPORTS};
    else if (bytes_equal(name, DESTINATION_LOOKUP))
        plan = (struct plan){.hop = NEXT_HOP_LOOKUP};
    else if (bytes_equal(name, DESTINATION_SMARTHOST))
        plan = to_smarthost(rules);
    else
        plan = to_domain(rules, name);
    plan.name = name;
    assert(plan.hop <= NEXT_HOP_SMARTHOST);
    return plan;
}
