/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/firewall_rules.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

unsigned firewall_rules_all_ports(void)
{
    return firewall_rules_range(0, UINT16_MAX);
}

unsigned firewall_rules_range(uint64_t first, uint64_t last)
{
    unsigned set = 0;
    for (size_t i = 0; i < NETWORK_PORTS; i++)
        set |= first <= network_ports[i] && network_ports[i] <= last ? network_bit(network_ports[i]) : 0;
    return set;
}

/* ---- what the readers fill in ---- */

/* Room doubles: 0, 16, 32 ... */
static bool is_full(size_t count)
{
    return count == 0 || (count >= 16 && (count & (count - 1)) == 0);
}

static size_t room_after(size_t count)
{
    return count == 0 ? 16 : 2 * count;
}

size_t firewall_rules_chain(struct firewall_rules *rules, const char *name)
{
    struct firewall_chain fresh = {.policy = FIREWALL_ACCEPT, .first = SIZE_MAX, .last = SIZE_MAX};
    struct bytes text = bytes_first(bytes_of_text(name), sizeof fresh.name - 1);
    for (size_t i = 0; i < rules->chain_count; i++)
        if (bytes_is(text, rules->chains[i].name))
            return i;
    assert(rules->chain_count <= FIREWALL_CHAINS_MAX);
    if (rules->chain_count == FIREWALL_CHAINS_MAX)
        return SIZE_MAX;
    if (is_full(rules->chain_count))
        rules->chains = memory_resize(rules->chains, room_after(rules->chain_count) * sizeof fresh);
    memcpy(fresh.name, text.at, text.length);
    rules->chains[rules->chain_count] = fresh;
    return rules->chain_count++;
}

void firewall_rules_add(struct firewall_rules *rules, const struct firewall_rule *rule)
{
    assert((rule->ports & ~firewall_rules_all_ports()) == 0);
    if (rules->rule_count == FIREWALL_RULES_MAX || rule->chain >= rules->chain_count)
        return;
    if (is_full(rules->rule_count))
        rules->rules = memory_resize(rules->rules, room_after(rules->rule_count) * sizeof *rule);
    struct firewall_chain *chain = &rules->chains[rule->chain];
    size_t place = rules->rule_count++;
    rules->rules[place] = *rule;
    rules->rules[place].next = SIZE_MAX;
    if (chain->last == SIZE_MAX)
        chain->first = place;
    else
        rules->rules[chain->last].next = place;
    chain->last = place;
}

void firewall_rules_free(struct firewall_rules *rules)
{
    free(rules->chains);
    free(rules->rules);
    *rules = (struct firewall_rules){0};
}

/* ---- the walk ---- */

struct firewall_walk {
    const struct firewall_rules *rules;
    struct fact_machine *facts;
    uint16_t port;
    size_t steps; /* rules that were looked at for this port: a jungle of jumps ends, too */
};

static void record(struct firewall_walk *walk, enum fact_firewall does, const char *text)
{
    struct fact_machine *facts = walk->facts;
    assert(facts->rule_count <= FACTS_RULES_MAX && network_bit(walk->port) != 0);
    for (size_t i = 0; i < facts->rule_count; i++)
        if (facts->rules[i].port == walk->port && facts->rules[i].does == does)
            return;
    if (facts->rule_count == FACTS_RULES_MAX)
        return;
    facts->rules[facts->rule_count].port = walk->port;
    facts->rules[facts->rule_count].does = does;
    struct bytes line = bytes_first(bytes_of_text(text), FACTS_LINE_MAX - 1);
    memcpy(facts->rules[facts->rule_count].rule, line.at, line.length);
    facts->rules[facts->rule_count++].rule[line.length] = '\0';
}

/* How a chain ends for the port. */
enum walk_end { WALK_FELL_THROUGH, WALK_RETURNED, WALK_SETTLED };

static enum walk_end walk_chain(struct firewall_walk *walk, size_t chain, unsigned depth);

/* Applies one rule that can match; FELL_THROUGH: continue with the next one. */
static enum walk_end walk_rule(struct firewall_walk *walk, const struct firewall_rule *rule, unsigned depth)
{
    bool jumps = rule->verdict == FIREWALL_JUMP || rule->verdict == FIREWALL_GOTO;
    if (rule->conditional && !rule->names_port && !jumps)
        return WALK_FELL_THROUGH;
    switch (rule->verdict) {
    case FIREWALL_NOTHING: return WALK_FELL_THROUGH;
    case FIREWALL_ACCEPT: return rule->conditional ? WALK_FELL_THROUGH : WALK_SETTLED;
    case FIREWALL_RETURN: return rule->conditional ? WALK_FELL_THROUGH : WALK_RETURNED;
    case FIREWALL_DROP: record(walk, FIREWALL_DROPS, rule->text); break;
    case FIREWALL_REJECT: record(walk, FIREWALL_REJECTS, rule->text); break;
    case FIREWALL_REDIRECT: record(walk, FIREWALL_REDIRECTS, rule->text); break;
    case FIREWALL_JUMP:
    case FIREWALL_GOTO: {
        enum walk_end end = walk_chain(walk, rule->target, depth + 1);
        if (rule->conditional)
            return WALK_FELL_THROUGH;
        if (end == WALK_SETTLED)
            return end;
        return rule->verdict == FIREWALL_GOTO ? WALK_RETURNED : WALK_FELL_THROUGH;
    }
    }
    return rule->conditional ? WALK_FELL_THROUGH : WALK_SETTLED;
}

static enum walk_end walk_chain(struct firewall_walk *walk, size_t chain, unsigned depth)
{
    enum walk_end end = WALK_FELL_THROUGH;
    assert(depth <= FIREWALL_DEPTH_MAX);
    if (depth == FIREWALL_DEPTH_MAX || chain >= walk->rules->chain_count)
        return end;
    const struct firewall_rule *rules = walk->rules->rules;
    for (size_t i = walk->rules->chains[chain].first; i != SIZE_MAX && end == WALK_FELL_THROUGH;
         i = rules[i].next) {
        if (walk->steps >= FIREWALL_STEPS_MAX)
            return WALK_SETTLED;
        walk->steps++;
        if ((rules[i].ports & network_bit(walk->port)) != 0)
            end = walk_rule(walk, &rules[i], depth);
    }
    return end;
}

void firewall_rules_judge(const struct firewall_rules *rules, struct fact_machine *facts)
{
    assert(rules->rule_count <= FIREWALL_RULES_MAX && rules->chain_count <= FIREWALL_CHAINS_MAX);
    for (size_t p = 0; p < NETWORK_PORTS; p++) {
        struct firewall_walk walk = {.rules = rules, .facts = facts, .port = network_ports[p]};
        for (size_t i = 0; i < rules->chain_count; i++) {
            const struct firewall_chain *chain = &rules->chains[i];
            if (!chain->outgoing || walk_chain(&walk, i, 0) == WALK_SETTLED || chain->policy != FIREWALL_DROP)
                continue;
            char text[FACTS_LINE_MAX] = "the policy of ";
            memcpy(text + strlen(text), chain->name, strlen(chain->name) + 1);
            record(&walk, FIREWALL_DROPS, text);
        }
    }
}
