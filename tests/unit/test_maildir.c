/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery into mailboxes: contents, names, folders, and repeated delivery. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/local/maildir.h"
#include "unit.h"

struct maildir_ground {
    char folder[64];
    struct maildir maildir;
    struct buffer text;
};
static struct maildir_ground g;

static int prepare(void **state)
{
    snprintf(g.folder, sizeof g.folder, "/tmp/mailboat-maildir-XXXXXX");
    if (mkdtemp(g.folder) == NULL)
        return -1;
    maildir_start(&g.maildir, open(g.folder, O_RDONLY | O_DIRECTORY), "mx.example.org");
    return 0;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    return remove(path);
}

static int clean_up(void **state)
{
    close(g.maildir.folder);
    maildir_free(&g.maildir);
    buffer_free(&g.text);
    return nftw(g.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct maildir_message message(uint64_t id, const char *address, struct bytes content)
{
    return (struct maildir_message){.id = id,
                                    .arrived_ms = 1234567,
                                    .sender = BYTES("bob@example.com"),
                                    .address = bytes_of_text(address),
                                    .content = content,
                                    .file = -1};
}

/* Delivers one; returns its error. */
static int deliver(const struct maildir_message *m)
{
    size_t place = maildir_write(&g.maildir, m);
    maildir_sync(&g.maildir);
    int error = g.maildir.entries[place].error;
    maildir_clear(&g.maildir);
    return error;
}

/* Returns the number of files in a folder, and the text of the last. */
static size_t files_in(const char *below)
{
    char path[512];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", g.folder, below);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return SIZE_MAX;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s/%s", g.folder, below, entry->d_name);
        FILE *file = fopen(path, "re");
        buffer_clear(&g.text);
        for (int c; file != NULL && (c = fgetc(file)) != EOF;)
            buffer_add_octet(&g.text, (char)c);
        if (file != NULL)
            fclose(file);
    }
    closedir(folder);
    return count;
}

static void a_message_arrives_with_its_fields_and_lines_of_files(void **state)
{
    struct maildir_message m = message(7, "ada@example.org", BYTES("Subject: hi\r\n\r\na\r\n\r\nb\rc\r\n"));
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_text(buffer_bytes(&g.text),
                "Return-Path: <bob@example.com>\nDelivered-To: ada@example.org\nSubject: hi\n\na\n\nb\rc\n");
    assert_int_equal(files_in("example.org/ada/Maildir/tmp"), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/cur"), 0);
}

static void a_prefix_stands_between_its_fields_and_the_content(void **state)
{
    struct maildir_message m = message(7, "ada@example.org", BYTES("Subject: hi\r\n\r\na\r\n"));
    m.prefix = BYTES("Received: from there\r\n\tby here\r\n");
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_text(buffer_bytes(&g.text), "Return-Path: <bob@example.com>\nDelivered-To: ada@example.org\n"
                                       "Received: from there\n\tby here\nSubject: hi\n\na\n");
}

static void a_prefix_stands_before_a_file(void **state)
{
    struct maildir_message m = message(7, "ada@example.org", bytes_none());
    m.prefix = BYTES("X: y\r\n");
    m.file = memfd_create("content", MFD_CLOEXEC);
    assert_int_equal(write(m.file, "\r\na\r\n", 5), 5);
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_text(buffer_bytes(&g.text),
                "Return-Path: <bob@example.com>\nDelivered-To: ada@example.org\nX: y\n\na\n");
    close(m.file);
}

static void a_large_content_comes_from_its_file_whole(void **state)
{
    struct buffer content = {0}, wanted = {0};
    buffer_add_text(&wanted, "Return-Path: <bob@example.com>\nDelivered-To: ada@example.org\n");
    /* lines of every length, so that CR and LF fall between two reads */
    for (int i = 0; content.length < 200000; i++) {
        for (int k = 0; k < i % 97; k++) {
            buffer_add_octet(&content, 'x');
            buffer_add_octet(&wanted, 'x');
        }
        buffer_add_text(&content, "\r\n");
        buffer_add_octet(&wanted, '\n');
    }
    struct maildir_message m = message(8, "ada@example.org", bytes_none());
    m.file = memfd_create("content", 0);
    assert_int_equal(write(m.file, buffer_text(&content), content.length), content.length);
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_true(bytes_equal(buffer_bytes(&g.text), buffer_bytes(&wanted)));
    close(m.file);
    buffer_free(&content);
    buffer_free(&wanted);
}

static void the_same_message_comes_once(void **state)
{
    struct maildir_message m = message(9, "ada@example.org", BYTES("Subject: hi\r\n\r\n"));
    assert_int_equal(deliver(&m), 0);
    size_t place = maildir_write(&g.maildir, &m);
    maildir_sync(&g.maildir);
    assert_int_equal(g.maildir.entries[place].error, 0);
    assert_true(g.maildir.entries[place].again);
    maildir_clear(&g.maildir);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_int_equal(files_in("example.org/ada/Maildir/tmp"), 0);
    m.id = 10;
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 2);
}

static void names_stay_within_the_folder(void **state)
{
    static const struct {
        const char *address, *path;
    } table[] = {{"ada@example.org", "example.org/ada/Maildir"},
                 {"../../etc@example.org", "example.org/%2E.%2F..%2Fetc/Maildir"},
                 {"a/b@example.org", "example.org/a%2Fb/Maildir"},
                 {".hidden@example.org", "example.org/%2Ehidden/Maildir"},
                 {"50%@example.org", "example.org/50%25/Maildir"},
                 {"a b@example.org", "example.org/a%20b/Maildir"},
                 {"j\xc3\xb6rg@example.org", "example.org/j\xc3\xb6rg/Maildir"},
                 {"ada@..", "%2E./ada/Maildir"}};
    char path[MAILDIR_PATH_MAX];
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        assert_true(maildir_path(bytes_of_text(table[i].address), path, sizeof path));
        assert_string_equal(path, table[i].path);
    }
    assert_false(maildir_path(BYTES("nobody"), path, sizeof path));
    assert_false(maildir_path(BYTES("@example.org"), path, sizeof path));
    assert_false(maildir_path(BYTES("ada@example.org"), path, 10));
}

static void an_address_that_is_none_is_said_so(void **state)
{
    struct maildir_message m = message(11, "nobody", BYTES("x\r\n"));
    assert_int_equal(deliver(&m), EINVAL);
}

static void a_whole_batch_is_delivered_together(void **state)
{
    char address[40];
    for (uint64_t i = 0; i < MAILDIR_BATCH_MAX; i++) {
        assert_false(maildir_is_full(&g.maildir));
        snprintf(address, sizeof address, "u%u@example.org", (unsigned)(i % 5));
        struct maildir_message m = message(100 + i, address, BYTES("Subject: x\r\n\r\n"));
        maildir_write(&g.maildir, &m);
    }
    assert_true(maildir_is_full(&g.maildir));
    assert_int_equal(files_in("example.org/u0/Maildir/new"), 0); /* not before it is synced */
    maildir_sync(&g.maildir);
    for (size_t i = 0; i < MAILDIR_BATCH_MAX; i++)
        assert_int_equal(g.maildir.entries[i].error, 0);
    maildir_clear(&g.maildir);
    assert_int_equal(files_in("example.org/u0/Maildir/new"), 13);
}

static void one_that_fails_does_not_harm_the_others(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/broken.org", g.folder);
    FILE *in_the_way = fopen(path, "we"); /* where a folder should be */
    fclose(in_the_way);
    struct maildir_message good = message(1, "ada@example.org", BYTES("x\r\n")),
                           bad = message(2, "eve@broken.org", BYTES("x\r\n"));
    maildir_write(&g.maildir, &bad);
    maildir_write(&g.maildir, &good);
    maildir_sync(&g.maildir);
    assert_int_equal(g.maildir.entries[0].error, ENOTDIR);
    assert_int_equal(g.maildir.entries[1].error, 0);
    maildir_clear(&g.maildir);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/small", g.folder);
    mkdir(path, 0700);
    if (geteuid() != 0 || mount("tmpfs", path, "tmpfs", 0, "size=64k") != 0) {
        rmdir(path);
        skip();
    }
    int folder = g.maildir.folder;
    g.maildir.folder = open(path, O_RDONLY | O_DIRECTORY);
    static char large[100 * 1024];
    memset(large, 'x', sizeof large);
    struct maildir_message m = message(3, "ada@example.org", bytes_of(large, sizeof large));
    assert_int_equal(deliver(&m), ENOSPC);
    assert_int_equal(files_in("small/example.org/ada/Maildir/new"), 0);
    assert_int_equal(files_in("small/example.org/ada/Maildir/tmp"), 0);
    m.content = BYTES("Subject: small\r\n\r\n");
    assert_int_equal(deliver(&m), 0);
    close(g.maildir.folder);
    g.maildir.folder = folder;
    assert_int_equal(umount(path), 0);
}

/* Also where it is the first message of its mailbox. */
static void a_message_for_a_folder_makes_it(void **state)
{
    char path[256];
    struct stat facts;
    struct maildir_message m = message(7, "ada@example.org", BYTES("Subject: hi\r\n\r\n"));
    m.folder = "Junk";
    for (int time = 0; time < 2; time++) { /* the second finds what the first has made */
        assert_int_equal(deliver(&m), 0);
        assert_int_equal(files_in("example.org/ada/Maildir/.Junk/new"), 1);
        assert_int_equal(files_in("example.org/ada/Maildir/.Junk/tmp"), 0);
        assert_int_equal(files_in("example.org/ada/Maildir/.Junk/cur"), 0);
        assert_int_equal(files_in("example.org/ada/Maildir/new"), 0);
        assert_int_equal(files_in("example.org/ada/Maildir/tmp"), 0);
    }
    snprintf(path, sizeof path, "%s/example.org/ada/Maildir/.Junk/maildirfolder", g.folder);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_size, 0);
    m.folder = NULL;
    m.id = 8;
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
}

static void the_longest_names_fit_into_paths(void **state)
{
    char local[200], folder[MAILDIR_FOLDER_MAX + 1], address[300];
    memset(local, 'u', sizeof local);
    local[sizeof local - 1] = '\0';
    memset(folder, 'f', MAILDIR_FOLDER_MAX);
    folder[MAILDIR_FOLDER_MAX] = '\0';
    snprintf(address, sizeof address, "%s@example.org", local);
    struct maildir_message m = message(7, address, BYTES("Subject: hi\r\n\r\n"));
    m.folder = folder;
    assert_int_equal(deliver(&m), 0);
}

/* Its creator ended before it was complete. */
static void a_half_made_mailbox_is_mended(void **state)
{
    static const char *const steps[] = {"", "/Maildir", "/Maildir/cur", "/Maildir/new"};
    char path[256], address[64];
    snprintf(path, sizeof path, "%s/example.org", g.folder);
    mkdir(path, 0700);
    for (size_t made = 0; made <= ARRAY_LENGTH(steps); made++) {
        for (size_t i = 0; i < made; i++) {
            snprintf(path, sizeof path, "%s/example.org/u%zu%s", g.folder, made, steps[i]);
            assert_int_equal(mkdir(path, 0700), 0);
        }
        snprintf(address, sizeof address, "u%zu@example.org", made);
        struct maildir_message m = message(9, address, BYTES("Subject: hi\r\n\r\n"));
        assert_int_equal(deliver(&m), 0);
    }
}

/* Its folder may not have been synced then: the new copy replaces it. */
static void one_that_is_there_already_is_written_once_more(void **state)
{
    struct maildir_message m = message(9, "ada@example.org", BYTES("Subject: hi\r\n\r\n"));
    char path[256];
    struct stat before, after;
    assert_int_equal(deliver(&m), 0);
    snprintf(path, sizeof path, "%s/example.org/ada/Maildir/new/1234.M567Q000000000009.mx.example.org,S=74",
             g.folder);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(deliver(&m), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
}

/* ---- synced as a whole ---- */

static void a_batch_in_several_mailboxes_arrives_whole(void **state)
{
    const char *const addresses[] = {"ada@example.org", "bea@example.org", "ada@example.org"};
    for (uint64_t i = 0; i < 3; i++) {
        struct maildir_message m = message(i + 1, addresses[i], BYTES("Subject: hi\r\n\r\na\r\n"));
        assert_int_equal(maildir_write(&g.maildir, &m), i);
    }
    maildir_refuse(&g.maildir.entries[2], EOVERFLOW);
    maildir_sync(&g.maildir);
    assert_int_equal(g.maildir.entries[0].error, 0);
    assert_int_equal(g.maildir.entries[1].error, 0);
    assert_int_equal(g.maildir.entries[2].error, EOVERFLOW);
    maildir_clear(&g.maildir);
    assert_int_equal(files_in("example.org/ada/Maildir/new"), 1);
    assert_int_equal(files_in("example.org/bea/Maildir/new"), 1);
    assert_int_equal(files_in("example.org/ada/Maildir/tmp"), 0);
}

/* DATA/mail can have a mount below it: the sync of the whole does not reach a mailbox there. */
static void a_mailbox_on_another_disk_has_a_sync_of_its_own(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/example.net", g.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    if (geteuid() != 0 || mount("tmpfs", path, "tmpfs", 0, "size=1m") != 0)
        skip();
    struct maildir_message near = message(1, "ada@example.org", BYTES("Subject: hi\r\n\r\na\r\n"));
    struct maildir_message away = message(2, "ada@example.net", BYTES("Subject: hi\r\n\r\na\r\n"));
    maildir_write(&g.maildir, &near);
    maildir_write(&g.maildir, &away);
    assert_int_equal(g.maildir.entries[0].is_covered, g.maildir.whole.usable);
    assert_false(g.maildir.entries[1].is_covered);
    maildir_sync(&g.maildir);
    assert_int_equal(g.maildir.entries[0].error, 0);
    assert_int_equal(g.maildir.entries[1].error, 0);
    maildir_clear(&g.maildir);
    assert_int_equal(files_in("example.net/ada/Maildir/new"), 1);
    assert_int_equal(umount(path), 0);
}

static void a_slow_sync_of_the_whole_makes_it_rest(void **state)
{
    struct whole_sync sync = {.usable = true};
    assert_true(whole_sync_may_run(&sync, 1000));
    whole_sync_took(&sync, 1000, WHOLE_SYNC_SLOW_MS);
    assert_true(whole_sync_may_run(&sync, 1000));
    whole_sync_took(&sync, 1000, WHOLE_SYNC_SLOW_MS + 1);
    assert_false(whole_sync_may_run(&sync, 1000));
    assert_false(whole_sync_may_run(&sync, 1000 + WHOLE_SYNC_REST_MS - 1));
    assert_true(whole_sync_may_run(&sync, 1000 + WHOLE_SYNC_REST_MS));
    whole_sync_start(&sync, -1); /* nothing is known of it */
    assert_false(whole_sync_may_run(&sync, 1000));
    assert_false(whole_sync_covers(&sync, g.maildir.folder));
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_message_arrives_with_its_fields_and_lines_of_files),
        TESTED(a_prefix_stands_between_its_fields_and_the_content),
        TESTED(a_prefix_stands_before_a_file),
        TESTED(a_large_content_comes_from_its_file_whole),
        TESTED(the_same_message_comes_once),
        TESTED(names_stay_within_the_folder),
        TESTED(an_address_that_is_none_is_said_so),
        TESTED(a_whole_batch_is_delivered_together),
        TESTED(one_that_fails_does_not_harm_the_others),
        TESTED(a_full_disk_leaves_nothing_behind),
        TESTED(a_message_for_a_folder_makes_it),
        TESTED(the_longest_names_fit_into_paths),
        TESTED(a_half_made_mailbox_is_mended),
        TESTED(one_that_is_there_already_is_written_once_more),
        TESTED(a_batch_in_several_mailboxes_arrives_whole),
        TESTED(a_mailbox_on_another_disk_has_a_sync_of_its_own),
        TESTED(a_slow_sync_of_the_whole_makes_it_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
