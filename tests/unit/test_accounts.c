/* SPDX-License-Identifier: Apache-2.0 */
/* Users, domains, aliases and keys: resolution of addresses, and the right to send. */
#define _GNU_SOURCE
#include <crypt.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/accounts.h"
#include "unit.h"

static char folder[64];
static struct accounts *accounts;
static struct arena arena;
static struct error error;
static const char *const domains[] = {"example.org"};

static int prepare(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/mailboat-accounts-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    accounts = accounts_open(folder, true, &error);
    accounts_host(accounts, domains, 1);
    return accounts == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    return remove(path);
}

static int clean_up(void **state)
{
    accounts_close(accounts);
    arena_clear(&arena);
    return nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static void add_user(const char *address)
{
    assert_true(accounts_user_add(accounts, bytes_of_text(address), BYTES("secret"), &error));
}

static void add_alias(const char *address, const char *target)
{
    assert_true(accounts_alias_add(accounts, bytes_of_text(address), bytes_of_text(target), &error));
}

/* Adds an alias directly, as an earlier version allowed, or when the user still existed. */
static void put_alias(const char *address, const char *target)
{
    char path[128],
        *sql = sqlite3_mprintf("INSERT INTO alias (address, target) VALUES (%Q, %Q)", address, target);
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/accounts.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    sqlite3_free(sql);
}

/* Runs statements on the file, as an earlier version left it. */
static void run_sql(const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/accounts.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Returns the resolution of an address as "ada@example.org local, x@far.net". */
static const char *resolved(const char *address)
{
    static char text[512];
    struct recipient *targets;
    size_t count, used = 0;
    switch (accounts_resolve(accounts, bytes_of_text(address), &arena, &targets, &count)) {
    case TARGETS_UNKNOWN: return "unknown";
    case TARGETS_FOREIGN: return "foreign";
    case TARGETS_FOUND: break;
    }
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s%s%s%s", i > 0 ? ", " : "",
                                 BYTES_ARG(targets[i].address), targets[i].local ? " local" : "",
                                 targets[i].reports ? " reports" : "",
                                 targets[i].expands != EXPANDS_NOT ? " expands" : "");
    return text;
}

static void addresses_find_their_mailbox(void **state)
{
    add_user("ada@example.org");
    assert_string_equal(resolved("ada@example.org"), "ada@example.org local");
    assert_string_equal(resolved("ADA@Example.ORG"), "ada@example.org local");
    assert_string_equal(resolved("ada+shop@example.org"), "ada@example.org local");
    assert_string_equal(resolved("\"ada\"@example.org"), "ada@example.org local");
    assert_string_equal(resolved("bob@example.org"), "unknown");
    assert_string_equal(resolved("ada@elsewhere.net"), "foreign");
    assert_string_equal(resolved("ada@sub.example.org"), "foreign");
    assert_string_equal(resolved("\"ada@elsewhere.net\"@example.org"), "unknown");
}

static void postmaster_is_always_somebody(void **state)
{
    add_user("ada@example.org");
    assert_string_equal(resolved("postmaster"), "ada@example.org local");
    assert_string_equal(resolved("Postmaster@example.org"), "ada@example.org local");
    add_user("eve@example.org");
    add_alias("postmaster@example.org", "eve@example.org");
    assert_string_equal(resolved("postmaster@example.org"), "eve@example.org local");
}

static void reports_are_taken_in_each_hosted_domain(void **state)
{
    add_user("ada@example.org");
    assert_string_equal(resolved("dmarc-reports@example.org"), "dmarc-reports@example.org local reports");
    assert_string_equal(resolved("TLS-Reports+x@Example.org"), "tls-reports+x@example.org local reports");
    assert_string_equal(resolved("feedback-reports@example.org"),
                        "feedback-reports@example.org local reports");
    assert_string_equal(resolved("dmarc-report@example.org"), "unknown");
    assert_string_equal(resolved("dmarc-reports@far.net"), "foreign");
    add_alias("@example.org", "ada@example.org"); /* a catch-all comes after */
    assert_string_equal(resolved("dmarc-reports@example.org"), "dmarc-reports@example.org local reports");
    add_alias("all@example.org", "ada@example.org");
    add_alias("all@example.org", "tls-reports@example.org");
    assert_string_equal(resolved("all@example.org"),
                        "ada@example.org local, tls-reports@example.org local reports");
    add_alias("dmarc-reports@example.org", "ada@example.org"); /* a name that somebody has comes before */
    assert_string_equal(resolved("dmarc-reports@example.org"), "ada@example.org local");
    assert_true(accounts_domain_add(accounts, BYTES("other.example"), &error));
    assert_string_equal(resolved("dmarc-reports@other.example"), "dmarc-reports@other.example local reports");
    assert_true(accounts_domain_remove(accounts, BYTES("other.example"), &error));
    assert_string_equal(resolved("dmarc-reports@other.example"), "foreign");
    assert_false(accounts_may_send(accounts, BYTES("ada@example.org"), BYTES("tls-reports@example.org")));
}

static void aliases_lead_on(void **state)
{
    add_user("ada@example.org");
    add_alias("info@example.org", "ada@example.org");
    add_alias("info@example.org", "partner@far.net");
    add_alias("all@example.org", "info@example.org");
    assert_string_equal(resolved("info@example.org"), "ada@example.org local, partner@far.net");
    assert_string_equal(resolved("all@example.org"), "ada@example.org local, partner@far.net");
    assert_true(accounts_alias_remove(accounts, BYTES("info@example.org"), BYTES("partner@far.net"), &error));
    assert_string_equal(resolved("all@example.org"), "ada@example.org local");
    assert_true(accounts_alias_remove(accounts, BYTES("info@example.org"), bytes_none(), &error));
    assert_string_equal(resolved("info@example.org"), "unknown");
    assert_false(accounts_alias_remove(accounts, BYTES("info@example.org"), bytes_none(), &error));
}

static void aliases_in_a_circle_end(void **state)
{
    add_user("ada@example.org");
    put_alias("a@example.org", "b@example.org");
    put_alias("b@example.org", "a@example.org");
    assert_string_equal(resolved("a@example.org"), "unknown");
    add_alias("b@example.org", "ada@example.org");
    assert_string_equal(resolved("a@example.org"), "ada@example.org local");
}

static void a_catch_all_gets_what_nobody_has(void **state)
{
    add_user("ada@example.org");
    add_user("bob@example.org");
    add_alias("info@example.org", "bob@example.org");
    put_alias("a@example.org", "a@example.org");
    assert_string_equal(resolved("nobody@example.org"), "unknown");
    add_alias("@EXAMPLE.org", "ada@example.org");
    assert_string_equal(resolved("nobody@example.org"), "ada@example.org local");
    assert_string_equal(resolved("nobody+tag@example.org"), "ada@example.org local");
    assert_string_equal(resolved("bob@example.org"), "bob@example.org local"); /* exact addresses win */
    assert_string_equal(resolved("bob+tag@example.org"), "bob@example.org local");
    assert_string_equal(resolved("info@example.org"), "bob@example.org local");
    assert_false(accounts_may_send(accounts, BYTES("ada@example.org"), BYTES("nobody@example.org")));
    assert_true(accounts_alias_remove(accounts, BYTES("@example.org"), bytes_none(), &error));
    assert_string_equal(resolved("nobody@example.org"), "unknown");
    assert_false(accounts_alias_add(accounts, BYTES("@"), BYTES("ada@example.org"), &error));
    assert_false(accounts_alias_add(accounts, BYTES("@elsewhere.net"), BYTES("ada@example.org"), &error));
    assert_false(accounts_alias_add(accounts, BYTES("ada@example.org"), BYTES("@example.org"), &error));
}

/* `count` targets "NAME-0@DOMAIN" and so on. */
static void add_many(const char *alias, const char *name, const char *domain, size_t count)
{
    struct bytes *targets = ARENA_ARRAY(&arena, struct bytes, count);
    size_t added;
    for (size_t i = 0; i < count; i++)
        targets[i] = bytes_of_text(arena_format(&arena, "%s-%zu@%s", name, i, domain));
    assert_true(accounts_alias_add_all(accounts, bytes_of_text(alias), targets, count, &added, &error));
    assert_int_equal(added, count);
}

static void an_alias_of_the_most_members_is_told_at_once_and_one_more_expands(void **state)
{
    struct recipient *targets;
    size_t count;
    add_many("all@example.org", "m", "far.net", RESOLVE_TARGETS_MAX);
    assert_int_equal(accounts_resolve(accounts, BYTES("all@example.org"), &arena, &targets, &count),
                     TARGETS_FOUND);
    assert_int_equal(count, RESOLVE_TARGETS_MAX);
    assert_int_equal(targets[0].expands, EXPANDS_NOT);
    assert_text(targets[0].via, "all@example.org");
    assert_int_equal(targets[0].forwarder.length, 0); /* an alias has no mailbox */
    add_alias("all@example.org", "one-more@far.net");
    assert_string_equal(resolved("ALL@example.org"), "all@example.org expands");
    assert_string_equal(resolved("all+tag@example.org"), "all@example.org expands");
    add_alias("@example.org", "all@example.org");
    assert_string_equal(resolved("nobody@example.org"), "@example.org expands");
    add_user("ada@example.org");
    assert_true(
        accounts_user_forward(accounts, BYTES("ada@example.org"), BYTES("all@example.org"), true, &error));
    assert_string_equal(resolved("ada@example.org"), "ada@example.org expands");
}

/* Expands an address page by page; includes missing members. */
static size_t expand_all(const char *address, uint8_t how, size_t max, size_t *missing)
{
    struct recipient place = {.address = bytes_of_text(address), .expands = how};
    struct bytes after = bytes_none(), last = bytes_none();
    size_t count = 0;
    *missing = 0;
    do {
        struct accounts_page page = accounts_expand(accounts, &place, after, max, &arena);
        assert_true(page.known && page.member_count + page.missing_count <= max + 1);
        count += page.member_count;
        *missing += page.missing_count;
        assert_true(page.after.length == 0 || bytes_compare(last, page.after) < 0);
        after = last = page.after;
    } while (after.length > 0);
    return count;
}

static void members_come_in_pages(void **state)
{
    size_t missing;
    add_many("all@example.org", "m", "far.net", 2 * EXPANSION_PAGE + 1);
    put_alias("all@example.org", "gone@example.org");
    for (size_t max = 1; max <= EXPANSION_PAGE; max += 83) {
        assert_int_equal(expand_all("all@example.org", EXPANDS_ALIAS, max, &missing), 2 * EXPANSION_PAGE + 1);
        assert_int_equal(missing, 1);
    }
    struct recipient place = {.address = BYTES("other@example.org"), .expands = EXPANDS_ALIAS};
    assert_false(accounts_expand(accounts, &place, bytes_none(), 10, &arena).known);
    add_user("other@example.org"); /* it is a mailbox by now */
    struct accounts_page page = accounts_expand(accounts, &place, bytes_none(), 10, &arena);
    assert_true(page.known && page.member_count == 1 && page.members[0].local);
    /* the alias is gone in the middle */
    assert_false(accounts_expand(accounts, &place, BYTES("b@far.net"), 10, &arena).known);
}

static void a_member_that_is_not_there_is_left_to_who_can_tell(void **state)
{
    add_user("ada@example.org");
    add_alias("team@example.org", "ada@example.org");
    put_alias("team@example.org", "gone@example.org");
    assert_string_equal(resolved("team@example.org"), "team@example.org expands");
    put_alias("ghosts@example.org", "gone@example.org");
    assert_string_equal(resolved("ghosts@example.org"), "unknown");
    size_t missing;
    put_alias("team@example.org", "round@example.org");
    put_alias("round@example.org", "round-too@example.org");
    put_alias("round-too@example.org", "round@example.org");
    assert_int_equal(expand_all("team@example.org", EXPANDS_ALIAS, 10, &missing), 1);
    assert_int_equal(missing, 2); /* gone@, and round@, which leads to nobody */
}

/* Before version 5 a local part that needs quotes was stored without them. */
static void addresses_of_earlier_versions_get_their_quotes(void **state)
{
    accounts_close(accounts);
    run_sql("INSERT INTO user (address, password, created, forward) VALUES ('john doe@example.org', '*', 1, "
            "NULL),"
            " ('ada@example.org', '*', 2, 'jane roe@far.net');"
            "INSERT INTO alias VALUES ('the \"q\"@example.org', 'john doe@example.org'),"
            " ('info@example.org', 'a b@far.net'), ('@example.org', 'ada@example.org'),"
            " ('old.example', '@example.org'); PRAGMA user_version = 4;");
    accounts = accounts_open(folder, true, &error);
    assert_non_null(accounts);
    accounts_host(accounts, domains, 1);
    assert_text(bytes_of_text(resolved("\"john doe\"@example.org")), "\"john doe\"@example.org local");
    assert_text(bytes_of_text(resolved("\"the \\\"q\\\"\"@example.org")), "\"john doe\"@example.org local");
    assert_text(bytes_of_text(resolved("info@example.org")), "\"a b\"@far.net");
    assert_text(bytes_of_text(resolved("ada@example.org")), "ada@example.org local, \"jane roe\"@far.net");
    assert_text(bytes_of_text(resolved("anybody@example.org")),
                "ada@example.org local, \"jane roe\"@far.net");
}

static void forwardings_in_a_circle_stay_where_they_were_sent(void **state)
{
    static const char *const users[] = {"a@example.org", "b@example.org", "c@example.org"};
    for (size_t i = 0; i < 3; i++)
        add_user(users[i]);
    for (size_t i = 0; i < 3; i++)
        assert_true(accounts_user_forward(accounts, bytes_of_text(users[i]),
                                          bytes_of_text(users[(i + 1) % 3]), false, &error));
    assert_string_equal(resolved("a@example.org"), "a@example.org local");
    assert_string_equal(resolved("b@example.org"), "b@example.org local");
    assert_true(
        accounts_user_forward(accounts, BYTES("c@example.org"), BYTES("a@example.org"), true, &error));
    assert_string_equal(resolved("a@example.org"), "c@example.org local");
    assert_true(
        accounts_user_forward(accounts, BYTES("c@example.org"), BYTES("list@far.net"), false, &error));
    struct recipient *targets;
    size_t count;
    assert_int_equal(accounts_resolve(accounts, BYTES("a+x@example.org"), &arena, &targets, &count),
                     TARGETS_FOUND);
    assert_true(count == 1 && bytes_is(targets[0].address, "list@far.net"));
    assert_text(targets[0].via, "a@example.org b@example.org c@example.org");
    assert_text(targets[0].forwarder, "c@example.org"); /* whose mailbox is the last before it leaves */
}

static void what_would_lose_mail_is_no_target(void **state)
{
    static const struct {
        const char *alias, *target, *says;
    } wrong[] = {{"x@example.org", "nobody@example.org", "mailboat user add nobody@example.org"},
                 {"x@example.org", "x@example.org", "lead to itself"},
                 {"ada@example.org", "ada@example.org", "only to itself"},
                 {"b@example.org", "a@example.org", "leads back to b@example.org"},
                 {"b@example.org", "a+tag@example.org", "leads back to b@example.org"},
                 {"b@example.org", "c@example.org", "leads back to b@example.org"},
                 {"@example.org", "nobody@example.org", "circle"},
                 {"x@example.org", "two words", "not a mail address"},
                 {"x@far.net", "ada@example.org", "domain add far.net"}};
    add_user("ada@example.org");
    add_alias("b@example.org", "ada@example.org");
    add_alias("a@example.org", "b@example.org");
    add_alias("c@example.org", "a@example.org");
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        error = (struct error){0};
        assert_false(accounts_alias_add(accounts, bytes_of_text(wrong[i].alias),
                                        bytes_of_text(wrong[i].target), &error));
        if (strstr(error.text, wrong[i].says) == NULL)
            fail_msg("%s -> %s: %s", wrong[i].alias, wrong[i].target, error.text);
    }
    const struct bytes both[] = {BYTES("ada@example.org"), BYTES("nobody@example.org")},
                       own[] = {BYTES("ada@example.org"), BYTES("far@far.net")};
    size_t added;
    assert_false(accounts_alias_add_all(accounts, BYTES("x@example.org"), both, 2, &added, &error));
    assert_string_equal(resolved("x@example.org"), "unknown"); /* none of them */
    assert_true(accounts_alias_add_all(accounts, BYTES("ada@example.org"), own, 2, &added, &error));
    assert_string_equal(resolved("ada@example.org"), "ada@example.org local, far@far.net");
}

static void a_user_sends_as_itself_and_its_aliases(void **state)
{
    add_user("ada@example.org");
    add_user("eve@example.org");
    add_alias("info@example.org", "ada@example.org");
    const struct bytes ada = BYTES("ada@example.org"), eve = BYTES("eve@example.org");
    assert_true(accounts_may_send(accounts, ada, BYTES("ada@example.org")));
    assert_true(accounts_may_send(accounts, ada, BYTES("Ada+news@EXAMPLE.org")));
    assert_true(accounts_may_send(accounts, ada, BYTES("info@example.org")));
    assert_false(accounts_may_send(accounts, eve, BYTES("info@example.org")));
    assert_false(accounts_may_send(accounts, ada, BYTES("eve@example.org")));
    assert_false(accounts_may_send(accounts, ada, BYTES("ada@elsewhere.net")));
    assert_false(accounts_may_send(accounts, ada, bytes_none()));
    add_many("all@example.org", "m", "far.net", 300);
    add_alias("all@example.org", "info+tag@example.org");
    add_alias("all@example.org", "eve+tag@example.org");
    /* through another, behind hundreds */
    assert_true(accounts_may_send(accounts, ada, BYTES("all@example.org")));
    assert_true(accounts_may_send(accounts, eve, BYTES("all@example.org")));
    assert_false(accounts_may_send(accounts, BYTES("ev@example.org"), BYTES("all@example.org")));
    assert_false(accounts_may_send(accounts, BYTES("m-7@far.org"), BYTES("all@example.org")));
}

/* A check of it takes as long as one of a user's hash: the same method, cost, lengths of salt and digest. */
static void the_hash_of_nobody_is_as_slow_as_a_users(void **state)
{
    enum { SETTING = sizeof "$y$j9T$" - 1, DIGEST_LENGTH = 43 };
    struct buffer made = {0};
    struct crypt_data *data = memory_new(sizeof *data);
    const char *dummy = accounts_dummy_hash(), *found;
    assert_true(accounts_hash_password(BYTES("secret"), &made, &error));
    const char *real = buffer_text(&made);
    assert_memory_equal(dummy, real, SETTING);
    assert_int_equal(strlen(dummy), strlen(real));
    assert_int_equal(strrchr(dummy, '$') - dummy, strrchr(real, '$') - real);
    /* crypt_r() really hashes: the result has this salt, and a digest of the same length */
    assert_non_null(found = crypt_r("secret", dummy, data));
    assert_int_equal(strlen(found), strlen(dummy));
    assert_memory_equal(found, dummy, strlen(dummy) - DIGEST_LENGTH);
    assert_false(accounts_password_matches(dummy, "secret"));
    assert_false(accounts_password_matches(dummy, ""));
    assert_ptr_equal(accounts_dummy_hash(), dummy);
    free(data);
    buffer_free(&made);
}

static void users_come_and_go(void **state)
{
    struct account account;
    /* first the domain */
    assert_false(accounts_user_add(accounts, BYTES("ada@elsewhere.net"), BYTES("secret"), &error));
    assert_non_null(strstr(error.text, "domain add"));
    assert_false(accounts_user_add(accounts, BYTES("not an address"), BYTES("secret"), &error));
    add_user("ada@example.org");
    assert_false(accounts_user_add(accounts, BYTES("ADA@example.org"), BYTES("other"), &error));
    assert_true(accounts_find(accounts, BYTES("ada@example.org"), &arena, &account));
    assert_true(accounts_password_matches(account.password.at, "secret"));
    assert_false(accounts_password_matches(account.password.at, "Secret"));
    assert_true(accounts_user_password(accounts, BYTES("ada@example.org"), BYTES("other"), &error));
    assert_true(accounts_find(accounts, BYTES("ada@example.org"), &arena, &account));
    assert_true(accounts_password_matches(account.password.at, "other"));
    assert_true(accounts_user_disable(accounts, BYTES("ada@example.org"), true, &error));
    assert_true(accounts_find(accounts, BYTES("ada@example.org"), &arena, &account) && account.disabled);
    assert_string_equal(resolved("ada@example.org"), "ada@example.org local"); /* mail still comes */
    assert_true(accounts_user_remove(accounts, BYTES("ada@example.org"), &error));
    assert_false(accounts_user_remove(accounts, BYTES("ada@example.org"), &error));
    assert_string_equal(resolved("ada@example.org"), "unknown");
}

static void passwords_at_the_limit_and_one_past_it(void **state)
{
    static char password[PASSWORD_MAX + 1];
    memset(password, 'p', sizeof password);
    assert_true(
        accounts_user_add(accounts, BYTES("ada@example.org"), bytes_of(password, PASSWORD_MAX), &error));
    assert_false(
        accounts_user_add(accounts, BYTES("eve@example.org"), bytes_of(password, PASSWORD_MAX + 1), &error));
}

static void a_key_signs_in_as_its_user_alone(void **state)
{
    struct buffer secret = {0};
    struct account account;
    add_user("ada@example.org");
    add_user("eve@example.org");
    assert_false(accounts_key_add(accounts, BYTES("nobody@example.org"), BYTES("x"), &secret, &error));
    assert_true(accounts_key_add(accounts, BYTES("ada@example.org"), BYTES("shop"), &secret, &error));
    assert_true(
        accounts_find_key(accounts, BYTES("ada@example.org"), buffer_bytes(&secret), &arena, &account));
    assert_text(account.address, "ada@example.org");
    assert_false(
        accounts_find_key(accounts, BYTES("eve@example.org"), buffer_bytes(&secret), &arena, &account));
    struct bytes id = bytes_first(bytes_from(buffer_bytes(&secret), 3),
                                  bytes_find(bytes_from(buffer_bytes(&secret), 3), '_'));
    secret.at[secret.start + secret.length - 1] ^= 1;
    assert_false(
        accounts_find_key(accounts, BYTES("ada@example.org"), buffer_bytes(&secret), &arena, &account));
    secret.at[secret.start + secret.length - 1] ^= 1;
    struct buffer whose = {0};
    assert_true(accounts_key_revoke(accounts, id, &whose, &error));
    assert_text(buffer_bytes(&whose), "ada@example.org");
    assert_false(
        accounts_find_key(accounts, BYTES("ada@example.org"), buffer_bytes(&secret), &arena, &account));
    assert_false(accounts_key_revoke(accounts, id, &whose, &error));
    buffer_free(&whose);
    buffer_free(&secret);
}

/* Returns the account's current credential, or a key's, as text. */
static struct bytes credential(const char *user, struct bytes secret)
{
    struct account account;
    struct buffer text = {0};
    if (secret.length > 0)
        assert_true(accounts_find_key(accounts, bytes_of_text(user), secret, &arena, &account));
    else
        assert_true(accounts_find(accounts, bytes_of_text(user), &arena, &account));
    accounts_credential(accounts, &account, &text);
    assert_true(bytes_search(buffer_bytes(&text), account.password) == SIZE_MAX);
    struct bytes kept = arena_copy(&arena, buffer_bytes(&text));
    buffer_free(&text);
    return kept;
}

static bool holds(const char *user, struct bytes text)
{
    return accounts_credential_holds(accounts, bytes_of_text(user), text);
}

static void a_credential_holds_until_it_is_changed(void **state)
{
    static const char ada[] = "ada@example.org", eve[] = "eve@example.org", new_one[] = "ada@new.example";
    struct buffer one = {0}, two = {0};
    assert_true(accounts_domain_add(accounts, BYTES("new.example"), &error));
    add_user(ada);
    add_user(eve);
    add_user(new_one);
    assert_true(accounts_key_add(accounts, bytes_of_text(ada), BYTES("one"), &one, &error));
    assert_true(accounts_key_add(accounts, bytes_of_text(ada), BYTES("two"), &two, &error));
    struct bytes by_password = credential(ada, bytes_none()), by_one = credential(ada, buffer_bytes(&one)),
                 by_two = credential(ada, buffer_bytes(&two));
    struct bytes at_new = credential(new_one, bytes_none());
    assert_true(holds(ada, by_password) && holds(ada, by_one) && holds(ada, by_two) &&
                holds(new_one, at_new));
    assert_false(holds(eve, by_password) || holds(eve, by_one) || holds("nobody@example.org", by_password));
    assert_false(holds(ada, bytes_none()) || holds(ada, BYTES("key:")) || holds(ada, BYTES("password:")));
    add_alias("x@example.org", ada); /* a change of no account */
    assert_true(holds(ada, by_password));
    struct buffer whose = {0};
    assert_true(accounts_key_revoke(accounts, bytes_of(one.at + 3, 8), &whose, &error));
    buffer_free(&whose);
    assert_false(holds(ada, by_one));
    assert_true(holds(ada, by_two) && holds(ada, by_password));
    /* the same one, set again */
    assert_true(accounts_user_password(accounts, bytes_of_text(ada), BYTES("secret"), &error));
    assert_false(holds(ada, by_password));
    assert_true(holds(ada, by_two) && holds(ada, credential(ada, bytes_none())));
    assert_true(accounts_user_disable(accounts, bytes_of_text(ada), true, &error));
    assert_false(holds(ada, by_two));
    assert_true(accounts_user_disable(accounts, bytes_of_text(ada), false, &error));
    assert_true(holds(ada, by_two));
    assert_true(accounts_domain_remove(accounts, BYTES("new.example"), &error));
    assert_false(holds(new_one, at_new));
    assert_true(accounts_user_remove(accounts, bytes_of_text(ada), &error));
    add_user(ada); /* another one of that name, with that password */
    assert_false(holds(ada, by_two) || holds(ada, by_password));
    buffer_free(&one);
    buffer_free(&two);
}

static void a_change_by_another_is_seen_at_once(void **state)
{
    struct accounts *reader = accounts_open(folder, false, &error);
    accounts_host(reader, domains, 1);
    add_user("ada@example.org");
    struct recipient *targets;
    size_t count;
    assert_int_equal(accounts_resolve(reader, BYTES("ada@example.org"), &arena, &targets, &count),
                     TARGETS_FOUND);
    assert_false(accounts_are_unreadable(reader));
    /* it may only read */
    assert_false(accounts_user_add(reader, BYTES("eve@example.org"), BYTES("x"), &error));
    accounts_close(reader);
}

static void a_damaged_file_is_refused_and_left_alone(void **state)
{
    char path[128], text[5] = "";
    struct error said = {0};
    snprintf(path, sizeof path, "%s/accounts.db", folder);
    FILE *file = fopen(path, "we");
    fputs("junk", file);
    fclose(file);
    assert_null(accounts_open(folder, true, &said));
    assert_true(said.exit_code != 0 && strstr(said.text, "accounts.db") != NULL);
    file = fopen(path, "re");
    assert_int_equal(fread(text, 1, 5, file), 4);
    fclose(file);
    assert_string_equal(text, "junk");
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(addresses_find_their_mailbox),
        TESTED(postmaster_is_always_somebody),
        TESTED(reports_are_taken_in_each_hosted_domain),
        TESTED(aliases_lead_on),
        TESTED(a_catch_all_gets_what_nobody_has),
        TESTED(aliases_in_a_circle_end),
        TESTED(a_user_sends_as_itself_and_its_aliases),
        TESTED(an_alias_of_the_most_members_is_told_at_once_and_one_more_expands),
        TESTED(members_come_in_pages),
        TESTED(a_member_that_is_not_there_is_left_to_who_can_tell),
        TESTED(addresses_of_earlier_versions_get_their_quotes),
        TESTED(forwardings_in_a_circle_stay_where_they_were_sent),
        TESTED(what_would_lose_mail_is_no_target),
        TESTED(the_hash_of_nobody_is_as_slow_as_a_users),
        TESTED(users_come_and_go),
        TESTED(passwords_at_the_limit_and_one_past_it),
        TESTED(a_key_signs_in_as_its_user_alone),
        TESTED(a_credential_holds_until_it_is_changed),
        TESTED(a_change_by_another_is_seen_at_once),
        TESTED(a_damaged_file_is_refused_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
