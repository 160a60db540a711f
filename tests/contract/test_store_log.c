/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's log is moved into the database by a thread, while commits go on. */
#include <sys/mman.h>

#include "ground.h"
#include "store/queue/checkpointer.h"

enum { SMALL_LOG = 2 * CHECKPOINT_REST, PASSES = 3, LETTERS_MAX = 20000 };

/* Commits letter after letter until the thread has moved the log a few times; returns how many. */
static uint64_t fill(struct ground *ground)
{
    uint64_t id = 0;
    sqlite_store_checkpoint_beside(ground->store, SMALL_LOG);
    while (sqlite_store_passes(ground->store) < PASSES && id < LETTERS_MAX) {
        put_letter(ground, ++id, "d", 1, 1);
        commit(ground);
    }
    return id;
}

static uint64_t letters(struct ground *ground)
{
    uint64_t ids[STORE_READ_MAX], last = 0, count = 0;
    size_t found;
    while ((found = store_ids(ground->store, last, STORE_READ_MAX, ids, NULL)) > 0) {
        for (size_t i = 0; i < found; i++)
            assert_int_equal(ids[i], ++count);
        last = ids[found - 1];
    }
    return count;
}

static off_t log_size(const struct ground *ground)
{
    char path[128];
    struct stat facts;
    snprintf(path, sizeof path, "%s/mailboat.db-wal", ground->folder);
    return stat(path, &facts) == 0 ? facts.st_size : 0;
}

static void commits_go_on_while_the_log_is_moved(void **state)
{
    struct ground *ground = *state;
    uint64_t count = fill(ground);
    assert_true(count < LETTERS_MAX);
    assert_int_equal(letters(ground), count);
    crash(ground);
    assert_int_equal(letters(ground), count);
}

/* The log begins anew each time: it does not grow with what is committed. */
static void the_log_stays_short(void **state)
{
    struct ground *ground = *state;
    const off_t page = 16384 + 24;
    fill(ground);
    for (uint64_t id = LETTERS_MAX; id < LETTERS_MAX + 250; id++) { /* some thousand pages */
        put_letter(ground, id, "d", 1, 1);
        commit(ground);
    }
    assert_true(log_size(ground) < 600 * page);
}

static void after_a_clean_end_no_log_is_left(void **state)
{
    struct ground *ground = *state;
    uint64_t count = fill(ground);
    store_close(ground->store);
    assert_int_equal(log_size(ground), 0);
    ground->store = open_store(ground);
    assert_int_equal(letters(ground), count);
}

/* A process that is killed, perhaps in the middle of a pass, has lost no commit. */
static void a_kill_in_a_pass_loses_nothing(void **state)
{
    struct ground *ground = *state;
    int status;
    uint64_t *committed = mmap(NULL, sizeof *committed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                               -1, 0);
    assert_true(committed != MAP_FAILED);
    store_close(ground->store);
    pid_t child = fork();
    if (child == 0) {
        ground->store = open_store(ground);
        *committed = fill(ground);
        for (uint64_t id = *committed + 1;; id++) {
            put_letter(ground, id, "d", 1, 1);
            commit(ground);
            *committed = id;
            if (sqlite_store_passes(ground->store) > PASSES + id % 3)
                _exit(0);
        }
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ground->store = open_store(ground);
    assert_int_equal(letters(ground), *committed);
    munmap(committed, sizeof *committed);
}

/* A reader in the middle of its question keeps the log from its beginning; what it sees stays whole. */
static void a_reader_is_not_in_the_way(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    uint64_t count = fill(ground);
    struct store *reader = sqlite_store_open(ground->folder, STORE_READ, &error);
    assert_non_null(reader);
    struct ground other = {.store = reader};
    for (uint64_t i = 0; i < 200; i++) {
        put_letter(ground, ++count, "d", 1, 1);
        commit(ground);
        if (i % 20 == 0)
            assert_int_equal(letters(&other), count);
    }
    store_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commits_go_on_while_the_log_is_moved, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(the_log_stays_short, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(after_a_clean_end_no_log_is_left, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_in_a_pass_loses_nothing, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_is_not_in_the_way, set_up_sqlite, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
