/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: a store for the simulation and for tests. Changes are made immediately and recorded in `undo`,
 * newest last; a commit drops the records, a crash undoes them in reverse order. Messages are sorted by
 * id, destinations by name, and every query is a linear scan: a simulated queue is short, and results are
 * deterministic.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/queue/memory_internal.h"

/* ---- lists ---- */

void *memory_list_insert(struct memory_list *list, size_t at, size_t size)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        list->at = memory_resize(list->at, list->capacity * size);
    }
    char *place = (char *)list->at + at * size;
    memmove(place + size, place, (list->count - at) * size);
    memset(place, 0, size);
    list->count++;
    return place;
}

void memory_list_drop(struct memory_list *list, size_t at, size_t size)
{
    char *place = (char *)list->at + at * size;
    list->count--;
    memmove(place, place + size, (list->count - at) * size);
}

static void list_free(struct memory_list *list)
{
    free(list->at);
    *list = (struct memory_list){0};
}

/* Returns the first index whose id is at least `id`. */
size_t memory_message_place(const struct memory *memory, uint64_t id)
{
    size_t low = 0, high = memory->messages.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory_messages(memory)[middle]->message.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct memory_message *memory_find_message(const struct memory *memory, uint64_t id)
{
    size_t at = memory_message_place(memory, id);
    return at < memory->messages.count && memory_messages(memory)[at]->message.id == id
               ? memory_messages(memory)[at]
               : NULL;
}

void memory_put_message(struct memory *memory, struct memory_message *kept)
{
    *(struct memory_message **)memory_list_insert(
        &memory->messages, memory_message_place(memory, kept->message.id), sizeof kept) = kept;
    memory->octets += kept->message.envelope.size;
}

struct memory_message *memory_take_message(struct memory *memory, uint64_t id)
{
    struct memory_message *kept = memory_find_message(memory, id);
    memory_list_drop(&memory->messages, memory_message_place(memory, id), sizeof kept);
    memory->octets -= kept->message.envelope.size;
    return kept;
}

void memory_message_free(struct memory_message *kept)
{
    if (kept->file >= 0)
        close(kept->file);
    arena_clear(&kept->arena);
    free(kept);
}

struct memory_row *memory_find_row(const struct memory *memory, uint64_t id, uint32_t number)
{
    struct memory_message *kept = memory_find_message(memory, id);
    return kept == NULL || number >= kept->row_count || kept->rows[number].gone ? NULL : &kept->rows[number];
}

/* Returns the destination's entry, created if missing. */
struct memory_destination *memory_destination_place(struct memory *memory, struct bytes name, bool make)
{
    size_t at = 0;
    struct memory_destination *list = memory_destinations(memory);
    while (at < memory->destinations.count &&
           bytes_compare(store_destination_name(&list[at].destination), name) < 0)
        at++;
    if (at < memory->destinations.count && bytes_equal(store_destination_name(&list[at].destination), name))
        return &list[at];
    if (!make)
        return NULL;
    struct memory_destination *made = memory_list_insert(&memory->destinations, at, sizeof *made);
    made->destination.name_length = name.length;
    if (name.length > 0)
        memcpy(made->destination.name, name.at, name.length);
    return made;
}

struct memory_note *memory_find_note(const struct memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->notes.count; i++)
        if (strcmp(memory_notes(memory)[i].name, name) == 0)
            return &memory_notes(memory)[i];
    return NULL;
}

struct memory_spool *memory_find_spool(const struct memory *memory, uint64_t spool)
{
    for (size_t i = 0; i < memory->spools.count; i++)
        if (memory_spools(memory)[i].spool == spool)
            return &memory_spools(memory)[i];
    return NULL;
}

/* ---- what always holds ---- */

bool memory_message_is_sound(const struct memory_message *kept)
{
    size_t living = 0;
    for (size_t i = 0; i < kept->row_count; i++) {
        const struct store_recipient *r = &kept->rows[i].recipient;
        living += !kept->rows[i].gone;
        if (r->number != i || r->destination.length > STORE_DESTINATION_MAX)
            return false;
    }
    return living > 0 && kept->row_count <= kept->row_capacity && kept->message.large == (kept->file >= 0);
}

static bool destinations_are_sound(const struct memory *memory)
{
    const struct memory_destination *list = memory_destinations(memory);
    for (size_t i = 0; i < memory->destinations.count; i++)
        if (list[i].destination.name_length > STORE_DESTINATION_MAX ||
            (i > 0 && bytes_compare(store_destination_name(&list[i - 1].destination),
                                    store_destination_name(&list[i].destination)) >= 0))
            return false;
    return true;
}

bool memory_is_sound(const struct memory *memory)
{
    uint64_t octets = 0, last_id = 0;
    for (size_t i = 0; i < memory->messages.count; i++) {
        const struct memory_message *kept = memory_messages(memory)[i];
        if (kept->message.id <= last_id || !memory_message_is_sound(kept))
            return false;
        last_id = kept->message.id;
        octets += kept->message.envelope.size;
    }
    return octets == memory->octets && destinations_are_sound(memory) &&
           (memory->batch || memory->undo.count == 0);
}

/* ---- the batch ---- */

struct memory_undo *memory_note_undo(struct memory *memory, enum undo_kind kind)
{
    struct memory_undo *undo = memory_list_insert(&memory->undo, memory->undo.count, sizeof *undo);
    undo->kind = kind;
    return undo;
}

static void undo_free(struct memory_undo *undo)
{
    if (undo->kind == UNDO_REMOVE)
        memory_message_free(undo->message);
    buffer_free(&undo->note.value);
    buffer_free(&undo->events.octets);
}

static void undo_one(struct memory *memory, struct memory_undo *undo)
{
    switch (undo->kind) {
    case UNDO_ACCEPT: memory_message_free(memory_take_message(memory, undo->id)); break;
    case UNDO_REMOVE: memory_put_message(memory, undo->message); break;
    case UNDO_ROW: memory_find_message(memory, undo->id)->rows[undo->row.recipient.number] = undo->row; break;
    case UNDO_MEMBER: memory_find_message(memory, undo->id)->row_count--; break;
    case UNDO_DESTINATION:
        *memory_destination_place(memory, store_destination_name(&undo->destination.destination),
                                  true) = undo->destination;
        break;
    case UNDO_EVENTS_PUT:
    case UNDO_EVENTS_DROP: memory_events_undo(memory, undo); break;
    case UNDO_NOTE: {
        struct memory_note *note = memory_find_note(memory, undo->note.name);
        buffer_free(&note->value);
        note->value = undo->note.value;
        break;
    }
    }
}

static void forget_batch(struct memory *memory)
{
    struct memory_undo *undo = memory->undo.at;
    for (size_t i = memory->undo.count; i > 0; i--)
        undo_one(memory, &undo[i - 1]);
    memory->undo.count = 0;
}

static void keep_batch(struct memory *memory)
{
    struct memory_undo *undo = memory->undo.at;
    for (size_t i = 0; i < memory->undo.count; i++)
        undo_free(&undo[i]);
    memory->undo.count = 0;
}

static void look_whether_away(struct memory *memory)
{
    if (memory->away && memory->verdict == STORE_DONE)
        memory->verdict = STORE_UNREACHABLE;
}

bool memory_answers(struct memory *memory)
{
    look_whether_away(memory);
    return memory->verdict == STORE_DONE || memory->verdict == STORE_FULL;
}

/* Prepares for a change; false after a failure. */
bool memory_change(struct memory *memory)
{
    look_whether_away(memory);
    if (memory->verdict != STORE_DONE)
        return false;
    return memory->batch = true;
}

static void explain(enum store_verdict verdict, struct error *error)
{
    static const char *const words[] = {[STORE_FULL] = "full", [STORE_UNREACHABLE] = "away"};
    if (error == NULL || verdict == STORE_DONE)
        return;
    bool passes = verdict == STORE_FULL || verdict == STORE_UNREACHABLE;
    error_set(error, passes ? EX_TEMPFAIL : EX_IOERR, "the memory store is %s",
              passes ? words[verdict] : "broken");
}

static enum store_verdict commit(struct store *store, struct error *error)
{
    struct memory *memory = memory_of(store);
    if (memory->broken)
        memory->verdict = STORE_FAILED;
    else if (memory->batch)
        look_whether_away(memory);
    enum store_verdict verdict = memory->verdict;
    if (verdict == STORE_DONE) {
        keep_batch(memory);
    } else {
        explain(verdict, error);
        forget_batch(memory);
    }
    memory->batch = false;
    memory->verdict = verdict == STORE_FAILED ? STORE_FAILED : STORE_DONE;
    assert(memory_is_sound(memory));
    return verdict;
}

void memory_commit_start(struct store *store) {}

bool memory_commit_done(struct store *store, enum store_verdict *verdict, struct error *error)
{
    *verdict = commit(store, error);
    return true;
}

enum store_verdict memory_verdict(const struct store *store, struct error *error)
{
    enum store_verdict verdict = ((const struct memory *)(const void *)store)->verdict;
    explain(verdict, error);
    return verdict;
}

bool memory_is_changed(const struct store *store)
{
    const struct memory *memory = (const struct memory *)(const void *)store;
    return memory->batch || memory->verdict != STORE_DONE;
}

void memory_close(struct store *store)
{
    struct memory *memory = memory_of(store);
    forget_batch(memory);
    for (size_t i = 0; i < memory->messages.count; i++)
        memory_message_free(memory_messages(memory)[i]);
    for (size_t i = 0; i < memory->spools.count; i++)
        close(memory_spools(memory)[i].file);
    for (size_t i = 0; i < memory->notes.count; i++) {
        buffer_free(&memory_notes(memory)[i].value);
        free(memory_notes(memory)[i].name);
    }
    list_free(&memory->messages);
    list_free(&memory->destinations);
    list_free(&memory->notes);
    list_free(&memory->spools);
    list_free(&memory->undo);
    memory_events_free(memory);
    for (size_t stream = 0; stream < STORE_STREAMS; stream++)
        list_free(&memory->events[stream]);
    free(memory);
}

/* ---- spool ---- */

int memory_spool(struct store *store, uint64_t number, enum store_verdict *verdict)
{
    struct memory *memory = memory_of(store);
    *verdict = STORE_UNREACHABLE;
    if (memory->away)
        return -1;
    *verdict = memory->octets_max != 0 && memory->octets >= memory->octets_max ? STORE_FULL : STORE_FAILED;
    if (*verdict == STORE_FULL || memory_find_spool(memory, number) != NULL)
        return -1;
    int file = memfd_create("spool", MFD_CLOEXEC), copy = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        if (file >= 0)
            close(file);
        return -1;
    }
    struct memory_spool *spool = memory_list_insert(&memory->spools, memory->spools.count, sizeof *spool);
    *spool = (struct memory_spool){number, file};
    *verdict = STORE_DONE;
    return copy;
}

/* Passes the file to the caller. */
int memory_take_spool(struct memory *memory, struct memory_spool *spool)
{
    int file = spool->file;
    memory_list_drop(&memory->spools, (size_t)(spool - memory_spools(memory)), sizeof *spool);
    return file;
}

void memory_spool_drop(struct store *store, uint64_t number)
{
    struct memory *memory = memory_of(store);
    struct memory_spool *spool = memory_find_spool(memory, number);
    if (spool != NULL)
        close(memory_take_spool(memory, spool));
}

bool memory_spool_size(const struct memory_spool *spool, uint64_t *size)
{
    struct stat facts;
    if (spool == NULL || fstat(spool->file, &facts) != 0)
        return false;
    *size = (uint64_t)facts.st_size;
    return true;
}

/* ---- for tests ---- */

struct store *memory_store_open(void)
{
    struct memory *memory = memory_new(sizeof *memory);
    memory->store = (struct store){&memory_store_changes, &memory_store_pages, &memory_store_people};
    return &memory->store;
}

void memory_store_crash(struct store *store)
{
    struct memory *memory = memory_of(store);
    forget_batch(memory);
    memory->batch = memory->broken = false;
    memory->verdict = STORE_DONE;
    assert(memory_is_sound(memory));
}

void memory_store_limit(struct store *store, uint64_t octets_max)
{
    memory_of(store)->octets_max = octets_max;
}

void memory_store_away(struct store *store, bool away)
{
    memory_of(store)->away = away;
}

void memory_store_break(struct store *store)
{
    memory_of(store)->broken = true;
}
