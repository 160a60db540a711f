/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text in place of what nft and iptables-save print: it is read and judged
 * in bounded time, each finding is of one of the four ports and has its rule's
 * text, and to judge again adds nothing.
 */
#include "choices.h"
#include "io/firewall.h"

static void check(const struct firewall_rules *rules)
{
    static struct fact_machine facts;
    facts = (struct fact_machine){0};
    INSIST(rules->rule_count <= FIREWALL_RULES_MAX && rules->chain_count <= FIREWALL_CHAINS_MAX);
    firewall_rules_judge(rules, &facts);
    INSIST(facts.rule_count <= FACTS_RULES_MAX);
    for (size_t i = 0; i < facts.rule_count; i++)
        INSIST(network_bit(facts.rules[i].port) != 0 && facts.rules[i].rule[0] != '\0' &&
               strlen(facts.rules[i].rule) < FACTS_LINE_MAX);
    size_t before = facts.rule_count;
    firewall_rules_judge(rules, &facts);
    INSIST(facts.rule_count == before || before == FACTS_RULES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct firewall_rules iptables = {0}, nft = {0};
    firewall_iptables_read(&iptables, bytes_of((const char *)data, size), "iptables");
    check(&iptables);
    if (firewall_nft_read(&nft, bytes_of((const char *)data, size)))
        check(&nft);
    firewall_rules_free(&iptables);
    firewall_rules_free(&nft);
    return 0;
}
