/* SPDX-License-Identifier: Apache-2.0 */
/* The login throttle, and the order of password checks. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "service/auth/login_queue.h"
#include "service/auth/login_throttle.h"
#include "unit.h"

enum { NOW = 1000 * 1000 };
static const struct bytes here = {"192.0.2.1", 9}, there = {"192.0.2.2", 9}, ada = {"ada@example.org", 15},
                          bob = {"bob@example.org", 15};

/* ---- guesses ---- */

/* Returns the current verdict on a try; counts nothing. */
static enum throttle_verdict verdict(struct login_throttle *throttle, struct bytes address,
                                     struct bytes account, uint64_t now_ms)
{
    struct throttle_try tried;
    login_throttle_try_start(&tried, address, account);
    enum throttle_verdict said = login_throttle_begin(throttle, &tried, now_ms);
    if (said == LOGIN_TRY)
        login_throttle_undone(throttle, &tried);
    return said;
}

static bool login_throttle_locked(struct login_throttle *throttle, struct bytes address, struct bytes account,
                                  uint64_t now_ms)
{
    return verdict(throttle, address, account, now_ms) == LOGIN_LOCKED;
}

/* Fails a try, if one is allowed. */
static bool wrong(struct login_throttle *throttle, struct bytes address, struct bytes account,
                  uint64_t now_ms)
{
    struct throttle_try tried;
    login_throttle_try_start(&tried, address, account);
    if (login_throttle_begin(throttle, &tried, now_ms) != LOGIN_TRY)
        return false;
    login_throttle_failed(throttle, &tried, now_ms);
    return true;
}

static void right(struct login_throttle *throttle, struct bytes address, struct bytes account,
                  uint64_t now_ms)
{
    struct throttle_try tried;
    login_throttle_try_start(&tried, address, account);
    assert_int_equal(login_throttle_begin(throttle, &tried, now_ms), LOGIN_TRY);
    login_throttle_succeeded(throttle, &tried, now_ms);
}

static void some_wrong_passwords_are_free_and_one_more_locks(void **state)
{
    struct login_throttle throttle;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i < LOGIN_THROTTLE_FREE; i++) {
        assert_false(login_throttle_locked(&throttle, here, ada, NOW));
        wrong(&throttle, here, ada, NOW);
    }
    assert_false(login_throttle_locked(&throttle, here, ada, NOW));
    wrong(&throttle, here, ada, NOW);
    assert_true(login_throttle_locked(&throttle, here, ada, NOW));
    assert_false(login_throttle_locked(&throttle, there, ada, NOW)); /* nobody else is locked out */
    assert_false(login_throttle_locked(&throttle, here, bob, NOW));
    assert_false(login_throttle_locked(&throttle, here, ada, NOW + LOGIN_THROTTLE_LOCK_FIRST_MS));
    free(kept);
}

static void each_failure_doubles_the_lock_up_to_its_limit(void **state)
{
    struct login_throttle throttle;
    uint64_t now = NOW, lock_ms = LOGIN_THROTTLE_LOCK_FIRST_MS;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i < LOGIN_THROTTLE_FREE; i++)
        wrong(&throttle, here, ada, now);
    for (int i = 0; i < 20; i++) {
        wrong(&throttle, here, ada, now);
        assert_true(login_throttle_locked(&throttle, here, ada, now + lock_ms - 1));
        assert_false(login_throttle_locked(&throttle, here, ada, now + lock_ms));
        now += lock_ms;
        lock_ms = lock_ms * 2 < LOGIN_THROTTLE_LOCK_MAX_MS ? lock_ms * 2 : LOGIN_THROTTLE_LOCK_MAX_MS;
    }
    right(&throttle, here, ada, now);
    for (int i = 0; i < LOGIN_THROTTLE_FREE_TRUSTED - 1; i++)
        wrong(&throttle, here, ada, now);
    assert_false(login_throttle_locked(&throttle, here, ada, now));
    wrong(&throttle, here, ada, now);
    assert_false(login_throttle_locked(&throttle, here, ada, now));
    free(kept);
}

static void what_is_locked_stays_so_over_a_restart(void **state)
{
    struct login_throttle throttle, successor;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE; i++)
        wrong(&throttle, here, ada, NOW);
    right(&throttle, there, ada, NOW);
    login_throttle_start(&successor, kept, 8); /* its seed is the first one's */
    assert_true(login_throttle_locked(&successor, here, ada, NOW));
    assert_false(login_throttle_locked(&successor, there, ada, NOW));
    size_t at = 0;
    assert_string_equal(login_throttle_next_locked(&successor, &at, NOW)->address, "192.0.2.1");
    free(kept);
}

static void one_address_that_tries_many_accounts_is_locked(void **state)
{
    struct login_throttle throttle;
    char name[32];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE_ADDRESS; i++) {
        snprintf(name, sizeof name, "user%d@example.org", i);
        wrong(&throttle, here, bytes_of_text(name), NOW);
    }
    assert_true(login_throttle_locked(&throttle, here, ada, NOW));
    assert_false(login_throttle_locked(&throttle, there, ada, NOW));
    free(kept);
}

static void an_account_is_locked_for_strangers_and_not_for_its_owner(void **state)
{
    struct login_throttle throttle;
    char address[32];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    right(&throttle, here, ada, NOW);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE_ACCOUNT; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        assert_int_equal(verdict(&throttle, there, ada, NOW), LOGIN_TRY);
        assert_true(wrong(&throttle, bytes_of_text(address), ada, NOW));
    }
    assert_true(login_throttle_locked(&throttle, BYTES("198.51.100.1"), ada, NOW)); /* who failed at it */
    assert_true(login_throttle_locked(&throttle, BYTES("198.51.100.1"), BYTES("ADA@Example.ORG"), NOW));
    assert_int_equal(verdict(&throttle, here, ada, NOW), LOGIN_TRY);
    assert_false(login_throttle_locked(&throttle, there, bob, NOW));
    free(kept);
}

static void an_ipv6_guesser_has_the_whole_64(void **state)
{
    struct login_throttle throttle;
    char address[48];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE; i++) {
        snprintf(address, sizeof address, "2001:db8:0:1::%x", i);
        wrong(&throttle, bytes_of_text(address), ada, NOW);
    }
    assert_true(login_throttle_locked(&throttle, BYTES("2001:db8:0:1:ffff::1"), ada, NOW));
    assert_false(login_throttle_locked(&throttle, BYTES("2001:db8:0:2::1"), ada, NOW));
    free(kept);
}

static void a_flood_neither_frees_the_guesser_nor_harms_who_signed_in(void **state)
{
    struct login_throttle throttle;
    char address[32], account[32];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    right(&throttle, here, ada, NOW);
    for (int i = 0; i < 20; i++)
        wrong(&throttle, there, bob, NOW);
    for (int i = 0; i < 20 * LOGIN_THROTTLE_SLOTS; i++) {
        snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        snprintf(account, sizeof account, "u%d@example.org", i);
        wrong(&throttle, bytes_of_text(address), bytes_of_text(account), NOW);
    }
    assert_true(login_throttle_locked(&throttle, there, bob, NOW));
    assert_false(login_throttle_locked(&throttle, here, ada, NOW));
    free(kept);
}

static void a_lock_is_seen_and_undone(void **state)
{
    struct login_throttle throttle;
    size_t at = 0;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE; i++)
        wrong(&throttle, here, BYTES("Ada@example.org\n"), NOW);
    const struct throttle_slot *found = login_throttle_next_locked(&throttle, &at, NOW);
    assert_non_null(found);
    assert_string_equal(found->address, "192.0.2.1");
    assert_string_equal(found->account, "ada@example.org");
    assert_null(login_throttle_next_locked(&throttle, &at, NOW));
    assert_int_equal(login_throttle_unlock(&throttle, BYTES("192.0.2.9"), NOW), 0);
    assert_int_equal(login_throttle_unlock(&throttle, BYTES("ada@example.org\n"), NOW), 1);
    assert_false(login_throttle_locked(&throttle, here, BYTES("ada@example.org\n"), NOW));
    free(kept);
}

/* As many tries as are free are in progress at once; others wait for their results. */
static void login_throttle_in_parallel_win_nothing(void **state)
{
    struct login_throttle throttle;
    struct throttle_try tries[99];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    size_t begun = 0;
    login_throttle_start(&throttle, kept, 7);
    for (size_t i = 0; i < ARRAY_LENGTH(tries); i++) {
        login_throttle_try_start(&tries[i], here, ada);
        enum throttle_verdict said = login_throttle_begin(&throttle, &tries[i], NOW);
        assert_int_equal(said, begun <= LOGIN_THROTTLE_FREE ? LOGIN_TRY : LOGIN_WAITS);
        begun += said == LOGIN_TRY && i == begun;
    }
    assert_int_equal(begun, LOGIN_THROTTLE_FREE + 1);
    assert_int_equal(verdict(&throttle, there, ada, NOW), LOGIN_TRY);
    for (size_t i = 0; i < begun; i++)
        login_throttle_failed(&throttle, &tries[i], NOW);
    for (size_t i = begun; i < ARRAY_LENGTH(tries); i++)
        assert_int_equal(login_throttle_begin(&throttle, &tries[i], NOW), LOGIN_LOCKED);
    /* then one at a time */
    assert_int_equal(login_throttle_begin(&throttle, &tries[begun], NOW + LOGIN_THROTTLE_LOCK_FIRST_MS),
                     LOGIN_TRY);
    assert_int_equal(login_throttle_begin(&throttle, &tries[begun + 1], NOW + LOGIN_THROTTLE_LOCK_FIRST_MS),
                     LOGIN_WAITS);
    free(kept);
}

/* A program that opens many connections sends the right password in all of them. */
static void right_passwords_in_parallel_are_never_locked(void **state)
{
    struct login_throttle throttle;
    struct throttle_try tries[99];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (size_t i = 0; i < ARRAY_LENGTH(tries); i++)
        login_throttle_try_start(&tries[i], here, ada);
    size_t ended = 0;
    bool begun[ARRAY_LENGTH(tries)] = {false};
    while (ended < ARRAY_LENGTH(tries)) {
        for (size_t i = ended; i < ARRAY_LENGTH(tries); i++) {
            if (!begun[i])
                begun[i] = login_throttle_begin(&throttle, &tries[i], NOW) == LOGIN_TRY;
            assert_int_not_equal(begun[i] ? LOGIN_TRY : verdict(&throttle, here, ada, NOW), LOGIN_LOCKED);
        }
        assert_true(begun[ended]);
        login_throttle_succeeded(&throttle, &tries[ended++], NOW);
    }
    assert_int_equal(verdict(&throttle, here, ada, NOW), LOGIN_TRY);
    free(kept);
}

static void what_was_under_way_when_the_process_ended_has_failed(void **state)
{
    struct login_throttle throttle;
    struct throttle_try tried;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE; i++) {
        login_throttle_start(&throttle, kept, 7);
        login_throttle_try_start(&tried, here, ada);
        assert_int_equal(login_throttle_begin(&throttle, &tried, NOW), LOGIN_TRY);
    }
    login_throttle_start(&throttle, kept, 7);
    wrong(&throttle, here, ada, NOW);
    assert_true(login_throttle_locked(&throttle, here, ada, NOW));
    free(kept);
}

static void each_spelling_of_an_account_is_the_same_account(void **state)
{
    static const char *const spellings[] = {"ada@example.org",
                                            "ADA@Example.ORG",
                                            "\"ada\"@example.org",
                                            "\"a\\da\"@example.org",
                                            "ada+1@example.org",
                                            "ada+2@example.org",
                                            "ada@\xef\xbd\x85xample.org",
                                            "ada@ex\xc3\xa4mple.org",
                                            "ada@xn--exmple-cua.org",
                                            "ada@EX\xc3\x84MPLE.org",
                                            "ada@example.org.",
                                            " ada@example.org ",
                                            "<ada@example.org>",
                                            "@relay.example,@other.example:ada@example.org",
                                            "\"ada+3\"@example.org",
                                            "ada@example\xe3\x80\x82org",
                                            "ada@example.org\r\n",
                                            "ada@example.org.."};
    for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++) {
        struct throttle_try tried;
        login_throttle_try_start(&tried, here, bytes_of_text(spellings[i]));
        bool umlaut = strstr(spellings[i], "\xc3") != NULL || strstr(spellings[i], "xn--") != NULL;
        assert_string_equal(tried.account, umlaut ? "ada@xn--exmple-cua.org" : "ada@example.org");
    }
}

/* Texts that are not addresses share one name, and lock no real account. */
static void what_is_no_address_is_one_name(void **state)
{
    static const char *const names[] = {"ada",   "ada@", "@example.org",     "",     "ada@[192.0.2.1]",
                                        "a b@c", "\xff", "ada@example..org", "root", "()"};
    struct login_throttle throttle;
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(wrong(&throttle, here, bytes_of_text(names[i]), NOW), i <= LOGIN_THROTTLE_FREE);
    assert_int_equal(verdict(&throttle, here, ada, NOW), LOGIN_TRY);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE_ACCOUNT; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.51.100.%d", i);
        wrong(&throttle, bytes_of_text(address), BYTES("ada"), NOW);
    }
    /* people who forget the domain do not lock each other out */
    assert_int_equal(verdict(&throttle, there, BYTES("ada"), NOW), LOGIN_TRY);
    free(kept);
}

static void an_ipv4_address_in_an_ipv6_one_is_the_same(void **state)
{
    struct throttle_try tried;
    login_throttle_try_start(&tried, BYTES("::ffff:192.0.2.1"), ada);
    assert_string_equal(tried.address, "192.0.2.1");
    assert_string_equal(tried.network, "");
    login_throttle_try_start(&tried, BYTES("::FFFF:c000:201"), ada);
    assert_string_equal(tried.address, "192.0.2.1");
    login_throttle_try_start(&tried, BYTES("fe80::1%eth0"), ada);
    assert_string_equal(tried.address, "fe80::/64");
    login_throttle_try_start(&tried, BYTES("2001:DB8:1:2:3::4"), ada);
    assert_string_equal(tried.address, "2001:db8:1:2::/64");
    assert_string_equal(tried.network, "2001:db8:1::/48");
}

static void many_64s_of_one_48_are_locked_together(void **state)
{
    struct login_throttle throttle;
    char address[48], name[32];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE_NETWORK; i++) {
        snprintf(address, sizeof address, "2001:db8:1:%x::1", i);
        snprintf(name, sizeof name, "user%d@example.org", i);
        assert_true(wrong(&throttle, bytes_of_text(address), bytes_of_text(name), NOW));
    }
    assert_true(login_throttle_locked(&throttle, BYTES("2001:db8:1:ffff::1"), bob, NOW));
    assert_int_equal(verdict(&throttle, BYTES("2001:db8:2::1"), bob, NOW), LOGIN_TRY);
    assert_int_equal(login_throttle_unlock(&throttle, BYTES("2001:db8:1:ffff::1"), NOW), 1);
    assert_int_equal(verdict(&throttle, BYTES("2001:db8:1:ffff::1"), bob, NOW), LOGIN_TRY);
    free(kept);
}

/* While a botnet attacks an account, its owner can log in from a new place, but few of the botnet can try. */
static void newcomers_have_turns_at_an_account_that_is_attacked(void **state)
{
    struct login_throttle throttle;
    struct throttle_try tries[10], late;
    char address[32];
    struct login_throttle_kept *kept = memory_new(sizeof *kept);
    login_throttle_start(&throttle, kept, 7);
    uint64_t now = NOW;
    for (int i = 0; i <= LOGIN_THROTTLE_FREE_ACCOUNT + 20; i++) { /* until the lock is as long as locks get */
        snprintf(address, sizeof address, "198.51.100.%d", i);
        now += i > LOGIN_THROTTLE_FREE_ACCOUNT ? LOGIN_THROTTLE_LOCK_MAX_MS : 0;
        assert_true(wrong(&throttle, bytes_of_text(address), ada, now));
    }
    assert_true(login_throttle_locked(&throttle, BYTES("198.51.100.70"), ada, now));
    for (size_t i = 0; i < ARRAY_LENGTH(tries); i++) {
        snprintf(address, sizeof address, "203.0.113.%d", (int)i);
        login_throttle_try_start(&tries[i], bytes_of_text(address), ada);
        enum throttle_verdict said = login_throttle_begin(&throttle, &tries[i], now);
        assert_int_equal(said, i == 0                                                      ? LOGIN_TRY
                               : i * LOGIN_THROTTLE_TURN_MS <= LOGIN_THROTTLE_TURN_WAIT_MS ? LOGIN_WAITS
                                                                                           : LOGIN_LOCKED);
    }
    login_throttle_failed(&throttle, &tries[0], now);
    for (int i = 0; i <= LOGIN_THROTTLE_FREE; i++) { /* new addresses of one /48 are no newcomers for ever */
        snprintf(address, sizeof address, "2001:db8:1:%x::1", i);
        assert_true(wrong(&throttle, bytes_of_text(address), bob, now));
    }
    assert_true(
        login_throttle_locked(&throttle, BYTES("2001:db8:1:ff::1"), ada, now + 2 * LOGIN_THROTTLE_TURN_MS));
    assert_int_equal(verdict(&throttle, BYTES("2001:db8:2:ff::1"), ada, now + 2 * LOGIN_THROTTLE_TURN_MS),
                     LOGIN_WAITS);
    assert_int_equal(login_throttle_begin(&throttle, &tries[1], now + LOGIN_THROTTLE_TURN_MS - 1),
                     LOGIN_WAITS);
    assert_int_equal(login_throttle_begin(&throttle, &tries[1], now + LOGIN_THROTTLE_TURN_MS), LOGIN_TRY);
    login_throttle_try_start(&late, BYTES("203.0.113.0"), ada); /* it had its turn */
    assert_int_equal(login_throttle_begin(&throttle, &late, now + LOGIN_THROTTLE_TURN_MS), LOGIN_LOCKED);
    login_throttle_succeeded(&throttle, &tries[1], now + LOGIN_THROTTLE_TURN_MS);
    /* it is known now */
    assert_int_equal(verdict(&throttle, BYTES("203.0.113.1"), ada, now + LOGIN_THROTTLE_TURN_MS), LOGIN_TRY);
    free(kept);
}

/* ---- the queue ---- */

struct caller {
    struct queued_login queued; /* first */
    struct throttle_try tried;
    enum throttle_verdict verdict;
};

static enum throttle_verdict as_said(void *owner, struct queued_login *queued)
{
    return ((struct caller *)(void *)queued)->verdict;
}

static void call(struct caller *caller, const char *address, bool known)
{
    *caller = (struct caller){.verdict = LOGIN_TRY};
    login_throttle_try_start(&caller->tried, bytes_of_text(address), ada);
    caller->tried.known = known;
}

static struct caller *next_caller(struct login_queue *queue)
{
    enum throttle_verdict verdict;
    return (struct caller *)(void *)login_queue_next(queue, as_said, NULL, &verdict);
}

/* Three hundred guesses from thirty /48s: a known user is next, another stranger soon, and no network
 * exceeds its share. */
static void known_ones_come_first_and_networks_in_turn(void **state)
{
    enum { NETWORKS = 30, EACH = 10 };
    struct login_queue queue;
    struct caller *guessers = memory_new(NETWORKS * EACH * sizeof *guessers), stranger, known;
    char address[48];
    size_t displaced = 0;
    login_queue_start(&queue, 7);
    for (int i = 0; i < NETWORKS * EACH; i++) {
        snprintf(address, sizeof address, "2001:db8:%x:%x::1", i % NETWORKS, i);
        call(&guessers[i], address, false);
        struct queued_login *out = login_queue_add(&queue, &guessers[i].queued, &guessers[i].tried);
        displaced += out != NULL;
        assert_int_equal(out != NULL, i >= LOGINS_WAITING_MAX);
    }
    assert_int_equal(displaced, NETWORKS * EACH - LOGINS_WAITING_MAX);
    call(&stranger, "192.0.2.9", false);
    /* another has to leave */
    assert_ptr_not_equal(login_queue_add(&queue, &stranger.queued, &stranger.tried), &stranger);
    call(&known, "192.0.2.1", true);
    assert_null(login_queue_add(&queue, &known.queued, &known.tried));
    assert_ptr_equal(next_caller(&queue), &known);
    size_t before = 0;
    while (next_caller(&queue) != &stranger)
        before++;
    assert_int_equal(before, NETWORKS);
    while (login_queue_take(&queue) != NULL)
        continue;
    login_queue_free(&queue);
    free(guessers);
}

static void who_waits_for_another_holds_up_nobody(void **state)
{
    struct login_queue queue;
    struct caller first, second, other;
    login_queue_start(&queue, 7);
    call(&first, "192.0.2.1", false);
    call(&second, "192.0.2.2", false); /* the same /24 */
    call(&other, "198.51.100.1", false);
    first.verdict = other.verdict = LOGIN_WAITS;
    login_queue_add(&queue, &first.queued, &first.tried);
    login_queue_add(&queue, &second.queued, &second.tried);
    login_queue_add(&queue, &other.queued, &other.tried);
    assert_ptr_equal(next_caller(&queue), &second);
    assert_null(next_caller(&queue));
    other.verdict = LOGIN_LOCKED;
    assert_ptr_equal(next_caller(&queue), &other);
    login_queue_remove(&queue, &first.queued);
    login_queue_remove(&queue, &first.queued); /* it is in none any more */
    assert_null(login_queue_take(&queue));
    login_queue_free(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_wrong_passwords_are_free_and_one_more_locks),
        cmocka_unit_test(each_failure_doubles_the_lock_up_to_its_limit),
        cmocka_unit_test(what_is_locked_stays_so_over_a_restart),
        cmocka_unit_test(one_address_that_tries_many_accounts_is_locked),
        cmocka_unit_test(an_account_is_locked_for_strangers_and_not_for_its_owner),
        cmocka_unit_test(an_ipv6_guesser_has_the_whole_64),
        cmocka_unit_test(a_flood_neither_frees_the_guesser_nor_harms_who_signed_in),
        cmocka_unit_test(a_lock_is_seen_and_undone),
        cmocka_unit_test(login_throttle_in_parallel_win_nothing),
        cmocka_unit_test(right_passwords_in_parallel_are_never_locked),
        cmocka_unit_test(what_was_under_way_when_the_process_ended_has_failed),
        cmocka_unit_test(each_spelling_of_an_account_is_the_same_account),
        cmocka_unit_test(what_is_no_address_is_one_name),
        cmocka_unit_test(an_ipv4_address_in_an_ipv6_one_is_the_same),
        cmocka_unit_test(many_64s_of_one_48_are_locked_together),
        cmocka_unit_test(newcomers_have_turns_at_an_account_that_is_attacked),
        cmocka_unit_test(known_ones_come_first_and_networks_in_turn),
        cmocka_unit_test(who_waits_for_another_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
