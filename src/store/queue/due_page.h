/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due_page: how recipients that are due become deliveries, for every kind of
 * store: of one message all that are due together, up to a limit, and no
 * recipient in two of a page.
 */
#ifndef MAILBOAT_STORE_QUEUE_DUE_PAGE_H
#define MAILBOAT_STORE_QUEUE_DUE_PAGE_H

#include "store/queue/store.h"

/* An empty page with room for so many. */
void due_page_start(struct store_page *page, const struct store_due_question *question, size_t count,
                    struct arena *arena);
/* Is this recipient in it already? */
bool due_page_has(const struct store_page *page, uint64_t id, uint32_t number);
/* The delivery behind those that the page has: of `found`, the message's recipients at
 * the destination from `place` on, those that belong to it and are in no other. */
struct store_delivery *due_page_gather(struct store_page *page, const struct store_due *place,
                                       const struct store_due_question *question,
                                       const struct store_recipient *found, size_t count,
                                       struct arena *arena);

#endif
