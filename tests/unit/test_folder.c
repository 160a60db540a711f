/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and files prepared by other users: planted ones have no effect. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/folder.h"
#include "unit.h"

enum { EVE = 31337, ADA = 31338 };

static char ground[] = "/tmp/mailboat-folder-XXXXXX";
static struct error error;

static const char *at(const char *name)
{
    static char paths[4][300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", ground, name);
    return path;
}

static int ground_setup(void **state)
{
    umask(022);
    return mkdtemp(ground) == NULL || chmod(ground, 0755) != 0;
}

static int ground_teardown(void **state)
{
    folder_remove(AT_FDCWD, ground);
    return access(ground, F_OK) == 0;
}

/* The file that no attack may change. */
static void put_victim(void)
{
    FILE *file = fopen(at("victim"), "w");
    assert_non_null(file);
    fputs("of root", file);
    fclose(file);
}

static void expect_victim(void)
{
    char text[20] = "";
    FILE *file = fopen(at("victim"), "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "of root");
}

static bool opens(const char *path, mode_t mode)
{
    struct folder folder;
    error = (struct error){0};
    if (!folder_open(&folder, path, mode, FOLDER_TRUSTED, &error))
        return false;
    folder_close(&folder);
    return true;
}

static void expect_refused(const char *path, const char *named, const char *hint)
{
    assert_false(opens(path, 0755));
    assert_non_null(strstr(error.text, named));
    assert_non_null(strstr(error.text, hint));
}

static void missing_folders_are_made_and_found_again(void **state)
{
    struct stat facts;
    assert_false(opens(at("made/by/us"), 0));
    assert_true(opens(at("made/by/us"), 0700));
    assert_int_equal(stat(at("made/by/us"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    assert_int_equal(stat(at("made/by"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0755);
    assert_true(opens(at("made//by/./us/"), 0));
    assert_true(opens(at("made/by/../by/us"), 0));
    assert_true(opens("/", 0));
}

static void the_umask_takes_nothing_from_a_folder_s_mode(void **state)
{
    static const mode_t umasks[] = {077, 027, 0};
    for (size_t i = 0; i < sizeof umasks / sizeof *umasks; i++) {
        struct stat above, facts;
        umask(umasks[i]);
        bool opened = opens(at("strict/data"), 0711);
        umask(022);
        assert_true(opened);
        assert_int_equal(stat(at("strict"), &above), 0);
        assert_int_equal(stat(at("strict/data"), &facts), 0);
        assert_int_equal(above.st_mode & 07777, 0755);
        assert_int_equal(facts.st_mode & 07777, 0711);
        chmod(at("strict/data"), 0700); /* what is there is its owner's affair */
        assert_true(opens(at("strict/data"), 0711));
        assert_int_equal(stat(at("strict/data"), &facts), 0);
        assert_int_equal(facts.st_mode & 07777, 0700);
        folder_remove(AT_FDCWD, at("strict"));
    }
}

static void a_stranger_s_folder_is_refused_wherever_it_stands(void **state)
{
    static const char *const places[] = {"s1", "s1/data", "s1/x/y/data"};
    if (geteuid() != 0)
        skip();
    mkdir(at("s1"), 0755);
    assert_int_equal(chown(at("s1"), EVE, EVE), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        expect_refused(at(places[i]), "31337", "chown root");
    assert_false(folder_check(at("s1/data"), &error));
    assert_true(folder_check(at("nothing/here/yet"), &error));
}

static void a_folder_that_others_can_write_to_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        bool last, above;
    } cases[] = {
        {0775, false, false}, {0757, false, false}, {0777, false, false}, {02775, false, false},
        {01777, false, true}, {01775, false, true}, {0755, true, true},   {0711, true, true},
        {0700, true, true},   {02755, true, true},
    };
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        mkdir(at("w"), 0755);
        chmod(at("w"), cases[i].mode);
        assert_int_equal(opens(at("w"), 0), cases[i].last);
        assert_int_equal(opens(at("w/data"), 0755), cases[i].above);
        chmod(at("w"), 0755);
        rmdir(at("w/data"));
    }
    chmod(at("w"), 0775);
    expect_refused(at("w"), at("w"), "chmod g-w");
    chmod(at("w"), 0777);
    expect_refused(at("w"), at("w"), "chmod go-w");
}

static void links_of_root_are_followed_and_those_of_others_are_not(void **state)
{
    mkdir(at("real"), 0755);
    assert_int_equal(symlink("real", at("relative")), 0);
    assert_int_equal(symlink(at("real"), at("absolute")), 0);
    assert_int_equal(symlink("loop", at("loop")), 0);
    assert_int_equal(symlink("../nowhere", at("dangling")), 0);
    assert_true(opens(at("relative/below"), 0755));
    assert_true(opens(at("absolute/below/more"), 0755));
    assert_int_equal(access(at("real/below/more"), F_OK), 0);
    assert_false(opens(at("loop"), 0755));
    assert_false(opens(at("dangling"), 0755)); /* a disk that is not mounted: nothing is made in its place */
    assert_int_equal(access(at("nowhere"), F_OK), -1);
    if (geteuid() != 0)
        return;
    assert_int_equal(lchown(at("absolute"), EVE, EVE), 0);
    expect_refused(at("absolute"), "31337", "chown root");
}

static void what_is_no_folder_is_refused(void **state)
{
    put_victim();
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_false(opens(at("victim"), 0755));
    assert_false(opens(at("victim/below"), 0755));
    assert_false(opens(at("pipe"), 0755));
    expect_victim();
}

static void paths_are_taken_to_their_limit(void **state)
{
    char path[FOLDER_PATH_MAX + 10], name[300];
    memset(path, '/', sizeof path);
    path[FOLDER_PATH_MAX - 1] = '\0';
    assert_true(opens(path, 0)); /* slashes alone are the root */
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_false(opens(path, 0));
    memset(name, 'n', sizeof name);
    name[0] = '/';
    name[256] = '\0'; /* 255 octets: missing, not too long */
    assert_false(opens(name, 0));
    assert_int_equal(error.number, ENOENT);
    name[256] = 'n';
    name[257] = '\0';
    assert_false(opens(name, 0));
    assert_int_not_equal(error.number, ENOENT);
}

static void files_are_regular_and_have_one_name(void **state)
{
    struct folder folder;
    put_victim();
    assert_true(folder_open(&folder, ground, 0, FOLDER_TRUSTED, NULL));
    int file = folder_file(folder.descriptor, "victim", O_RDONLY);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(symlink("victim", at("link")), 0);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(folder_file(folder.descriptor, "link", O_RDONLY), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(folder_file(folder.descriptor, "fifo", O_RDONLY), -1); /* and does not wait */
    assert_int_equal(errno, EINVAL);
    assert_int_equal(folder_file(folder.descriptor, "made", O_RDONLY), -1);
    assert_int_equal(link(at("victim"), at("second")), 0);
    assert_int_equal(folder_file(folder.descriptor, "victim", O_RDONLY), -1);
    assert_int_equal(errno, EMLINK);
    unlink(at("second"));
    folder_close(&folder);
}

static void a_planted_name_is_replaced_and_not_written_through(void **state)
{
    struct folder folder;
    struct stat facts;
    put_victim();
    assert_true(folder_open(&folder, ground, 0, FOLDER_TRUSTED, NULL));
    assert_int_equal(symlink("victim", at("new.new")), 0);
    assert_int_equal(symlink("victim", at("new")), 0);
    umask(077);
    assert_true(folder_replace(&folder, "new", BYTES("ours"), 0644, &error));
    umask(022);
    expect_victim();
    assert_int_equal(lstat(at("new"), &facts), 0);
    assert_true(S_ISREG(facts.st_mode));
    assert_int_equal(facts.st_mode & 07777, 0644);
    assert_int_equal(link(at("victim"), at("new.new")), 0);
    assert_true(folder_replace(&folder, "new", BYTES("ours again"), 0600, &error));
    expect_victim();
    mkdir(at("new.new"), 0755); /* nothing is forced */
    assert_false(folder_replace(&folder, "new", BYTES("x"), 0600, &error));
    rmdir(at("new.new"));
    folder_close(&folder);
}

static void removing_stays_below(void **state)
{
    put_victim();
    mkdir(at("tree"), 0755);
    mkdir(at("tree/inner"), 0755);
    mkdir(at("kept"), 0755);
    assert_int_equal(symlink("../kept", at("tree/link")), 0);
    assert_int_equal(symlink("../../victim", at("tree/inner/link")), 0);
    mkfifo(at("tree/inner/fifo"), 0600);
    mkdir(at("kept/inner"), 0755);
    folder_remove(AT_FDCWD, at("tree"));
    assert_int_equal(access(at("tree"), F_OK), -1);
    assert_int_equal(access(at("kept/inner"), F_OK), 0);
    expect_victim();
}

/* Becomes a user other than root. */
static void be_ada(void)
{
    assert_int_equal(setresgid(ADA, ADA, ADA), 0);
    assert_int_equal(setresuid(ADA, ADA, ADA), 0);
}

static int as_ada(bool (*act)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(0, NULL) != 0)
            _exit(2);
        be_ada();
        _exit(act() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static bool opens_own(void)
{
    return opens(at("ada/data"), 0755) && opens(at("ada/group"), 0);
}
static bool opens_of_eve(void)
{
    return opens(at("eve/data"), 0) || opens(at("ada/other-group"), 0);
}

static void without_root_one_s_own_is_fine_and_another_s_is_not(void **state)
{
    if (geteuid() != 0)
        skip();
    mkdir(at("ada"), 0755);
    mkdir(at("ada/group"), 0755);
    mkdir(at("ada/other-group"), 0755);
    mkdir(at("eve"), 0755);
    mkdir(at("eve/data"), 0755);
    assert_int_equal(chown(at("ada"), ADA, ADA), 0);
    assert_int_equal(chown(at("ada/group"), ADA, ADA), 0); /* a group that nobody else is in */
    assert_int_equal(chown(at("ada/other-group"), ADA, 100), 0);
    chmod(at("ada/group"), 0775);
    chmod(at("ada/other-group"), 0775);
    assert_int_equal(chown(at("eve"), EVE, EVE), 0);
    assert_int_equal(as_ada(opens_own), 0);
    assert_int_equal(as_ada(opens_of_eve), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_folders_are_made_and_found_again),
        cmocka_unit_test(the_umask_takes_nothing_from_a_folder_s_mode),
        cmocka_unit_test(a_stranger_s_folder_is_refused_wherever_it_stands),
        cmocka_unit_test(a_folder_that_others_can_write_to_is_refused),
        cmocka_unit_test(links_of_root_are_followed_and_those_of_others_are_not),
        cmocka_unit_test(what_is_no_folder_is_refused),
        cmocka_unit_test(paths_are_taken_to_their_limit),
        cmocka_unit_test(files_are_regular_and_have_one_name),
        cmocka_unit_test(a_planted_name_is_replaced_and_not_written_through),
        cmocka_unit_test(removing_stays_below),
        cmocka_unit_test(without_root_one_s_own_is_fine_and_another_s_is_not),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
