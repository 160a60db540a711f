/* SPDX-License-Identifier: Apache-2.0 */
/*
 * over_quota_table: which mailboxes were found full just now, in memory that the
 * local process writes and all smtpd processes may read. Local adds a mailbox
 * that has no room for a small message and removes it when it took one; smtpd
 * refuses who is full at RCPT, so that no report goes to a sender who may be
 * forged. It is believed for minutes, and until the accounts change, for a quota
 * may have been raised: then one message gets in again, and adds its mailbox
 * anew where that is still full.
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
extern const struct shared_memory over_quota_memory; /* one of them */

/* `address` is the mailbox's own: no alias, no tag. `version` is of
 * the accounts; `now_ms` by the clock that never jumps. */
void over_quota_table_add(struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms);
void over_quota_table_remove(struct over_quota_table *full, struct bytes address);
/* Was it found full not long ago, with the accounts as they are? */
bool over_quota_table_has(const struct over_quota_table *full, struct bytes address, uint64_t version,
                          uint64_t now_ms);
void over_quota_table_clear(struct over_quota_table *full);

#endif
