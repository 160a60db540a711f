/* SPDX-License-Identifier: Apache-2.0 */
/*
 * over_quota_list: the mailboxes that smtpd refuses because we found them full.
 *
 * watched_full() when a message did not fit and no small one would;
 * watched_room() when one did. Between them what their users delete is seen
 * within seconds, in maildirsize, and then smtpd refuses them no longer. Those
 * that are too many to be watched are refused until over_quota_table.h forgets.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_OVER_QUOTA_LIST_H
#define MAILBOAT_SERVICE_LOCAL_OVER_QUOTA_LIST_H

#include "service/over_quota_table.h"
#include "service/local/maildir.h"
#include "io/loop.h"
#include "service/quotas.h"

enum watched_limit {
    WATCHED_MAX = 64,
    WATCHED_LOOK_MS = 3 * 1000,
};

struct watched {
    struct full_mailboxes *full;
    const struct quotas *quotas;
    int folder;       /* of all mailboxes; the caller's */
    uint64_t version; /* of the accounts, before the quotas were looked at; the caller sets it */
    struct timer look;
    struct watched_mailbox {
        char address[MAILDIR_PATH_MAX];
        uint64_t until_ms;
    } mailboxes[WATCHED_MAX];
    size_t count;
};

void watched_start(struct watched *watched, struct loop *loop, struct full_mailboxes *full, const struct quotas *quotas, int folder);
void watched_full(struct watched *watched, struct bytes address);
void watched_room(struct watched *watched, struct bytes address);

#endif
