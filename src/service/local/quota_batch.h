/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_batch: what the mailboxes of one batch of deliveries hold and may hold.
 *
 * ledger_page() for each recipient, ledger_admits() once the message's size is
 * known, ledger_arrived() when it is in the mailbox for good; then each page
 * says whether a mark was passed (ledger_passed()) and whether nothing fits any
 * more (ledger_is_full()), and ledger_close() writes
 * down what came, one line a mailbox, and begins the next batch.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H
#define MAILBOAT_SERVICE_LOCAL_QUOTA_BATCH_H

#include "service/local/maildir.h"
#include "service/local/maildirsize.h"

enum { LEDGER_SMALL_OCTETS = 4096, LEDGER_SMALL_PART = 100 };

struct ledger_page {
    char mailbox[MAILDIR_PATH_MAX]; /* below the folder */
    uint64_t limit;                 /* octets; 0: none */
    int error;                      /* errno: what it holds could not be read */
    struct maildirsize had;
    uint64_t promised;              /* octets of the batch that were admitted */
    uint64_t arrived, messages;     /* of them, what is there */
    uint64_t last_id, last_ms;      /* of the message that arrived last: its id and time */
    char address[MAILDIR_PATH_MAX];
};

struct ledger {
    int folder;                     /* of all mailboxes; the caller's */
    struct ledger_page *pages;      /* MAILDIR_BATCH_MAX */
    size_t count;
};

void ledger_start(struct ledger *ledger, int folder);
void ledger_free(struct ledger *ledger);
/* The mailbox's page, read from the disk when it is asked for first; NULL when it is no address. */
struct ledger_page *ledger_page(struct ledger *ledger, struct bytes address, uint64_t limit);
/* Is there room for so much? Then it counts. */
bool ledger_admits(struct ledger *ledger, struct ledger_page *page, uint64_t octets);
/* Of a page that admitted too little: is it surely full, and not only too small for that message?
 * A mailbox is full when it has no room for 4 KiB, about the smallest message, and a hundredth of its limit. */
bool ledger_is_full(const struct ledger_page *page);
void ledger_arrived(struct ledger_page *page, uint64_t octets, uint64_t id, uint64_t arrived_ms);
/* The mark (message/quota_warning.h) that this batch went past; 0: none. */
unsigned ledger_passed(struct ledger *ledger, struct ledger_page *page);
void ledger_close(struct ledger *ledger);

#endif
