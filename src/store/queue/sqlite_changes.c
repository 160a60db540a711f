/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_changes: the first group of store.h: accepted mail, and results. */
#include <assert.h>

#include "store/queue/attempt_history.h"
#include "store/queue/expansion_member.h"
#include "store/queue/sqlite_internal.h"

static unsigned message_flags(const struct store_message *message, bool large)
{
    const struct envelope *e = &message->envelope;
    return trust_record_code(&message->trust) << FLAG_TRUST | (unsigned)message->origin.kind << FLAG_ORIGIN |
           (unsigned)e->body | (unsigned)e->ret << FLAG_RET | (e->smtputf8 ? FLAG_SMTPUTF8 : 0u) |
           (e->requiretls ? FLAG_REQUIRETLS : 0u) | (large ? FLAG_LARGE : 0u) |
           (e->long_lines ? FLAG_LONG_LINES : 0u);
}

static void bind_origin(sqlite3_stmt *statement, int at, const struct origin *origin)
{
    sqlite_bind_text(statement, at, origin->account);
    sqlite_bind_text(statement, at + 1, origin->client_address);
    sqlite_bind_text(statement, at + 2, origin->client_helo);
    sqlite_bind_text(statement, at + 3, origin->protocol);
    sqlite_bind_text(statement, at + 4, origin->tls);
    sqlite_bind_number(statement, at + 5, origin->port);
}

/* False if the id is in use, or on failure. */
static bool add_message(struct sqlite_store *sqlite, const struct store_message *message, uint64_t size,
                        bool large)
{
    const struct envelope *e = &message->envelope;
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_MESSAGE_ADD);
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, message->id);
    sqlite_bind_number(statement, 2, message->arrived_ms);
    sqlite_bind_number(statement, 3, message->expires_ms);
    sqlite_bind_number(statement, 4, size);
    sqlite_bind_number(statement, 5, message_flags(message, large));
    sqlite_bind_text(statement, 6, e->sender);
    sqlite_bind_text(statement, 7, e->envid);
    bind_origin(statement, 8, &message->origin);
    if (large)
        sqlite3_bind_null(statement, 14);
    else
        sqlite3_bind_blob64(statement, 14, message->content.at == NULL ? "" : message->content.at,
                            message->content.length, SQLITE_STATIC);
    sqlite_bind_text(statement, 15, message->prefix);
    sqlite_bind_text(statement, 16, message->trust.author);
    sqlite_bind_text(statement, 17, message->trust.story);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_bind_null(statement, 14);
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return false;
    return code == SQLITE_DONE || sqlite_reason(sqlite, code);
}

static void add_recipient(struct sqlite_store *sqlite, uint64_t id, uint64_t number,
                          const struct recipient *r, struct bytes destination, uint64_t due_ms)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_RECIPIENT_ADD);
    if (statement == NULL)
        return;
    sqlite_bind_ids(statement, id, number);
    sqlite_bind_number(statement, 3, due_ms);
    sqlite_bind_number(statement, 4,
                       (unsigned)r->notify | (r->local ? FLAG_LOCAL : 0u) | (r->away ? FLAG_AWAY : 0u) |
                           (r->reports ? FLAG_REPORTS : 0u) | (unsigned)r->expands << FLAG_EXPANDS);
    sqlite_bind_name(statement, 5, destination);
    sqlite_bind_name(statement, 6, r->address);
    sqlite_bind_text(statement, 7, r->original);
    sqlite_bind_text(statement, 8, r->orcpt);
    sqlite_bind_text(statement, 9, r->via);
    sqlite_bind_text(statement, 10, r->sent_as);
    sqlite_run(sqlite, statement);
}

/* Records a member; false if it was recorded before. */
static bool note_member(struct sqlite_store *sqlite, uint64_t id, struct bytes key, uint64_t number)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_MEMBER_NOTE);
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, id);
    sqlite_bind_name(statement, 2, key);
    sqlite_bind_number(statement, 3, number);
    bool fresh = sqlite_row(sqlite, statement);
    sqlite_run(sqlite, statement);
    return fresh;
}

/* Before the first expansion: records the existing recipients, and the last number. */
static void begin_members(struct sqlite_store *sqlite, uint64_t id, const struct recipient *recipients,
                          size_t count)
{
    struct buffer scratch = {0};
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || recipients[i].expands != EXPANDS_NOT;
    for (size_t i = 0; any && i < count; i++)
        note_member(sqlite, id, expansion_member_key(&scratch, &recipients[i]), i);
    if (any)
        note_member(sqlite, id, bytes_none(), count - 1);
    buffer_free(&scratch);
}

static bool sqlite_accept(struct store *store, const struct store_message *message,
                          const struct bytes *destinations, uint64_t due_ms, uint64_t spool)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    uint64_t size = message->content.length;
    assert(message->envelope.recipient_count > 0);
    if (spool != 0 && !content_files_spool_size(&sqlite->files, spool, &size))
        return false;
    if (!add_message(sqlite, message, message->prefix.length + size, spool != 0))
        return sqlite->verdict != STORE_DONE; /* the commit reports the failure */
    int number = spool != 0 ? content_files_keep(&sqlite->files, spool, message->id) : 0;
    if (number != 0)
        return sqlite_problem(sqlite, 0, number) || true;
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        add_recipient(sqlite, message->id, i, &message->envelope.recipients[i], destinations[i], due_ms);
    begin_members(sqlite, message->id, message->envelope.recipients, message->envelope.recipient_count);
    return true;
}

static bool sqlite_add_member(struct store *store, uint64_t id, const struct recipient *member,
                              struct bytes destination, uint64_t due_ms)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    struct buffer scratch = {0};
    bool fresh = note_member(sqlite, id, expansion_member_key(&scratch, member), 0);
    buffer_free(&scratch);
    sqlite3_stmt *statement = fresh ? sqlite_change(sqlite, SQL_MEMBER_NUMBER) : NULL;
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, id);
    bool numbered = sqlite_row(sqlite, statement);
    uint64_t number = numbered ? sqlite_column_number(statement, 0) : 0;
    sqlite_run(sqlite, statement);
    if (!numbered) /* only another program can have removed that row */
        return sqlite_problem(sqlite, SQLITE_CORRUPT, 0);
    add_recipient(sqlite, id, number, member, destination, due_ms);
    return true;
}

/* Reads the history, with the previous last attempt appended. */
static void read_past(struct sqlite_store *sqlite, uint64_t id, uint32_t number, struct buffer *history)
{
    struct arena arena = {0};
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_ATTEMPTS);
    if (statement == NULL)
        return;
    sqlite_bind_ids(statement, id, number);
    if (sqlite_row(sqlite, statement) && sqlite_column_number(statement, 0) != 0) {
        struct attempt_record last = sqlite_read_reply(statement, 0, &arena);
        attempt_history_add(history, sqlite_column_bytes(statement, 6, &arena), &last);
    }
    sqlite_end_question(statement);
    arena_clear(&arena);
}

static void defer(struct sqlite_store *sqlite, uint64_t id, const struct store_result *result)
{
    const struct attempt_record *last = &result->last;
    struct buffer history = {0};
    if (result->attempts > 1)
        read_past(sqlite, id, result->number, &history);
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_DEFER);
    if (statement == NULL) {
        buffer_free(&history);
        return;
    }
    sqlite_bind_ids(statement, id, result->number);
    sqlite_bind_number(statement, 3, result->due_ms);
    sqlite_bind_number(statement, 4, result->attempts);
    sqlite_bind_number(statement, 5, last->when_ms);
    sqlite_bind_number(statement, 6, last->code);
    sqlite_bind_text(statement, 7, last->enhanced);
    sqlite_bind_text(statement, 8, bytes_first(last->text, STORE_REPLY_MAX));
    sqlite_bind_text(statement, 9, last->peer);
    sqlite_bind_text(statement, 10, last->tls);
    sqlite_bind_text(statement, 11, buffer_bytes(&history));
    sqlite_run(sqlite, statement);
    sqlite3_bind_null(statement, 11);
    buffer_free(&history);
}

static void place(struct sqlite_store *sqlite, uint64_t id, const struct store_result *result)
{
    bool moves = result->destination.length > 0;
    sqlite3_stmt *statement = sqlite_change(sqlite, moves ? SQL_MOVE : SQL_PLACE);
    if (statement == NULL)
        return;
    sqlite_bind_ids(statement, id, result->number);
    sqlite_bind_number(statement, 3, result->due_ms);
    sqlite_bind_number(statement, 4, result->held ? 1 : 0);
    if (moves)
        sqlite_bind_name(statement, 5, result->destination);
    sqlite_run(sqlite, statement);
}

static void advance(struct sqlite_store *sqlite, uint64_t id, const struct store_result *result)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_ADVANCE);
    if (statement == NULL)
        return;
    sqlite_bind_ids(statement, id, result->number);
    sqlite_bind_number(statement, 3, result->due_ms);
    sqlite_bind_text(statement, 4, result->progress);
    sqlite_run(sqlite, statement);
}

static void finish(struct sqlite_store *sqlite, uint64_t id, const struct store_result *result)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_FINISH);
    if (statement == NULL)
        return;
    sqlite_bind_ids(statement, id, result->number);
    sqlite_run(sqlite, statement);
}

static void forget_members(struct sqlite_store *sqlite, uint64_t id)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_MEMBERS_FORGET);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, id);
    sqlite_run(sqlite, statement);
}

static void end_expansion(struct sqlite_store *sqlite, uint64_t id, const struct store_result *result)
{
    finish(sqlite, id, result);
    sqlite3_stmt *statement = sqlite_question(sqlite, SQL_EXPANDING);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, id);
    bool goes_on = sqlite_row(sqlite, statement);
    sqlite_end_question(statement);
    if (!goes_on)
        forget_members(sqlite, id);
}

/* Removes the message's row; its file follows after the commit. True if there was one. */
static bool drop_message(struct sqlite_store *sqlite, enum sqlite_statement which, uint64_t id)
{
    sqlite3_stmt *statement = sqlite_change(sqlite, which);
    if (statement == NULL)
        return false;
    sqlite_bind_number(statement, 1, id);
    bool gone = sqlite_row(sqlite, statement);
    bool large = gone && (sqlite_column_number(statement, 0) & FLAG_LARGE) != 0;
    if (gone)
        sqlite_run(sqlite, statement);
    else
        sqlite3_reset(statement);
    if (gone)
        forget_members(sqlite, id);
    statement = large ? sqlite_change(sqlite, SQL_LEFTOVER_ADD) : NULL;
    if (statement == NULL)
        return gone;
    sqlite_bind_number(statement, 1, id);
    if (sqlite_run(sqlite, statement))
        content_files_id_add(&sqlite->files.gone, id);
    return true;
}

static bool sqlite_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count)
{
    static void (*const apply[])(struct sqlite_store *, uint64_t, const struct store_result *) = {
        [STORE_FINISHED] = finish,  [STORE_DEFERRED] = defer,         [STORE_PLACED] = place,
        [STORE_ADVANCED] = advance, [STORE_EXPANDED] = end_expansion,
    };
    bool fewer = count == 0;
    for (size_t i = 0; i < count; i++) {
        apply[results[i].fate](sqlite_of(store), id, &results[i]);
        fewer = fewer || results[i].fate == STORE_FINISHED || results[i].fate == STORE_EXPANDED;
    }
    return fewer && drop_message(sqlite_of(store), SQL_SETTLE, id);
}

static void sqlite_remove(struct store *store, uint64_t id)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_RECIPIENTS_REMOVE);
    if (statement == NULL)
        return;
    sqlite_bind_number(statement, 1, id);
    sqlite_run(sqlite, statement);
    drop_message(sqlite, SQL_MESSAGE_REMOVE, id);
}

static void sqlite_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    bool goes = due_ms == STORE_NEVER;
    sqlite3_stmt *statement = sqlite_change(sqlite, goes ? SQL_DESTINATION_REMOVE : SQL_DESTINATION_PUT);
    if (statement == NULL)
        return;
    sqlite_bind_name(statement, 1, name);
    if (!goes) {
        sqlite_bind_number(statement, 2, due_ms);
        sqlite_bind_number(statement, 3, failures);
    }
    sqlite_run(sqlite, statement);
}

static void sqlite_note_put(struct store *store, const char *name, struct bytes value)
{
    struct sqlite_store *sqlite = sqlite_of(store);
    sqlite3_stmt *statement = sqlite_change(sqlite, SQL_NOTE_PUT);
    if (statement == NULL)
        return;
    sqlite_bind_name(statement, 1, bytes_of_text(name));
    sqlite_bind_name(statement, 2, value);
    sqlite_run(sqlite, statement);
}

const struct store_changes sqlite_changes = {
    .close = sqlite_close,
    .commit_start = sqlite_commit_start,
    .commit_done = sqlite_commit_done,
    .verdict = sqlite_verdict,
    .is_changed = sqlite_is_changed,
    .spool = sqlite_spool,
    .spool_drop = sqlite_spool_drop,
    .accept = sqlite_accept,
    .add_member = sqlite_add_member,
    .settle = sqlite_settle,
    .remove = sqlite_remove,
    .destination_put = sqlite_destination_put,
    .note_put = sqlite_note_put,
    .events_put = sqlite_events_put,
    .events_drop = sqlite_events_drop,
};
