/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: the waiting messages of which a selection takes something, in the
 * order of arrival. search_start(), then search_next() as long as it finds one.
 *
 * Where the selection looks at recipients, it is their rows that are gone
 * through, which are small, and only the messages of those that fit are read;
 * messages lie in the store together with their contents.
 */
#ifndef MAILBOAT_CLI_QUEUE_SEARCH_H
#define MAILBOAT_CLI_QUEUE_SEARCH_H

#include "cli/queue/selection.h"

struct search {
    struct store *store;
    const struct selection *selection;
    uint64_t now_ms, after_id;
    uint32_t after_number;
    size_t count, at;                   /* of the page: rows, and the next to look at */
    struct store_summary *messages;     /* the page, where messages are gone through */
    struct store_recipient *recipients; /* or recipients, */
    uint64_t *ids;                      /* each with its message */
    struct store_summary one;
    struct arena page_arena, one_arena;
};

/* Store and selection stay the caller's, and live as long as the search. */
void search_start(struct search *search, struct store *store, const struct selection *selection,
                  uint64_t now_ms);
/* NULL: there are no more. What is found lives until the next call. Rows may
 * change or go meanwhile, also those that were found. */
const struct store_summary *search_next(struct search *search);
void search_free(struct search *search);

#endif
