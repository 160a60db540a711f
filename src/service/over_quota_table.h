/* SPDX-License-Identifier: Apache-2.0 */
/*
 * over_quota_table: recently full mailboxes, in memory written by the local process and read by all smtpd
 * processes. Local adds a mailbox that has no space for a small message and removes it when it accepted
 * one; smtpd rejects mail to it at RCPT, so that no report goes to a possibly forged sender. An entry is
 * valid for minutes, and until the accounts change, since a quota may have been raised: then one message
 * is accepted, and adds the mailbox again if it is still full.
 *
 * A table of a fixed size that forgets (base/slots.h): where too many full mailboxes
 * meet, the one that was found longest ago. That one is taken for another's takes 36
 * equal bits.
 */
#ifndef MAILBOAT_SERVICE_OVER_QUOTA_TABLE_H
#define MAILBOAT_SERVICE_OVER_QUOTA_TABLE_H

#include "run/shared_memory.h"

enum over_quota_table_limit {
    OVER_QUOTA_SLOTS = 1 << 16,
    OVER_QUOTA_ROW = 4,
    OVER_QUOTA_BELIEVED_S = 5 * 60, /* after it was found */
};

struct over_quota_table {
    _Atomic uint64_t slots[OVER_QUOTA_SLOTS]; /* see over_quota_table.c */
};
extern const struct shared_memory over_quota_memory; /* of this type */

/* `address` is the mailbox's own: no alias, no tag. `version` is of the accounts; `now_ms` is monotonic. */
void over_quota_table_add(struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms);
void over_quota_table_remove(struct over_quota_table *full, struct bytes address);
/* True if it was full recently, with the current accounts. */
bool over_quota_table_has(const struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms);
void over_quota_table_clear(struct over_quota_table *full);

#endif
