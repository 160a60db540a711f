/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts_policies: the MTA-STS policies of other domains (RFC 8461): looks up the DNS record, fetches new
 * policies, and caches them in memory and in the file DATA/relay/mta-sts, one line per policy.
 *
 * sts_policies_open() before the sandbox, as the user who owns the folder: reads the file, rewrites it,
 * and keeps it open for writing. sts_policies_start() joins the loop. Each sts_policies_ask() is answered
 * once, immediately or later, unless it is cancelled.
 */
#ifndef MAILBOAT_SERVICE_RELAY_STS_POLICIES_H
#define MAILBOAT_SERVICE_RELAY_STS_POLICIES_H

#include "base/map.h"
#include "core/route/sts.h"
#include "io/dns.h"
#include "io/folder.h"
#include "service/relay/fetch.h"

enum sts_policies_limit {
    STS_POLICIES_MAX = 10000,               /* cached */
    STS_POLICIES_OCTETS_MAX = 16 << 20,     /* in total */
    STS_POLICIES_LOOKED_AT_MAX = 64,        /* entries examined to find an expired one */
    STS_POLICIES_FILE_MAX = 64 << 20,       /* octets read at start */
    STS_POLICIES_FILE_SLACK = 1 << 20,      /* octets of old lines before the file is rewritten */
    STS_POLICIES_CHECK_MS = 60 * 1000,      /* interval of DNS lookups per domain */
    STS_POLICIES_ADDRESSES_MAX = 16,        /* of each family, of the host that serves a policy */
    STS_POLICIES_FAILED_MS = 5 * 60 * 1000, /* after a failed fetch (RFC 8461 3.3) */
};

struct sts_policies {
    struct dns *dns;
    struct fetch_pool fetches;
    struct map kept;      /* domain -> struct policy_kept */
    struct map inquiries; /* domain -> struct inquiry: in progress */
    int file;
    size_t file_size, live_size;
    bool file_failed; /* logged once */
};

/* Why no policy of a domain could be had lately, though DNS announces one. */
enum sts_policies_fault {
    STS_FAULT_NONE,
    STS_FAULT_FETCH,
    STS_FAULT_CERTIFICATE, /* of the server that has the policy */
    STS_FAULT_INVALID
};

struct sts_policies_question {
    /* NULL: no policy; valid during the call */
    void (*on_answer)(void *owner, const struct sts_policy *policy);
    void *owner;
    struct inquiry *inquiry; /* NULL once answered */
    struct sts_policies_question *next;
};

/* Always closes the folder. */
bool sts_policies_open(struct sts_policies *policies, struct folder *folder, struct error *error);
/* Before that, while the data directory is still accessible by path; changes nothing in it. */
bool sts_policies_open_folder(struct folder *folder, const char *data_dir, struct error *error);
/* No question may be pending; not needed before the process ends. */
void sts_policies_close(struct sts_policies *policies);
bool sts_policies_start(struct sts_policies *policies, struct loop *loop, struct dns *dns,
                        struct bytes authorities, struct error *error);
/* The question must not move until it is answered or cancelled. */
void sts_policies_ask(struct sts_policies *policies, struct sts_policies_question *question,
                      struct bytes domain, void (*on_answer)(void *owner, const struct sts_policy *policy),
                      void *owner);
/* Returns why a domain's policy could not be had, in the last STS_POLICIES_FAILED_MS. */
enum sts_policies_fault sts_policies_fault_of(const struct sts_policies *policies, struct bytes domain);
void sts_policies_cancel(struct sts_policies_question *question);

#endif
