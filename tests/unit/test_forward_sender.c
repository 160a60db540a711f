/* SPDX-License-Identifier: Apache-2.0 */
/* The key of rewritten senders, and what others make of them to relay through this server. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/smtp/address.h"
#include "core/trust/srs.h"
#include "service/auth/forward_sender.h"
#include "unit.h"

enum { NOW_S = 1795435200, DAY_S = 86400 };

static char folder[64];

static int set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/forward-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, size_t length, char octet)
{
    FILE *file = fopen(path_of(name), "w");
    for (size_t i = 0; i < length; i++)
        fputc(octet, file);
    fclose(file);
}

static struct forward_keys open_keys(void)
{
    struct forward_keys keys;
    struct error error = {0};
    assert_true(forward_keys_open(&keys, folder, &error));
    assert_true(keys.current.usable);
    return keys;
}

static const char *written(const struct forward_keys *keys, const char *sender)
{
    static struct buffer out;
    buffer_clear(&out);
    return forward_sender_write(keys, bytes_of_text(sender), BYTES("us.example"), NOW_S, &out)
               ? buffer_text(&out)
               : NULL;
}

static enum forward_return read_back(const struct forward_keys *keys, const char *address, uint64_t now_s,
                                     const char **original)
{
    static struct buffer out;
    struct bytes local, domain;
    buffer_clear(&out);
    assert_true(address_split(bytes_of_text(address), &local, &domain));
    enum forward_return way = forward_sender_read(keys, local, now_s, &out);
    *original = buffer_text(&out);
    return way;
}

/* ---- the key ---- */

static void the_key_is_made_once(void **state)
{
    struct forward_keys first = open_keys(), again = open_keys();
    struct stat facts;
    assert_memory_equal(first.current.octets, again.current.octets, FORWARD_KEY_OCTETS);
    assert_false(first.old.usable);
    assert_int_equal(stat(path_of(FORWARD_KEY_FILE), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(facts.st_size, FORWARD_KEY_OCTETS);
}

static void after_a_change_the_old_one_is_accepted(void **state)
{
    struct forward_keys first = open_keys();
    char there[300], from[128];
    const char *original;
    snprintf(there, sizeof there, "%s", written(&first, "anne@example.org"));
    snprintf(from, sizeof from, "%s", path_of(FORWARD_KEY_FILE));
    assert_int_equal(rename(from, path_of(FORWARD_OLD_KEY_FILE)), 0);
    struct forward_keys second = open_keys();
    assert_true(second.old.usable);
    assert_string_not_equal(written(&second, "anne@example.org"), there);
    assert_int_equal(read_back(&second, there, NOW_S, &original), FORWARD_RETURN_GOES_ON);
    assert_string_equal(original, "anne@example.org");
    assert_int_equal(read_back(&second, there, NOW_S + 22 * DAY_S, &original), FORWARD_RETURN_EXPIRED);
    assert_int_equal(unlink(path_of(FORWARD_OLD_KEY_FILE)), 0);
    second = open_keys();
    assert_int_equal(read_back(&second, there, NOW_S, &original), FORWARD_RETURN_FORGED);
}

static void a_key_that_cannot_be_used_is_named(void **state)
{
    static const size_t LENGTHS[] = {0, 1, FORWARD_KEY_OCTETS - 1, FORWARD_KEY_OCTETS + 1, 4096};
    struct forward_keys keys;
    struct error error;
    const char *original;
    for (size_t i = 0; i < ARRAY_LENGTH(LENGTHS); i++) {
        put(FORWARD_KEY_FILE, LENGTHS[i], 'k');
        error = (struct error){0};
        assert_false(forward_keys_open(&keys, folder, &error));
        assert_non_null(strstr(error.text, "srs.key does not have 32 bytes"));
        assert_false(keys.current.usable);
        assert_null(written(&keys, "anne@example.org"));
        assert_int_equal(read_back(&keys, "SRS0=aaaaaaaa=aa=x.example=y@us.example", NOW_S, &original),
                         FORWARD_RETURN_NO_KEY);
        assert_int_equal(read_back(&keys, "y@us.example", NOW_S, &original), FORWARD_RETURN_OTHER);
    }
    assert_int_equal(unlink(path_of(FORWARD_KEY_FILE)), 0);
    assert_int_equal(symlink("/dev/zero", path_of(FORWARD_KEY_FILE)), 0);
    assert_false(forward_keys_open(&keys, folder, &error));
    assert_int_equal(unlink(path_of(FORWARD_KEY_FILE)), 0);
    assert_int_equal(mkdir(path_of(FORWARD_KEY_FILE), 0700), 0);
    assert_false(forward_keys_open(&keys, folder, &error));
    assert_false(keys.current.usable);
    assert_int_equal(rmdir(path_of(FORWARD_KEY_FILE)), 0);
    put(FORWARD_KEY_FILE, FORWARD_KEY_OCTETS, 'k');
    put(FORWARD_OLD_KEY_FILE, 3, 'k');
    assert_false(forward_keys_open(&keys, folder, &error)); /* the current one is used nonetheless */
    assert_non_null(strstr(error.text, "srs.key.old"));
    assert_true(keys.current.usable && !keys.old.usable);
}

/* ---- as an attacker ---- */

static void whatever_is_changed_is_forged(void **state)
{
    struct forward_keys keys = open_keys();
    char there[300];
    const char *original;
    snprintf(there, sizeof there, "%s", written(&keys, "anne@example.org"));
    size_t end = strlen(there) - strlen("@us.example");
    for (size_t i = 0; i < end; i++) {
        char was = there[i];
        for (const char *c = "a7=@+\"[\xC3"; *c != '\0'; c++) {
            there[i] = *c;
            enum forward_return way = read_back(&keys, there, NOW_S, &original);
            assert_true(ascii_lower(*c) == ascii_lower(was) || way == FORWARD_RETURN_FORGED ||
                        way == FORWARD_RETURN_OTHER);
        }
        there[i] = was;
    }
    assert_int_equal(read_back(&keys, there, NOW_S, &original), FORWARD_RETURN_GOES_ON);
}

/* None leads anywhere without the key, in any form that others might read differently. */
static void what_others_make_leads_nowhere(void **state)
{
    static const char *const ADDRESSES[] = {
        "SRS0=aaaaaaaa=aa=victim.example=bob@us.example",
        "SRS0=aaaaaaaa=aa=us.example=bob@us.example",
        "SRS0=aaaaaaaa=aa=[192.0.2.1]=bob@us.example",
        "SRS0=aaaaaaaa=aa=victim.example=bob@other.example@us.example",
        "\"SRS0=aaaaaaaa=aa=victim.example=bob b\"@us.example",
        "\"SRS0=aaaaaaaa=aa=victim.example=bob\\\"@\"@us.example",
        "SRS1=aaaaaaaa=victim.example==xxxx=aa=a.example=b@us.example",
        "SRS1=aaaaaaaa=victim.example=-open-relay@us.example",
        "SRS1=aaaaaaaa=us.example==aaaaaaaa=aa=victim.example=bob@us.example",
        "SRS0=aaaaaaaa=aa=m\xC3\xBCller.example=\xC3\xB6@us.example",
        "SRS0=AAAAAAAA=AA=VICTIM.EXAMPLE=BOB@us.example",
        "SRS0=aaaaaaaa=aa=a.example=SRS0=aaaaaaaa=aa=victim.example=bob@us.example"};
    struct forward_keys keys = open_keys();
    const char *original;
    for (size_t i = 0; i < ARRAY_LENGTH(ADDRESSES); i++) {
        assert_int_equal(read_back(&keys, ADDRESSES[i], NOW_S, &original), FORWARD_RETURN_FORGED);
        assert_string_equal(original, "");
    }
}

static void a_sender_of_each_kind_comes_back_to_itself(void **state)
{
    static const char *const SENDERS[] = {
        "anne@example.org",
        "prvs=1234abcdef=anne@example.org",
        "list-bounces+anne=example.net@lists.example.org",
        "bounce-md_1.2.v1-0a1b2c3d4e5f60718293a4b5c6d7e8f9@mandrill.example.org",
        "\"anne of\"@example.org",
        "\"a@b\"@example.org",
        "j\xC3\xB6rg@m\xC3\xBCller.example",
        "SRS0=HHHH=TT=orig.example=anne@fwd.example",
        "srs1=HHHH=fwd.example==HHHH=TT=orig.example=anne@fwd2.example",
        "a..b@example.org"};
    struct forward_keys keys = open_keys();
    const char *original;
    struct address parsed;
    for (size_t i = 0; i < ARRAY_LENGTH(SENDERS); i++) {
        char there[400];
        snprintf(there, sizeof there, "%s", written(&keys, SENDERS[i]));
        assert_true(address_parse(bytes_of_text(there), true, &parsed)); /* what RCPT will accept */
        assert_int_equal(read_back(&keys, there, NOW_S + 21 * DAY_S, &original), FORWARD_RETURN_GOES_ON);
        bool chained = bytes_starts_nocase(bytes_of_text(SENDERS[i]), "srs1");
        assert_string_equal(original, chained ? "SRS0=HHHH=TT=orig.example=anne@fwd.example" : SENDERS[i]);
    }
    assert_null(written(&keys, "anne@[192.0.2.1]"));
    assert_null(written(&keys, "anne@[IPv6:2001:db8::1]"));
}

static void the_longest_comes_back_and_one_more_stays(void **state)
{
    struct forward_keys keys = open_keys();
    char sender[300];
    const char *original;
    struct address parsed;
    size_t rewritten = 0;
    for (size_t length = 1; length <= LOCAL_PART_MAX; length++) {
        memset(sender, 'a', length);
        snprintf(sender + length, sizeof sender - length, "@example.org");
        const char *there = written(&keys, sender);
        rewritten += there != NULL;
        if (there == NULL)
            continue;
        assert_true(address_parse(bytes_of_text(there), false, &parsed));
        assert_int_equal(read_back(&keys, there, NOW_S, &original), FORWARD_RETURN_GOES_ON);
        assert_string_equal(original, sender);
    }
    assert_int_equal(rewritten, SRS_LOCAL_MAX - 2 - 18 - strlen("example.org"));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(the_key_is_made_once),
        ON(after_a_change_the_old_one_is_accepted),
        ON(a_key_that_cannot_be_used_is_named),
        ON(whatever_is_changed_is_forged),
        ON(what_others_make_leads_nowhere),
        ON(a_sender_of_each_kind_comes_back_to_itself),
        ON(the_longest_comes_back_and_one_more_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
