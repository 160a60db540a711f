/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of signing keys: a crash at any step leaves it readable, other users have no effect, and each
 * fault is one sentence with its fix. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/signature.h"
#include "store/signing_keys.h"
#include "unit.h"

enum { EVE = 31337, FOUND_MAX = 32 };
#define NOW ((uint64_t)1795435200) /* 23 Nov 2026 */

static char ground[] = "/tmp/mailboat-keys-XXXXXX";
static struct error error;
static struct signing_keys keys;

static struct stored_key found[FOUND_MAX];
static size_t found_count;

static const char *at(const char *name)
{
    static char paths[4][300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", ground, name);
    return path;
}

static int setup(void **state)
{
    umask(022);
    snprintf(ground, sizeof ground, "/tmp/mailboat-keys-XXXXXX");
    if (mkdtemp(ground) == NULL || chmod(ground, 0755) != 0)
        return 1;
    return signing_keys_open(&keys, ground, geteuid(), getegid(), true, &error) ? 0 : 1;
}

static int teardown(void **state)
{
    signing_keys_close(&keys);
    folder_remove(AT_FDCWD, ground);
    return access(ground, F_OK) == 0;
}

static bool note(void *owner, const struct stored_key *key)
{
    assert_true(found_count < FOUND_MAX);
    found[found_count++] = *key;
    return true;
}

/* Reads all keys, or those of a domain, into `found`. */
static void look(const char *domain)
{
    found_count = 0;
    assert_true(signing_keys_each(&keys, domain, note, NULL, &error));
}

static struct stored_key add(const char *domain, const char *base)
{
    static struct stored_key made;
    if (!signing_keys_add(&keys, domain, base, DKIM_ED25519_SHA256, NOW, &made, &error)) {
        print_error("%s\n", error.text);
        fail();
    }
    return made;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(at(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(at(name), mode), 0);
}

static struct stat facts_of(const char *name)
{
    struct stat facts;
    assert_int_equal(lstat(at(name), &facts), 0);
    return facts;
}

static void activate(void *owner, struct stored_key *of, size_t count)
{
    for (size_t i = 0; i < count; i++)
        key_state_look(&of[i].state, &(struct key_look){NOW, KEY_SEEN_OURS, KEY_SEEN_OURS, 0});
}

static void retire(void *owner, struct stored_key *of, size_t count)
{
    for (size_t i = 0; i < count; i++)
        key_state_retire(&of[i].state, NOW);
}

static void end(void *owner, struct stored_key *of, size_t count)
{
    for (size_t i = 0; i < count; i++)
        of[i].state.stage = KEY_REMOVED;
    for (size_t i = 0; i < count; i++)
        of[i].state.since_s[KEY_REMOVED] = NOW;
}

static void forget(void *owner, struct stored_key *of, size_t count)
{
    for (size_t i = 0; i < count; i++)
        of[i].forget = true;
}

static void change_nothing(void *owner, struct stored_key *of, size_t count)
{
    *(size_t *)owner = count;
}

/* ---- a key ---- */

static void test_a_key_is_made_read_and_signs(void **state)
{
    struct stored_key made;
    struct signing_key secret;
    struct buffer pem = {0}, public_key = {0};
    assert_true(signing_keys_add(&keys, "example.org", "", DKIM_RSA_SHA256, NOW, &made, &error));
    assert_string_equal(made.selector, "mb-rsa-202611");
    look(NULL);
    assert_int_equal(found_count, 1);
    assert_string_equal(found[0].fault, "");
    assert_string_equal(found[0].domain, "example.org");
    assert_int_equal(found[0].state.stage, KEY_PREPARED);
    assert_int_equal(found[0].state.since_s[KEY_PREPARED], NOW);
    assert_true(signing_keys_secret(&keys, &found[0], &pem, &error));
    assert_true(signature_key_read(&secret, buffer_bytes(&pem), "it", &error));
    assert_int_equal(secret.bits, SIGNING_KEYS_RSA_BITS);
    signature_key_publish(&secret, &public_key);
    assert_text(buffer_bytes(&public_key), made.public_key);
    signature_key_free(&secret);
    buffer_wipe(&pem);
    buffer_free(&public_key);
    assert_int_equal(facts_of("keys/example.org/mb-rsa-202611.pem").st_mode & 07777, 0400);
    assert_int_equal(facts_of("keys/example.org/mb-rsa-202611.json").st_mode & 07777, 0644);
    assert_int_equal(facts_of("keys").st_mode & 07777, 0711);
    assert_int_not_equal(access(at("keys/version"), F_OK), 0); /* nothing signs yet */
}

static void test_keys_are_ordered_and_selectors_are_free(void **state)
{
    add("b.example", "mail");
    add("a.example", "");
    assert_string_equal(add("b.example", "mail").selector, "mail-2");
    assert_string_equal(add("b.example", "mail").selector, "mail-3");
    assert_string_equal(add("b.example", "aaa").selector, "aaa");
    look(NULL);
    assert_int_equal(found_count, 5);
    assert_string_equal(found[0].domain, "a.example");
    assert_string_equal(found[1].selector, "mail");
    assert_string_equal(found[4].selector, "aaa");
    assert_int_equal(found[4].state.number, 4);
    look("a.example");
    assert_int_equal(found_count, 1);
    look("c.example");
    assert_int_equal(found_count, 0);
}

static void test_its_life_is_on_disk(void **state)
{
    add("example.org", "s1");
    assert_true(signing_keys_change(&keys, "example.org", activate, NULL, &error));
    look("example.org");
    assert_int_equal(found[0].state.stage, KEY_ACTIVE);
    ino_t first = facts_of("keys/version").st_ino;
    size_t count = 0;
    assert_true(signing_keys_change(&keys, "example.org", change_nothing, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(facts_of("keys/version").st_ino, first);
    assert_true(signing_keys_change(&keys, "example.org", retire, NULL, &error));
    look("example.org");
    assert_int_equal(found[0].state.stage, KEY_RETIRED);
    assert_string_equal(found[0].fault, "");
    assert_true(signing_keys_change(&keys, "example.org", end, NULL, &error));
    look("example.org");
    assert_int_equal(found[0].state.stage, KEY_REMOVED);
    assert_string_equal(found[0].fault, "");
    assert_int_not_equal(access(at("keys/example.org/s1.pem"), F_OK), 0);
    assert_true(signing_keys_change(&keys, "example.org", forget, NULL, &error));
    look("example.org");
    assert_int_equal(found_count, 0);
    assert_true(signing_keys_change(&keys, "example.org", forget, NULL, &error));
}

/* ---- names and limits ---- */

static void test_names_are_checked_before_they_are_a_path(void **state)
{
    static const char *const domains[] = {
        "",           ".",         "..",          "../up.org",          "a/b.org",
        "tls",        "localhost", "Example.org", "example.org.",       "1.2.3.4",
        "-a.example", "a..b",      "a\nb.org",    "j\xC3\xB6rg.example"};
    static const char *const selectors[] = {
        ".",
        "..",
        "../x",
        "a/b",
        "S1",
        "a.",
        "-a",
        "a b",
        "a\n",
        "*",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const good[] = {"s1", "a.b", "_x", "2026-11",
                                       "012345678901234567890123456789012345678901234567890123456789012"};
    struct stored_key made;
    for (size_t i = 0; i < ARRAY_LENGTH(domains); i++) {
        assert_false(signing_keys_domain_check(bytes_of_text(domains[i]), &error));
        assert_int_equal(error.exit_code, EX_DATAERR);
        assert_false(signing_keys_add(&keys, domains[i], "s1", DKIM_ED25519_SHA256, NOW, &made, &error));
        assert_false(signing_keys_each(&keys, domains[i], note, NULL, &error));
        assert_false(signing_keys_change(&keys, domains[i], forget, NULL, &error));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(selectors); i++)
        assert_false(
            signing_keys_add(&keys, "example.org", selectors[i], DKIM_ED25519_SHA256, NOW, &made, &error));
    assert_int_not_equal(access(at("keys/example.org"), F_OK), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_string_equal(add("example.org", good[i]).selector, good[i]);
    look(NULL);
    assert_int_equal(found_count, ARRAY_LENGTH(good));
}

static void test_a_domain_has_so_many_keys_and_no_more(void **state)
{
    struct stored_key made;
    for (int i = 0; i < SIGNING_KEYS_OF_DOMAIN_MAX; i++)
        add("example.org", "");
    assert_false(signing_keys_add(&keys, "example.org", "", DKIM_ED25519_SHA256, NOW, &made, &error));
    assert_int_equal(error.exit_code, EX_UNAVAILABLE);
    assert_non_null(strstr(error.text, "has 16 keys already"));
    add("example.com", "");
    look("example.org");
    assert_int_equal(found_count, SIGNING_KEYS_OF_DOMAIN_MAX);
}

/* The names of the other domains are links to one file: as many folders take minutes on some disks. */
static void test_so_many_domains_have_keys_and_no_more(void **state)
{
    struct stored_key made;
    char name[64];
    assert_int_equal(mknod(at("keys/n1.example"), S_IFREG | 0600, 0), 0);
    for (int i = 2; i < SIGNING_KEYS_DOMAINS_MAX; i++) {
        snprintf(name, sizeof name, "keys/n%d.example", i);
        assert_int_equal(link(at("keys/n1.example"), at(name)), 0);
    }
    add("last.example", "");
    assert_false(signing_keys_add(&keys, "more.example", "", DKIM_ED25519_SHA256, NOW, &made, &error));
    assert_int_equal(error.exit_code, EX_UNAVAILABLE);
    assert_non_null(strstr(error.text, "has keys of 20000 domains, and takes no more"));
    assert_int_not_equal(access(at("keys/more.example"), F_OK), 0);
    add("last.example", ""); /* the domains that have keys are not affected */
    look("last.example");
    assert_int_equal(found_count, 2);
    assert_int_equal(unlink(at("keys/n2.example")), 0);
    add("more.example", "");
    look("more.example");
    assert_int_equal(found_count, 1);
}

static void test_a_file_has_so_many_octets_and_no_more(void **state)
{
    struct buffer text = {0};
    static struct stored_key parsed;
    add("example.org", "s1");
    look(NULL);
    signing_keys_write(&found[0], &text);
    while (text.length < SIGNING_KEYS_FILE_MAX)
        buffer_add_octet(&text, ' ');
    assert_true(signing_keys_parse(&parsed, buffer_bytes(&text), &error));
    put("keys/example.org/s1.json", buffer_text(&text), 0644);
    look(NULL);
    assert_string_equal(found[0].fault, "");
    buffer_add_octet(&text, ' ');
    assert_false(signing_keys_parse(&parsed, buffer_bytes(&text), &error));
    put("keys/example.org/s1.json", buffer_text(&text), 0644);
    look(NULL);
    assert_non_null(strstr(found[0].fault, "has more than 16384 bytes"));
    buffer_free(&text);
}

/* ---- crashes ---- */

static void test_what_a_crash_leaves_goes(void **state)
{
    size_t count;
    add("example.org", "s1");
    put("keys/example.org/s2.pem", "a key that nobody has seen", 0400); /* before its .json */
    put("keys/example.org/s3.pem.new", "half a k", 0400);
    put("keys/example.org/s1.json.new", "{", 0644);
    look(NULL);
    assert_int_equal(found_count, 1);
    assert_string_equal(found[0].selector, "s1");
    assert_true(signing_keys_change(&keys, "example.org", change_nothing, &count, &error));
    assert_int_not_equal(access(at("keys/example.org/s2.pem"), F_OK), 0);
    assert_int_not_equal(access(at("keys/example.org/s3.pem.new"), F_OK), 0);
    assert_int_not_equal(access(at("keys/example.org/s1.json.new"), F_OK), 0);
    assert_int_equal(access(at("keys/example.org/s1.pem"), F_OK), 0);
    /* a removed key whose private key is still there: it goes */
    assert_true(signing_keys_change(&keys, "example.org", end, NULL, &error));
    put("keys/example.org/s1.pem", "x", 0400);
    assert_true(signing_keys_change(&keys, "example.org", change_nothing, &count, &error));
    assert_int_not_equal(access(at("keys/example.org/s1.pem"), F_OK), 0);
}

/* ---- faults ---- */

static void test_each_fault_is_a_sentence_and_stops_no_other_key(void **state)
{
    static const struct {
        const char *selector, *words;
    } table[] = {
        {"s1", "is not the state of a key; restore the file"},
        {"s2", "is a link or has a second name"},
        {"s3", "can be read by other users, and does not sign; chmod 400"},
        {"s4", "cannot look at the private key"},
        {"s5", "is a link or has a second name"},
        {"s6", "belongs to user 31337, not to "},
        {"s7", ""},
    };
    struct buffer pem = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        add("example.org", table[i].selector);
    put("keys/example.org/s1.json", "{\"form\": 1}", 0644);
    put("planted", "planted", 0400);
    unlink(at("keys/example.org/s2.pem"));
    assert_int_equal(symlink(at("planted"), at("keys/example.org/s2.pem")), 0);
    assert_int_equal(chmod(at("keys/example.org/s3.pem"), 0440), 0);
    unlink(at("keys/example.org/s4.pem"));
    assert_int_equal(link(at("keys/example.org/s5.pem"), at("other")), 0);
    bool root = geteuid() == 0;
    assert_int_equal(root ? chown(at("keys/example.org/s6.pem"), EVE, EVE) : 0, 0);
    look("example.org");
    assert_int_equal(found_count, ARRAY_LENGTH(table));
    for (size_t i = 0; i < found_count; i++) {
        size_t row = (size_t)(found[i].selector[1] - '1');
        const char *words = root || row != 5 ? table[row].words : "";
        if (strstr(found[i].fault, words) == NULL || (words[0] == '\0') != (found[i].fault[0] == '\0')) {
            print_error("%s: %s\n", found[i].selector, found[i].fault);
            fail();
        }
        if (row > 0)
            assert_int_equal(signing_keys_secret(&keys, &found[i], &pem, &error), words[0] == '\0');
    }
    buffer_wipe(&pem);
}

static void test_a_folder_of_another_user_is_not_entered(void **state)
{
    if (geteuid() != 0)
        skip();
    add("a.example", "s1");
    add("b.example", "s1");
    add("c.example", "s1");
    assert_int_equal(chown(at("keys/b.example"), EVE, EVE), 0);
    look(NULL);
    assert_int_equal(found_count, 3);
    assert_string_equal(found[1].selector, "");
    assert_non_null(strstr(found[1].fault, "belongs to 31337"));
    assert_string_equal(found[2].fault, "");
    struct stored_key made;
    assert_false(signing_keys_add(&keys, "b.example", "s2", DKIM_ED25519_SHA256, NOW, &made, &error));
    assert_int_equal(error.exit_code, EX_NOPERM);
}

static void test_private_keys_belong_to_the_user_who_signs(void **state)
{
    struct buffer pem = {0};
    if (geteuid() != 0)
        skip();
    keys.uid = keys.gid = EVE;
    add("example.org", "s1");
    assert_int_equal(facts_of("keys/example.org/s1.pem").st_uid, EVE);
    assert_int_equal(facts_of("keys/example.org/s1.pem").st_gid, EVE);
    assert_int_equal(facts_of("keys/example.org/s1.json").st_uid, 0);
    look(NULL);
    assert_string_equal(found[0].fault, "");
    assert_true(signing_keys_secret(&keys, &found[0], &pem, &error));
    buffer_wipe(&pem);
}

static bool is_eve(uid_t uid)
{
    return uid == EVE;
}

static bool is_nobody(uid_t uid)
{
    return false;
}

static void test_private_keys_of_a_former_user_are_given_to_the_present_one(void **state)
{
    enum { PRESENT = 31338 };
    if (geteuid() != 0)
        skip();
    keys.uid = keys.gid = EVE;
    add("example.org", "s1");
    add("example.org", "s2");
    keys.uid = keys.gid = PRESENT;
    signing_keys_adopt(&keys, is_nobody);
    look(NULL);
    assert_non_null(strstr(found[0].fault, "belongs to user 31337"));
    assert_int_equal(chown(at("keys/example.org/s2.pem"), EVE + 5, 0), 0); /* of somebody else */
    signing_keys_adopt(&keys, is_eve);
    look(NULL);
    assert_string_equal(found[0].fault, "");
    assert_int_equal(facts_of("keys/example.org/s1.pem").st_uid, PRESENT);
    assert_int_equal(facts_of("keys/example.org/s1.pem").st_mode & 07777, 0400);
    assert_non_null(strstr(found[1].fault, "belongs to user 31342"));
}

static void test_without_a_folder_there_is_no_key(void **state)
{
    struct signing_keys none;
    folder_remove(AT_FDCWD, at("keys"));
    assert_true(signing_keys_open(&none, ground, geteuid(), getegid(), false, &error));
    found_count = 0;
    assert_true(signing_keys_each(&none, NULL, note, NULL, &error));
    assert_int_equal(found_count, 0);
    assert_false(signing_keys_change(&none, "example.org", forget, NULL, &error));
    assert_non_null(strstr(error.text, "mailboat dkim add example.org"));
    signing_keys_close(&none);
}

static void test_a_change_waits_for_another_and_says_so(void **state)
{
    int other = open(at("keys"), O_RDONLY | O_DIRECTORY);
    keys.lock_ms = 20;
    struct stored_key made;
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_false(signing_keys_add(&keys, "example.org", "s1", DKIM_ED25519_SHA256, NOW, &made, &error));
    assert_int_equal(error.exit_code, EX_TEMPFAIL);
    close(other);
    add("example.org", "s1");
}

/* ---- the .json ---- */

static void test_a_state_is_read_as_it_was_written(void **state)
{
    static struct stored_key parsed;
    struct buffer text = {0}, again = {0};
    add("example.org", "s1");
    assert_true(signing_keys_change(&keys, "example.org", activate, NULL, &error));
    look(NULL);
    signing_keys_write(&found[0], &text);
    assert_true(signing_keys_parse(&parsed, buffer_bytes(&text), &error));
    signing_keys_write(&parsed, &again);
    assert_text(buffer_bytes(&again), buffer_text(&text));
    buffer_free(&text);
    buffer_free(&again);
}

#define ED "5PQ1FvV5/vd6oVZxFTBmlRhoVOXZB68qXqQdIH+Ywv8="
#define STATE_TEXT(form, algorithm, p, stage, time)                      \
    "{\"form\": " form ", \"algorithm\": \"" algorithm "\", \"p\": \"" p \
    "\", \"number\": 1, \"state\": \"" stage                             \
    "\", \"resolver\": \"ours\", \"servers\": \"ours\", \"ttl\": 1, " time "}"

static void test_a_state_that_is_none_is_refused(void **state)
{
    static const char *const table[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        STATE_TEXT("2", "ed25519", ED, "active", "\"active\": 5"),
        STATE_TEXT("1", "rsa", ED, "active", "\"active\": 5"),
        STATE_TEXT("1", "dsa", ED, "active", "\"active\": 5"),
        STATE_TEXT("1", "ed25519", "", "active", "\"active\": 5"),
        STATE_TEXT("1", "ed25519", ED "; t=y", "active", "\"active\": 5"),
        STATE_TEXT("1", "ed25519", ED, "Active", "\"active\": 5"),
        STATE_TEXT("1", "ed25519", ED, "active", "\"retired\": 5"),
        STATE_TEXT("1", "ed25519", ED, "active", "\"active\": -5"),
        STATE_TEXT("1", "ed25519", ED, "active", "\"active\": \"5\""),
        STATE_TEXT("1", "ed25519", ED, "active", "\"active\": 5.5"),
        STATE_TEXT("1", "ed25519", ED, "active", "\"active\": 1099511627777"),
        STATE_TEXT("1", "ed25519", ED, "active", "\"active\": 5, \"active\": 6"),
    };
    static struct stored_key parsed;
    assert_true(signing_keys_parse(
        &parsed, BYTES(STATE_TEXT("1", "ed25519", ED, "active", "\"active\": 1099511627776")), &error));
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (signing_keys_parse(&parsed, bytes_of_text(table[i]), &error)) {
            print_error("%s\n", table[i]);
            fail();
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_is_made_read_and_signs),
        TEST(test_keys_are_ordered_and_selectors_are_free),
        TEST(test_its_life_is_on_disk),
        TEST(test_names_are_checked_before_they_are_a_path),
        TEST(test_a_domain_has_so_many_keys_and_no_more),
        TEST(test_so_many_domains_have_keys_and_no_more),
        TEST(test_a_file_has_so_many_octets_and_no_more),
        TEST(test_what_a_crash_leaves_goes),
        TEST(test_each_fault_is_a_sentence_and_stops_no_other_key),
        TEST(test_a_folder_of_another_user_is_not_entered),
        TEST(test_private_keys_belong_to_the_user_who_signs),
        TEST(test_private_keys_of_a_former_user_are_given_to_the_present_one),
        TEST(test_without_a_folder_there_is_no_key),
        TEST(test_a_change_waits_for_another_and_says_so),
        TEST(test_a_state_is_read_as_it_was_written),
        TEST(test_a_state_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
