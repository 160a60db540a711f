/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/search.h"

#include <stdlib.h>

void search_start(struct search *search, struct store *store, const struct selection *selection,
                  uint64_t now_ms)
{
    *search = (struct search){.store = store, .selection = selection, .now_ms = now_ms};
    if (selection_looks_at_recipients(selection)) {
        search->recipients = memory_new(STORE_READ_MAX * sizeof *search->recipients);
        search->ids = memory_new(STORE_READ_MAX * sizeof *search->ids);
    } else {
        search->messages = memory_new(STORE_READ_MAX * sizeof *search->messages);
    }
}

void search_free(struct search *search)
{
    arena_clear(&search->page_arena);
    arena_clear(&search->one_arena);
    free(search->messages);
    free(search->recipients);
    free(search->ids);
    *search = (struct search){0};
}

static bool takes_message(const struct search *search, const struct store_summary *message)
{
    return selection_takes_message(search->selection, message->sender, message->arrived_ms, search->now_ms);
}

/* ---- scanning messages ---- */

static const struct store_summary *next_message(struct search *search)
{
    for (;; search->at++) {
        if (search->at == search->count) {
            arena_clear(&search->page_arena);
            search->count = store_list(search->store, search->after_id, STORE_READ_MAX, &search->page_arena,
                                       search->messages);
            search->at = 0;
            if (search->count == 0)
                return NULL;
            search->after_id = search->messages[search->count - 1].id;
        }
        if (takes_message(search, &search->messages[search->at]))
            return &search->messages[search->at++];
    }
}

/* ---- scanning recipients ---- */

static bool turn_page(struct search *search)
{
    arena_clear(&search->page_arena);
    search->count = store_walk(search->store, search->after_id, search->after_number, STORE_READ_MAX,
                               &search->page_arena, search->ids, search->recipients);
    search->at = 0;
    if (search->count == 0)
        return false;
    search->after_id = search->ids[search->count - 1];
    search->after_number = search->recipients[search->count - 1].number;
    return true;
}

/* Reads the message of this recipient, unless it is gone or does not match. */
static bool read_one(struct search *search, uint64_t id)
{
    arena_clear(&search->one_arena);
    return store_list(search->store, id - 1, 1, &search->one_arena, &search->one) == 1 &&
           search->one.id == id && takes_message(search, &search->one);
}

static const struct store_summary *next_by_recipient(struct search *search)
{
    while (search->at < search->count || turn_page(search)) {
        size_t at = search->at++;
        uint64_t id = search->ids[at];
        const struct store_recipient *recipient = &search->recipients[at];
        if (selection_takes_recipient(search->selection, &recipient->recipient, &recipient->last) &&
            id != search->one.id &&
            (search->condition == NULL || search->condition(search->owner, id, recipient)) &&
            read_one(search, id))
            return &search->one;
    }
    return NULL;
}

const struct store_summary *search_next(struct search *search)
{
    return search->messages != NULL ? next_message(search) : next_by_recipient(search);
}
