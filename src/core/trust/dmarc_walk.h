/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_walk: the DNS tree walk (RFC 9989 4.10): from a domain upwards, at most eight names, to the record
 * that says which organization a domain belongs to. All names are lacked together; the names that count are
 * those up to the one where the walk stops.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_WALK_H
#define MAILBOAT_CORE_TRUST_DMARC_WALK_H

#include "core/trust/dmarc_record.h"
#include "core/trust/dns_facts.h"

enum dmarc_walk_limit {
    DMARC_WALK_MAX = 8, /* queries of one walk (RFC 9989 4.10) */
};

enum dmarc_walk_state {
    DMARC_WALK_DONE,
    DMARC_WALK_LACKING, /* answers are not known yet */
    DMARC_WALK_FAILED,  /* DNS did not tell one of the names */
};

struct dmarc_walk {
    enum dmarc_walk_state state;
    struct bytes names[DMARC_WALK_MAX]; /* domains that were looked at, without "_dmarc." */
    size_t count;
    struct bytes start; /* normal form of the domain */
    bool start_failed;  /* DNS did not tell the record of the domain itself, or not yet */
    bool has_own;       /* the domain itself has a record */
    struct dmarc_record own;
    bool has_top; /* the organizational domain, or the suffix above it, has a record */
    struct dmarc_record top;
    struct bytes top_domain;
    struct bytes organization; /* with DMARC_WALK_DONE */
};

/* Returns the domain in lower case without dots at its ends, in `arena`; empty if it is not a domain name. */
struct bytes dmarc_walk_domain(struct bytes domain, struct arena *arena);
/* Walks from a domain in that form. */
void dmarc_walk_from(struct bytes domain, struct dns_facts *facts, struct dmarc_walk *walk);
/* True if `domain` is `parent` or below it; both in that form. */
bool dmarc_walk_is_below(struct bytes domain, struct bytes parent);

enum dmarc_alignment { DMARC_NOT_ALIGNED, DMARC_ALIGNED, DMARC_ALIGNMENT_UNKNOWN };
/* Compares an identifier's domain with the author domain of `walk` (RFC 9989 4.4). Unknown: DNS did not tell
 * (yet). */
enum dmarc_alignment dmarc_walk_align(const struct dmarc_walk *walk, struct bytes domain, bool strict,
                                      struct dns_facts *facts);

#endif
