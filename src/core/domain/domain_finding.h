/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain_finding: what is found about one DNS record of a domain that is hosted here: a verdict, and the
 * fault as an enum, from which bulk_ready.h decides and the words for people are made. Nothing is decided
 * from words.
 */
#ifndef MAILBOAT_CORE_DOMAIN_DOMAIN_FINDING_H
#define MAILBOAT_CORE_DOMAIN_DOMAIN_FINDING_H

#include "base/arena.h"
#include "core/dns/dns_answer.h"

enum domain_verdict {
    RECORD_RIGHT,
    RECORD_MISSING,
    RECORD_DIFFERENT, /* the value is wrong: see `found`, `should` and the fault */
    RECORD_UNSURE,    /* possibly right, or right and weak: see the fault */
    RECORD_UNKNOWN,   /* DNS gave no trustworthy answer */
    DOMAIN_VERDICTS,
};

enum domain_fault {
    FAULT_NONE,
    /* of any record */
    FAULT_MISSING,
    FAULT_NO_ANSWER,
    FAULT_BOGUS,
    /* addresses, and reverse names of the addresses that mail leaves from */
    FAULT_OTHER_ADDRESS,
    FAULT_REVERSE_NOT_BACK,
    FAULT_REVERSE_OTHER_NAME,
    FAULT_MX_ELSEWHERE,
    FAULT_MX_NULL,
    /* SPF */
    FAULT_SPF_TWO,
    FAULT_SPF_SYNTAX,
    FAULT_SPF_LOOKUPS,
    FAULT_SPF_VOIDS,
    FAULT_SPF_VOIDS_OTHERS, /* for clients that no term matches */
    FAULT_SPF_MX_NAMES,
    FAULT_SPF_NOWHERE, /* include or redirect leads to no record */
    FAULT_SPF_DNS,
    FAULT_SPF_NOT_ALLOWED,
    FAULT_SPF_ANYONE,
    FAULT_SPF_SMARTHOST, /* its addresses are not known here */
    FAULT_SPF_NO_ADDRESS,
    /* DKIM */
    FAULT_DKIM_NO_KEY, /* none was made */
    FAULT_DKIM_UNREADABLE,
    FAULT_DKIM_NOWHERE,
    FAULT_DKIM_REVOKED,
    FAULT_DKIM_CUT,
    FAULT_DKIM_QUOTED,
    FAULT_DKIM_SEVERAL,
    FAULT_DKIM_OTHER_KEY,
    FAULT_DKIM_BROKEN,
    FAULT_DKIM_TESTING,
    /* DMARC */
    FAULT_DMARC_TWO,
    FAULT_DMARC_SYNTAX,
    FAULT_DMARC_NONE_ONLY, /* p=none: enough for bulk mail, and no protection */
    FAULT_DMARC_NO_RUA,
    /* addresses for reports, of DMARC and TLS-RPT */
    FAULT_RUA_EXTERNAL,
    FAULT_RUA_NO_MAILBOX,
    FAULT_RUA_NO_SERVER,
    FAULT_RUA_INVALID,
    /* MTA-STS */
    FAULT_STS_RECORD,
    FAULT_STS_NOT_SERVED,
    FAULT_STS_POLICY,
    FAULT_STS_MX,
    FAULT_STS_NOT_ENFORCED,
    FAULT_TLSRPT_SYNTAX,
    /* TLSA and SRV */
    FAULT_TLSA_UNSIGNED,
    FAULT_TLSA_OTHER_KEY,
    FAULT_SRV_ELSEWHERE,
    DOMAIN_FAULTS
};

struct domain_finding {
    enum domain_verdict verdict;
    enum domain_fault fault;
    struct bytes found;  /* the answer of DNS, fit for a terminal; may be empty */
    struct bytes should; /* the right value, where that is not the record's own value */
    struct bytes detail; /* the subject of the fault: an address, a term, a host; fit for a terminal */
    bool counted;        /* SPF: the next two are known */
    unsigned lookups, voids;
};

const char *domain_verdict_name(enum domain_verdict verdict);   /* "different", as in JSON */
const char *domain_verdict_status(enum domain_verdict verdict); /* "wrong", as in the table */
const char *domain_fault_name(enum domain_fault fault);         /* "spf_not_allowed" */
/* Returns what is wrong and what to do, as a sentence without its end; "" if there is nothing to say. */
const char *domain_fault_hint(enum domain_fault fault);
/* Returns the hint with the detail, in `arena`; empty if there is nothing to say. */
struct bytes domain_finding_hint(const struct domain_finding *finding, struct arena *arena);

/* True if the record's own value is what DNS should say instead. */
bool domain_fault_is_of_value(enum domain_fault fault);

/* Returns a finding whose verdict is the fault's own. */
struct domain_finding domain_finding_of(enum domain_fault fault);
/* Returns UNKNOWN or MISSING for an answer without records; *has says whether there are any. */
struct domain_finding domain_finding_of_answer(const struct dns_answer *answer, bool *has);

#endif
