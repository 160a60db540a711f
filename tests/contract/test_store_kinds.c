/* SPDX-License-Identifier: Apache-2.0 */
/* Features of one kind of store: its files, its lock, its query plans. */
#include <sqlite3.h>
#include <sysexits.h>

#include "ground.h"
#include "store/queue/store_lock.h"

static void path_of(const struct ground *ground, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", ground->folder, name);
}

/* Octets of the file, in the arena. */
static struct bytes read_whole(struct ground *ground, const char *name)
{
    char path[128];
    path_of(ground, name, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    assert_true(file >= 0 && fstat(file, &facts) == 0);
    char *octets = arena_take(&ground->arena, (size_t)facts.st_size + 1);
    assert_int_equal(read(file, octets, (size_t)facts.st_size), facts.st_size);
    close(file);
    return bytes_of(octets, (size_t)facts.st_size);
}

static void write_at(const struct ground *ground, const char *name, off_t at, struct bytes octets)
{
    char path[128];
    path_of(ground, name, path);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, octets.at, octets.length, at), octets.length);
    close(file);
}

/* Asserts EX_DATAERR with a hint, and an unchanged file. */
static void assert_refused_untouched(struct ground *ground, const char *says)
{
    struct error error = {0};
    struct bytes before = read_whole(ground, "mailboat.db");
    for (int access = STORE_WRITE; access <= STORE_READ; access++) {
        assert_null(sqlite_store_open(ground->folder, (enum store_access)access, &error));
        assert_int_equal(error.exit_code, EX_DATAERR);
        if (strstr(error.text, says) == NULL)
            fail_msg("%s", error.text);
    }
    assert_true(bytes_equal(read_whole(ground, "mailboat.db"), before));
}

static void close_store(struct ground *ground)
{
    store_close(ground->store);
    ground->store = NULL;
}

static void a_database_of_someone_else_is_refused(void **state)
{
    struct ground *ground = *state;
    char path[128];
    close_store(ground);
    path_of(ground, "mailboat.db", path);
    assert_int_equal(unlink(path), 0);
    write_at(ground, "mailboat.db", 0,
             BYTES("This is a letter, not a database. Please keep it; it is the only copy that there is of "
                   "it, really."));
    assert_refused_untouched(ground, "recover");
}

static void a_damaged_database_is_refused(void **state)
{
    struct ground *ground = *state;
    char zeroes[4096];
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    close_store(ground);
    memset(zeroes, 0x5a, sizeof zeroes);
    write_at(ground, "mailboat.db", 100, bytes_of(zeroes, sizeof zeroes)); /* the schema's page */
    assert_refused_untouched(ground, "recover");
}

static void a_database_of_another_version_is_refused(void **state)
{
    struct ground *ground = *state;
    close_store(ground);
    write_at(ground, "mailboat.db", 60, bytes_of("\0\0\0\177", 4)); /* user_version, in the header */
    assert_refused_untouched(ground, "run the matching Mailboat");
}

/* A database of version 1, with a queued message. */
static const char version_1[] =
    "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL;"
    "CREATE TABLE message(id INTEGER PRIMARY KEY, arrived_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " size INTEGER NOT NULL, flags INTEGER NOT NULL, sender TEXT, envid TEXT, account TEXT, client_address "
    "TEXT,"
    " client_helo TEXT, protocol TEXT, tls TEXT, port INTEGER NOT NULL, content BLOB);"
    "CREATE TABLE recipient(message_id INTEGER NOT NULL, number INTEGER NOT NULL, held INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, flags INTEGER NOT NULL, destination TEXT NOT NULL,"
    " address TEXT NOT NULL, original TEXT, orcpt TEXT, last_ms INTEGER, last_code INTEGER, last_enhanced "
    "TEXT,"
    " last_text TEXT, last_peer TEXT, PRIMARY KEY(message_id, number)) WITHOUT ROWID;"
    "CREATE INDEX recipient_due ON recipient(destination, due_ms, message_id, number) WHERE held = 0;"
    "CREATE TABLE destination(name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, failures INTEGER NOT NULL) "
    "WITHOUT ROWID;"
    "CREATE INDEX destination_due ON destination(due_ms, name);"
    "CREATE TABLE leftover(id INTEGER PRIMARY KEY);"
    "CREATE TABLE note(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1296199537; PRAGMA user_version = 1;"
    "INSERT INTO message VALUES(5, 1000, 9000, 2, 0, 'ada@example.org', NULL, NULL, '192.0.2.1', NULL, "
    "'ESMTP', NULL, 25, x'6869');"
    "INSERT INTO recipient VALUES(5, 0, 0, 700, 1, 0, 'd', 'bob@example.net', NULL, NULL, 600, 451, '4.7.1', "
    "'later', 'mx');";

static bool put_prefixed(struct ground *ground, uint64_t id, const char *prefix)
{
    struct recipient recipient = {.address = BYTES("r@example.org")};
    struct store_message message = {.id = id,
                                    .expires_ms = 9000,
                                    .prefix = bytes_of_text(prefix),
                                    .content = BYTES("hi"),
                                    .trust = {.finding = FINDING_PASS, .story = BYTES("SPF pass.")},
                                    .envelope = {.recipients = &recipient, .recipient_count = 1}};
    const struct bytes destination = BYTES("d");
    return store_accept(ground->store, &message, &destination, 10, 0);
}

static void a_database_of_an_earlier_version_is_brought_up_to_date(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    struct attempt_record found[STORE_ATTEMPTS_MAX];
    struct store_message message;
    char path[128];
    sqlite3 *old;
    close_store(ground);
    path_of(ground, "mailboat.db", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sqlite3_open(path, &old), SQLITE_OK);
    assert_int_equal(sqlite3_exec(old, version_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(old);
    /* a reader cannot migrate, and names the command that can */
    assert_null(sqlite_store_open(ground->folder, STORE_READ, &error));
    assert_int_equal(error.exit_code, EX_TEMPFAIL);
    assert_non_null(strstr(error.text, "restart"));
    for (int time = 0; time < 2; time++) { /* once is enough */
        ground->store = open_store(ground);
        assert_true(store_read(ground->store, 5, true, &ground->arena, &message));
        assert_true(bytes_is(message.content, "hi") && message.prefix.length == 0);
        assert_int_equal(message.envelope.size, 2);
        assert_int_equal(trust_record_code(&message.trust), 0);
        assert_int_equal(message.trust.story.length, 0);
        store_events_put(ground->store, STORE_EVENTS, 1, BYTES("e"));
        store_events_put(ground->store, STORE_JUDGEMENTS, 1, BYTES("j"));
        assert_true(put_prefixed(ground, 6 + (uint64_t)time, "X-A: b\r\n"));
        assert_int_equal(store_attempts(ground->store, 5, 0, &ground->arena, found), 1 + time);
        assert_true(bytes_is(found[0].text, "later") && found[0].tls.length == 0);
        const struct attempt_record again = {.when_ms = 800, .code = 452, .tls = BYTES("TLSv1.3")};
        defer(ground, 5, 0, 900, 2, &again);
        commit(ground);
        assert_true(store_read(ground->store, 6, true, &ground->arena, &message));
        assert_true(bytes_is(message.prefix, "X-A: b\r\n"));
        assert_true(message.trust.finding == FINDING_PASS && bytes_is(message.trust.story, "SPF pass."));
        if (time == 0)
            close_store(ground);
    }
    struct store *reader = sqlite_store_open(ground->folder, STORE_READ, &error);
    assert_non_null(reader);
    store_close(reader);
}

/* Damage that is detected later fails the batch permanently, with a repair hint. */
static void damage_that_shows_later_fails_the_store(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    struct stat facts;
    char path[128], noise[4096];
    memset(noise, 0x5a, sizeof noise);
    for (uint64_t id = 1; id < 3000; id++)
        put_letter(ground, id, "d", id, 1);
    commit(ground);
    close_store(ground);
    path_of(ground, "mailboat.db", path);
    assert_int_equal(stat(path, &facts), 0);
    for (off_t at = 16384; at < facts.st_size; at += 16384)
        write_at(ground, "mailboat.db", at, bytes_of(noise, sizeof noise));
    ground->store = sqlite_store_open(ground->folder, STORE_WRITE, &error);
    if (ground->store == NULL) { /* detected at open: as good */
        assert_int_equal(error.exit_code, EX_DATAERR);
        return;
    }
    for (uint64_t id = 1; id < 3000; id++)
        store_remove(ground->store, id);
    put_letter(ground, 5000, "d", 1, 1);
    assert_int_equal(store_commit(ground->store, &error), STORE_FAILED);
    assert_non_null(strstr(error.text, "recover"));
    assert_int_equal(store_commit(ground->store, &error), STORE_FAILED); /* it stays so */
}

static void a_second_writer_is_refused(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    assert_int_equal(store_lock_owner(ground->folder), getpid());
    assert_null(sqlite_store_open(ground->folder, STORE_WRITE, &error));
    assert_int_equal(error.exit_code, EX_TEMPFAIL);
    assert_non_null(strstr(error.text, "in use"));
    put_letter(ground, 1, "d", 1, 1); /* the first one is not disturbed */
    commit(ground);
    close_store(ground);
    assert_int_equal(store_lock_owner(ground->folder), 0);
}

static void a_reader_reads_beside_the_writer(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    struct store_message message;
    assert_null(sqlite_store_open("/nowhere/at/all", STORE_READ, &error));
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    put_letter(ground, 2, "d", 1, 1);
    struct store *reader = sqlite_store_open(ground->folder, STORE_READ, &error);
    if (reader == NULL)
        fail_msg("%s", error.text);
    assert_true(store_read(reader, 1, true, &ground->arena, &message));
    assert_false(store_read(reader, 2, true, &ground->arena, &message)); /* not committed */
    store_close(reader);
    commit(ground);
}

static void every_question_seeks(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    if (!sqlite_store_plans_are_seeks(ground->store, &error))
        fail_msg("%s", error.text);
}

static void files_are_for_their_owner_alone(void **state)
{
    struct ground *ground = *state;
    struct stat facts;
    char path[128];
    enum store_verdict verdict;
    static const char *const names[] = {"mailboat.db", "lock", "spool", "content", "spool/7"};
    close(store_spool(ground->store, 7, &verdict));
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        path_of(ground, names[i], path);
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(facts.st_mode & 077, 0);
    }
}

/* ---- a real crash: a process that ends in the middle ---- */

static void spool_and_accept(struct ground *ground, uint64_t id)
{
    struct recipient recipient = {.address = BYTES("ada@example.org")};
    struct store_message message = {.id = id, .envelope = {.recipients = &recipient, .recipient_count = 1}};
    const struct bytes destination = BYTES("d");
    enum store_verdict verdict;
    int file = store_spool(ground->store, id, &verdict);
    if (file < 0 || write(file, "large", 5) != 5 ||
        !store_accept(ground->store, &message, &destination, 1, id))
        _exit(2);
    close(file);
}

static void run_and_die(struct ground *ground, void (*act)(struct ground *))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        ground->store = open_store(ground);
        act(ground);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void accept_without_commit(struct ground *ground)
{
    spool_and_accept(ground, 4096);
}
static void accept_with_commit(struct ground *ground)
{
    struct error error;
    spool_and_accept(ground, 8192);
    if (store_commit(ground->store, &error) != STORE_DONE)
        _exit(3);
}
static void remove_without_commit(struct ground *ground)
{
    store_remove(ground->store, 8192);
}

static size_t files_in(const struct ground *ground, const char *name)
{
    char path[128], below[400];
    size_t count = 0;
    path_of(ground, name, path);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", name, entry->d_name);
        count += entry->d_type == DT_DIR ? files_in(ground, below) : 1;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void what_a_crash_left_is_swept(void **state)
{
    struct ground *ground = *state;
    struct store_message message;
    close_store(ground);
    run_and_die(ground, accept_without_commit);
    assert_int_equal(files_in(ground, "content"), 1);
    run_and_die(ground, accept_with_commit);
    run_and_die(ground, remove_without_commit);
    ground->store = open_store(ground);
    assert_false(store_read(ground->store, 4096, false, &ground->arena, &message));
    assert_true(store_read(ground->store, 8192, false, &ground->arena, &message));
    assert_int_equal(files_in(ground, "content"), 1);
    assert_int_equal(files_in(ground, "spool"), 0);
    int file = store_content(ground->store, 8192);
    char octets[8];
    assert_int_equal(read(file, octets, sizeof octets), 5);
    close(file);
    store_remove(ground->store, 8192);
    commit(ground);
    assert_int_equal(files_in(ground, "content"), 0);
}

/* ---- memory ---- */

static void a_broken_memory_store_fails_for_good(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    put_letter(ground, 2, "d", 1, 1);
    memory_store_break(ground->store);
    assert_int_equal(store_commit(ground->store, &error), STORE_FAILED);
    assert_int_equal(store_commit(ground->store, &error), STORE_FAILED);
    assert_false(is_there(ground, 1)); /* nothing can be relied on */
    memory_store_crash(ground->store); /* opened anew */
    assert_true(is_there(ground, 1));
    assert_false(is_there(ground, 2));
    put_letter(ground, 2, "d", 1, 1);
    commit(ground);
}

static void the_memory_limit_is_to_the_octet(void **state)
{
    struct ground *ground = *state;
    struct error error = {0};
    enum store_verdict verdict;
    put_letter(ground, 1, "d", 1, 1); /* 21 octets */
    commit(ground);
    memory_store_limit(ground->store, 42);
    put_letter(ground, 2, "d", 1, 1);
    commit(ground);
    put_letter(ground, 3, "d", 1, 1);
    assert_int_equal(store_commit(ground->store, &error), STORE_FULL);
    assert_int_equal(store_spool(ground->store, 1, &verdict), -1);
    assert_int_equal(verdict, STORE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(sqlite, a_database_of_someone_else_is_refused),
        ON(sqlite, a_damaged_database_is_refused),
        ON(sqlite, a_database_of_another_version_is_refused),
        ON(sqlite, a_database_of_an_earlier_version_is_brought_up_to_date),
        ON(sqlite, damage_that_shows_later_fails_the_store),
        ON(sqlite, a_second_writer_is_refused),
        ON(sqlite, a_reader_reads_beside_the_writer),
        ON(sqlite, every_question_seeks),
        ON(sqlite, files_are_for_their_owner_alone),
        ON(sqlite, what_a_crash_left_is_swept),
        ON(memory, a_broken_memory_store_fails_for_good),
        ON(memory, the_memory_limit_is_to_the_octet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
