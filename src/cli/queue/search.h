/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: the queued messages that match a selection, at least in part, in order of arrival.
 * search_start(), then search_next() as long as it finds one.
 *
 * If the selection has recipient filters, it scans the rows of recipients, which are small, and reads only
 * the matching messages; the store keeps messages together with their contents.
 */
#ifndef MAILBOAT_CLI_QUEUE_SEARCH_H
#define MAILBOAT_CLI_QUEUE_SEARCH_H

#include "core/text/selection.h"
#include "store/queue/store.h"

/* Looks at what a selection cannot know, as the state of a recipient; NULL: nothing. */
typedef bool search_condition(void *owner, uint64_t id, const struct store_recipient *recipient);

struct search {
    struct store *store;
    const struct selection *selection;
    search_condition *condition; /* set after search_start() */
    void *owner;
    uint64_t now_ms, after_id;
    uint32_t after_number;
    size_t count, at;                   /* of the page: rows, and the next one */
    struct store_summary *messages;     /* the page, when scanning messages */
    struct store_recipient *recipients; /* or recipients, */
    uint64_t *ids;                      /* each with its message */
    struct store_summary one;
    struct arena page_arena, one_arena;
};

/* The caller keeps store and selection for the lifetime of the search. */
void search_start(struct search *search, struct store *store, const struct selection *selection,
                  uint64_t now_ms);
/* NULL: no more. The result lives until the next call. Rows may change or disappear meanwhile, also those
 * that were found. */
const struct store_summary *search_next(struct search *search);
void search_free(struct search *search);

#endif
