/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_batch: what the mailboxes of one batch of deliveries hold and may hold.
 *
 * quota_batch_page() for each recipient, quota_batch_admits() once the message's size is
 * known, quota_batch_arrived() when it is in the mailbox for good; then each page
 * says whether a mark was passed (quota_batch_passed()) and whether nothing fits any
 * more (quota_batch_is_full()), and quota_batch_close() writes
 * down what came, one line a mailbox, and begins the next batch.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H
#define MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H

#include "service/local/maildir.h"
#include "service/local/maildirsize.h"

enum { QUOTA_BATCH_SMALL_OCTETS = 4096, QUOTA_BATCH_SMALL_PART = 100 };

struct quota_batch_page {
    char mailbox[MAILDIR_PATH_MAX]; /* below the folder */
    uint64_t limit;                 /* octets; 0: none */
    int error;                      /* errno: what it holds could not be read */
    struct maildirsize had;
    uint64_t promised;          /* octets of the batch that were admitted */
    uint64_t arrived, messages; /* of them, what is there */
    uint64_t last_id, last_ms;  /* of the message that arrived last: its id and time */
    char address[MAILDIR_PATH_MAX];
};

struct quota_batch {
    int folder;                     /* of all mailboxes; the caller's */
    struct quota_batch_page *pages; /* MAILDIR_BATCH_MAX */
    size_t count;
};

void quota_batch_start(struct quota_batch *quota_batch, int folder);
void quota_batch_free(struct quota_batch *quota_batch);
/* The mailbox's page, read from the disk when it is asked for first; NULL when it is no address. */
struct quota_batch_page *quota_batch_page(struct quota_batch *quota_batch, struct bytes address,
                                          uint64_t limit);
/* Is there room for so much? Then it counts. */
bool quota_batch_admits(struct quota_batch *quota_batch, struct quota_batch_page *page, uint64_t octets);
/* Of a page that admitted too little: is it surely full, and not only too small for that message?
 * A mailbox is full when it has no room for 4 KiB, about the smallest message, and a hundredth of its limit.
 */
bool quota_batch_is_full(const struct quota_batch_page *page);
void quota_batch_arrived(struct quota_batch_page *page, uint64_t octets, uint64_t id, uint64_t arrived_ms);
/* The mark (message/quota_warning.h) that this batch went past; 0: none. */
unsigned quota_batch_passed(struct quota_batch *quota_batch, struct quota_batch_page *page);
void quota_batch_close(struct quota_batch *quota_batch);

#endif
