/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_rules: what a firewall's rules do to connections that leave this
 * machine for the four mail ports. The readers fill in chains and rules
 * (io/firewall_nft.c from `nft -j list ruleset`, firewall_iptables.c from
 * `iptables-save`); firewall_rules_judge() then walks them as the kernel does,
 * once for each port.
 *
 * A rule may ask for what is not known here: a user, an interface. Such a rule
 * counts where it names the port, and never ends the walk. One that is for
 * certain destinations, for the loopback or for connections that stand already
 * is not for us.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_FIREWALL_RULES_H
#define MAILBOAT_CORE_DIAGNOSIS_FIREWALL_RULES_H

#include "core/diagnosis/facts.h"

enum firewall_limit {
    FIREWALL_CHAINS_MAX = 512,
    FIREWALL_RULES_MAX = 4096,
    FIREWALL_NAME_MAX = 96,  /* of a chain with its table, with the NUL */
    FIREWALL_DEPTH_MAX = 16, /* jumps from chain to chain, as the kernel has it */
    /* rules looked at for one port, over all chains: past it the rest is not judged */
    FIREWALL_STEPS_MAX = 16 * FIREWALL_RULES_MAX,
};

enum firewall_verdict {
    FIREWALL_NOTHING, /* it counts, logs, marks ... */
    FIREWALL_ACCEPT,
    FIREWALL_RETURN,
    FIREWALL_JUMP,
    FIREWALL_GOTO,
    FIREWALL_DROP,
    FIREWALL_REJECT,
    FIREWALL_REDIRECT, /* to another address or port: DNAT, too */
};

struct firewall_rule {
    size_t chain, target; /* target: of JUMP and GOTO */
    unsigned ports;       /* which of the four it can match: a set of BLOCKS_* */
    bool names_port;      /* it says so itself */
    bool conditional;     /* it matches under a condition that is not known */
    enum firewall_verdict verdict;
    char text[FACTS_LINE_MAX];
    size_t next; /* the next rule of its chain, SIZE_MAX at the end; firewall_rules_add() sets it */
};

struct firewall_chain {
    char name[FIREWALL_NAME_MAX]; /* "inet filter output" */
    bool outgoing;                /* the kernel begins here with what this machine sends */
    enum firewall_verdict policy; /* ACCEPT or DROP */
    size_t first, last;           /* its rules; SIZE_MAX where it has none */
};

/* Starts as {0}; firewall_rules_free() ends it. */
struct firewall_rules {
    struct firewall_chain *chains;
    struct firewall_rule *rules;
    size_t chain_count, rule_count;
};

/* The chain of this name, made where it is new; SIZE_MAX when there are too many. */
size_t firewall_rules_chain(struct firewall_rules *rules, const char *name);
/* Appends a rule to its chain; what is too much is left out. */
void firewall_rules_add(struct firewall_rules *rules, const struct firewall_rule *rule);
void firewall_rules_free(struct firewall_rules *rules);

/* Adds to the facts what the rules do to each port; what is there already is not added again. */
void firewall_rules_judge(const struct firewall_rules *rules, struct fact_machine *facts);

/* Reads the text of iptables-save; `tool` stands before the text of each rule ("iptables"). */
void firewall_iptables_read(struct firewall_rules *rules, struct bytes text, const char *tool);

/* All of the four. */
unsigned firewall_rules_all_ports(void);
/* Returns those of the four ports from `first` to `last`, as a set. */
unsigned firewall_rules_range(uint64_t first, uint64_t last);

#endif
