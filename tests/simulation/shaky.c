/* SPDX-License-Identifier: Apache-2.0 */
#include "shaky.h"

#include <assert.h>
#include <stdio.h>
#include <sysexits.h>

#include "store/queue/memory.h"
#include "store/queue/sqlite.h"

enum { LOG_PAGES = 60 }; /* small, so that what is in the log often moves into the database */

static struct shaky *of(const struct store *store)
{
    return (struct shaky *)(uintptr_t)store;
}

/* One operation begins; false when the store dies, or is dead. */
static bool survives(struct shaky *shaky)
{
    shaky->missed = shaky->missed || shaky->away;
    if (!shaky->dead && shaky->operations_left > 0 && --shaky->operations_left == 0) {
        shaky->dead = !shaky->after;
        shaky->dying = shaky->after;
    }
    return !shaky->dead && !shaky->away;
}

/* It ends: was it the last? */
static bool dies_now(struct shaky *shaky)
{
    shaky->dead = shaky->dead || shaky->dying;
    return shaky->dead || shaky->away;
}

/* ---- each operation passes on, unless dead ---- */

static void shaky_commit_start(struct store *store)
{
    struct shaky *shaky = of(store);
    assert(!shaky->committing);
    shaky->committing = true;
    shaky->commit_end_ms = shaky->world->now_ms +
                           (shaky->far && !shaky->dead ? world_random(shaky->world, 400) : 0);
}

/* None of the batch was stored: the remote store has dropped it. */
static enum store_verdict miss(struct shaky *shaky, struct error *error)
{
    shaky->missed = false;
    shaky->batches_missed++;
    memory_store_crash(shaky->inner);
    error_set(error, EX_TEMPFAIL, "the store is far away");
    return STORE_UNREACHABLE;
}

static bool shaky_commit_done(struct store *store, enum store_verdict *verdict, struct error *error)
{
    struct shaky *shaky = of(store);
    assert(shaky->committing);
    if (shaky->world->now_ms < shaky->commit_end_ms) {
        shaky->commits_waited++;
        return false;
    }
    shaky->committing = false;
    bool reached = survives(shaky);
    *verdict = STORE_FAILED;
    if (!shaky->dead && (!reached || shaky->missed))
        *verdict = miss(shaky, error);
    else if (reached)
        *verdict = store_commit(shaky->inner, error);
    if (!shaky->away && dies_now(shaky))
        *verdict = STORE_FAILED;
    return true;
}

static enum store_verdict shaky_verdict(const struct store *store, struct error *error)
{
    const struct shaky *shaky = of(store);
    return shaky->dead     ? STORE_FAILED
           : shaky->missed ? STORE_UNREACHABLE
                           : store_verdict(shaky->inner, error);
}

static int shaky_spool(struct store *store, uint64_t spool, enum store_verdict *verdict)
{
    struct shaky *shaky = of(store);
    *verdict = STORE_FAILED;
    if (!survives(shaky))
        return -1;
    int result = store_spool(shaky->inner, spool, verdict);
    return dies_now(shaky) ? -1 : result;
}

static void shaky_spool_drop(struct store *store, uint64_t spool)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return;
    store_spool_drop(shaky->inner, spool);
    dies_now(shaky);
}

static bool shaky_accept(struct store *store, const struct store_message *message,
                         const struct bytes *destinations, uint64_t due_ms, uint64_t spool)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return false;
    bool result = store_accept(shaky->inner, message, destinations, due_ms, spool);
    return dies_now(shaky) ? false : result;
}

static bool shaky_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return false;
    bool result = store_settle(shaky->inner, id, results, count);
    return dies_now(shaky) ? false : result;
}

static bool shaky_add_member(struct store *store, uint64_t id, const struct recipient *member,
                             struct bytes destination, uint64_t due_ms)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return false;
    bool result = store_add_member(shaky->inner, id, member, destination, due_ms);
    return dies_now(shaky) ? false : result;
}

static void shaky_remove(struct store *store, uint64_t id)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return;
    store_remove(shaky->inner, id);
    dies_now(shaky);
}

static void shaky_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return;
    store_destination_put(shaky->inner, name, due_ms, failures);
    dies_now(shaky);
}

static void shaky_note_put(struct store *store, const char *name, struct bytes value)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return;
    store_note_put(shaky->inner, name, value);
    dies_now(shaky);
}

static bool shaky_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                       struct store_message *message)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return false;
    bool result = store_read(shaky->inner, id, with_content, arena, message);
    return dies_now(shaky) ? false : result;
}

static int shaky_content(struct store *store, uint64_t id)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return -1;
    int result = store_content(shaky->inner, id);
    return dies_now(shaky) ? -1 : result;
}

static size_t shaky_recipients(struct store *store, uint64_t id, uint32_t from, size_t max,
                               struct arena *arena, struct store_recipient *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_recipients(shaky->inner, id, from, max, arena, found);
    return dies_now(shaky) ? 0 : result;
}

static void shaky_due(struct store *store, const struct store_due_question *question, struct arena *arena,
                      struct store_page *page)
{
    struct shaky *shaky = of(store);
    bool reached = survives(shaky);
    if (reached)
        store_due(shaky->inner, question, arena, page);
    if (dies_now(shaky) || !reached)
        *page = (struct store_page){.end = question->after};
}

static uint64_t shaky_next_due(struct store *store, struct bytes destination, uint64_t after_ms)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return STORE_NEVER;
    uint64_t result = store_next_due(shaky->inner, destination, after_ms);
    return dies_now(shaky) ? STORE_NEVER : result;
}

static bool shaky_destination(struct store *store, struct bytes name, struct store_destination *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return false;
    bool result = store_destination(shaky->inner, name, found);
    return dies_now(shaky) ? false : result;
}

static size_t shaky_destinations_due(struct store *store, uint64_t now_ms,
                                     const struct store_destination *after, size_t max,
                                     struct store_destination *found, uint64_t *next_ms)
{
    struct shaky *shaky = of(store);
    size_t result = 0;
    if (survives(shaky))
        result = store_destinations_due(shaky->inner, now_ms, after, max, found, next_ms);
    if (!dies_now(shaky))
        return result;
    if (next_ms != NULL)
        *next_ms = STORE_NEVER;
    return 0;
}

static size_t shaky_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                         struct store_summary *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_list(shaky->inner, after_id, max, arena, found);
    return dies_now(shaky) ? 0 : result;
}

static size_t shaky_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids,
                        uint64_t *expires_ms)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_ids(shaky->inner, after_id, max, ids, expires_ms);
    return dies_now(shaky) ? 0 : result;
}

static size_t shaky_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                             struct attempt_record *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_attempts(shaky->inner, id, number, arena, found);
    return dies_now(shaky) ? 0 : result;
}

static size_t shaky_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                         struct arena *arena, uint64_t *ids, struct store_recipient *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_walk(shaky->inner, after_id, after_number, max, arena, ids, found);
    return dies_now(shaky) ? 0 : result;
}

static struct bytes shaky_note(struct store *store, const char *name, struct arena *arena)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return bytes_none();
    struct bytes result = store_note(shaky->inner, name, arena);
    return dies_now(shaky) ? bytes_none() : result;
}

static void shaky_events_put(struct store *store, enum store_stream stream, uint64_t count,
                             struct bytes octets)
{
    struct shaky *shaky = of(store);
    if (survives(shaky))
        store_events_put(shaky->inner, stream, count, octets);
    dies_now(shaky);
}

static void shaky_events_drop(struct store *store, enum store_stream stream, uint64_t cursor)
{
    struct shaky *shaky = of(store);
    if (survives(shaky))
        store_events_drop(shaky->inner, stream, cursor);
    dies_now(shaky);
}

static size_t shaky_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                                 struct arena *arena, struct store_events *found)
{
    struct shaky *shaky = of(store);
    if (!survives(shaky))
        return 0;
    size_t result = store_events_after(shaky->inner, stream, cursor, max, arena, found);
    return dies_now(shaky) ? 0 : result;
}

static bool shaky_is_changed(const struct store *store)
{
    return of(store)->dead || of(store)->missed || store_is_changed(of(store)->inner);
}

static void shaky_close(struct store *store)
{
    store_close(of(store)->inner);
}

static const struct store_changes changes = {
    .close = shaky_close,
    .commit_start = shaky_commit_start,
    .commit_done = shaky_commit_done,
    .verdict = shaky_verdict,
    .is_changed = shaky_is_changed,
    .spool = shaky_spool,
    .spool_drop = shaky_spool_drop,
    .accept = shaky_accept,
    .add_member = shaky_add_member,
    .settle = shaky_settle,
    .remove = shaky_remove,
    .destination_put = shaky_destination_put,
    .note_put = shaky_note_put,
    .events_put = shaky_events_put,
    .events_drop = shaky_events_drop,
};

static const struct store_pages pages = {
    .due = shaky_due,
    .next_due = shaky_next_due,
    .destination = shaky_destination,
    .destinations_due = shaky_destinations_due,
};

static const struct store_people people = {
    .read = shaky_read,
    .content = shaky_content,
    .recipients = shaky_recipients,
    .attempts = shaky_attempts,
    .list = shaky_list,
    .ids = shaky_ids,
    .walk = shaky_walk,
    .events_after = shaky_events_after,
    .note = shaky_note,
};

void shaky_start(struct shaky *shaky, struct world *world, struct shaky_ground *ground)
{
    *shaky = (struct shaky){.store = {&changes, &pages, &people},
                            .world = world,
                            .ground = ground,
                            .inner = ground == NULL ? memory_store_open() : NULL};
}

void shaky_free(struct shaky *shaky)
{
    store_close(shaky->inner);
    shaky->inner = NULL;
}

void shaky_fall(struct shaky *shaky)
{
    shaky->dead = shaky->dying = shaky->committing = shaky->missed = false;
    shaky->operations_left = 0;
    if (shaky->ground == NULL) {
        memory_store_crash(shaky->inner);
        return;
    }
    struct drive *drive = &shaky->ground->drive;
    drive->dead = true; /* closing is not for those who are killed */
    shaky_free(shaky);
    if (world_random(drive->world, 2) == 0)
        drive_lose_power(drive);
    else
        drive_revive(drive);
}

bool shaky_open(struct shaky *shaky, bool *damaged)
{
    struct error error = {0};
    *damaged = false;
    if (shaky->ground == NULL)
        return true;
    shaky->inner = sqlite_store_open(shaky->ground->folder, STORE_WRITE, &error);
    if (shaky->inner != NULL) {
        sqlite_store_checkpoint_every(shaky->inner, LOG_PAGES);
        return true;
    }
    *damaged = error.exit_code == EX_DATAERR;
    if (*damaged)
        fprintf(stderr, "%s\n", error.text);
    shaky_fall(shaky);
    return false;
}

void shaky_limit(struct shaky *shaky, uint64_t octets)
{
    if (shaky->ground == NULL)
        memory_store_limit(shaky->inner, octets);
    else
        /* a page for each row, and the log */
        shaky->ground->drive.octets_max = octets == 0 ? 0 : drive_size(&shaky->ground->drive) + 100 * octets;
}
