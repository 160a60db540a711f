/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: a store for the simulation and for tests. Changes are made at once
 * and noted in `undo`, newest last; a commit forgets the notes, a crash walks
 * them backwards. Messages stand in the order of their ids, destinations in
 * that of their names, and every question is a plain walk: a simulated queue
 * is short, and the same calls always give the same answers.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/attempt_history.h"
#include "store/expansion_member.h"
#include "store/store.h"

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
    bool there; /* else it was removed, and its place waits for it */
};

struct memory_note {
    char *name;
    struct buffer value;
};

struct memory_spool {
    uint64_t spool;
    int file;
};

/* How things stood before a change. */
struct memory_undo {
    enum undo_kind { UNDO_ACCEPT, UNDO_REMOVE, UNDO_ROW, UNDO_MEMBER, UNDO_DESTINATION, UNDO_NOTE } kind;
    uint64_t id;
    struct memory_message *message; /* UNDO_REMOVE: owned by the note */
    struct memory_row row;
    struct memory_destination destination;
    struct memory_note note; /* owned by the note */
};

/* A list that grows; `size` is that of a member. */
struct memory_list {
    void *at;
    size_t count, capacity;
};

struct memory {
    struct store store;          /* the first member */
    struct memory_list messages; /* struct memory_message * */
    struct memory_list destinations, notes, spools, undo;
    uint64_t octets, octets_max;
    enum store_verdict verdict; /* of the batch so far */
    bool batch, broken;
};

static struct memory *memory_of(struct store *store)
{
    return (struct memory *)(void *)store;
}

/* ---- lists ---- */

static void *list_insert(struct memory_list *list, size_t at, size_t size)
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

static void list_drop(struct memory_list *list, size_t at, size_t size)
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

static struct memory_message **messages_of(const struct memory *memory)
{
    return memory->messages.at;
}
static struct memory_destination *destinations_of(const struct memory *memory)
{
    return memory->destinations.at;
}
static struct memory_note *notes_of(const struct memory *memory)
{
    return memory->notes.at;
}
static struct memory_spool *spools_of(const struct memory *memory)
{
    return memory->spools.at;
}

/* The first place whose id is at least `id`. */
static size_t message_place(const struct memory *memory, uint64_t id)
{
    size_t low = 0, high = memory->messages.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (messages_of(memory)[middle]->message.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct memory_message *find_message(const struct memory *memory, uint64_t id)
{
    size_t at = message_place(memory, id);
    return at < memory->messages.count && messages_of(memory)[at]->message.id == id ? messages_of(memory)[at]
                                                                                    : NULL;
}

static void put_message(struct memory *memory, struct memory_message *kept)
{
    *(struct memory_message **)list_insert(&memory->messages, message_place(memory, kept->message.id),
                                           sizeof kept) = kept;
    memory->octets += kept->message.envelope.size;
}

static struct memory_message *take_message(struct memory *memory, uint64_t id)
{
    struct memory_message *kept = find_message(memory, id);
    list_drop(&memory->messages, message_place(memory, id), sizeof kept);
    memory->octets -= kept->message.envelope.size;
    return kept;
}

static void message_free(struct memory_message *kept)
{
    if (kept->file >= 0)
        close(kept->file);
    arena_clear(&kept->arena);
    free(kept);
}

static struct memory_row *find_row(const struct memory *memory, uint64_t id, uint32_t number)
{
    struct memory_message *kept = find_message(memory, id);
    return kept == NULL || number >= kept->row_count || kept->rows[number].gone ? NULL : &kept->rows[number];
}

/* The destination's place, made where there is none. */
static struct memory_destination *destination_place(struct memory *memory, struct bytes name, bool make)
{
    size_t at = 0;
    struct memory_destination *list = destinations_of(memory);
    while (at < memory->destinations.count &&
           bytes_compare(store_destination_name(&list[at].destination), name) < 0)
        at++;
    if (at < memory->destinations.count && bytes_equal(store_destination_name(&list[at].destination), name))
        return &list[at];
    if (!make)
        return NULL;
    struct memory_destination *made = list_insert(&memory->destinations, at, sizeof *made);
    made->destination.name_length = name.length;
    if (name.length > 0)
        memcpy(made->destination.name, name.at, name.length);
    return made;
}

static struct memory_note *find_note(const struct memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->notes.count; i++)
        if (strcmp(notes_of(memory)[i].name, name) == 0)
            return &notes_of(memory)[i];
    return NULL;
}

static struct memory_spool *find_spool(const struct memory *memory, uint64_t spool)
{
    for (size_t i = 0; i < memory->spools.count; i++)
        if (spools_of(memory)[i].spool == spool)
            return &spools_of(memory)[i];
    return NULL;
}

/* ---- the batch ---- */

static struct memory_undo *note_undo(struct memory *memory, enum undo_kind kind)
{
    struct memory_undo *undo = list_insert(&memory->undo, memory->undo.count, sizeof *undo);
    undo->kind = kind;
    return undo;
}

static void undo_free(struct memory_undo *undo)
{
    if (undo->kind == UNDO_REMOVE)
        message_free(undo->message);
    buffer_free(&undo->note.value);
}

static void undo_one(struct memory *memory, struct memory_undo *undo)
{
    switch (undo->kind) {
    case UNDO_ACCEPT: message_free(take_message(memory, undo->id)); break;
    case UNDO_REMOVE: put_message(memory, undo->message); break;
    case UNDO_ROW: find_message(memory, undo->id)->rows[undo->row.recipient.number] = undo->row; break;
    case UNDO_MEMBER: find_message(memory, undo->id)->row_count--; break;
    case UNDO_DESTINATION:
        *destination_place(memory, store_destination_name(&undo->destination.destination),
                           true) = undo->destination;
        break;
    case UNDO_NOTE: {
        struct memory_note *note = find_note(memory, undo->note.name);
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

static enum store_verdict memory_commit(struct store *store, struct error *error)
{
    struct memory *memory = memory_of(store);
    if (memory->broken)
        memory->verdict = STORE_FAILED;
    enum store_verdict verdict = memory->verdict;
    if (verdict == STORE_DONE) {
        keep_batch(memory);
    } else {
        bool full = verdict == STORE_FULL;
        error_set(error, full ? EX_TEMPFAIL : EX_IOERR,
                  full ? "the memory store is full" : "the memory store is broken");
        forget_batch(memory);
    }
    memory->batch = false;
    memory->verdict = verdict == STORE_FAILED ? STORE_FAILED : STORE_DONE;
    return verdict;
}

static bool memory_is_changed(const struct store *store)
{
    const struct memory *memory = (const struct memory *)(const void *)store;
    return memory->batch || memory->verdict != STORE_DONE;
}

static void memory_close(struct store *store)
{
    struct memory *memory = memory_of(store);
    forget_batch(memory);
    for (size_t i = 0; i < memory->messages.count; i++)
        message_free(messages_of(memory)[i]);
    for (size_t i = 0; i < memory->spools.count; i++)
        close(spools_of(memory)[i].file);
    for (size_t i = 0; i < memory->notes.count; i++) {
        buffer_free(&notes_of(memory)[i].value);
        free(notes_of(memory)[i].name);
    }
    list_free(&memory->messages);
    list_free(&memory->destinations);
    list_free(&memory->notes);
    list_free(&memory->spools);
    list_free(&memory->undo);
    free(memory);
}

/* A change is about to be made; false once there was failure. */
static bool change(struct memory *memory)
{
    if (memory->verdict != STORE_DONE)
        return false;
    return memory->batch = true;
}

/* ---- spool ---- */

static int memory_spool(struct store *store, uint64_t number, enum store_verdict *verdict)
{
    struct memory *memory = memory_of(store);
    *verdict = memory->octets_max != 0 && memory->octets >= memory->octets_max ? STORE_FULL : STORE_FAILED;
    if (*verdict == STORE_FULL || find_spool(memory, number) != NULL)
        return -1;
    int file = memfd_create("spool", MFD_CLOEXEC), copy = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        if (file >= 0)
            close(file);
        return -1;
    }
    struct memory_spool *spool = list_insert(&memory->spools, memory->spools.count, sizeof *spool);
    *spool = (struct memory_spool){number, file};
    *verdict = STORE_DONE;
    return copy;
}

/* The file, which is the caller's now. */
static int take_spool(struct memory *memory, struct memory_spool *spool)
{
    int file = spool->file;
    list_drop(&memory->spools, (size_t)(spool - spools_of(memory)), sizeof *spool);
    return file;
}

static void memory_spool_drop(struct store *store, uint64_t number)
{
    struct memory *memory = memory_of(store);
    struct memory_spool *spool = find_spool(memory, number);
    if (spool != NULL)
        close(take_spool(memory, spool));
}

static bool spool_size(const struct memory_spool *spool, uint64_t *size)
{
    struct stat facts;
    if (spool == NULL || fstat(spool->file, &facts) != 0)
        return false;
    *size = (uint64_t)facts.st_size;
    return true;
}

/* ---- changes ---- */

static struct origin copy_origin(struct arena *arena, const struct origin *from)
{
    return (struct origin){.account = arena_copy(arena, from->account),
                           .client_address = arena_copy(arena, from->client_address),
                           .client_helo = arena_copy(arena, from->client_helo),
                           .protocol = arena_copy(arena, from->protocol),
                           .tls = arena_copy(arena, from->tls),
                           .port = from->port};
}

static struct recipient copy_recipient(struct arena *arena, const struct recipient *from)
{
    return (struct recipient){.address = arena_copy(arena, from->address),
                              .original = arena_copy(arena, from->original),
                              .orcpt = arena_copy(arena, from->orcpt),
                              .notify = from->notify,
                              .local = from->local,
                              .away = from->away,
                              .expands = from->expands,
                              .via = arena_copy(arena, from->via)};
}

/* Without recipients and content. */
static struct store_message copy_message(struct arena *arena, const struct store_message *from)
{
    struct store_message message = {
        .id = from->id, .arrived_ms = from->arrived_ms, .expires_ms = from->expires_ms, .large = from->large};
    message.envelope = from->envelope;
    message.envelope.sender = arena_copy(arena, from->envelope.sender);
    message.envelope.envid = arena_copy(arena, from->envelope.envid);
    message.envelope.recipients = NULL;
    message.envelope.recipient_count = 0;
    message.prefix = arena_copy(arena, from->prefix);
    message.origin = copy_origin(arena, &from->origin);
    return message;
}

static struct memory_message *make_message(const struct store_message *from, const struct bytes *destinations,
                                           uint64_t due_ms, uint64_t size)
{
    struct memory_message *kept = memory_new(sizeof *kept);
    kept->file = -1;
    kept->message = copy_message(&kept->arena, from);
    kept->message.envelope.size = size;
    kept->row_count = kept->row_capacity = from->envelope.recipient_count;
    kept->rows = ARENA_ARRAY(&kept->arena, struct memory_row, kept->row_count);
    for (size_t i = 0; i < kept->row_count; i++)
        kept->rows[i].recipient = (struct store_recipient){
            .number = (uint32_t)i,
            .due_ms = due_ms,
            .destination = arena_copy(&kept->arena, destinations[i]),
            .recipient = copy_recipient(&kept->arena, &from->envelope.recipients[i])};
    return kept;
}

static bool memory_accept(struct store *store, const struct store_message *message,
                          const struct bytes *destinations, uint64_t due_ms, uint64_t number)
{
    struct memory *memory = memory_of(store);
    struct memory_spool *spool = number == 0 ? NULL : find_spool(memory, number);
    uint64_t size = message->content.length;
    assert(message->envelope.recipient_count > 0);
    if (number != 0 && !spool_size(spool, &size))
        return false;
    if (!change(memory)) /* failure is told by the commit */
        return true;
    if (find_message(memory, message->id) != NULL)
        return false;
    struct memory_message *kept = make_message(message, destinations, due_ms, message->prefix.length + size);
    kept->message.large = spool != NULL;
    if (spool != NULL)
        kept->file = take_spool(memory, spool);
    else
        kept->message.content = arena_copy(&kept->arena, message->content);
    put_message(memory, kept);
    note_undo(memory, UNDO_ACCEPT)->id = message->id;
    if (memory->octets_max != 0 && memory->octets > memory->octets_max)
        memory->verdict = STORE_FULL;
    return true;
}

/* The row, about to be changed; NULL when there is none, or was failure. */
static struct memory_row *change_row(struct memory *memory, uint64_t id, uint32_t number, bool gone)
{
    struct memory_row *row = change(memory) ? find_row(memory, id, number) : NULL;
    if (row == NULL)
        return NULL;
    struct memory_undo *undo = note_undo(memory, UNDO_ROW);
    undo->id = id;
    undo->row = *row;
    row->gone = gone;
    return row;
}

static void remember(struct arena *arena, struct memory_row *row)
{
    struct buffer history = {0};
    attempt_history_add(&history, row->history, &row->recipient.last);
    row->history = arena_copy(arena, buffer_bytes(&history));
    buffer_free(&history);
}

static void memory_defer(struct store *store, uint64_t id, uint32_t number, uint64_t due_ms,
                         uint32_t attempts, const struct attempt_record *last)
{
    struct memory_row *row = change_row(memory_of(store), id, number, false);
    if (row == NULL)
        return;
    struct store_recipient *recipient = &row->recipient;
    struct arena *arena = &find_message(memory_of(store), id)->arena;
    if (attempts > 1 && recipient->last.when_ms != 0)
        remember(arena, row);
    recipient->due_ms = due_ms;
    recipient->attempts = attempts;
    recipient->last = (struct attempt_record){
        .when_ms = last->when_ms,
        .code = last->code,
        .enhanced = arena_copy(arena, last->enhanced),
        .text = arena_copy(arena, bytes_first(last->text, STORE_REPLY_MAX)),
        .peer = arena_copy(arena, last->peer),
        .tls = arena_copy(arena, last->tls)};
}

static void memory_place(struct store *store, uint64_t id, uint32_t number, struct bytes destination,
                         uint64_t due_ms, bool held)
{
    struct memory_row *row = change_row(memory_of(store), id, number, false);
    if (row == NULL)
        return;
    struct store_recipient *recipient = &row->recipient;
    recipient->due_ms = due_ms;
    recipient->held = held;
    if (destination.length > 0)
        recipient->destination = arena_copy(&find_message(memory_of(store), id)->arena, destination);
}

static void memory_finish(struct store *store, uint64_t id, uint32_t number)
{
    change_row(memory_of(store), id, number, true);
}

/* Rows stay when they are gone: they tell whom the message had. */
static bool has_member(const struct memory_message *kept, const struct recipient *member)
{
    struct buffer wanted = {0}, room = {0};
    bool found = false;
    expansion_member_key(&wanted, member);
    for (size_t i = 0; i < kept->row_count && !found; i++)
        found = bytes_equal(expansion_member_key(&room, &kept->rows[i].recipient.recipient),
                            buffer_bytes(&wanted));
    buffer_free(&wanted);
    buffer_free(&room);
    return found;
}

static bool memory_add_member(struct store *store, uint64_t id, const struct recipient *member,
                              struct bytes destination, uint64_t due_ms)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = change(memory) ? find_message(memory, id) : NULL;
    if (kept == NULL || has_member(kept, member))
        return false;
    if (kept->row_count == kept->row_capacity) {
        struct memory_row *rows = ARENA_ARRAY(&kept->arena, struct memory_row, 2 * kept->row_capacity);
        memcpy(rows, kept->rows, kept->row_count * sizeof *rows);
        kept->rows = rows;
        kept->row_capacity *= 2;
    }
    kept->rows[kept->row_count] = (struct memory_row){
        .recipient = {.number = (uint32_t)kept->row_count,
                      .due_ms = due_ms,
                      .destination = arena_copy(&kept->arena, destination),
                      .recipient = copy_recipient(&kept->arena, member)}};
    kept->row_count++;
    note_undo(memory, UNDO_MEMBER)->id = id;
    return true;
}

static void memory_advance(struct store *store, uint64_t id, uint32_t number, struct bytes progress,
                           uint64_t due_ms)
{
    struct memory_row *row = change_row(memory_of(store), id, number, false);
    if (row == NULL)
        return;
    row->recipient.due_ms = due_ms;
    row->recipient.progress = arena_copy(&find_message(memory_of(store), id)->arena, progress);
}

static void memory_remove(struct store *store, uint64_t id)
{
    struct memory *memory = memory_of(store);
    if (!change(memory) || find_message(memory, id) == NULL)
        return;
    struct memory_undo *undo = note_undo(memory, UNDO_REMOVE);
    undo->message = take_message(memory, id);
}

static bool memory_settle(struct store *store, uint64_t id)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = change(memory) ? find_message(memory, id) : NULL;
    for (size_t i = 0; kept != NULL && i < kept->row_count; i++)
        if (!kept->rows[i].gone)
            return false;
    if (kept != NULL)
        memory_remove(store, id);
    return kept != NULL;
}

static struct memory_destination *change_destination(struct memory *memory, struct bytes name, bool make)
{
    assert(name.length <= STORE_DESTINATION_MAX);
    struct memory_destination *kept = change(memory) ? destination_place(memory, name, make) : NULL;
    if (kept != NULL)
        note_undo(memory, UNDO_DESTINATION)->destination = *kept;
    return kept;
}

static void memory_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    struct memory_destination *kept = change_destination(memory_of(store), name, true);
    if (kept == NULL)
        return;
    kept->there = true;
    kept->destination.due_ms = due_ms;
    kept->destination.failures = failures;
}

static void memory_destination_remove(struct store *store, struct bytes name)
{
    struct memory_destination *kept = change_destination(memory_of(store), name, false);
    if (kept != NULL)
        kept->there = false;
}

static void memory_note_put(struct store *store, const char *name, struct bytes value)
{
    struct memory *memory = memory_of(store);
    if (!change(memory))
        return;
    struct memory_note *note = find_note(memory, name);
    if (note == NULL) {
        note = list_insert(&memory->notes, memory->notes.count, sizeof *note);
        note->name = memory_new(strlen(name) + 1);
        memcpy(note->name, name, strlen(name));
    }
    note_undo(memory, UNDO_NOTE)->note = *note;
    note->value = (struct buffer){0};
    buffer_add(&note->value, value);
}

/* ---- questions ---- */

static bool is_usable(const struct memory *memory)
{
    return memory->verdict != STORE_FAILED;
}

static bool memory_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                        struct store_message *message)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = is_usable(memory) ? find_message(memory, id) : NULL;
    if (kept == NULL)
        return false;
    *message = copy_message(arena, &kept->message);
    message->content = with_content ? arena_copy(arena, kept->message.content) : bytes_none();
    return true;
}

static int memory_content(struct store *store, uint64_t id)
{
    struct memory_message *kept = find_message(memory_of(store), id);
    char path[40];
    if (kept == NULL || kept->file < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", kept->file);
    return open(path, O_RDONLY | O_CLOEXEC); /* not a copy of the descriptor: each reader has its own place */
}

static struct store_recipient copy_row(struct arena *arena, const struct store_recipient *from)
{
    struct store_recipient row = *from;
    row.destination = arena_copy(arena, from->destination);
    row.recipient = copy_recipient(arena, &from->recipient);
    row.progress = arena_copy(arena, from->progress);
    row.last.enhanced = arena_copy(arena, from->last.enhanced);
    row.last.text = arena_copy(arena, from->last.text);
    row.last.peer = arena_copy(arena, from->last.peer);
    row.last.tls = arena_copy(arena, from->last.tls);
    return row;
}

static size_t memory_recipients(struct store *store, uint64_t id, uint32_t from, struct bytes destination,
                                size_t max, struct arena *arena, struct store_recipient *found)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = is_usable(memory) ? find_message(memory, id) : NULL;
    size_t count = 0;
    size_t end = destination.length > 0 ? (size_t)from + STORE_LOOK_MAX : SIZE_MAX;
    for (size_t i = from; kept != NULL && i < kept->row_count && i < end && count < max; i++)
        if (!kept->rows[i].gone &&
            (destination.length == 0 || bytes_equal(kept->rows[i].recipient.destination, destination)))
            found[count++] = copy_row(arena, &kept->rows[i].recipient);
    return count;
}

static size_t memory_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                              struct attempt_record *found)
{
    struct memory *memory = memory_of(store);
    const struct memory_row *row = is_usable(memory) ? find_row(memory, id, number) : NULL;
    if (row == NULL || row->recipient.last.when_ms == 0)
        return 0;
    size_t count = attempt_history_read(arena_copy(arena, row->history), found);
    found[count++] = copy_row(arena, &row->recipient).last;
    return count;
}

static size_t memory_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                          struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = message_place(memory, after_id);
         is_usable(memory) && m < memory->messages.count && count < max; m++) {
        const struct memory_message *kept = messages_of(memory)[m];
        bool begun = kept->message.id == after_id; /* its first ones were seen */
        for (size_t i = begun ? (size_t)after_number + 1 : 0; i < kept->row_count && count < max; i++) {
            if (kept->rows[i].gone)
                continue;
            ids[count] = kept->message.id;
            found[count++] = copy_row(arena, &kept->rows[i].recipient);
        }
    }
    return count;
}

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

/* The rows of a message that wait for the destination and are not held. */
static const struct store_recipient *waiting(const struct memory_message *kept, size_t i,
                                             struct bytes destination)
{
    const struct memory_row *row = &kept->rows[i];
    return row->gone || row->recipient.held || !bytes_equal(row->recipient.destination, destination)
               ? NULL
               : &row->recipient;
}

static size_t memory_due(struct store *store, struct bytes destination, uint64_t now_ms,
                         const struct store_due *after, size_t max, struct store_due *found)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = 0; is_usable(memory) && m < memory->messages.count; m++) {
        const struct memory_message *kept = messages_of(memory)[m];
        for (size_t i = 0; i < kept->row_count; i++) {
            const struct store_recipient *r = waiting(kept, i, destination);
            struct store_due due = {r == NULL ? 0 : r->due_ms, kept->message.id, (uint32_t)i};
            if (r != NULL && due.due_ms <= now_ms && due_before(after, &due))
                insert_due(found, &count, max, &due);
        }
    }
    return count;
}

static uint64_t earlier(uint64_t first, uint64_t due_ms, uint64_t after_ms)
{
    return due_ms > after_ms && (first == STORE_NEVER || due_ms < first) ? due_ms : first;
}

static uint64_t memory_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    struct memory *memory = memory_of(store);
    uint64_t first = STORE_NEVER;
    for (size_t m = 0; is_usable(memory) && m < memory->messages.count; m++)
        for (size_t i = 0; i < messages_of(memory)[m]->row_count; i++) {
            const struct store_recipient *r = waiting(messages_of(memory)[m], i, destination);
            if (r != NULL)
                first = earlier(first, r->due_ms, after_ms);
        }
    return first;
}

static bool memory_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    struct memory *memory = memory_of(store);
    struct memory_destination *kept = is_usable(memory) ? destination_place(memory, name, false) : NULL;
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

static size_t memory_destinations_due(struct store *store, uint64_t now_ms,
                                      const struct store_destination *after, size_t max,
                                      struct store_destination *found)
{
    static const struct store_destination none;
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t i = 0; is_usable(memory) && i < memory->destinations.count; i++) {
        const struct memory_destination *kept = &destinations_of(memory)[i];
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

static uint64_t memory_destinations_next(struct store *store, uint64_t after_ms)
{
    struct memory *memory = memory_of(store);
    uint64_t first = STORE_NEVER;
    for (size_t i = 0; is_usable(memory) && i < memory->destinations.count; i++)
        if (destinations_of(memory)[i].there)
            first = earlier(first, destinations_of(memory)[i].destination.due_ms, after_ms);
    return first;
}

static struct bytes reason_of(struct arena *arena, const struct attempt_record *last)
{
    const char *between = last->enhanced.length > 0 ? " " : "";
    char *text = last->code == 0 ? arena_format(arena, "%.*s%s%.*s", BYTES_ARG(last->enhanced), between,
                                                BYTES_ARG(last->text))
                                 : arena_format(arena, "%u %.*s%s%.*s", (unsigned)last->code,
                                                BYTES_ARG(last->enhanced), between, BYTES_ARG(last->text));
    return bytes_of_text(text);
}

static struct store_summary summarize(struct arena *arena, const struct memory_message *kept)
{
    const struct store_message *m = &kept->message;
    struct store_summary summary = {.id = m->id,
                                    .arrived_ms = m->arrived_ms,
                                    .expires_ms = m->expires_ms,
                                    .size = m->envelope.size,
                                    .sender = arena_copy(arena, m->envelope.sender)};
    uint64_t latest_ms = 0;
    for (size_t i = 0; i < kept->row_count; i++) {
        const struct store_recipient *r = &kept->rows[i].recipient;
        if (kept->rows[i].gone)
            continue;
        *(r->held ? &summary.held : &summary.waiting) += 1;
        if (!r->held && (summary.next_ms == 0 || r->due_ms < summary.next_ms))
            summary.next_ms = r->due_ms;
        summary.attempts = r->attempts > summary.attempts ? r->attempts : summary.attempts;
        if (summary.first.length == 0)
            summary.first = arena_copy(arena, r->recipient.address);
        if (r->last.when_ms > latest_ms) {
            latest_ms = r->last.when_ms;
            summary.reason = reason_of(arena, &r->last);
        }
    }
    return summary;
}

static size_t memory_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                          struct store_summary *found)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = message_place(memory, after_id + 1);
         is_usable(memory) && m < memory->messages.count && count < max; m++)
        found[count++] = summarize(arena, messages_of(memory)[m]);
    return count;
}

static size_t memory_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids,
                         uint64_t *expires_ms)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = message_place(memory, after_id + 1);
         is_usable(memory) && m < memory->messages.count && count < max; m++, count++) {
        ids[count] = messages_of(memory)[m]->message.id;
        if (expires_ms != NULL)
            expires_ms[count] = messages_of(memory)[m]->message.expires_ms;
    }
    return count;
}

static struct bytes memory_note(struct store *store, const char *name, struct arena *arena)
{
    struct memory *memory = memory_of(store);
    struct memory_note *note = is_usable(memory) ? find_note(memory, name) : NULL;
    return note == NULL ? bytes_none() : arena_copy(arena, buffer_bytes(&note->value));
}

static const struct store_operations operations = {
    .close = memory_close,
    .commit = memory_commit,
    .is_changed = memory_is_changed,
    .spool = memory_spool,
    .spool_drop = memory_spool_drop,
    .accept = memory_accept,
    .defer = memory_defer,
    .place = memory_place,
    .finish = memory_finish,
    .add_member = memory_add_member,
    .advance = memory_advance,
    .expanded = memory_finish,
    .settle = memory_settle,
    .remove = memory_remove,
    .destination_put = memory_destination_put,
    .destination_remove = memory_destination_remove,
    .note_put = memory_note_put,
    .read = memory_read,
    .content = memory_content,
    .recipients = memory_recipients,
    .attempts = memory_attempts,
    .due = memory_due,
    .next_due = memory_next_due,
    .destination = memory_destination,
    .destinations_due = memory_destinations_due,
    .destinations_next = memory_destinations_next,
    .list = memory_list,
    .ids = memory_ids,
    .walk = memory_walk,
    .note = memory_note,
};

struct store *store_memory_open(void)
{
    struct memory *memory = memory_new(sizeof *memory);
    memory->store.operations = &operations;
    return &memory->store;
}

void store_memory_crash(struct store *store)
{
    struct memory *memory = memory_of(store);
    forget_batch(memory);
    memory->batch = memory->broken = false;
    memory->verdict = STORE_DONE;
}

void store_memory_limit(struct store *store, uint64_t octets_max)
{
    memory_of(store)->octets_max = octets_max;
}

void store_memory_break(struct store *store)
{
    memory_of(store)->broken = true;
}
