/* SPDX-License-Identifier: Apache-2.0 */
/* How auth slows guessing, remembers right passwords, and forgets answers. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "answers.h"
#include "auth/guesses.h"
#include "auth/remembered.h"
#include "server/session.h"

enum { NOW = 1000 * 1000 };
static const struct bytes here = {"192.0.2.1", 9}, there = {"192.0.2.2", 9}, ada = {"ada@example.org", 15}, bob = {"bob@example.org", 15};

/* ---- guesses ---- */

static void some_wrong_passwords_are_free_and_one_more_locks(void **state)
{
    struct guesses guesses;
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i < GUESSES_FREE; i++) {
        assert_false(guesses_locked(&guesses, here, ada, NOW));
        guesses_failed(&guesses, here, ada, NOW);
    }
    assert_false(guesses_locked(&guesses, here, ada, NOW));
    guesses_failed(&guesses, here, ada, NOW);
    assert_true(guesses_locked(&guesses, here, ada, NOW));
    assert_false(guesses_locked(&guesses, there, ada, NOW)); /* nobody else is locked out */
    assert_false(guesses_locked(&guesses, here, bob, NOW));
    assert_false(guesses_locked(&guesses, here, ada, NOW + GUESSES_LOCK_FIRST_MS));
    free(kept);
}

static void each_failure_doubles_the_lock_up_to_its_limit(void **state)
{
    struct guesses guesses;
    uint64_t now = NOW, lock_ms = GUESSES_LOCK_FIRST_MS;
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i < GUESSES_FREE; i++)
        guesses_failed(&guesses, here, ada, now);
    for (int i = 0; i < 20; i++) {
        guesses_failed(&guesses, here, ada, now);
        assert_true(guesses_locked(&guesses, here, ada, now + lock_ms - 1));
        assert_false(guesses_locked(&guesses, here, ada, now + lock_ms));
        now += lock_ms;
        lock_ms = lock_ms * 2 < GUESSES_LOCK_MAX_MS ? lock_ms * 2 : GUESSES_LOCK_MAX_MS;
    }
    guesses_succeeded(&guesses, here, ada, now);
    for (int i = 0; i < GUESSES_FREE_GOOD - 1; i++)
        guesses_failed(&guesses, here, ada, now);
    assert_false(guesses_locked(&guesses, here, ada, now));
    guesses_failed(&guesses, here, ada, now);
    assert_false(guesses_locked(&guesses, here, ada, now));
    free(kept);
}

static void what_is_locked_stays_so_over_a_restart(void **state)
{
    struct guesses guesses, successor;
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i <= GUESSES_FREE; i++)
        guesses_failed(&guesses, here, ada, NOW);
    guesses_succeeded(&guesses, there, ada, NOW);
    guesses_start(&successor, kept, 8); /* its seed is the first one's */
    assert_true(guesses_locked(&successor, here, ada, NOW));
    assert_false(guesses_locked(&successor, there, ada, NOW));
    size_t at = 0;
    assert_string_equal(guesses_next_locked(&successor, &at, NOW)->address, "192.0.2.1");
    free(kept);
}

static void one_address_that_tries_many_accounts_is_locked(void **state)
{
    struct guesses guesses;
    char name[32];
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i <= GUESSES_FREE_ADDRESS; i++) {
        snprintf(name, sizeof name, "user%d@example.org", i);
        guesses_failed(&guesses, here, bytes_of_text(name), NOW);
    }
    assert_true(guesses_locked(&guesses, here, ada, NOW));
    assert_false(guesses_locked(&guesses, there, ada, NOW));
    free(kept);
}

static void an_account_is_locked_for_strangers_and_not_for_its_owner(void **state)
{
    struct guesses guesses;
    char address[32];
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    guesses_succeeded(&guesses, here, ada, NOW);
    for (int i = 0; i <= GUESSES_FREE_ACCOUNT; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        assert_false(guesses_locked(&guesses, there, ada, NOW));
        guesses_failed(&guesses, bytes_of_text(address), ada, NOW);
    }
    assert_true(guesses_locked(&guesses, there, ada, NOW));
    assert_true(guesses_locked(&guesses, there, BYTES("ADA@Example.ORG"), NOW));
    assert_false(guesses_locked(&guesses, here, ada, NOW));
    assert_false(guesses_locked(&guesses, there, bob, NOW));
    free(kept);
}

static void an_ipv6_guesser_has_the_whole_64(void **state)
{
    struct guesses guesses;
    char address[48];
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i <= GUESSES_FREE; i++) {
        snprintf(address, sizeof address, "2001:db8:0:1::%x", i);
        guesses_failed(&guesses, bytes_of_text(address), ada, NOW);
    }
    assert_true(guesses_locked(&guesses, BYTES("2001:db8:0:1:ffff::1"), ada, NOW));
    assert_false(guesses_locked(&guesses, BYTES("2001:db8:0:2::1"), ada, NOW));
    free(kept);
}

static void a_flood_neither_frees_the_guesser_nor_harms_who_signed_in(void **state)
{
    struct guesses guesses;
    char address[32], account[32];
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    guesses_succeeded(&guesses, here, ada, NOW);
    for (int i = 0; i < 20; i++)
        guesses_failed(&guesses, there, bob, NOW);
    for (int i = 0; i < 20 * GUESSES_SLOTS; i++) {
        snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        snprintf(account, sizeof account, "u%d@example.org", i);
        guesses_failed(&guesses, bytes_of_text(address), bytes_of_text(account), NOW);
    }
    assert_true(guesses_locked(&guesses, there, bob, NOW));
    assert_false(guesses_locked(&guesses, here, ada, NOW));
    free(kept);
}

static void a_lock_is_seen_and_undone(void **state)
{
    struct guesses guesses;
    size_t at = 0;
    struct guesses_kept *kept = memory_new(sizeof *kept);
    guesses_start(&guesses, kept, 7);
    for (int i = 0; i <= GUESSES_FREE; i++)
        guesses_failed(&guesses, here, BYTES("Ada@example.org\n"), NOW);
    const struct guess *found = guesses_next_locked(&guesses, &at, NOW);
    assert_non_null(found);
    assert_string_equal(found->address, "192.0.2.1");
    assert_string_equal(found->account, "ada@example.org?");
    assert_null(guesses_next_locked(&guesses, &at, NOW));
    assert_int_equal(guesses_unlock(&guesses, BYTES("192.0.2.9"), NOW), 0);
    assert_int_equal(guesses_unlock(&guesses, BYTES("ada@example.org\n"), NOW), 1);
    assert_false(guesses_locked(&guesses, here, BYTES("ada@example.org\n"), NOW));
    free(kept);
}

/* ---- remembered ---- */

static void a_right_password_is_remembered_for_a_while(void **state)
{
    struct remembered remembered;
    const struct bytes password = BYTES("secret"), hash = BYTES("$y$one"), other = BYTES("$y$two");
    remembered_start(&remembered);
    assert_false(remembered_has(&remembered, ada, password, hash, NOW));
    remembered_add(&remembered, ada, password, hash, NOW);
    assert_true(remembered_has(&remembered, ada, password, hash, NOW + REMEMBERED_MS - 1));
    assert_false(remembered_has(&remembered, ada, password, hash, NOW + REMEMBERED_MS));
    assert_false(remembered_has(&remembered, ada, BYTES("Secret"), hash, NOW));
    assert_false(remembered_has(&remembered, bob, password, hash, NOW));
    assert_false(remembered_has(&remembered, ada, password, other, NOW)); /* the password was changed */
    remembered_free(&remembered);
}

static void fields_cannot_be_shifted_into_each_other(void **state)
{
    struct remembered remembered;
    remembered_start(&remembered);
    remembered_add(&remembered, BYTES("ab"), BYTES("c"), BYTES("h"), NOW);
    assert_false(remembered_has(&remembered, BYTES("a"), BYTES("bc"), BYTES("h"), NOW));
    assert_false(remembered_has(&remembered, BYTES("ab"), BYTES("ch"), BYTES(""), NOW));
    remembered_free(&remembered);
}

/* ---- answers ---- */

static void answers_hold_until_the_accounts_change(void **state)
{
    struct answers answers;
    struct buffer room = {0};
    struct recipient target = {.address = ada, .original = BYTES("ada+shop@example.org"), .local = true};
    struct answer answer = {.verdict = RECIPIENT_KNOWN, .targets = &target, .target_count = 1};
    answers_start(&answers, 7);
    answers_check(&answers, 1);
    answers_keep(&answers, answers_key(&room, ANSWERS_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org")), &answer);
    const struct answer *found = answers_find(&answers, answers_key(&room, ANSWERS_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org")));
    assert_non_null(found);
    assert_true(bytes_equal(found->targets[0].address, ada) && found->targets[0].local);
    assert_null(answers_find(&answers, answers_key(&room, ANSWERS_RECIPIENT_OF_USER, bytes_none(), BYTES("ada+shop@example.org"))));
    answers_check(&answers, 1);
    assert_non_null(answers_find(&answers, answers_key(&room, ANSWERS_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org"))));
    answers_check(&answers, 2);
    assert_null(answers_find(&answers, answers_key(&room, ANSWERS_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org"))));
    buffer_free(&room);
    answers_free(&answers);
}

static void answers_are_bounded(void **state)
{
    struct answers answers;
    struct buffer room = {0};
    char address[32];
    answers_start(&answers, 7);
    for (int i = 0; i < ANSWERS_MAX + 10; i++) {
        snprintf(address, sizeof address, "u%d@example.org", i);
        answers_keep(&answers, answers_key(&room, ANSWERS_SENDER, ada, bytes_of_text(address)), &(struct answer){.verdict = SENDER_ALLOWED});
        assert_true(answers.known.count <= ANSWERS_MAX);
    }
    buffer_free(&room);
    answers_free(&answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_wrong_passwords_are_free_and_one_more_locks), cmocka_unit_test(each_failure_doubles_the_lock_up_to_its_limit),
        cmocka_unit_test(what_is_locked_stays_so_over_a_restart),
        cmocka_unit_test(one_address_that_tries_many_accounts_is_locked),
        cmocka_unit_test(an_account_is_locked_for_strangers_and_not_for_its_owner),
        cmocka_unit_test(an_ipv6_guesser_has_the_whole_64),
        cmocka_unit_test(a_flood_neither_frees_the_guesser_nor_harms_who_signed_in),
        cmocka_unit_test(a_lock_is_seen_and_undone), cmocka_unit_test(a_right_password_is_remembered_for_a_while),
        cmocka_unit_test(fields_cannot_be_shifted_into_each_other),         cmocka_unit_test(answers_hold_until_the_accounts_change),
        cmocka_unit_test(answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
