/* SPDX-License-Identifier: Apache-2.0 */
/* store: the entry points for every kind of store. Asserts the caller's obligations, and the answers of a
 * kind. */
#include <assert.h>
#include <poll.h>

#include "store/queue/store_kind.h"

enum { COMMIT_LOOK_MS = 1000 }; /* poll interval: a store that is gone may not notify */

/* ---- accepted mail, and results ---- */

void store_close(struct store *store)
{
    if (store != NULL)
        store->changes->close(store);
}

void store_commit_start(struct store *store)
{
    store->changes->commit_start(store);
}

bool store_commit_done(struct store *store, enum store_verdict *verdict, struct error *error)
{
    return store->changes->commit_done(store, verdict, error);
}

int store_commit_descriptor(const struct store *store)
{
    return store->changes->commit_descriptor == NULL ? -1 : store->changes->commit_descriptor(store);
}

void store_commit_wait(const struct store *store)
{
    struct pollfd ready = {.fd = store_commit_descriptor(store), .events = POLLIN};
    poll(&ready, 1, COMMIT_LOOK_MS);
}

enum store_verdict store_commit(struct store *store, struct error *error)
{
    enum store_verdict verdict;
    store_commit_start(store);
    while (!store_commit_done(store, &verdict, error))
        store_commit_wait(store);
    return verdict;
}

bool store_is_changed(const struct store *store)
{
    return store->changes->is_changed(store);
}

enum store_verdict store_verdict(const struct store *store, struct error *error)
{
    return store->changes->verdict(store, error);
}

int store_spool(struct store *store, uint64_t spool, enum store_verdict *verdict)
{
    assert(spool != 0);
    int file = store->changes->spool(store, spool, verdict);
    assert((file >= 0) == (*verdict == STORE_DONE));
    return file;
}

void store_spool_drop(struct store *store, uint64_t spool)
{
    store->changes->spool_drop(store, spool);
}

bool store_accept(struct store *store, const struct store_message *message, const struct bytes *destinations,
                  uint64_t due_ms, uint64_t spool)
{
    size_t count = message->envelope.recipient_count;
    assert(message->id != 0 && count > 0 && trust_record_is_sound(&message->trust));
    for (size_t i = 0; i < count; i++)
        assert(destinations[i].length <= STORE_DESTINATION_MAX);
    return message->prefix.length <= STORE_PREFIX_MAX &&
           store->changes->accept(store, message, destinations, due_ms, spool);
}

bool store_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert(results[i].destination.length <= STORE_DESTINATION_MAX);
    return store->changes->settle(store, id, results, count);
}

bool store_add_member(struct store *store, uint64_t id, const struct recipient *member,
                      struct bytes destination, uint64_t due_ms)
{
    assert(destination.length <= STORE_DESTINATION_MAX);
    return store->changes->add_member(store, id, member, destination, due_ms);
}

void store_remove(struct store *store, uint64_t id)
{
    store->changes->remove(store, id);
}

void store_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    assert(name.length <= STORE_DESTINATION_MAX);
    store->changes->destination_put(store, name, due_ms, failures);
}

void store_note_put(struct store *store, const char *name, struct bytes value)
{
    store->changes->note_put(store, name, value);
}

void store_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets)
{
    assert(stream < STORE_STREAMS && count > 0 && octets.length >= count);
    store->changes->events_put(store, stream, count, octets);
}

void store_events_drop(struct store *store, enum store_stream stream, uint64_t cursor)
{
    store->changes->events_drop(store, stream, cursor);
}

/* ---- what is due ---- */

void store_due(struct store *store, const struct store_due_question *question, struct arena *arena,
               struct store_page *page)
{
    assert(question->deliveries_max > 0 && question->deliveries_max <= STORE_PAGE_MAX);
    assert(question->recipients_max > 0 && question->recipients_max <= STORE_READ_MAX);
    store->pages->due(store, question, arena, page);
    assert(page->count <= question->deliveries_max);
    for (size_t i = 0; i < page->count; i++)
        assert(page->deliveries[i].recipient_count > 0 &&
               page->deliveries[i].recipient_count <= question->recipients_max);
}

uint64_t store_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    uint64_t next_ms = store->pages->next_due(store, destination, after_ms);
    assert(next_ms == STORE_NEVER || next_ms > after_ms);
    return next_ms;
}

bool store_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    return store->pages->destination(store, name, found);
}

size_t store_destinations_due(struct store *store, uint64_t now_ms, const struct store_destination *after,
                              size_t max, struct store_destination *found, uint64_t *next_ms)
{
    assert(max <= STORE_READ_MAX);
    size_t count = store->pages->destinations_due(store, now_ms, after, max, found, next_ms);
    assert(count <= max && (next_ms == NULL || *next_ms == STORE_NEVER || *next_ms > now_ms));
    return count;
}

/* ---- queries of subcommands, and reports ---- */

bool store_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                struct store_message *message)
{
    return store->people->read(store, id, with_content, arena, message);
}

int store_content(struct store *store, uint64_t id)
{
    return store->people->content(store, id);
}

size_t store_recipients(struct store *store, uint64_t id, uint32_t from, size_t max, struct arena *arena,
                        struct store_recipient *found)
{
    assert(max <= STORE_READ_MAX);
    size_t count = store->people->recipients(store, id, from, max, arena, found);
    assert(count <= max && (count == 0 || found[0].number >= from));
    return count;
}

size_t store_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                      struct attempt_record *found)
{
    size_t count = store->people->attempts(store, id, number, arena, found);
    assert(count <= STORE_ATTEMPTS_MAX);
    return count;
}

size_t store_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                  struct store_summary *found)
{
    assert(max <= STORE_READ_MAX);
    size_t count = store->people->list(store, after_id, max, arena, found);
    assert(count <= max && (count == 0 || found[0].id > after_id));
    return count;
}

size_t store_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids, uint64_t *expires_ms)
{
    assert(max <= STORE_READ_MAX);
    size_t count = store->people->ids(store, after_id, max, ids, expires_ms);
    assert(count <= max && (count == 0 || ids[0] > after_id));
    return count;
}

size_t store_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                  struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    assert(max <= STORE_READ_MAX);
    size_t count = store->people->walk(store, after_id, after_number, max, arena, ids, found);
    assert(count <= max && (count == 0 || ids[0] >= after_id));
    return count;
}

size_t store_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                          struct arena *arena, struct store_events *found)
{
    assert(max > 0 && max <= STORE_READ_MAX);
    size_t count = store->people->events_after(store, stream, cursor, max, arena, found);
    assert(count <= max);
    for (size_t i = 1; i < count; i++)
        assert(found[i].first == found[i - 1].first + found[i - 1].count);
    return count;
}

struct bytes store_note(struct store *store, const char *name, struct arena *arena)
{
    return store->people->note(store, name, arena);
}
