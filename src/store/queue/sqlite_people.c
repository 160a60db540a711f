/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_people: the third group of store.h: queries of subcommands, and reports. */
#include "store/queue/attempt_history.h"
#include "store/queue/sqlite_internal.h"

bool sqlite_exists(struct sqlite_store *sqlite, uint64_t id)
{
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_EXISTS);
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, id);
    bool there = sqlite_row(sqlite, statement);
    sqlite_end_question(statement);
    return there;
}

static void read_origin(sqlite3_stmt *statement, int at, struct arena *arena, struct origin *origin)
{
    origin->account = sqlite_column_bytes(statement, at, arena);
    origin->client_address = sqlite_column_bytes(statement, at + 1, arena);
    origin->client_helo = sqlite_column_bytes(statement, at + 2, arena);
    origin->protocol = sqlite_column_bytes(statement, at + 3, arena);
    origin->tls = sqlite_column_bytes(statement, at + 4, arena);
    origin->port = (uint32_t)sqlite_column_number(statement, at + 5);
}

/* One that no version has written reads as not checked. */
static void read_trust(sqlite3_stmt *statement, unsigned code, struct arena *arena,
                       struct trust_record *record)
{
    if (code == 0 || !trust_record_decode(code, record))
        return;
    record->author = bytes_first(sqlite_column_bytes(statement, 12, arena), TRUST_AUTHOR_MAX);
    record->story = bytes_first(sqlite_column_bytes(statement, 13, arena), TRUST_STORY_MAX);
}

bool sqlite_read_message(struct sqlite_store *sqlite, uint64_t id, uint64_t content_max, struct arena *arena,
                         struct store_message *message, bool *has_content)
{
    sqlite3_stmt *statement = sqlite_question(sqlite, content_max > 0 ? SQL_READ : SQL_READ_ENVELOPE);
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, id);
    bool there = sqlite_row(sqlite, statement);
    if (there) {
        unsigned flags = (unsigned)sqlite_column_number(statement, 3);
        *message = (struct store_message){.id = id,
                                          .arrived_ms = sqlite_column_number(statement, 0),
                                          .expires_ms = sqlite_column_number(statement, 1)};
        struct envelope *e = &message->envelope;
        e->size = sqlite_column_number(statement, 2);
        e->body = (enum body_type)(flags & BODY_MASK);
        e->ret = (enum dsn_ret)(flags >> FLAG_RET & RET_MASK);
        e->smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
        e->requiretls = (flags & FLAG_REQUIRETLS) != 0;
        e->long_lines = (flags & FLAG_LONG_LINES) != 0;
        e->sender = sqlite_column_bytes(statement, 4, arena);
        e->envid = sqlite_column_bytes(statement, 5, arena);
        read_origin(statement, 6, arena, &message->origin);
        message->origin.kind = (enum origin_kind)((flags >> FLAG_ORIGIN & ORIGIN_MASK) % ORIGIN_KINDS);
        message->large = (flags & FLAG_LARGE) != 0;
        read_trust(statement, flags >> FLAG_TRUST & TRUST_CODE_MAX, arena, &message->trust);
        *has_content = !message->large && content_max > 0 && e->size <= content_max;
        if (content_max > 0 && (*has_content || message->large))
            message->prefix = sqlite_column_bytes(statement, 15, arena);
        if (*has_content)
            message->content = sqlite_column_bytes(statement, 14, arena);
    }
    sqlite_end_question(statement);
    return there;
}

static bool sqlite_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                        struct store_message *message)
{
    bool has_content;
    return sqlite_read_message(sqlite_of(store), id, with_content ? UINT64_MAX : 0, arena, message,
                               &has_content);
}

static int sqlite_content(struct store *store, uint64_t id)
{
    return content_files_content(&sqlite_of(store)->files, id);
}

void sqlite_read_recipient(sqlite3_stmt *statement, struct arena *arena, struct store_recipient *r)
{
    unsigned flags = (unsigned)sqlite_column_number(statement, 4);
    *r = (struct store_recipient){.number = (uint32_t)sqlite_column_number(statement, 0),
                                  .held = sqlite_column_number(statement, 1) != 0,
                                  .due_ms = sqlite_column_number(statement, 2),
                                  .attempts = (uint32_t)sqlite_column_number(statement, 3)};
    r->recipient.notify = (uint8_t)(flags & NOTIFY_MASK);
    r->recipient.local = (flags & FLAG_LOCAL) != 0;
    r->recipient.away = (flags & FLAG_AWAY) != 0;
    r->recipient.reports = (flags & FLAG_REPORTS) != 0;
    r->destination = sqlite_column_bytes(statement, 5, arena);
    r->recipient.address = sqlite_column_bytes(statement, 6, arena);
    r->recipient.original = sqlite_column_bytes(statement, 7, arena);
    r->recipient.orcpt = sqlite_column_bytes(statement, 8, arena);
    r->recipient.expands = (uint8_t)(flags >> FLAG_EXPANDS & EXPANDS_MASK) % EXPANDS_KINDS;
    r->last = sqlite_read_reply(statement, 9, arena);
    r->recipient.via = sqlite_column_bytes(statement, 15, arena);
    r->progress = sqlite_column_bytes(statement, 16, arena);
    r->recipient.sent_as = sqlite_column_bytes(statement, 17, arena);
}

static size_t sqlite_recipients(struct store *store, uint64_t id, uint32_t from, size_t max,
                                struct arena *arena, struct store_recipient *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_RECIPIENTS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, id, from);
    sqlite_bind_number(statement, 3, max);
    while (count < max && sqlite_row(sqlite, statement))
        sqlite_read_recipient(statement, arena, &found[count++]);
    sqlite_end_question(statement);
    return count;
}

static size_t sqlite_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                              struct attempt_record *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_ATTEMPTS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, id, number);
    if (sqlite_row(sqlite, statement) && sqlite_column_number(statement, 0) != 0) {
        count = attempt_history_read(sqlite_column_bytes(statement, 6, arena), found);
        found[count++] = sqlite_read_reply(statement, 0, arena);
    }
    sqlite_end_question(statement);
    return count;
}

static size_t sqlite_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                          struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_WALK);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, after_id, after_number);
    sqlite_bind_number(statement, 3, max);
    for (; count < max && sqlite_row(sqlite, statement); count++) {
        ids[count] = sqlite_column_number(statement, 18);
        sqlite_read_recipient(statement, arena, &found[count]);
    }
    sqlite_end_question(statement);
    return count;
}

/* Summarizes the recipients of one message. */
static void summarize(struct sqlite_store *sqlite, struct arena *arena, struct store_summary *summary)
{
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_RECIPIENTS);
    if (statement == NULL)
        return;
    uint64_t latest_ms = 0;
    sqlite_bind_ids(statement, summary->id, 0);
    sqlite_bind_number(statement, 3, UINT32_MAX);
    while (sqlite_row(sqlite, statement)) {
        bool held = sqlite_column_number(statement, 1) != 0;
        uint64_t due_ms = sqlite_column_number(statement, 2), attempts = sqlite_column_number(statement, 3),
                 last_ms = sqlite_column_number(statement, 9);
        *(held ? &summary->held : &summary->waiting) += 1;
        if (!held && (summary->next_ms == 0 || due_ms < summary->next_ms))
            summary->next_ms = due_ms;
        if (attempts > summary->attempts)
            summary->attempts = (uint32_t)attempts;
        if (summary->first.length == 0)
            summary->first = sqlite_column_bytes(statement, 6, arena);
        if (last_ms > latest_ms) {
            latest_ms = last_ms;
            unsigned code = (unsigned)sqlite_column_number(statement, 10);
            const char *enhanced = (const char *)sqlite3_column_text(statement, 11);
            const char *text = (const char *)sqlite3_column_text(statement, 12);
            summary->reason = bytes_of_text(arena_format(
                arena, code == 0 ? "%.0u%s%s%s" : "%u %s%s%s", code, enhanced == NULL ? "" : enhanced,
                enhanced == NULL ? "" : " ", text == NULL ? "" : text));
        }
    }
    sqlite_end_question(statement);
}

static size_t sqlite_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                          struct store_summary *found)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_LIST);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, after_id, max);
    for (; count < max && sqlite_row(sqlite, statement); count++)
        found[count] = (struct store_summary){.id = sqlite_column_number(statement, 0),
                                              .arrived_ms = sqlite_column_number(statement, 1),
                                              .expires_ms = sqlite_column_number(statement, 2),
                                              .size = sqlite_column_number(statement, 3),
                                              .sender = sqlite_column_bytes(statement, 4, arena)};
    sqlite_end_question(statement);
    for (size_t i = 0; i < count; i++)
        summarize(sqlite, arena, &found[i]);
    return count;
}

static size_t sqlite_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids,
                         uint64_t *expires_ms)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_IDS);
    size_t count = 0;
    if (statement == NULL)
        return 0;
    sqlite_bind_ids(statement, after_id, max);
    for (; count < max && sqlite_row(sqlite, statement); count++) {
        ids[count] = sqlite_column_number(statement, 0);
        if (expires_ms != NULL)
            expires_ms[count] = sqlite_column_number(statement, 1);
    }
    sqlite_end_question(statement);
    return count;
}

static struct bytes sqlite_note(struct store *store, const char *name, struct arena *arena)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_NOTE);
    if (statement == NULL)
        return bytes_none();
    sqlite_bind_name(statement, 1, bytes_of_text(name));
    struct bytes value = sqlite_row(sqlite, statement) ? sqlite_column_bytes(statement, 0, arena)
                                                       : bytes_none();
    sqlite_end_question(statement);
    return value;
}

const struct store_people sqlite_people = {
    .read = sqlite_read,
    .content = sqlite_content,
    .recipients = sqlite_recipients,
    .attempts = sqlite_attempts,
    .list = sqlite_list,
    .ids = sqlite_ids,
    .walk = sqlite_walk,
    .events_after = sqlite_events_after,
    .note = sqlite_note,
};
