/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall: this machine's own rules for what it sends to the four mail ports,
 * and its own listeners on them, for a diagnosis (core/diagnosis).
 *
 * Only root may read the rules: nft, iptables-save and ip6tables-save are run
 * for that, by their full paths, with an empty environment, for a second at
 * most. The listeners are in /proc, for everybody.
 */
#ifndef MAILBOAT_IO_FIREWALL_H
#define MAILBOAT_IO_FIREWALL_H

#include "core/diagnosis/firewall_rules.h"

enum firewall_tool_limit {
    FIREWALL_OUTPUT_MAX = 4 * 1024 * 1024, /* octets that a tool may print */
    FIREWALL_TOOL_MS = 1000,               /* for all the tools together */
};

/* Fills the rules and the listeners of `facts`. */
void firewall_facts(struct fact_machine *facts);
/* The listeners alone, of another tree: `root` stands before /proc. */
void firewall_listeners(const char *root, struct fact_machine *facts);

/* Reads what `nft -j list ruleset` prints; false when it is no such thing. */
bool firewall_nft_read(struct firewall_rules *rules, struct bytes json);

#endif
