/* SPDX-License-Identifier: Apache-2.0 */
/* What another user owns in a folder is found and named; nothing else is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/folder.h"
#include "io/folder_owners.h"
#include "unit.h"

enum { EVE = 31337 };

static char ground[] = "/tmp/mailboat-owners-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", ground, name);
    return path;
}

static void put(const char *name)
{
    int file = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
}

static int ground_setup(void **state)
{
    strcpy(ground, "/tmp/mailboat-owners-XXXXXX");
    if (mkdtemp(ground) == NULL)
        return 1;
    return mkdir(at("a"), 0700) != 0 || mkdir(at("a/b"), 0700) != 0 || mkdir(at("a/b/new"), 0700) != 0;
}

static int ground_teardown(void **state)
{
    folder_remove(AT_FDCWD, ground);
    return access(ground, F_OK) == 0;
}

/* Collects paths and owners. */
static void collect(void *context, const struct folder_owners_found *found)
{
    char *text = context;
    size_t used = strlen(text);
    if (used < 400)
        snprintf(text + used, 400 - used, "%s %u %o\n", found->path + strlen(ground), (unsigned)found->uid,
                 (unsigned)found->mode);
}

static void expect_found(size_t count, const char *expected)
{
    char text[400] = "";
    assert_int_equal(folder_owners_find(ground, collect, text), count);
    assert_string_equal(text, expected);
}

static void what_is_right_is_not_named(void **state)
{
    put("a/b/new/1");
    expect_found(0, "");
    assert_int_equal(folder_owners_find("/nonexistent", collect, NULL), 0);
}

static void what_is_closed_to_its_owner_is_named(void **state)
{
    assert_int_equal(chmod(at("a/b"), 0500), 0);
    char expected[40];
    snprintf(expected, sizeof expected, "/a/b %u 500\n", (unsigned)geteuid());
    expect_found(1, expected);
    assert_int_equal(chmod(at("a/b"), 0700), 0);
}

static void another_users_is_named_and_not_entered(void **state)
{
    char text[400] = "";
    if (geteuid() != 0)
        skip();
    put("a/b/file");
    assert_int_equal(lchown(at("a/b/new"), EVE, EVE), 0);
    assert_int_equal(lchown(at("a/b/file"), EVE, EVE), 0);
    assert_int_equal(symlink("/", at("a/link")), 0); /* not followed */
    assert_int_equal(folder_owners_find(ground, collect, text), 2);
    assert_non_null(strstr(text, "/a/b/new 31337 700\n"));
    assert_non_null(strstr(text, "/a/b/file 31337 600\n"));
    assert_int_equal(lchown(at("a"), EVE, EVE), 0);
    expect_found(1, "/a 31337 700\n");
}

static void of_very_many_files_the_first_tell(void **state)
{
    char name[40];
    if (geteuid() != 0)
        skip();
    for (unsigned i = 0; i < FOLDER_OWNERS_FILES_MAX + 10; i++) {
        snprintf(name, sizeof name, "a/b/new/%u", i);
        put(name);
        assert_int_equal(lchown(at(name), EVE, EVE), 0);
    }
    char text[400] = "";
    assert_int_equal(folder_owners_find(ground, collect, text), FOLDER_OWNERS_FILES_MAX);
}

static void expect_explained(const char *path, int number, const char *expected, bool formatted)
{
    char text[FOLDER_OWNERS_TEXT_SIZE], whole[FOLDER_OWNERS_TEXT_SIZE];
    int folder = open(ground, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(whole, sizeof whole, "%s%s", strerror(number), expected);
    if (formatted)
        snprintf(whole, sizeof whole,
                 "%s: /d/mail/a belongs to user %u, not to %u; as root: chown -R %u:%u /d/mail",
                 strerror(number), (unsigned)EVE, (unsigned)geteuid(), (unsigned)geteuid(),
                 (unsigned)getegid());
    assert_string_equal(folder_owners_explain(folder, "/d/mail", path, number, text), whole);
    close(folder);
}

static void a_refusal_names_the_folder_and_its_owner(void **state)
{
    expect_explained("a/b/new/1", EACCES, ": /d/mail/a/b/new/1", false); /* nothing to be seen */
    expect_explained("a/b/none/1", EACCES, ": /d/mail/a/b/none/1", false);
    expect_explained("a/b/new/1", EIO, ": /d/mail/a/b/new/1", false);
    assert_int_equal(chmod(at("a/b"), 0500), 0);
    expect_explained("a/b/new/1", EACCES, ": /d/mail/a/b has the mode 0500; as root: chmod u+rwx /d/mail/a/b",
                     false);
    assert_int_equal(chmod(at("a/b"), 0700), 0);
    if (geteuid() != 0)
        skip();
    assert_int_equal(lchown(at("a"), EVE, EVE), 0);
    expect_explained("a/b/new/1", EACCES, "", true);
    expect_explained("a", EPERM, "", true);
    expect_explained("a/b", ENOSPC, ": /d/mail/a/b", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_right_is_not_named, ground_setup, ground_teardown),
        cmocka_unit_test_setup_teardown(what_is_closed_to_its_owner_is_named, ground_setup, ground_teardown),
        cmocka_unit_test_setup_teardown(another_users_is_named_and_not_entered, ground_setup,
                                        ground_teardown),
        cmocka_unit_test_setup_teardown(of_very_many_files_the_first_tell, ground_setup, ground_teardown),
        cmocka_unit_test_setup_teardown(a_refusal_names_the_folder_and_its_owner, ground_setup,
                                        ground_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
