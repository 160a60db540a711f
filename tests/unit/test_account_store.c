/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts' writer: each change from request to answer, pages of lists, the lock, the thread. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "service/auth/account_writer.h"
#include "unit.h"

enum { WAIT_MS = 20000, MANY = 2500 };

static char data_dir[64];
static const char *domains[] = {"example.org"};
static struct config config = {.domains = domains, .domain_count = 1};
static struct account_store store;
static struct arena arena;
static struct error error;

static int prepare(void **state)
{
    char path[128];
    snprintf(data_dir, sizeof data_dir, "/tmp/mailboat-account-store-XXXXXX");
    if (mkdtemp(data_dir) == NULL)
        return -1;
    config.data_dir = data_dir;
    snprintf(path, sizeof path, "%s/accounts", data_dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/quotas", data_dir);
    mkdir(path, 0700);
    return account_store_open(&store, &config, 0, &error) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    return remove(path);
}

static int clean_up(void **state)
{
    account_store_close(&store);
    arena_clear(&arena);
    return nftw(data_dir, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static struct ipc_account_changed make(struct ipc_account_change asked)
{
    struct ipc_account_changed answer;
    asked.request = 7;
    account_store_change(&store, &asked, &arena, &answer);
    assert_int_equal(answer.request, 7);
    return answer;
}

static void succeeds(struct ipc_account_change asked)
{
    assert_int_equal(make(asked).exit_code, EX_OK);
}

static void add_user(const char *address)
{
    succeeds((struct ipc_account_change){
        .verb = ACCOUNT_USER_ADD, .name = bytes_of_text(address), .value = BYTES("secret")});
}

/* The first cell of the first row, and the number of rows over all pages. */
struct seen {
    char first[256];
    size_t rows, pages;
};

static struct seen list(enum accounts_list which, struct bytes after)
{
    struct seen seen = {.first = ""};
    struct ipc_account_list asked = {.list = which, .after = after};
    struct ipc_account_rows answer;
    do {
        account_store_list(store.accounts, &asked, &arena, &answer);
        assert_int_equal(answer.exit_code, EX_OK);
        if (answer.cell_count > 0 && seen.rows == 0)
            snprintf(seen.first, sizeof seen.first, "%.*s", BYTES_ARG(answer.cells[0]));
        seen.rows += answer.columns == 0 ? 0 : answer.cell_count / answer.columns;
        assert_true(answer.cell_count <= (size_t)ACCOUNT_PAGE_ROWS * LIST_COLUMNS_MAX);
        seen.pages++;
        asked.after = answer.after;
    } while (answer.after.length > 0);
    return seen;
}

static void each_change_is_answered(void **state)
{
    const struct bytes ada = BYTES("Ada@Example.org");
    struct bytes target = BYTES("ada@example.org");
    struct account_away away;
    add_user("ada@example.org");
    assert_int_equal(
        make((struct ipc_account_change){.verb = ACCOUNT_USER_ADD, .name = ada, .value = BYTES("x")})
            .exit_code,
        EX_DATAERR);
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_PASSWORD, .name = ada, .value = BYTES("new")});
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_DISABLE, .name = ada});
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_ENABLE, .name = ada});
    succeeds((struct ipc_account_change){
        .verb = ACCOUNT_USER_FORWARD, .name = ada, .value = BYTES("ada@far.example"), .flag = 1});
    succeeds((struct ipc_account_change){
        .verb = ACCOUNT_USER_VACATION, .name = ada, .flag = 1, .days = 3, .text = BYTES("gone")});
    assert_true(accounts_away(store.accounts, BYTES("ada@example.org"), &arena, &away));
    assert_int_equal(away.days, 3);
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_VACATION, .name = ada});
    succeeds((struct ipc_account_change){.verb = ACCOUNT_DOMAIN_ADD, .name = BYTES("example.net")});
    assert_int_equal(list(LIST_DOMAIN, BYTES("Example.NET")).rows, 1);
    succeeds((struct ipc_account_change){.verb = ACCOUNT_DOMAIN_REMOVE, .name = BYTES("example.net")});
    assert_int_equal(list(LIST_DOMAIN, BYTES("example.net")).rows, 0);
    struct ipc_account_change alias = {
        .name = BYTES("info@example.org"), .targets = &target, .target_count = 1};
    alias.verb = ACCOUNT_ALIAS_ADD;
    succeeds(alias);
    alias.verb = ACCOUNT_ALIAS_REMOVE;
    succeeds(alias);
    assert_int_equal(make(alias).exit_code, EX_NOUSER);
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_REMOVE, .name = ada});
    assert_int_equal(make((struct ipc_account_change){.verb = ACCOUNT_USER_REMOVE, .name = ada}).exit_code,
                     EX_NOUSER);
    assert_int_not_equal(make((struct ipc_account_change){.verb = ACCOUNT_VERBS}).exit_code, EX_OK);
    assert_int_not_equal(
        make((struct ipc_account_change){.verb = ACCOUNT_ALIAS_ADD, .name = BYTES("a@example.org")})
            .exit_code,
        EX_OK);
}

static void a_key_is_told_once_and_whose_it_was(void **state)
{
    add_user("ada@example.org");
    struct ipc_account_changed made = make(
        (struct ipc_account_change){.verb = ACCOUNT_KEY_ADD, .name = BYTES("ada@example.org")});
    assert_int_equal(made.exit_code, EX_OK);
    assert_true(bytes_starts_nocase(made.secret, "mb_"));
    struct bytes id = bytes_first(bytes_from(made.secret, 3), 8);
    assert_int_equal(list(LIST_KEYS, bytes_none()).rows, 1);
    struct ipc_account_changed revoked = make(
        (struct ipc_account_change){.verb = ACCOUNT_KEY_REVOKE, .name = id});
    assert_text(revoked.user, "ada@example.org");
    assert_int_equal(revoked.secret.length, 0);
    assert_int_equal(list(LIST_KEYS, bytes_none()).rows, 0);
}

static void read_quotas(char text[1024])
{
    char path[128];
    snprintf(path, sizeof path, "%s/quotas/users", data_dir);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, 1023, file)] = '\0';
    fclose(file);
}

static void quotas_follow_the_accounts(void **state)
{
    char text[1024];
    add_user("ada@example.org");
    succeeds((struct ipc_account_change){
        .verb = ACCOUNT_USER_QUOTA, .name = BYTES("ada@example.org"), .octets = 4096, .flag = 1});
    read_quotas(text);
    assert_non_null(strstr(text, "ada@example.org:::::::userdb_quota_rule=*:bytes=4096\n"));
    succeeds((struct ipc_account_change){.verb = ACCOUNT_USER_QUOTA, .name = BYTES("ada@example.org")});
    read_quotas(text);
    assert_null(strstr(text, "ada@example.org"));
    assert_int_equal(make((struct ipc_account_change){.verb = ACCOUNT_USER_QUOTA,
                                                      .name = BYTES("ada@example.org"),
                                                      .octets = UINT64_MAX,
                                                      .flag = 1})
                         .exit_code,
                     EX_DATAERR);
}

static void lists_come_in_pages_and_nothing_is_missing(void **state)
{
    struct bytes *targets = ARENA_ARRAY(&arena, struct bytes, MANY);
    add_user("ada@example.org");
    for (size_t i = 0; i < MANY; i++)
        targets[i] = bytes_of_text(arena_format(&arena, "m%zu@far.example", i));
    struct ipc_account_changed added = make((struct ipc_account_change){.verb = ACCOUNT_ALIAS_ADD,
                                                                        .name = BYTES("list@example.org"),
                                                                        .targets = targets,
                                                                        .target_count = MANY});
    assert_int_equal(added.exit_code, EX_OK);
    assert_int_equal(added.count, MANY);
    struct seen seen = list(LIST_ALIASES, bytes_none());
    assert_int_equal(seen.rows, MANY);
    assert_int_equal(seen.pages, MANY / ACCOUNT_PAGE_ROWS + 1);
    assert_string_equal(seen.first, "list@example.org");
    for (int i = 0; i < 3; i++)
        succeeds((struct ipc_account_change){.verb = ACCOUNT_KEY_ADD, .name = BYTES("ada@example.org")});
    assert_int_equal(list(LIST_KEYS, bytes_none()).rows, 3);
    assert_int_equal(list(LIST_USERS, bytes_none()).rows, 1);
    assert_int_equal(list(LIST_ACCOUNT, BYTES("ADA@example.org")).rows, 1);
    assert_int_equal(list(LIST_ACCOUNT, BYTES("eve@example.org")).rows, 0);
    assert_int_equal(list(LIST_ACCOUNT, BYTES("no address")).rows, 0);
    struct ipc_account_rows answer;
    account_store_list(store.accounts, &(struct ipc_account_list){.list = LISTS}, &arena, &answer);
    assert_int_not_equal(answer.exit_code, EX_OK);
    assert_int_equal(answer.cell_count, 0);
}

static void an_alias_is_added_as_a_whole_or_not_at_all(void **state)
{
    struct bytes targets[] = {BYTES("one@far.example"), BYTES("nobody@example.org")};
    struct ipc_account_changed refused = make((struct ipc_account_change){
        .verb = ACCOUNT_ALIAS_ADD, .name = BYTES("list@example.org"), .targets = targets, .target_count = 2});
    assert_int_equal(refused.exit_code, EX_NOUSER);
    assert_true(bytes_search(refused.text, BYTES("nobody@example.org")) != SIZE_MAX);
    assert_int_equal(list(LIST_ALIASES, bytes_none()).rows, 0);
}

static void the_lock_is_one_writer_s(void **state)
{
    struct account_store other;
    assert_false(account_store_open(&other, &config, 0, &error));
    assert_int_equal(error.exit_code, EX_UNAVAILABLE);
    account_store_close(&store);
    assert_true(account_store_open(&other, &config, 0, &error));
    account_store_close(&other);
    assert_true(account_store_open(&store, &config, 0, &error));
}

/* ---- the thread ---- */

static struct account_job *next_done(struct account_writer *writer, int descriptor)
{
    struct account_job *job;
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    while ((job = account_writer_take(writer)) == NULL)
        assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
    return job;
}

static void jobs_are_done_in_order_and_the_version_tells(void **state)
{
    static struct accounts_version version; /* the thread lives on */
    static struct account_store its;
    const struct ipc_account_change asked[] = {
        {.request = 1, .verb = ACCOUNT_USER_ADD, .name = BYTES("ada@example.org"), .value = BYTES("secret")},
        {.request = 2, .verb = ACCOUNT_USER_REMOVE, .name = BYTES("ada@example.org")},
        {.request = 3, .verb = ACCOUNT_USER_REMOVE, .name = BYTES("ada@example.org")},
    };
    static const uint32_t codes[] = {EX_OK, EX_OK, EX_NOUSER};
    int descriptor;
    its = store;
    struct account_writer *writer = account_writer_open(&its, &version, &descriptor, &error);
    assert_non_null(writer);
    for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
        struct account_job *job = account_job_new();
        job->asked = asked[i];
        account_writer_give(writer, job);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
        struct account_job *job = next_done(writer, descriptor);
        assert_int_equal(job->answer.request, i + 1);
        assert_int_equal(job->answer.exit_code, codes[i]);
        assert_true(accounts_version_read(&version) > i);
        account_job_free(job);
    }
    assert_null(account_writer_take(writer));
}

static void a_verifier_is_learnt_for_the_password_that_it_was_made_of(void **state)
{
    static struct accounts_version version;
    static struct account_store its;
    struct account account;
    int descriptor;
    add_user("ada@example.org");
    its = store;
    struct account_writer *writer = account_writer_open(&its, &version, &descriptor, &error);
    struct account_job *job = account_job_new();
    job->learns = true;
    job->address = BYTES("ada@example.org");
    job->password_hash = BYTES("of another password");
    memset(&job->verifier, 9, sizeof job->verifier);
    account_writer_give(writer, job);
    job = next_done(writer, descriptor);
    assert_int_equal(job->answer.exit_code, EX_OK);
    account_job_free(job);
    assert_true(accounts_find(store.accounts, BYTES("ada@example.org"), &arena, &account));
    assert_true(account.verifier.stored_key[0] != 9 || account.verifier.stored_key[1] != 9);
    assert_int_equal(accounts_version_read(&version), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_answered),
        TEST(a_key_is_told_once_and_whose_it_was),
        TEST(quotas_follow_the_accounts),
        TEST(lists_come_in_pages_and_nothing_is_missing),
        TEST(an_alias_is_added_as_a_whole_or_not_at_all),
        TEST(the_lock_is_one_writer_s),
        TEST(jobs_are_done_in_order_and_the_version_tells),
        TEST(a_verifier_is_learnt_for_the_password_that_it_was_made_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
