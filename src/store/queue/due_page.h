/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due_page: combines due recipients into deliveries, for every kind of store: of one message all that are
 * due together, up to a limit, and each recipient in only one delivery of a page.
 */
#ifndef MAILBOAT_STORE_QUEUE_DUE_PAGE_H
#define MAILBOAT_STORE_QUEUE_DUE_PAGE_H

#include "store/queue/store.h"

/* Makes an empty page of this capacity. */
void due_page_start(struct store_page *page, const struct store_due_question *question, size_t count,
                    struct arena *arena);
/* True if this recipient is already in it. */
bool due_page_has(const struct store_page *page, uint64_t id, uint32_t number);
/* Appends a delivery: of `found`, the message's recipients at the destination from `place` on, those that
 * belong to it and are in no other. */
struct store_delivery *due_page_gather(struct store_page *page, const struct store_due *place,
                                       const struct store_due_question *question,
                                       const struct store_recipient *found, size_t count,
                                       struct arena *arena);

#endif
