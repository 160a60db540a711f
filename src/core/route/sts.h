/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts: MTA-STS (RFC 8461): the TXT record that announces a domain's policy, the policy itself, the hosts
 * that it lists, and the line in which a policy is cached on disk. The input is untrusted.
 */
#ifndef MAILBOAT_CORE_ROUTE_STS_H
#define MAILBOAT_CORE_ROUTE_STS_H

#include "base/buffer.h"
#include "core/route/route.h"

enum sts_limit {
    STS_POLICY_MAX = 64 * 1024,  /* octets of a policy file (RFC 8461 3.3) */
    STS_ID_MAX = 32,             /* octets (RFC 8461 3.1) */
    STS_EXTENSION_NAME_MAX = 32, /* octets of an extension's name (RFC 8461 3.1, 3.2) */
    STS_PATTERNS_MAX = 128,      /* of one policy; one with more is invalid */
    STS_AGE_MAX_S = 31557600,    /* a year (RFC 8461 3.2) */
};

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
const char *sts_mode_name(enum sts_mode mode);

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age_s;
    struct bytes patterns[STS_PATTERNS_MAX]; /* "mx.example.org", "*.example.org" */
    size_t pattern_count;
};

/* True for an extension field of a record, "name=value" (RFC 8461 3.1, RFC 8460 3). */
bool sts_is_extension(struct bytes field);
/* Exactly one of the TXT records at _mta-sts.DOMAIN must be v=STSv1; its id borrows from the record.
 * False: the domain has no policy, or its record has a syntax error (RFC 8461 3.1). */
bool sts_read_records(const struct dns_record *records, size_t count, struct bytes *id);
/* Parses the policy file (RFC 8461 3.2). False if invalid. Patterns borrow from `text`. */
bool sts_read_policy(struct bytes text, struct sts_policy *policy);
/* True if the policy lists this host (RFC 8461 4.1). */
bool sts_lists(const struct sts_policy *policy, struct bytes host);

/* A cached policy: one line on disk, without its end. */
struct sts_cache_entry {
    struct bytes domain, id;
    uint64_t fetched_ms; /* since the epoch */
    struct sts_policy policy;
};
void sts_cache_write(struct buffer *out, const struct sts_cache_entry *kept);
bool sts_cache_read(struct bytes line, struct sts_cache_entry *kept);

/* True until it expires. */
bool sts_is_alive(const struct sts_cache_entry *kept, uint64_t now_ms);
/* The next step, from the cached policy (or NULL) and the id in DNS (empty: DNS announces no policy). */
enum sts_step {
    STS_STEP_NOTHING, /* the domain has no policy */
    STS_STEP_USE,     /* use the cached one */
    STS_STEP_REFRESH, /* use it, and refresh it concurrently: it is getting old */
    STS_STEP_FETCH,   /* before anything is sent; if that fails the cached one still applies */
};
enum sts_step sts_next(const struct sts_cache_entry *kept, struct bytes id, uint64_t now_ms);

#endif
