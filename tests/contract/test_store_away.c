/* SPDX-License-Identifier: Apache-2.0 */
/* A store that nobody reaches just now: it finds nothing, and says that this means nothing. */
#include <sqlite3.h>
#include <sysexits.h>

#include "ground.h"

static struct store_message message;
static struct store_recipient recipient;
static struct attempt_record attempts[STORE_ATTEMPTS_MAX];
static struct store_summary summary;
static struct store_destination destination;
static uint64_t ids[1];

/* One question each, to which the answer is yes while the store is there. */

static bool reads(struct ground *ground)
{
    return store_read(ground->store, 1, true, &ground->arena, &message);
}

static bool opens_a_content(struct ground *ground)
{
    int file = store_content(ground->store, 2);
    if (file >= 0)
        close(file);
    return file >= 0;
}

static bool has_recipients(struct ground *ground)
{
    return store_recipients(ground->store, 1, 0, 1, &ground->arena, &recipient) == 1;
}

static bool has_attempts(struct ground *ground)
{
    return store_attempts(ground->store, 1, 0, &ground->arena, attempts) == 1;
}

static bool lists(struct ground *ground)
{
    return store_list(ground->store, 0, 1, &ground->arena, &summary) == 1;
}

static bool has_ids(struct ground *ground)
{
    return store_ids(ground->store, 0, 1, ids, NULL) == 1;
}

static bool walks(struct ground *ground)
{
    return store_walk(ground->store, 0, 0, 1, &ground->arena, ids, &recipient) == 1;
}

static bool has_a_note(struct ground *ground)
{
    return store_note(ground->store, "note", &ground->arena).length > 0;
}

static bool has_a_page(struct ground *ground)
{
    struct store_page page;
    struct store_due_question question = {.destination = BYTES("there.net"),
                                          .now_ms = 1000,
                                          .deliveries_max = 1,
                                          .recipients_max = 1,
                                          .contents_max = 1};
    store_due(ground->store, &question, &ground->arena, &page);
    return page.count == 1;
}

static bool has_a_next_due(struct ground *ground)
{
    return store_next_due(ground->store, BYTES("there.net"), 0) != STORE_NEVER;
}

static bool has_a_destination(struct ground *ground)
{
    return store_destination(ground->store, BYTES("there.net"), &destination);
}

static bool has_destinations_due(struct ground *ground)
{
    return store_destinations_due(ground->store, 1000, NULL, 1, &destination, NULL) == 1;
}

static bool (*const questions[])(struct ground *) = {
    reads,      opens_a_content, has_recipients,    has_attempts,         lists, has_ids, walks, has_a_note,
    has_a_page, has_a_next_due,  has_a_destination, has_destinations_due,
};

static void put_large(struct ground *ground, uint64_t id)
{
    enum store_verdict verdict;
    int file = store_spool(ground->store, 7, &verdict);
    struct recipient to = {.address = BYTES("bob@there.net")};
    struct store_message large = {.id = id, .envelope = {.recipients = &to, .recipient_count = 1}};
    const struct bytes where = BYTES("elsewhere");
    assert_true(file >= 0);
    assert_int_equal(write(file, "x\r\n", 3), 3);
    close(file);
    assert_true(store_accept(ground->store, &large, &where, 5, 7));
}

static void fill(struct ground *ground)
{
    const struct attempt_record last = {.when_ms = 4, .code = 451, .text = BYTES("later")};
    assert_true(put_letter(ground, 1, "there.net", 5, 1));
    defer(ground, 1, 0, 5, 1, &last);
    put_large(ground, 2);
    store_destination_put(ground->store, BYTES("there.net"), 5, 0);
    store_note_put(ground->store, "note", BYTES("said"));
    commit(ground);
}

static void every_question_in_vain_is_told_by_the_verdict(void **state)
{
    struct ground *ground = *state;
    fill(ground);
    for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
        struct error error = {0};
        assert_true(questions[i](ground));
        assert_int_equal(store_verdict(ground->store, &error), STORE_DONE);
        memory_store_away(ground->store, true);
        assert_false(questions[i](ground));
        assert_int_equal(store_verdict(ground->store, &error), STORE_UNREACHABLE);
        assert_int_equal(error.exit_code, EX_TEMPFAIL);
        assert_true(store_is_changed(ground->store));
        memory_store_away(ground->store, false);
        assert_false(questions[i](ground)); /* until that is told, all answers are doubtful */
        assert_int_equal(store_commit(ground->store, &error), STORE_UNREACHABLE);
        assert_int_equal(store_commit(ground->store, &error), STORE_DONE);
        assert_true(questions[i](ground));
    }
}

/* What was changed in the same batch does not get onto disk, whatever of it came before. */
static void a_question_in_vain_undoes_its_batch(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    enum store_verdict verdict;
    fill(ground);
    assert_true(finish(ground, 1, 0));
    memory_store_away(ground->store, true);
    assert_false(has_a_note(ground));
    assert_int_equal(store_spool(ground->store, 9, &verdict), -1);
    assert_int_equal(verdict, STORE_UNREACHABLE);
    assert_int_equal(store_commit(ground->store, &error), STORE_UNREACHABLE);
    memory_store_away(ground->store, false);
    assert_true(reads(ground));
    assert_true(has_recipients(ground));
}

/* ---- on disk: another process has the database locked ---- */

static sqlite3 *lock(struct ground *ground, const char *sql)
{
    sqlite3 *other;
    char path[128];
    snprintf(path, sizeof path, "%s/mailboat.db", ground->folder);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
    return other;
}

static void a_locked_database_is_away_and_comes_back(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    sqlite_store_wait(ground->store, 1);
    sqlite3 *other = lock(ground, "BEGIN IMMEDIATE");
    put_letter(ground, 2, "d", 1, 1);
    assert_int_equal(store_commit(ground->store, &error), STORE_UNREACHABLE);
    assert_int_equal(error.exit_code, EX_TEMPFAIL);
    assert_non_null(strstr(error.text, "cannot be reached"));
    sqlite3_close(other);
    put_letter(ground, 3, "d", 1, 1);
    commit(ground);
    assert_int_equal(store_ids(ground->store, 0, 1, ids, NULL), 1);
    assert_int_equal(store_ids(ground->store, ids[0], 1, ids, NULL), 1);
    assert_int_equal(ids[0], 3); /* the second was refused */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(memory, every_question_in_vain_is_told_by_the_verdict),
        ON(memory, a_question_in_vain_undoes_its_batch),
        ON(sqlite, a_locked_database_is_away_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
