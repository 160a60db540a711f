/* SPDX-License-Identifier: Apache-2.0 */
/* memory_changes: the first group of store.h: accepted mail, and results. */
#include <assert.h>

#include "store/queue/attempt_history.h"
#include "store/queue/expansion_member.h"
#include "store/queue/memory_internal.h"
#include "store/queue/store_copy.h"

static struct memory_message *make_message(const struct store_message *from, const struct bytes *destinations,
                                           uint64_t due_ms, uint64_t size)
{
    struct memory_message *kept = memory_new(sizeof *kept);
    kept->file = -1;
    kept->message = store_copy_message(&kept->arena, from);
    kept->message.envelope.size = size;
    kept->row_count = kept->row_capacity = from->envelope.recipient_count;
    kept->rows = ARENA_ARRAY(&kept->arena, struct memory_row, kept->row_count);
    for (size_t i = 0; i < kept->row_count; i++)
        kept->rows[i].recipient = (struct store_recipient){
            .number = (uint32_t)i,
            .due_ms = due_ms,
            .destination = arena_copy(&kept->arena, destinations[i]),
            .recipient = store_copy_recipient(&kept->arena, &from->envelope.recipients[i])};
    return kept;
}

static bool memory_accept(struct store *store, const struct store_message *message,
                          const struct bytes *destinations, uint64_t due_ms, uint64_t number)
{
    struct memory *memory = memory_of(store);
    struct memory_spool *spool = number == 0 ? NULL : memory_find_spool(memory, number);
    uint64_t size = message->content.length;
    assert(message->envelope.recipient_count > 0);
    if (number != 0 && !memory_spool_size(spool, &size))
        return false;
    if (!memory_change(memory)) /* the commit reports the failure */
        return true;
    if (memory_find_message(memory, message->id) != NULL)
        return false;
    struct memory_message *kept = make_message(message, destinations, due_ms, message->prefix.length + size);
    kept->message.large = spool != NULL;
    if (spool != NULL)
        kept->file = memory_take_spool(memory, spool);
    else
        kept->message.content = arena_copy(&kept->arena, message->content);
    assert(memory_message_is_sound(kept));
    memory_put_message(memory, kept);
    memory_note_undo(memory, UNDO_ACCEPT)->id = message->id;
    if (memory->octets_max != 0 && memory->octets > memory->octets_max)
        memory->verdict = STORE_FULL;
    return true;
}

/* Returns the row for a change; NULL if there is none, or after a failure. */
static struct memory_row *change_row(struct memory *memory, uint64_t id, uint32_t number, bool gone)
{
    struct memory_row *row = memory_change(memory) ? memory_find_row(memory, id, number) : NULL;
    if (row == NULL)
        return NULL;
    struct memory_undo *undo = memory_note_undo(memory, UNDO_ROW);
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

static void defer(struct arena *arena, struct memory_row *row, const struct store_result *result)
{
    struct store_recipient *recipient = &row->recipient;
    const struct attempt_record *last = &result->last;
    if (result->attempts > 1 && recipient->last.when_ms != 0)
        remember(arena, row);
    recipient->due_ms = result->due_ms;
    recipient->attempts = result->attempts;
    recipient->last = (struct attempt_record){
        .when_ms = last->when_ms,
        .code = last->code,
        .enhanced = arena_copy(arena, last->enhanced),
        .text = arena_copy(arena, bytes_first(last->text, STORE_REPLY_MAX)),
        .peer = arena_copy(arena, last->peer),
        .tls = arena_copy(arena, last->tls)};
}

static void apply(struct memory *memory, uint64_t id, const struct store_result *result)
{
    bool gone = result->fate == STORE_FINISHED || result->fate == STORE_EXPANDED;
    struct memory_row *row = change_row(memory, id, result->number, gone);
    if (row == NULL)
        return;
    struct arena *arena = &memory_find_message(memory, id)->arena;
    switch (result->fate) {
    case STORE_FINISHED:
    case STORE_EXPANDED: break;
    case STORE_DEFERRED: defer(arena, row, result); break;
    case STORE_PLACED:
        row->recipient.due_ms = result->due_ms;
        row->recipient.held = result->held;
        if (result->destination.length > 0)
            row->recipient.destination = arena_copy(arena, result->destination);
        break;
    case STORE_ADVANCED:
        row->recipient.due_ms = result->due_ms;
        row->recipient.progress = arena_copy(arena, result->progress);
        break;
    }
}

/* Removed rows stay: they record the members that the message had. */
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
    struct memory_message *kept = memory_change(memory) ? memory_find_message(memory, id) : NULL;
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
                      .recipient = store_copy_recipient(&kept->arena, member)}};
    kept->row_count++;
    memory_note_undo(memory, UNDO_MEMBER)->id = id;
    assert(memory_message_is_sound(kept));
    return true;
}

static void memory_remove(struct store *store, uint64_t id)
{
    struct memory *memory = memory_of(store);
    if (!memory_change(memory) || memory_find_message(memory, id) == NULL)
        return;
    struct memory_undo *undo = memory_note_undo(memory, UNDO_REMOVE);
    undo->message = memory_take_message(memory, id);
}

static bool memory_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count)
{
    struct memory *memory = memory_of(store);
    for (size_t i = 0; i < count; i++)
        apply(memory, id, &results[i]);
    struct memory_message *kept = memory_change(memory) ? memory_find_message(memory, id) : NULL;
    for (size_t i = 0; kept != NULL && i < kept->row_count; i++)
        if (!kept->rows[i].gone) {
            assert(memory_message_is_sound(kept));
            return false;
        }
    if (kept != NULL)
        memory_remove(store, id);
    return kept != NULL;
}

static struct memory_destination *change_destination(struct memory *memory, struct bytes name, bool make)
{
    assert(name.length <= STORE_DESTINATION_MAX);
    struct memory_destination *kept = memory_change(memory) ? memory_destination_place(memory, name, make)
                                                            : NULL;
    if (kept != NULL)
        memory_note_undo(memory, UNDO_DESTINATION)->destination = *kept;
    return kept;
}

static void memory_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    bool goes = due_ms == STORE_NEVER;
    struct memory_destination *kept = change_destination(memory_of(store), name, !goes);
    if (kept == NULL)
        return;
    kept->there = !goes;
    kept->destination.due_ms = due_ms;
    kept->destination.failures = failures;
}

static void memory_note_put(struct store *store, const char *name, struct bytes value)
{
    struct memory *memory = memory_of(store);
    if (!memory_change(memory))
        return;
    struct memory_note *note = memory_find_note(memory, name);
    if (note == NULL) {
        note = memory_list_insert(&memory->notes, memory->notes.count, sizeof *note);
        note->name = memory_new(strlen(name) + 1);
        memcpy(note->name, name, strlen(name));
    }
    memory_note_undo(memory, UNDO_NOTE)->note = *note;
    note->value = (struct buffer){0};
    buffer_add(&note->value, value);
}

const struct store_changes memory_store_changes = {
    .close = memory_close,
    .commit_start = memory_commit_start,
    .commit_done = memory_commit_done,
    .verdict = memory_verdict,
    .is_changed = memory_is_changed,
    .spool = memory_spool,
    .spool_drop = memory_spool_drop,
    .accept = memory_accept,
    .add_member = memory_add_member,
    .settle = memory_settle,
    .remove = memory_remove,
    .destination_put = memory_destination_put,
    .note_put = memory_note_put,
    .events_put = memory_events_put,
    .events_drop = memory_events_drop,
};
