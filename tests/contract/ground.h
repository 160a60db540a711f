/* SPDX-License-Identifier: Apache-2.0 */
/* ground: a store of either kind to test on, fresh for each test. */
#ifndef MAILBOAT_TESTS_GROUND_H
#define MAILBOAT_TESTS_GROUND_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/queue/memory.h"
#include "store/queue/sqlite.h"

struct ground {
    bool on_disk;
    char folder[64];
    struct store *store;
    struct arena arena;
};

/* Empties the folder open at `at`, and closes the descriptor. */
static inline void empty_folder(int at)
{
    DIR *folder = fdopendir(at);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(at, entry->d_name, 0) == 0)
            continue;
        empty_folder(openat(at, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        unlinkat(at, entry->d_name, AT_REMOVEDIR);
    }
    if (folder != NULL)
        closedir(folder);
}

static inline void remove_folder(const char *path)
{
    empty_folder(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    rmdir(path);
}

static inline struct store *open_store(const struct ground *ground)
{
    struct error error = {0};
    struct store *store = ground->on_disk ? sqlite_store_open(ground->folder, STORE_WRITE, &error)
                                          : memory_store_open();
    if (store == NULL)
        fail_msg("%s", error.text);
    return store;
}

/* Keeps committed changes, discards the rest. */
static inline void crash(struct ground *ground)
{
    if (!ground->on_disk) {
        memory_store_crash(ground->store);
        return;
    }
    store_close(ground->store);
    ground->store = open_store(ground);
}

static inline int set_up(void **state, bool on_disk)
{
    struct ground *ground = memory_new(sizeof *ground);
    ground->on_disk = on_disk;
    snprintf(ground->folder, sizeof ground->folder, "/tmp/mailboat-store-XXXXXX");
    if (on_disk && mkdtemp(ground->folder) == NULL)
        return -1;
    ground->store = open_store(ground);
    *state = ground;
    return 0;
}

static inline int set_up_sqlite(void **state)
{
    return set_up(state, true);
}
static inline int set_up_memory(void **state)
{
    return set_up(state, false);
}

static inline int tear_down(void **state)
{
    struct ground *ground = *state;
    store_close(ground->store);
    if (ground->on_disk)
        remove_folder(ground->folder);
    arena_clear(&ground->arena);
    free(ground);
    return 0;
}

static inline void commit(struct ground *ground)
{
    struct error error = {0};
    if (store_commit(ground->store, &error) != STORE_DONE)
        fail_msg("%s", error.text);
}

/* Adds a plain message for `count` recipients of `destination`. */
static inline bool put_letter(struct ground *ground, uint64_t id, const char *destination, uint64_t due_ms,
                              size_t count)
{
    struct store_message message = {.id = id,
                                    .arrived_ms = 1000 + id,
                                    .expires_ms = 9000 + id,
                                    .content = BYTES("Subject: x\r\n\r\nHello\r\n")};
    struct recipient *recipients = ARENA_ARRAY(&ground->arena, struct recipient, count);
    struct bytes *destinations = ARENA_ARRAY(&ground->arena, struct bytes, count);
    for (size_t i = 0; i < count; i++) {
        recipients[i].address = bytes_of_text(arena_format(&ground->arena, "r%zu@example.org", i));
        destinations[i] = bytes_of_text(destination);
    }
    message.envelope = (struct envelope){
        .sender = BYTES("ada@example.org"), .recipients = recipients, .recipient_count = count};
    return store_accept(ground->store, &message, destinations, due_ms, 0);
}

/* ---- one result at a time; true if the message was removed ---- */

static inline bool finish(struct ground *ground, uint64_t id, uint32_t number)
{
    return store_settle(ground->store, id, &(struct store_result){.number = number, .fate = STORE_FINISHED},
                        1);
}

static inline bool expanded(struct ground *ground, uint64_t id, uint32_t number)
{
    return store_settle(ground->store, id, &(struct store_result){.number = number, .fate = STORE_EXPANDED},
                        1);
}

static inline void defer(struct ground *ground, uint64_t id, uint32_t number, uint64_t due_ms,
                         uint32_t attempts, const struct attempt_record *last)
{
    struct store_result result = {
        .number = number, .fate = STORE_DEFERRED, .due_ms = due_ms, .attempts = attempts, .last = *last};
    assert_false(store_settle(ground->store, id, &result, 1));
}

static inline void place(struct ground *ground, uint64_t id, uint32_t number, struct bytes destination,
                         uint64_t due_ms, bool held)
{
    struct store_result result = {
        .number = number, .fate = STORE_PLACED, .due_ms = due_ms, .destination = destination, .held = held};
    assert_false(store_settle(ground->store, id, &result, 1));
}

static inline void advance(struct ground *ground, uint64_t id, uint32_t number, struct bytes progress,
                           uint64_t due_ms)
{
    struct store_result result = {
        .number = number, .fate = STORE_ADVANCED, .due_ms = due_ms, .progress = progress};
    assert_false(store_settle(ground->store, id, &result, 1));
}

/* Finds due recipients, one by one. */
static inline size_t find_due(struct ground *ground, struct bytes destination, uint64_t now_ms,
                              const struct store_due *after, size_t max, struct store_due *found)
{
    struct store_page page;
    store_due(ground->store,
              &(struct store_due_question){.destination = destination,
                                           .now_ms = now_ms,
                                           .after = *after,
                                           .deliveries_max = max,
                                           .recipients_max = 1},
              &ground->arena, &page);
    for (size_t i = 0; i < page.count; i++)
        found[i] = page.deliveries[i].place;
    return page.count;
}

static inline size_t waiting(struct ground *ground, uint64_t id)
{
    struct store_recipient found[STORE_READ_MAX];
    return store_recipients(ground->store, id, 0, STORE_READ_MAX, &ground->arena, found);
}

static inline bool is_there(struct ground *ground, uint64_t id)
{
    struct store_message message;
    return store_read(ground->store, id, false, &ground->arena, &message);
}

static inline void assert_same(struct bytes a, struct bytes b)
{
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.at, b.at, a.length);
}

/* A test on one kind of store. */
#define ON(kind, test) cmocka_unit_test_setup_teardown(test, set_up_##kind, tear_down)
/* For CONTRACT(set_up), the list of a file's tests. */
#define BOTH(set_up, test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define CONTRACT_HOLDS                                                                                  \
    const struct CMUnitTest sqlite[] = {CONTRACT(set_up_sqlite)}, memory[] = {CONTRACT(set_up_memory)}; \
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);                             \
    return failed + cmocka_run_group_tests_name("memory", memory, NULL, NULL)

#endif
