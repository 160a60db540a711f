/* SPDX-License-Identifier: Apache-2.0 */
/* The file of MTA-STS policies: valid lines are read, others dropped. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "service/relay/sts_policies.h"
#include "unit.h"

static char folder[] = "/tmp/mailboat-policies-XXXXXX", path[64];

static int folder_setup(void **state)
{
    char inner[64];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(inner, sizeof inner, "%s/relay", folder);
    snprintf(path, sizeof path, "%s/relay/mta-sts", folder);
    return mkdir(inner, 0700);
}

static int folder_teardown(void **state)
{
    char inner[64];
    snprintf(inner, sizeof inner, "%s/relay", folder);
    unlink(path);
    return rmdir(inner) != 0 || rmdir(folder) != 0;
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *text)
{
    char found[1024] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    assert_int_equal(length, strlen(text));
    assert_string_equal(found, text);
}

static struct sts_policies policies;
static struct error error;

static bool open_in(const char *data_dir)
{
    struct folder opened;
    error = (struct error){0};
    return sts_policies_open_folder(&opened, data_dir, &error) &&
           sts_policies_open(&policies, &opened, &error);
}

static void what_holds_is_read_and_the_rest_is_left_behind(void **state)
{
    char text[1024], kept[256];
    unsigned long long now_ms = clock_epoch_ms();
    snprintf(kept, sizeof kept, "sts a.example 2 %llu 86400 enforce mx.a.example *.b.example end\n", now_ms);
    snprintf(text, sizeof text,
             "sts a.example 1 %llu 86400 testing old.example end\n%ssts over.example 1 1000 86400 enforce "
             "mx.example end\nrubbish\n\nsts torn.example 1 %llu 864",
             now_ms, kept, now_ms);
    put(text);
    assert_true(open_in(folder));
    assert_int_equal(policies.kept.count, 1);
    assert_int_equal(policies.live_size, strlen(kept) - 1);
    expect_file(kept);
    sts_policies_close(&policies);
}

static void no_file_is_as_good_as_an_empty_one(void **state)
{
    unlink(path);
    assert_true(open_in(folder));
    assert_int_equal(policies.kept.count, 0);
    expect_file("");
    sts_policies_close(&policies);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    assert_false(open_in("/does/not/exist"));
    assert_non_null(strstr(error.text, "/does/not/exist/relay/mta-sts"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_holds_is_read_and_the_rest_is_left_behind),
                                       cmocka_unit_test(no_file_is_as_good_as_an_empty_one),
                                       cmocka_unit_test(a_folder_that_is_not_there_is_told)};
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
