/* SPDX-License-Identifier: Apache-2.0 */
/* The usage of a mailbox: the cache file, counting, a batch, the warning's text. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/message/quota_warning.h"
#include "io/clock.h"
#include "service/local/over_quota_list.h"
#include "service/local/quota_batch.h"
#include "service/over_quota_table.h"
#include "unit.h"

#define BOX "example.org/ada/Maildir"

static char ground[64];
static int folder;
static struct quota_batch quota_batch;

static void make(const char *below)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", ground, below);
    assert_int_equal(mkdir(path, 0700), 0);
}

static int prepare(void **state)
{
    snprintf(ground, sizeof ground, "/tmp/mailboat-quota-XXXXXX");
    if (mkdtemp(ground) == NULL)
        return -1;
    folder = open(ground, O_RDONLY | O_DIRECTORY);
    quota_batch_start(&quota_batch, folder);
    for (const char *const *at = (const char *const[]){"example.org", "example.org/ada", BOX, BOX "/new",
                                                       BOX "/cur", BOX "/tmp", NULL};
         *at != NULL; at++)
        make(*at);
    return 0;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    return remove(path);
}

static int clean_up(void **state)
{
    quota_batch_free(&quota_batch);
    close(folder);
    return nftw(ground, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static void assert_file(const char *name, const char *wanted)
{
    char text[8192] = "";
    int file = openat(folder, name, O_RDONLY);
    assert_true(file >= 0 && read(file, text, sizeof text - 1) >= 0);
    close(file);
    assert_string_equal(text, wanted);
}

static bool is_there(const char *name)
{
    return faccessat(folder, name, F_OK, 0) == 0;
}

/* ---- the text ---- */

static void lines_add_up(void **state)
{
    static const struct {
        const char *text;
        uint64_t octets, messages;
        size_t lines;
    } good[] = {{"1000S\n0 0\n", 0, 0, 1},
                {"1000S\n400 2\n100 1\n-100 -1\n", 400, 2, 3},
                {"1000S,0C\n5 1\n", 5, 1, 1},
                {"0C,1000S\n5 1\n", 5, 1, 1},
                {"1000S\n          5            1\n", 5, 1, 1},
                {"1000S\n5 1\n7", 5, 1, 1},
                {"1000S\n-5 -1\n5 1\n", 0, 0, 2}};
    static const char *const bad[] = {"",
                                      "\n",
                                      "1000S",
                                      "1000S\n",
                                      "1000S\n\n",
                                      "1000S\n5\n",
                                      "1000S\n5 x\n",
                                      "1000S\n5 1 1\n",
                                      "1000S\n-5 0\n",
                                      "1000S\n5 -1\n",
                                      "999S\n5 1\n",
                                      "1000\n5 1\n",
                                      "1000S,5C\n5 1\n",
                                      "1000X\n5 1\n",
                                      "S\n5 1\n",
                                      "\n5 1\n",
                                      "1000S\n9223372036854775807 1\n9223372036854775807 1\n",
                                      "1000S\n99999999999999999999 1\n",
                                      "1000S,\n5 1\n,"};
    struct maildirsize size;
    size_t lines;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(maildirsize_parse(bytes_of_text(good[i].text), 1000, &size, &lines));
        assert_int_equal(size.octets, good[i].octets);
        assert_int_equal(size.messages, good[i].messages);
        assert_int_equal(lines, good[i].lines);
        assert_false(size.sure);
    }
    for (size_t i = 0; i + 1 < ARRAY_LENGTH(bad); i++)
        assert_false(maildirsize_parse(bytes_of_text(bad[i]), 1000, &size, &lines));
    assert_false(maildirsize_parse(BYTES("1000S\n5 1\0\n"), 1000, &size, &lines));
    assert_true(maildirsize_parse(BYTES("0S\n5 1\n"), 0, &size, &lines));
}

/* ---- the file ---- */

static void what_is_not_known_is_counted_and_kept(void **state)
{
    struct maildirsize size;
    put(BOX "/new/1.a,S=70", "x"); /* as its name says */
    put(BOX "/cur/2.b,S=30,W=35:2,S", "x");
    put(BOX "/cur/3.c:2,", "1234567"); /* as large as it is */
    put(BOX "/cur/4.d,S=5x", "12");    /* no size in that name */
    put(BOX "/cur/.hidden", "no message");
    put(BOX "/tmp/5.e", "not there yet");
    make(BOX "/.Sent");
    make(BOX "/.Sent/cur");
    put(BOX "/.Sent/cur/6.f,S=1000:2,S", "x");
    put(BOX "/.subscriptions", "a file");
    assert_int_equal(symlinkat("..", folder, BOX "/.loop"), 0);
    assert_int_equal(maildirsize_read(folder, BOX, 5000, &size), 0);
    assert_int_equal(size.octets, 70 + 30 + 7 + 2 + 1000);
    assert_int_equal(size.messages, 5);
    assert_true(size.sure);
    assert_file(BOX "/maildirsize", "5000S\n1109 5\n");
    put(BOX "/new/7.g,S=900", "x"); /* the file is believed, not the folder */
    assert_int_equal(maildirsize_read(folder, BOX, 5000, &size), 0);
    assert_int_equal(size.octets, 1109);
    assert_int_equal(maildirsize_read(folder, BOX, 5001, &size), 0); /* another limit */
    assert_int_equal(size.octets, 2009);
    assert_file(BOX "/maildirsize", "5001S\n2009 6\n");
}

static void a_mailbox_that_is_not_there_holds_nothing(void **state)
{
    struct maildirsize size = {.octets = 5};
    assert_int_equal(maildirsize_count(folder, "example.org/eve/Maildir", 5, false, &size), 0);
    assert_int_equal(size.octets, 0);
    assert_int_equal(maildirsize_count(folder, BOX "/new", 5, true, &size), 0); /* no folders in it */
    put("example.org/file", "x");
    assert_int_equal(maildirsize_count(folder, "example.org/file", 5, false, &size), ENOTDIR);
}

static void the_file_grows_to_its_limit_and_then_goes(void **state)
{
    struct maildirsize size;
    maildirsize_add(folder, BOX, 5, 1); /* none is made for it */
    assert_false(is_there(BOX "/maildirsize"));
    put(BOX "/maildirsize", "5000S\n0 0\n");
    while (true) {
        struct stat facts;
        assert_int_equal(fstatat(folder, BOX "/maildirsize", &facts, 0), 0);
        if (facts.st_size >= MAILDIRSIZE_MAX)
            break;
        maildirsize_add(folder, BOX, 10, 1);
    }
    maildirsize_add(folder, BOX, 10, 1);
    assert_false(is_there(BOX "/maildirsize"));
    char text[MAILDIRSIZE_MAX + 2] = "5000S\n7 1";
    memset(text + strlen(text), ' ', MAILDIRSIZE_MAX - strlen(text));
    text[MAILDIRSIZE_MAX - 1] = '\n';
    put(BOX "/maildirsize", text); /* at the limit */
    assert_int_equal(maildirsize_read(folder, BOX, 5000, &size), 0);
    assert_int_equal(size.octets, 7);
    text[MAILDIRSIZE_MAX] = '\n'; /* and past it */
    put(BOX "/maildirsize", text);
    assert_int_equal(maildirsize_read(folder, BOX, 5000, &size), 0);
    assert_int_equal(size.octets, 0);
}

static void a_file_is_sure_while_it_is_fresh_and_of_one_line(void **state)
{
    struct maildirsize size;
    const struct timespec old[] = {{.tv_sec = time(NULL) - MAILDIRSIZE_FRESH_S - 1},
                                   {.tv_sec = time(NULL) - MAILDIRSIZE_FRESH_S - 1}};
    put(BOX "/maildirsize", "50S\n40 1\n");
    assert_int_equal(maildirsize_read(folder, BOX, 50, &size), 0);
    assert_true(size.sure);
    assert_int_equal(utimensat(folder, BOX "/maildirsize", old, 0), 0);
    assert_int_equal(maildirsize_read(folder, BOX, 50, &size), 0);
    assert_false(size.sure);
    put(BOX "/maildirsize", "50S\n30 1\n10 1\n");
    assert_int_equal(maildirsize_read(folder, BOX, 50, &size), 0);
    assert_false(size.sure);
}

/* ---- a batch ---- */

static void what_fits_exactly_is_admitted_and_one_octet_more_is_not(void **state)
{
    put(BOX "/new/1.a,S=60", "x");
    struct quota_batch_page *page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 100);
    assert_false(quota_batch_admits(&quota_batch, page, 41));
    assert_true(quota_batch_admits(&quota_batch, page, 10));
    assert_ptr_equal(quota_batch_page(&quota_batch, BYTES("ada@example.org"), 100), page);
    assert_false(quota_batch_admits(&quota_batch, page, 31)); /* what was promised counts */
    assert_true(quota_batch_admits(&quota_batch, page, 30));
    assert_false(quota_batch_admits(&quota_batch, page, UINT64_MAX));
    assert_int_equal(quota_batch_passed(&quota_batch, page), 0); /* nothing is there yet */
    quota_batch_arrived(page, 30, 7, 8);
    assert_int_equal(quota_batch_passed(&quota_batch, page), QUOTA_WARNING_FIRST);
    quota_batch_arrived(page, 10, 9, 10);
    assert_int_equal(quota_batch_passed(&quota_batch, page), QUOTA_WARNING_LAST);
    assert_int_equal(page->last_id, 9);
    assert_string_equal(page->address, "ada@example.org");
    quota_batch_close(&quota_batch);
    assert_file(BOX "/maildirsize", "100S\n60 1\n40 2\n");
    assert_null(quota_batch_page(&quota_batch, BYTES("nobody"), 100));
}

static void full_is_what_has_no_room_for_a_small_message(void **state)
{
    static const struct {
        uint64_t limit, small;
    } boxes[] = {{2000, 20},
                 {100 * QUOTA_BATCH_SMALL_OCTETS - 100, QUOTA_BATCH_SMALL_OCTETS - 1},
                 {1 << 30, QUOTA_BATCH_SMALL_OCTETS}};
    for (size_t i = 0; i < ARRAY_LENGTH(boxes); i++)
        for (uint64_t missing = 0; missing < 2; missing++) {
            char text[100];
            snprintf(text, sizeof text, "%lluS\n%llu 1\n", (unsigned long long)boxes[i].limit,
                     (unsigned long long)(boxes[i].limit - boxes[i].small + missing));
            put(BOX "/maildirsize", text);
            struct quota_batch_page *page = quota_batch_page(&quota_batch, BYTES("ada@example.org"),
                                                             boxes[i].limit);
            assert_false(quota_batch_admits(&quota_batch, page, boxes[i].small + 1));
            assert_int_equal(quota_batch_is_full(page), missing == 1);
            page->had.sure = false; /* it may have been emptied */
            assert_false(quota_batch_is_full(page));
            quota_batch_close(&quota_batch);
        }
    assert_false(quota_batch_is_full(quota_batch_page(&quota_batch, BYTES("bob@example.org"), 0)));
    quota_batch_close(&quota_batch);
}

static void without_a_limit_nothing_is_looked_at_but_what_others_keep_is_kept_right(void **state)
{
    struct quota_batch_page *page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 0);
    assert_true(quota_batch_admits(&quota_batch, page, UINT64_MAX));
    quota_batch_arrived(page, 5, 1, 1);
    assert_int_equal(quota_batch_passed(&quota_batch, page), 0);
    quota_batch_close(&quota_batch);
    assert_false(is_there(BOX "/maildirsize"));
    put(BOX "/maildirsize", "0S\n4 1\n");
    page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 0);
    quota_batch_arrived(page, 5, 1, 1);
    quota_batch_close(&quota_batch);
    assert_file(BOX "/maildirsize", "0S\n4 1\n5 1\n");
}

static void full_is_believed_only_of_a_file_that_is_sure(void **state)
{
    put(BOX "/new/1.a,S=10", "x");
    put(BOX "/maildirsize", "100S\n90 1\n5 1\n");
    struct quota_batch_page *page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 100);
    assert_true(quota_batch_admits(&quota_batch, page, 20));
    assert_file(BOX "/maildirsize", "100S\n10 1\n");
    quota_batch_close(&quota_batch);
    put(BOX "/maildirsize", "100S\n90 1\n");
    page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 100);
    assert_false(quota_batch_admits(&quota_batch, page, 20));
    quota_batch_close(&quota_batch);
    /* No warning is based on a file that missed deletions. */
    put(BOX "/maildirsize", "100S\n70 1\n0 0\n");
    page = quota_batch_page(&quota_batch, BYTES("ada@example.org"), 100);
    assert_true(quota_batch_admits(&quota_batch, page, 15));
    quota_batch_arrived(page, 15, 1, 1);
    put(BOX "/new/2.b,S=15", "x");
    assert_int_equal(quota_batch_passed(&quota_batch, page), 0);
    quota_batch_close(&quota_batch);
}

/* ---- words ---- */

static void marks_are_passed_upwards_once(void **state)
{
    static const struct {
        uint64_t before, now;
        unsigned mark;
    } table[] = {{0, 0, 0},      {0, 799, 0},    {0, 800, 80},   {799, 800, 80},
                 {800, 900, 0},  {799, 949, 80}, {799, 950, 95}, {949, 950, 95},
                 {950, 1000, 0}, {1000, 800, 0}, {0, 5000, 95}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(quota_warning_passed(table[i].before, table[i].now, 1000), table[i].mark);
    assert_int_equal(quota_warning_passed(0, UINT64_MAX, 0), 0);
    assert_int_equal(quota_warning_percent((uint64_t)1 << 60, (uint64_t)1 << 60), 100);
    assert_int_equal(quota_warning_percent(UINT64_MAX, 1), 100000);
    assert_int_equal(quota_warning_percent(1, 3), 33);
}

static void sizes_are_rounded_down(void **state)
{
    static const struct {
        uint64_t octets;
        const char *text;
    } table[] = {{0, "0 bytes"},
                 {1023, "1023 bytes"},
                 {1024, "1 KiB"},
                 {1535, "1.4 KiB"},
                 {1536, "1.5 KiB"},
                 {10 * 1024 + 1023, "10 KiB"},
                 {1048575, "1023 KiB"},
                 {1048576, "1 MiB"},
                 {(uint64_t)3 << 29, "1.5 GiB"},
                 {(uint64_t)1 << 60, "1 EiB"},
                 {UINT64_MAX, "15 EiB"}};
    struct buffer text = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        buffer_clear(&text);
        quota_warning_add_size(&text, table[i].octets);
        assert_text(buffer_bytes(&text), table[i].text);
    }
    buffer_free(&text);
}

static void the_warning_says_how_much_what_follows_and_what_to_do(void **state)
{
    struct buffer text = {0};
    struct quota_warning warning = {.user = BYTES("ada@example.org"),
                                    .octets = 900,
                                    .limit = 1000,
                                    .message_id = BYTES("7@mx.example.org"),
                                    .date_ms = 0};
    quota_warning_compose(&text, &warning);
    static const char *const wanted[] = {"From: postmaster@example.org\r\n",
                                         "To: ada@example.org\r\n",
                                         "Subject: Your mailbox is 90% full\r\n",
                                         "Auto-Submitted: auto-generated\r\n",
                                         "Message-ID: <7@mx.example.org>\r\n",
                                         "uses 900 bytes of its quota of 1000 bytes (90% full).",
                                         "empty the trash",
                                         "write to postmaster@example.org"};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
        assert_true(bytes_search(buffer_bytes(&text), bytes_of_text(wanted[i])) != SIZE_MAX);
    buffer_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
/* ---- what smtpd is told ---- */

static struct over_quota_table full;

static void who_is_full_is_believed_for_five_minutes(void **state)
{
    const struct bytes ada = BYTES("ada@example.org"), bob = BYTES("bob@example.org");
    enum { VERSION = 7, FOUND_MS = 5000 };
    assert_false(over_quota_table_has(&full, ada, VERSION, FOUND_MS));
    over_quota_table_add(&full, ada, VERSION, FOUND_MS);
    assert_true(over_quota_table_has(&full, ada, VERSION, FOUND_MS));
    assert_true(over_quota_table_has(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000 - 1));
    assert_false(over_quota_table_has(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000));
    assert_false(over_quota_table_has(&full, bob, VERSION, FOUND_MS));
    over_quota_table_add(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000); /* still: anew */
    assert_true(over_quota_table_has(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000));
    over_quota_table_remove(&full, bob);
    assert_true(over_quota_table_has(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000));
    over_quota_table_remove(&full, ada);
    assert_false(over_quota_table_has(&full, ada, VERSION, FOUND_MS + OVER_QUOTA_BELIEVED_S * 1000));
}

static void who_was_full_is_not_believed_once_the_accounts_change(void **state)
{
    const struct bytes ada = BYTES("ada@example.org");
    over_quota_table_add(&full, ada, UINT32_MAX, 0);
    assert_true(over_quota_table_has(&full, ada, UINT32_MAX, 0));
    assert_false(over_quota_table_has(&full, ada, 0, 0));
    assert_false(over_quota_table_has(&full, ada, UINT32_MAX - 1, 0));
    over_quota_table_clear(&full);
    assert_false(over_quota_table_has(&full, ada, UINT32_MAX, 0));
}

/* The nth address that meets ada's. */
static struct bytes one_that_meets(struct bytes ada, unsigned n, char room[40])
{
    const uint64_t rows = OVER_QUOTA_SLOTS / OVER_QUOTA_ROW;
    for (unsigned i = 0, met = 0;; i++) {
        snprintf(room, 40, "u%u@example.org", i);
        if (bytes_hash(bytes_of_text(room), 0) % rows == bytes_hash(ada, 0) % rows && met++ == n)
            return bytes_of_text(room);
    }
}

static void of_those_that_meet_the_first_is_pushed_out_and_none_is_taken_for_another(void **state)
{
    const struct bytes ada = BYTES("ada@example.org");
    char rooms[OVER_QUOTA_ROW][40];
    struct bytes met[OVER_QUOTA_ROW];
    for (unsigned i = 0; i < OVER_QUOTA_ROW; i++)
        met[i] = one_that_meets(ada, i, rooms[i]);
    over_quota_table_add(&full, ada, 1, 1000);
    assert_false(over_quota_table_has(&full, met[0], 1, 1000));
    over_quota_table_remove(&full, met[0]); /* not his */
    for (unsigned i = 0; i < OVER_QUOTA_ROW; i++) {
        assert_true(over_quota_table_has(&full, ada, 1, 2000));
        over_quota_table_add(&full, met[i], 1, 2000);
        assert_true(over_quota_table_has(&full, met[i], 1, 2000));
    }
    assert_false(over_quota_table_has(&full, ada, 1, 2000));
    assert_true(over_quota_table_has(&full, met[0], 1, 2000));
}

static void those_that_are_too_many_to_be_watched_are_full_too(void **state)
{
    static struct over_quota_list over_quota_list;
    struct loop loop;
    struct error error;
    char name[40];
    over_quota_table_clear(&full);
    assert_true(loop_start(&loop, &error));
    over_quota_list_start(&over_quota_list, &loop, &full, NULL, folder);
    for (unsigned i = 0; i <= OVER_QUOTA_LIST_MAX; i++) {
        snprintf(name, sizeof name, "u%u@example.org", i);
        for (int twice = 0; twice < 2; twice++)
            over_quota_list_add(&over_quota_list, bytes_of_text(name));
        assert_int_equal(over_quota_list.count, i < OVER_QUOTA_LIST_MAX ? i + 1 : OVER_QUOTA_LIST_MAX);
        assert_true(over_quota_table_has(&full, bytes_of_text(name), 0, clock_now_ms()));
    }
    over_quota_list_remove(&over_quota_list, bytes_of_text(name));
    assert_int_equal(over_quota_list.count, OVER_QUOTA_LIST_MAX);
    assert_false(over_quota_table_has(&full, bytes_of_text(name), 0, clock_now_ms()));
    over_quota_list_remove(&over_quota_list, BYTES("u0@example.org"));
    assert_int_equal(over_quota_list.count, OVER_QUOTA_LIST_MAX - 1);
    timer_cancel(&over_quota_list.look);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_add_up),
        TEST(what_is_not_known_is_counted_and_kept),
        TEST(a_mailbox_that_is_not_there_holds_nothing),
        TEST(the_file_grows_to_its_limit_and_then_goes),
        TEST(a_file_is_sure_while_it_is_fresh_and_of_one_line),
        TEST(what_fits_exactly_is_admitted_and_one_octet_more_is_not),
        TEST(without_a_limit_nothing_is_looked_at_but_what_others_keep_is_kept_right),
        TEST(full_is_believed_only_of_a_file_that_is_sure),
        TEST(marks_are_passed_upwards_once),
        TEST(full_is_what_has_no_room_for_a_small_message),
        TEST(who_is_full_is_believed_for_five_minutes),
        TEST(who_was_full_is_not_believed_once_the_accounts_change),
        TEST(those_that_are_too_many_to_be_watched_are_full_too),
        TEST(of_those_that_meet_the_first_is_pushed_out_and_none_is_taken_for_another),
        TEST(sizes_are_rounded_down),
        TEST(the_warning_says_how_much_what_follows_and_what_to_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
