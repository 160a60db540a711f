/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts: MTA-STS (RFC 8461): the TXT record by which a domain says that it has
 * a policy, the policy itself, which hosts it lists, and the line in which a
 * policy is kept over restarts. Texts here come from strangers.
 */
#ifndef MAILBOAT_CORE_ROUTE_STS_H
#define MAILBOAT_CORE_ROUTE_STS_H

#include "base/buffer.h"
#include "core/route/route.h"

enum sts_limit {
    STS_POLICY_MAX = 64 * 1024, /* octets of a policy file (RFC 8461 3.3) */
    STS_ID_MAX = 32,            /* octets (RFC 8461 3.1) */
    STS_PATTERNS_MAX = 128,     /* of one policy; one with more is no policy */
    STS_AGE_MAX_S = 31557600,   /* a year (RFC 8461 3.2) */
};

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
const char *sts_mode_name(enum sts_mode mode);

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age_s;
    struct bytes patterns[STS_PATTERNS_MAX]; /* "mx.example.org", "*.example.org" */
    size_t pattern_count;
};

/* Of the TXT records at _mta-sts.DOMAIN exactly one may be a v=STSv1; its id
 * borrows from the record. False: the domain has no policy (RFC 8461 3.1). */
bool sts_read_records(const struct dns_record *records, size_t count, struct bytes *id);
/* The policy file (RFC 8461 3.2). False: it is none. Patterns borrow from `text`. */
bool sts_read_policy(struct bytes text, struct sts_policy *policy);
/* Does the policy list this host (RFC 8461 4.1)? */
bool sts_lists(const struct sts_policy *policy, struct bytes host);

/* A policy as it is kept: one line, without its end. */
struct sts_cache_entry {
    struct bytes domain, id;
    uint64_t fetched_ms; /* since the epoch */
    struct sts_policy policy;
};
void sts_cache_write(struct buffer *out, const struct sts_cache_entry *kept);
bool sts_cache_read(struct bytes line, struct sts_cache_entry *kept);

/* Does it still hold? */
bool sts_is_alive(const struct sts_cache_entry *kept, uint64_t now_ms);
/* What to do, given the policy that is kept (or NULL) and the id that DNS
 * tells (empty: DNS tells of no policy). */
enum sts_step {
    STS_STEP_NOTHING, /* the domain has no policy */
    STS_STEP_USE,     /* the one that is kept */
    STS_STEP_REFRESH, /* use it, and fetch it anew meanwhile: it grows old */
    STS_STEP_FETCH,   /* before anything is sent; where that fails the one that is kept goes on to hold */
};
enum sts_step sts_next(const struct sts_cache_entry *kept, struct bytes id, uint64_t now_ms);

#endif
