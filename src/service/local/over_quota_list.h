/* SPDX-License-Identifier: Apache-2.0 */
/*
 * over_quota_list: the mailboxes that smtpd rejects because they are full.
 *
 * over_quota_list_add() after a message did not fit and no small one would; over_quota_list_remove() after
 * one did. Between them, deletions by their users are noticed within seconds, in maildirsize, and smtpd
 * accepts mail again. Mailboxes beyond the list's capacity are rejected until their entry in
 * over_quota_table.h expires.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_OVER_QUOTA_LIST_H
#define MAILBOAT_SERVICE_LOCAL_OVER_QUOTA_LIST_H

#include "io/timer.h"
#include "service/local/maildir.h"
#include "service/over_quota_table.h"
#include "service/quotas.h"

enum over_quota_list_limit {
    OVER_QUOTA_LIST_MAX = 64,
    OVER_QUOTA_LIST_LOOK_MS = 3 * 1000,
};

struct over_quota_list {
    struct over_quota_table *full;
    const struct quotas *quotas;
    int folder;       /* of all mailboxes; owned by the caller */
    uint64_t version; /* of the accounts, before the quotas were read; set by the caller */
    struct timer look;
    struct over_quota_mailbox {
        char address[MAILDIR_PATH_MAX];
        uint64_t until_ms;
    } mailboxes[OVER_QUOTA_LIST_MAX];
    size_t count;
};

void over_quota_list_start(struct over_quota_list *over_quota_list, struct loop *loop,
                           struct over_quota_table *full, const struct quotas *quotas, int folder);
void over_quota_list_add(struct over_quota_list *over_quota_list, struct bytes address);
void over_quota_list_remove(struct over_quota_list *over_quota_list, struct bytes address);

#endif
