/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf: may this client send mail of that domain? Sender Policy Framework, RFC 7208.
 *
 * trust calls spf_judge() from the top until the facts lack nothing (core/trust/dns_facts.h). The MAIL FROM
 * identity alone is checked; for a null sender it is postmaster@HELO (2.4), and counts as MAIL FROM. While
 * one name is lacking, the names of the terms after it are lacked as well, so that the time is the depth of
 * the includes; the limits count what the standard evaluates, never what was asked ahead.
 */
#ifndef MAILBOAT_CORE_TRUST_SPF_H
#define MAILBOAT_CORE_TRUST_SPF_H

#include "core/route/ip.h"
#include "core/trust/dns_facts.h"

/* RFC 7208 4.6.4 */
enum spf_limit {
    SPF_LOOKUPS_MAX = 10,   /* terms that cause queries; more: permerror */
    SPF_VOIDS_MAX = 2,      /* terms whose queries find nothing; more: permerror */
    SPF_MX_MAX = 10,        /* MX records of one term; more: permerror */
    SPF_PTR_MAX = 10,       /* PTR records; more are ignored */
    SPF_PREFETCHED_MAX = 32 /* known and lacked answers, past which nothing is asked ahead */
};

enum spf_result {
    SPF_NONE,
    SPF_NEUTRAL,
    SPF_PASS,
    SPF_FAIL,
    SPF_SOFTFAIL,
    SPF_TEMPERROR,
    SPF_PERMERROR,
};

/* The cause of none, temperror and permerror. */
enum spf_problem {
    SPF_NO_PROBLEM,
    SPF_NO_DOMAIN,   /* none: the identity has no domain name of several labels */
    SPF_NO_RECORD,   /* none; permerror at the target of include or redirect */
    SPF_DNS_FAILED,  /* temperror */
    SPF_TWO_RECORDS, /* permerror from here on */
    SPF_SYNTAX,      /* also a record over SPF_RECORD_MAX */
    SPF_TOO_MANY_LOOKUPS,
    SPF_TOO_MANY_VOIDS,
    SPF_TOO_MANY_MX,
    SPF_PROBLEMS
};

struct spf_question {
    struct route_address client; /* an IPv4-mapped one counts as IPv4 */
    struct bytes helo;           /* as the client sent it */
    struct bytes mail_from;      /* without brackets; empty: the null sender */
    struct bytes receiver;       /* name of this host, for %{r}; may be empty */
    uint64_t now_s;              /* since the epoch, for %{t} */
    bool explain;                /* the explanation of a fail is wanted */
};

/* A record on the way to the term that decided. */
struct spf_link {
    struct bytes domain;
    bool redirected; /* by redirect=, otherwise by include: (the first: by the identity) */
};

struct spf_verdict {
    enum spf_result result;
    enum spf_problem problem;
    struct bytes domain; /* the checked domain, for alignment and reports */
    bool null_sender;    /* it is that of HELO */
    struct bytes term;   /* that matched, or has the problem; empty if none */
    struct spf_link links[SPF_LOOKUPS_MAX + 1];
    size_t link_count;        /* 0 if no record was read */
    struct bytes explanation; /* visible ASCII and spaces, at most 512 octets; empty if there is none */
    unsigned lookups, voids;
};

/* Judges; texts of the verdict live in the facts' arena. It is final if `facts` lacks nothing afterwards. */
struct spf_verdict spf_judge(const struct spf_question *question, struct dns_facts *facts);

const char *spf_result_name(enum spf_result result); /* "softfail" (RFC 8601 2.7.2) */
/* Returns the problem as a clause: "the record has a syntax error". */
const char *spf_problem_sentence(enum spf_problem problem);

#endif
