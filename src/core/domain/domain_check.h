/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain_check: compares the records of a domain that is hosted here with what DNS says, by meaning: a key by
 * its selector, SPF by evaluating it for the addresses that this server sends from, DMARC by the tree walk.
 *
 *     domain_check_start(check, &facts, &arena);
 *     while (!domain_check_run(check))
 *         ...  ask all of domain_check_lacked() at the same time; the mailboxes and the policy likewise
 *     bulk_ready_judge(check, &ready);                      core/domain/bulk_ready.h
 *
 * Nothing but the facts decides (ARCHITECTURE.md, facts, not continuations). Each subject has facts of DNS of
 * its own, so that an endless SPF record leaves the others their questions. When the time is over,
 * domain_check_give_up() makes what is not known "unknown".
 */
#ifndef MAILBOAT_CORE_DOMAIN_DOMAIN_CHECK_H
#define MAILBOAT_CORE_DOMAIN_DOMAIN_CHECK_H

#include "core/domain/dns_records.h"
#include "core/domain/domain_finding.h"
#include "core/trust/dns_facts.h"
#include "core/trust/report_uri.h"

/* The subjects' facts of DNS. */
enum domain_area {
    AREA_HOST,    /* addresses, MX, SRV */
    AREA_REVERSE, /* names of the addresses, and back */
    AREA_SPF,
    AREA_HELO_SPF,
    AREA_KEYS,
    AREA_POLICY,  /* DMARC, MTA-STS, TLS-RPT, TLSA */
    AREA_REPORTS, /* where reports go */
    DOMAIN_AREAS
};

enum domain_check_limit {
    DOMAIN_LACKED_MAX = DOMAIN_AREAS * DNS_LACKED_MAX,
    DOMAIN_ROWS_MAX = DOMAIN_RECORDS_MAX + 8,   /* records that are found, but not proposed */
    DOMAIN_MAILBOXES_MAX = 2 * REPORT_URIS_MAX, /* addresses for reports, of DMARC and TLS-RPT */
    DOMAIN_FOUND_MAX = 1024,                    /* octets of what DNS says that are kept for people */
};

/* An address for reports: does it exist here? */
struct domain_mailbox {
    struct bytes address; /* as in the record; the domain in any case */
    enum domain_mailbox_state {
        MAILBOX_UNASKED,
        MAILBOX_HERE,
        MAILBOX_NOWHERE,   /* its domain is hosted here, the address does not exist */
        MAILBOX_ELSEWHERE, /* its domain is not hosted here */
        MAILBOX_UNKNOWN,   /* the accounts could not be read */
    } state;
};

/* The file at https://mta-sts.DOMAIN/.well-known/mta-sts.txt. */
struct domain_policy_file {
    enum { POLICY_UNASKED, POLICY_FETCHED, POLICY_FAILED } state;
    struct bytes text; /* the file; FAILED: the reason, as a clause */
};

struct domain_row {
    struct domain_record record;
    struct domain_finding finding;
};

/* Large: on the heap. */
struct domain_check {
    const struct domain_facts *given;
    struct domain_facts facts; /* with what DNS has told of them */
    struct arena *arena;
    struct dns_facts dns[DOMAIN_AREAS];
    struct domain_mailbox mailboxes[DOMAIN_MAILBOXES_MAX];
    size_t mailbox_count;
    struct domain_policy_file policy;
    /* addresses of mta-sts.DOMAIN, once DNS has told them: what the shell fetches the policy from */
    struct route_address policy_addresses[DOMAIN_ADDRESSES_MAX];
    size_t policy_address_count;
    bool policy_wanted;      /* the policy is lacked */
    bool policy_alone;       /* only whether the policy is served is checked */
    bool addresses_from_dns; /* this machine has no public address: those of its name count */
    bool gave_up;
    struct domain_row rows[DOMAIN_ROWS_MAX];
    size_t row_count;
};

/* `facts` and `arena` must outlive it. */
void domain_check_start(struct domain_check *check, const struct domain_facts *facts, struct arena *arena);
/* Checks from the top. True when all is final. */
bool domain_check_run(struct domain_check *check);
/* Writes the questions that are lacked, each once, to `keys`, which has room for DOMAIN_LACKED_MAX; returns
 * how many. They are valid as long as the arena. */
size_t domain_check_lacked(const struct domain_check *check, struct dns_fact_key *keys);
/* Gives an answer to each area that lacks it. */
void domain_check_answer(struct domain_check *check, struct dns_fact_key key,
                         const struct dns_answer *answer);
/* Gives the policy file, or the reason why there is none; copied. */
void domain_check_give_policy(struct domain_check *check, bool fetched, struct bytes text);
/* The time is over: what is not known stays unknown. */
void domain_check_give_up(struct domain_check *check);

/* Returns what the record should say; empty where it is right, or where only the hint can tell. */
struct bytes domain_row_should(const struct domain_row *row);

#endif
