/* SPDX-License-Identifier: Apache-2.0 */
/* memory_events: the events of each batch in the store in memory: see store.h. */
#include "store/queue/memory_internal.h"

static uint64_t last_of(const struct memory_events *row)
{
    return row->first + row->count - 1;
}

static struct memory_undo *note_undo(struct memory *memory, enum undo_kind kind, enum store_stream stream)
{
    struct memory_undo *undo = memory_note_undo(memory, kind);
    undo->stream = stream;
    return undo;
}

/* The oldest row goes; the undo list owns it until the commit. */
static void drop_oldest(struct memory *memory, enum store_stream stream)
{
    note_undo(memory, UNDO_EVENTS_DROP, stream)->events = memory_events(memory, stream)[0];
    memory_list_drop(&memory->events[stream], 0, sizeof(struct memory_events));
}

/* The oldest go where there are too many. */
static void trim(struct memory *memory, enum store_stream stream, uint64_t last)
{
    for (size_t i = 0; i < STORE_EVENTS_TRIM_MAX && memory->events[stream].count > 1 &&
                       last_of(&memory_events(memory, stream)[0]) + STORE_EVENTS_MAX <= last;
         i++)
        drop_oldest(memory, stream);
}

void memory_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets)
{
    struct memory *memory = memory_of(store);
    size_t rows = memory->events[stream].count;
    if (!memory_change(memory))
        return;
    uint64_t first = rows == 0 ? 1 : last_of(&memory_events(memory, stream)[rows - 1]) + 1;
    struct memory_events *row = memory_list_insert(&memory->events[stream], rows, sizeof *row);
    row->first = first;
    row->count = count;
    buffer_add(&row->octets, octets);
    note_undo(memory, UNDO_EVENTS_PUT, stream);
    if (memory->event_rows_put[stream]++ % STORE_EVENTS_TRIM_EVERY == 0)
        trim(memory, stream, first + count - 1);
}

void memory_events_drop(struct store *store, enum store_stream stream, uint64_t cursor)
{
    struct memory *memory = memory_of(store);
    if (!memory_change(memory))
        return;
    while (memory->events[stream].count > 1 && last_of(&memory_events(memory, stream)[0]) <= cursor)
        drop_oldest(memory, stream);
}

size_t memory_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                           struct arena *arena, struct store_events *found)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    if (!memory_answers(memory))
        return 0;
    for (size_t i = 0; i < memory->events[stream].count && count < max; i++) {
        const struct memory_events *row = &memory_events(memory, stream)[i];
        if (last_of(row) > cursor)
            found[count++] = (struct store_events){.first = row->first,
                                                   .count = row->count,
                                                   .octets = arena_copy(arena, buffer_bytes(&row->octets))};
    }
    return count;
}

void memory_events_undo(struct memory *memory, struct memory_undo *undo)
{
    struct memory_list *events = &memory->events[undo->stream];
    if (undo->kind == UNDO_EVENTS_PUT) {
        size_t last = events->count - 1;
        buffer_free(&memory_events(memory, undo->stream)[last].octets);
        memory_list_drop(events, last, sizeof(struct memory_events));
        return;
    }
    *(struct memory_events *)memory_list_insert(events, 0, sizeof(struct memory_events)) = undo->events;
}

void memory_events_free(struct memory *memory)
{
    for (size_t stream = 0; stream < STORE_STREAMS; stream++)
        for (size_t i = 0; i < memory->events[stream].count; i++)
            buffer_free(&memory_events(memory, (enum store_stream)stream)[i].octets);
}
