/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_internal: shared by the parts of the store in memory: memory.c (lists, the batch),
 * memory_changes.c, memory_pages.c and memory_people.c (a group of operations each); included only there.
 */
#ifndef MAILBOAT_STORE_QUEUE_MEMORY_INTERNAL_H
#define MAILBOAT_STORE_QUEUE_MEMORY_INTERNAL_H

#include "store/queue/memory.h"
#include "store/queue/store_kind.h"

struct memory_row {
    struct store_recipient recipient;
    struct bytes history;
    bool gone;
};

struct memory_message {
    struct arena arena; /* of all texts, and of the content */
    struct store_message message;
    struct memory_row *rows; /* by number */
    size_t row_count, row_capacity;
    int file; /* a large content; -1 */
};

struct memory_destination {
    struct store_destination destination;
    bool there; /* false: removed, its place is kept */
};

struct memory_note {
    char *name;
    struct buffer value;
};

struct memory_spool {
    uint64_t spool;
    int file;
};

/* The events of a batch. */
struct memory_events {
    uint64_t first, count;
    struct buffer octets;
};

/* How things stood before a change. */
struct memory_undo {
    enum undo_kind {
        UNDO_ACCEPT,
        UNDO_REMOVE,
        UNDO_ROW,
        UNDO_MEMBER,
        UNDO_DESTINATION,
        UNDO_NOTE,
        UNDO_EVENTS_PUT,
        UNDO_EVENTS_DROP
    } kind;
    uint64_t id;
    struct memory_message *message; /* UNDO_REMOVE: owned by the note */
    struct memory_row row;
    struct memory_destination destination;
    struct memory_note note;     /* owned by the note */
    struct memory_events events; /* UNDO_EVENTS_DROP: owned by the note */
    enum store_stream stream;
};

/* A growing list; `size` is that of an element. */
struct memory_list {
    void *at;
    size_t count, capacity;
};

struct memory {
    struct store store;          /* the first member */
    struct memory_list messages; /* struct memory_message * */
    struct memory_list destinations, notes, spools, undo, events[STORE_STREAMS];
    uint64_t octets, octets_max;
    enum store_verdict verdict; /* of the batch so far */
    uint64_t event_rows_put[STORE_STREAMS];
    bool batch, broken, away;
};

extern const struct store_changes memory_store_changes;
extern const struct store_pages memory_store_pages;
extern const struct store_people memory_store_people;

static inline struct memory *memory_of(struct store *store)
{
    return (struct memory *)(void *)store;
}

static inline struct memory_message **memory_messages(const struct memory *memory)
{
    return memory->messages.at;
}
static inline struct memory_destination *memory_destinations(const struct memory *memory)
{
    return memory->destinations.at;
}
static inline struct memory_note *memory_notes(const struct memory *memory)
{
    return memory->notes.at;
}
static inline struct memory_events *memory_events(const struct memory *memory, enum store_stream stream)
{
    return memory->events[stream].at;
}
static inline struct memory_spool *memory_spools(const struct memory *memory)
{
    return memory->spools.at;
}

void *memory_list_insert(struct memory_list *list, size_t at, size_t size);
void memory_list_drop(struct memory_list *list, size_t at, size_t size);
size_t memory_message_place(const struct memory *memory, uint64_t id);
struct memory_message *memory_find_message(const struct memory *memory, uint64_t id);
void memory_put_message(struct memory *memory, struct memory_message *kept);
struct memory_message *memory_take_message(struct memory *memory, uint64_t id);
struct memory_row *memory_find_row(const struct memory *memory, uint64_t id, uint32_t number);
struct memory_destination *memory_destination_place(struct memory *memory, struct bytes name, bool make);
struct memory_note *memory_find_note(const struct memory *memory, const char *name);
struct memory_spool *memory_find_spool(const struct memory *memory, uint64_t spool);
struct memory_undo *memory_note_undo(struct memory *memory, enum undo_kind kind);
int memory_take_spool(struct memory *memory, struct memory_spool *spool);
bool memory_spool_size(const struct memory_spool *spool, uint64_t *size);
void memory_commit_start(struct store *store);
bool memory_commit_done(struct store *store, enum store_verdict *verdict, struct error *error);
enum store_verdict memory_verdict(const struct store *store, struct error *error);
bool memory_is_changed(const struct store *store);
void memory_close(struct store *store);
int memory_spool(struct store *store, uint64_t number, enum store_verdict *verdict);
void memory_spool_drop(struct store *store, uint64_t number);
void memory_message_free(struct memory_message *kept);
/* True if a message, or all of them (by a walk), is as it must be between two operations. */
bool memory_message_is_sound(const struct memory_message *kept);
bool memory_is_sound(const struct memory *memory);
/* A question is about to be answered; false where it cannot be. */
bool memory_answers(struct memory *memory);
/* Prepares for a change; false after a failure. */
bool memory_change(struct memory *memory);

/* ---- memory_events.c ---- */

void memory_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets);
void memory_events_drop(struct store *store, enum store_stream stream, uint64_t cursor);
size_t memory_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                           struct arena *arena, struct store_events *found);
void memory_events_undo(struct memory *memory, struct memory_undo *undo);
void memory_events_free(struct memory *memory);

#endif
