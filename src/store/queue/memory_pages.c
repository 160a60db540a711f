/* SPDX-License-Identifier: Apache-2.0 */
/* memory_pages: the second group of store.h: due mail, page by page. */
#include "store/queue/due_page.h"
#include "store/queue/memory_internal.h"
#include "store/queue/store_copy.h"

static bool due_before(const struct store_due *a, const struct store_due *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->id != b->id ? a->id < b->id : a->number < b->number;
}

/* Keeps the first `max` in order. */
static void insert_due(struct store_due *found, size_t *count, size_t max, const struct store_due *due)
{
    size_t at = *count;
    while (at > 0 && due_before(due, &found[at - 1]))
        at--;
    if (at == max)
        return;
    if (*count < max)
        ++*count;
    memmove(found + at + 1, found + at, (*count - 1 - at) * sizeof *found);
    found[at] = *due;
}

/* Returns the rows of a message that wait for the destination and are not held. */
static const struct store_recipient *waiting(const struct memory_message *kept, size_t i,
                                             struct bytes destination)
{
    const struct memory_row *row = &kept->rows[i];
    return row->gone || row->recipient.held || !bytes_equal(row->recipient.destination, destination)
               ? NULL
               : &row->recipient;
}

static size_t find_places(struct memory *memory, const struct store_due_question *question,
                          struct store_due found[STORE_PAGE_MAX])
{
    size_t count = 0;
    for (size_t m = 0; memory_answers(memory) && m < memory->messages.count; m++) {
        const struct memory_message *kept = memory_messages(memory)[m];
        for (size_t i = 0; i < kept->row_count; i++) {
            const struct store_recipient *r = waiting(kept, i, question->destination);
            struct store_due due = {r == NULL ? 0 : r->due_ms, kept->message.id, (uint32_t)i};
            if (r != NULL && due.due_ms <= question->now_ms && due_before(&question->after, &due))
                insert_due(found, &count, question->deliveries_max, &due);
        }
    }
    return count;
}

static void memory_due(struct store *store, const struct store_due_question *question, struct arena *arena,
                       struct store_page *page)
{
    struct memory *memory = memory_of(store);
    struct store_due places[STORE_PAGE_MAX];
    struct store_recipient found[STORE_READ_MAX];
    uint64_t contents_left = question->contents_max;
    size_t place_count = find_places(memory, question, places);
    due_page_start(page, question, place_count, arena);
    for (size_t i = 0; i < place_count; i++) {
        page->end = places[i];
        if (due_page_has(page, places[i].id, places[i].number))
            continue;
        const struct memory_message *kept = memory_find_message(memory, places[i].id);
        size_t count = 0, end = (size_t)places[i].number + STORE_LOOK_MAX;
        for (size_t k = places[i].number; k < kept->row_count && k < end && count < question->recipients_max;
             k++)
            if (!kept->rows[k].gone &&
                bytes_equal(kept->rows[k].recipient.destination, question->destination))
                found[count++] = store_copy_row(arena, &kept->rows[k].recipient);
        struct store_delivery *next = due_page_gather(page, &places[i], question, found, count, arena);
        next->message = store_copy_message(arena, &kept->message);
        next->has_content = !kept->message.large &&
                            (page->count == 0 || kept->message.envelope.size <= contents_left);
        if (!next->has_content && !kept->message.large)
            next->message.prefix = bytes_none();
        if (next->has_content)
            next->message.content = arena_copy(arena, kept->message.content);
        contents_left -= next->message.content.length < contents_left ? next->message.content.length
                                                                      : contents_left;
        page->count += next->recipient_count > 0;
    }
}

static uint64_t earlier(uint64_t first, uint64_t due_ms, uint64_t after_ms)
{
    return due_ms > after_ms && (first == STORE_NEVER || due_ms < first) ? due_ms : first;
}

static uint64_t memory_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    struct memory *memory = memory_of(store);
    uint64_t first = STORE_NEVER;
    for (size_t m = 0; memory_answers(memory) && m < memory->messages.count; m++)
        for (size_t i = 0; i < memory_messages(memory)[m]->row_count; i++) {
            const struct store_recipient *r = waiting(memory_messages(memory)[m], i, destination);
            if (r != NULL)
                first = earlier(first, r->due_ms, after_ms);
        }
    return first;
}

static bool memory_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    struct memory *memory = memory_of(store);
    struct memory_destination *kept = memory_answers(memory) ? memory_destination_place(memory, name, false)
                                                             : NULL;
    if (kept == NULL || !kept->there)
        return false;
    *found = kept->destination;
    return true;
}

static bool destination_before(const struct store_destination *a, const struct store_destination *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms
                                  : bytes_compare(store_destination_name(a), store_destination_name(b)) < 0;
}

static uint64_t destinations_next(struct memory *memory, uint64_t after_ms)
{
    uint64_t first = STORE_NEVER;
    for (size_t i = 0; memory_answers(memory) && i < memory->destinations.count; i++)
        if (memory_destinations(memory)[i].there)
            first = earlier(first, memory_destinations(memory)[i].destination.due_ms, after_ms);
    return first;
}

static size_t memory_destinations_due(struct store *store, uint64_t now_ms,
                                      const struct store_destination *after, size_t max,
                                      struct store_destination *found, uint64_t *next_ms)
{
    static const struct store_destination none;
    struct memory *memory = memory_of(store);
    size_t count = 0;
    if (next_ms != NULL)
        *next_ms = destinations_next(memory, now_ms);
    for (size_t i = 0; memory_answers(memory) && i < memory->destinations.count; i++) {
        const struct memory_destination *kept = &memory_destinations(memory)[i];
        size_t at = count;
        if (!kept->there || kept->destination.due_ms > now_ms ||
            !destination_before(after == NULL ? &none : after, &kept->destination))
            continue;
        while (at > 0 && destination_before(&kept->destination, &found[at - 1]))
            at--;
        if (at == max)
            continue;
        count += count < max ? 1 : 0;
        memmove(found + at + 1, found + at, (count - 1 - at) * sizeof *found);
        found[at] = kept->destination;
    }
    return count;
}

const struct store_pages memory_store_pages = {
    .due = memory_due,
    .next_due = memory_next_due,
    .destination = memory_destination,
    .destinations_due = memory_destinations_due,
};
