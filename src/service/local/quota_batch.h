/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_batch: usage and quotas of the mailboxes in one batch of deliveries.
 *
 * Call quota_batch_page() for each recipient, quota_batch_admits() once the message's size is known,
 * quota_batch_arrived() after durable delivery; then each page tells whether a threshold was crossed
 * (quota_batch_passed()) and whether the mailbox is full (quota_batch_is_full()), and quota_batch_close()
 * records the new messages, one line per mailbox, and starts the next batch.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H
#define MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H

#include "service/local/maildir.h"
#include "service/local/maildirsize.h"

enum { QUOTA_BATCH_SMALL_OCTETS = 4096, QUOTA_BATCH_SMALL_PART = 100 };

struct quota_batch_page {
    char mailbox[MAILDIR_PATH_MAX]; /* below the folder */
    uint64_t limit;                 /* octets; 0: none */
    int error;                      /* errno: its usage could not be read */
    struct maildirsize had;
    uint64_t promised;          /* octets of the batch that were admitted */
    uint64_t arrived, messages; /* of them, those delivered */
    uint64_t last_id, last_ms;  /* of the last delivered message: its id and time */
    char address[MAILDIR_PATH_MAX];
};

struct quota_batch {
    int folder;                     /* of all mailboxes; owned by the caller */
    struct quota_batch_page *pages; /* MAILDIR_BATCH_MAX */
    size_t count;
};

void quota_batch_start(struct quota_batch *quota_batch, int folder);
void quota_batch_free(struct quota_batch *quota_batch);
/* Returns the mailbox's page, read from disk the first time; NULL if it is not an address. */
struct quota_batch_page *quota_batch_page(struct quota_batch *quota_batch, struct bytes address,
                                          uint64_t limit);
/* Admits so many octets if they fit, and counts them. */
bool quota_batch_admits(struct quota_batch *quota_batch, struct quota_batch_page *page, uint64_t octets);
/* For a page that admitted too little: true if the mailbox is certainly full, and the message was not
 * merely too large. A mailbox is full if it has no space for 4 KiB, about the smallest message, and a
 * hundredth of its limit. */
bool quota_batch_is_full(const struct quota_batch_page *page);
void quota_batch_arrived(struct quota_batch_page *page, uint64_t octets, uint64_t id, uint64_t arrived_ms);
/* Returns the threshold (message/quota_warning.h) that this batch crossed; 0: none. */
unsigned quota_batch_passed(struct quota_batch *quota_batch, struct quota_batch_page *page);
void quota_batch_close(struct quota_batch *quota_batch);

#endif
