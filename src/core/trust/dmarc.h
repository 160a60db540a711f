/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc: is this message of the domain that its From field names, and what does that domain ask for if it is
 * not? RFC 9989, with the tree walk in the place of a list of suffixes.
 *
 * trust calls dmarc_judge() from the top until the facts lack nothing (core/trust/dns_facts.h), with the
 * results of SPF and DKIM. Domains are A-labels (RFC 5890); the shell has turned U-labels into them.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_H
#define MAILBOAT_CORE_TRUST_DMARC_H

#include "core/trust/dmarc_from.h"
#include "core/trust/dmarc_walk.h"

enum dmarc_limit {
    DMARC_DKIM_MAX = 8, /* signatures that are compared */
};

/* The result of SPF, or of one signature, as far as DMARC is concerned. */
enum dmarc_outcome {
    DMARC_OUTCOME_OTHER, /* fail, none, neutral, policy, permerror: it proves nothing */
    DMARC_OUTCOME_PASS,
    DMARC_OUTCOME_TEMPERROR,
};

struct dmarc_identifier {
    enum dmarc_outcome outcome;
    struct bytes domain; /* of the MAIL FROM identity; d= of a signature */
};

struct dmarc_question {
    const struct dmarc_from *from;
    struct dmarc_identifier spf;
    struct dmarc_identifier dkim[DMARC_DKIM_MAX];
    size_t dkim_count;
};

enum dmarc_result {
    DMARC_NONE, /* the domain has no policy */
    DMARC_PASS,
    DMARC_FAIL,
    DMARC_TEMPERROR, /* DNS did not tell what decides (5.3.6) */
    DMARC_PERMERROR, /* the author domain is not one domain (5.3.1): no policy applies */
};

/* The tag that the policy is from. */
enum dmarc_source { DMARC_SOURCE_P, DMARC_SOURCE_SP, DMARC_SOURCE_NP };

struct dmarc_verdict {
    enum dmarc_result result;
    enum dmarc_policy policy; /* for a message that fails, t=y considered; unset if there is none */
    enum dmarc_source source;
    bool testing;               /* t=y has weakened it */
    struct bytes author;        /* the author domain; empty if there is not one */
    struct bytes record_domain; /* where the policy record was found; empty if there is none */
    struct dmarc_record record; /* if there is one */
    struct bytes organization;  /* of the author domain; empty if DNS did not tell */
    bool spf_aligned;           /* and passed */
    bool dkim_aligned[DMARC_DKIM_MAX];
    struct bytes walked[DMARC_WALK_MAX]; /* the domains that were asked for a record, in order */
    size_t walked_count;
};

/* Judges; texts of the verdict live in the facts' arena. It is final if `facts` lacks nothing afterwards. */
struct dmarc_verdict dmarc_judge(const struct dmarc_question *question, struct dns_facts *facts);

const char *dmarc_result_name(enum dmarc_result result); /* "pass" (RFC 8601 2.7, RFC 9989 8.1) */

/* May reports about a domain go to an address at another host (RFC 9990 4)? */
enum dmarc_external { DMARC_EXTERNAL_NO, DMARC_EXTERNAL_YES, DMARC_EXTERNAL_TEMPERROR };
/* Both are domains; `domain` is where the policy record was found. Final if `facts` lacks nothing. */
enum dmarc_external dmarc_external_allowed(struct bytes domain, struct bytes host, struct dns_facts *facts);

#endif
