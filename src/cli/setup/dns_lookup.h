/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_lookup: the DNS records of a domain, expected and found: gathers the facts from this machine, its
 * configuration and its keys, and asks DNS all that core/domain/domain_check lacks, at the same time.
 */
#ifndef MAILBOAT_CLI_SETUP_DNS_LOOKUP_H
#define MAILBOAT_CLI_SETUP_DNS_LOOKUP_H

#include "config/config.h"
#include "core/domain/bulk_ready.h"
#include "io/dns.h"
#include "io/timer.h"

enum dns_lookup_limit {
    DNS_LOOKUP_MS = 10 * 1000,       /* until what DNS has not said is unknown */
    DNS_LOOKUP_POLICY_MS = 3 * 1000, /* the same, where only the MTA-STS policy is looked for; for its file */
    DNS_LOOKUP_CA_MAX = 4 * 1024 * 1024,
};

/* Large: on the heap. */
struct dns_lookup {
    const struct config *config;
    struct domain_facts facts;
    struct arena arena;
    char domain[256], hostname[256];
    uint8_t key_digest[TLSA_KEY_DIGEST];
    bool hosted;
    struct domain_check check;
    struct bulk_ready ready; /* after dns_lookup_ask() */
    /* ---- of one round of questions ---- */
    struct loop loop;
    struct timer deadline;
    bool is_over; /* the deadline has passed */
    uint64_t end_ms;
    struct dns_lookup_question {
        struct dns_lookup *lookup;
        struct dns_question dns;
        struct dns_fact_key key;
        bool open;
    } questions[DOMAIN_LACKED_MAX];
    size_t count, open;
};

/* Gathers the facts; false if it is not a domain. `config` must outlive it. */
bool dns_lookup_start(struct dns_lookup *lookup, const struct config *config, const char *domain,
                      struct error *error);
/* Checks whether the MTA-STS policy of the domain is served, without which its record is not proposed; what
 * DNS does not tell counts as no. */
void dns_lookup_policy(struct dns_lookup *lookup);
/* Checks all records. False with one sentence if the resolver does not answer at all. */
bool dns_lookup_ask(struct dns_lookup *lookup, struct error *error);
void dns_lookup_free(struct dns_lookup *lookup);
/* Returns the exit code: 0, 69 if a required record is not right, 75 if DNS gave no answer. */
int dns_lookup_exit_code(const struct dns_lookup *lookup);

#endif
