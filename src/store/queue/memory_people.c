/* SPDX-License-Identifier: Apache-2.0 */
/* memory_people: the third group of store.h: queries of subcommands, and reports. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "store/queue/attempt_history.h"
#include "store/queue/memory_internal.h"
#include "store/queue/store_copy.h"

static bool memory_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                        struct store_message *message)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = memory_answers(memory) ? memory_find_message(memory, id) : NULL;
    if (kept == NULL)
        return false;
    *message = store_copy_message(arena, &kept->message);
    message->content = with_content ? arena_copy(arena, kept->message.content) : bytes_none();
    return true;
}

static int memory_content(struct store *store, uint64_t id)
{
    struct memory *memory = memory_of(store);
    bool answers = memory_answers(memory);
    struct memory_message *kept = answers ? memory_find_message(memory, id) : NULL;
    char path[40];
    errno = answers ? ENOENT : EIO;
    if (kept == NULL || kept->file < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", kept->file);
    /* not a copy of the descriptor: each reader has its own position */
    return open(path, O_RDONLY | O_CLOEXEC);
}

static size_t memory_recipients(struct store *store, uint64_t id, uint32_t from, size_t max,
                                struct arena *arena, struct store_recipient *found)
{
    struct memory *memory = memory_of(store);
    struct memory_message *kept = memory_answers(memory) ? memory_find_message(memory, id) : NULL;
    size_t count = 0;
    for (size_t i = from; kept != NULL && i < kept->row_count && count < max; i++)
        if (!kept->rows[i].gone)
            found[count++] = store_copy_row(arena, &kept->rows[i].recipient);
    return count;
}

static size_t memory_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                              struct attempt_record *found)
{
    struct memory *memory = memory_of(store);
    const struct memory_row *row = memory_answers(memory) ? memory_find_row(memory, id, number) : NULL;
    if (row == NULL || row->recipient.last.when_ms == 0)
        return 0;
    size_t count = attempt_history_read(arena_copy(arena, row->history), found);
    found[count++] = store_copy_row(arena, &row->recipient).last;
    return count;
}

static size_t memory_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                          struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = memory_message_place(memory, after_id);
         memory_answers(memory) && m < memory->messages.count && count < max; m++) {
        const struct memory_message *kept = memory_messages(memory)[m];
        bool begun = kept->message.id == after_id; /* its first ones were returned before */
        for (size_t i = begun ? (size_t)after_number + 1 : 0; i < kept->row_count && count < max; i++) {
            if (kept->rows[i].gone)
                continue;
            ids[count] = kept->message.id;
            found[count++] = store_copy_row(arena, &kept->rows[i].recipient);
        }
    }
    return count;
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
    for (size_t m = memory_message_place(memory, after_id + 1);
         memory_answers(memory) && m < memory->messages.count && count < max; m++)
        found[count++] = summarize(arena, memory_messages(memory)[m]);
    return count;
}

static size_t memory_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids,
                         uint64_t *expires_ms)
{
    struct memory *memory = memory_of(store);
    size_t count = 0;
    for (size_t m = memory_message_place(memory, after_id + 1);
         memory_answers(memory) && m < memory->messages.count && count < max; m++, count++) {
        ids[count] = memory_messages(memory)[m]->message.id;
        if (expires_ms != NULL)
            expires_ms[count] = memory_messages(memory)[m]->message.expires_ms;
    }
    return count;
}

static struct bytes memory_note(struct store *store, const char *name, struct arena *arena)
{
    struct memory *memory = memory_of(store);
    struct memory_note *note = memory_answers(memory) ? memory_find_note(memory, name) : NULL;
    return note == NULL ? bytes_none() : arena_copy(arena, buffer_bytes(&note->value));
}

const struct store_people memory_store_people = {
    .read = memory_read,
    .content = memory_content,
    .recipients = memory_recipients,
    .attempts = memory_attempts,
    .list = memory_list,
    .ids = memory_ids,
    .walk = memory_walk,
    .events_after = memory_events_after,
    .note = memory_note,
};
