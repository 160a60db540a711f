/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_lookup: the expected DNS records of a domain, from this machine and its configuration, and DNS's
 * answers.
 */
#ifndef MAILBOAT_CLI_SETUP_DNS_LOOKUP_H
#define MAILBOAT_CLI_SETUP_DNS_LOOKUP_H

#include "config/config.h"
#include "core/domain/dns_records.h"
#include "io/dns.h"

struct dns_lookup {
    const struct config *config;
    struct domain_facts facts;
    struct arena arena;
    char domain[256], hostname[256];
    uint8_t key_digest[TLSA_KEY_DIGEST];
    /* A record, its query, and the result. */
    struct dns_check {
        struct dns_lookup *lookup;
        struct domain_record record;
        struct dns_question question;
        struct domain_finding finding;
    } checks[DOMAIN_RECORDS_MAX];
    size_t count, answered;
    bool hosted;
    struct loop loop;
};

/* Lists the records; false if it is not a domain. `config` must outlive it. */
bool dns_lookup_list(struct dns_lookup *lookup, const struct config *config, const char *domain,
                     struct error *error);
/* Queries DNS for all, concurrently. */
bool dns_lookup_ask(struct dns_lookup *lookup, struct error *error);
void dns_lookup_free(struct dns_lookup *lookup);
/* Returns the exit code: 0, 69 if a required record is not right, 75 if DNS gave no answer. */
int dns_lookup_exit_code(const struct dns_lookup *lookup);

#endif
