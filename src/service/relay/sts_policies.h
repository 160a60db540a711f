/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts_policies: the MTA-STS policies of other domains (RFC 8461): asks DNS
 * whether there is one, fetches it where it is new, keeps it in memory and in
 * the file DATA/relay/mta-sts, one line a policy.
 *
 * sts_policies_open() before the seal, as the user whose folder it is: reads the
 * file, writes it anew, and leaves it open for the sealed process to write to.
 * sts_policies_start() joins the loop. Each sts_policies_ask() is answered once, at once
 * or later, unless it is cancelled.
 */
#ifndef MAILBOAT_SERVICE_RELAY_STS_POLICIES_H
#define MAILBOAT_SERVICE_RELAY_STS_POLICIES_H

#include "base/map.h"
#include "core/route/sts.h"
#include "io/dns.h"
#include "io/folder.h"
#include "service/relay/fetch.h"

enum sts_policies_limit {
    STS_POLICIES_MAX = 10000,               /* that are kept */
    STS_POLICIES_OCTETS_MAX = 16 << 20,     /* of all of them */
    STS_POLICIES_LOOKED_AT_MAX = 64,        /* to find one that may go */
    STS_POLICIES_FILE_MAX = 64 << 20,       /* octets that are read at start */
    STS_POLICIES_FILE_SLACK = 1 << 20,      /* octets of old lines until the file is written anew */
    STS_POLICIES_CHECK_MS = 60 * 1000,      /* for so long DNS is not asked again */
    STS_POLICIES_ADDRESSES_MAX = 16,        /* of each family, of the host that a policy is fetched from */
    STS_POLICIES_FAILED_MS = 5 * 60 * 1000, /* after a fetch that failed (RFC 8461 3.3) */
};

struct sts_policies {
    struct dns *dns;
    struct fetch_pool fetches;
    struct map kept;      /* domain -> struct policy_kept */
    struct map inquiries; /* domain -> struct inquiry: under way */
    int file;
    size_t file_size, live_size;
    bool file_failed; /* said once */
};

struct sts_policies_question {
    /* NULL: none; it lives during the call */
    void (*on_answer)(void *owner, const struct sts_policy *policy);
    void *owner;
    struct inquiry *inquiry; /* NULL once it is answered */
    struct sts_policies_question *next;
};

/* The folder is closed, whatever comes of it. */
bool sts_policies_open(struct sts_policies *policies, struct folder *folder, struct error *error);
/* Before that, while the data directory can still be named; nothing in it is touched. */
bool sts_policies_open_folder(struct folder *folder, const char *data_dir, struct error *error);
/* With nothing asked; a process that ends need not. */
void sts_policies_close(struct sts_policies *policies);
bool sts_policies_start(struct sts_policies *policies, struct loop *loop, struct dns *dns,
                        struct bytes authorities, struct error *error);
/* The question must stay where it is until it is answered or cancelled. */
void sts_policies_ask(struct sts_policies *policies, struct sts_policies_question *question,
                      struct bytes domain, void (*on_answer)(void *owner, const struct sts_policy *policy),
                      void *owner);
void sts_policies_cancel(struct sts_policies_question *question);

#endif
