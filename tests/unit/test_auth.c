/* SPDX-License-Identifier: Apache-2.0 */
/* Sending limits of an account, the login cache, and the recipient cache. */
#include <stdio.h>
#include <stdlib.h>

#include "core/server/server_session.h"
#include "service/auth/login_cache.h"
#include "service/auth/rate_limit.h"
#include "service/auth/running_checks.h"
#include "service/recipient_cache.h"
#include "unit.h"

enum { NOW = 1000 * 1000 };
static const struct bytes ada = {"ada@example.org", 15}, bob = {"bob@example.org", 15};

/* ---- allowances ---- */

enum { MINUTE = 60 * 1000 };

static enum rate_limit_verdict take(struct rate_limits *rate_limits, struct bytes account,
                                    struct rate_limit_max limits, uint32_t recipients, uint64_t now_ms,
                                    uint32_t *wait_s)
{
    struct rate_limit_taken taken;
    return rate_limit_take(rate_limits, account, limits, recipients, now_ms, &taken, wait_s);
}

static void in_no_hour_more_is_sent_than_is_allowed(void **state)
{
    struct rate_limits rate_limits;
    struct rate_limits_kept *kept = memory_new(sizeof *kept);
    struct rate_limit_max limits = {.messages = 3, .recipients = 10};
    uint64_t now = 1000 * (uint64_t)RATE_LIMIT_PART_MS + 4 * MINUTE;
    uint32_t wait_s;
    rate_limit_start(&rate_limits, kept, 7);
    assert_int_equal(take(&rate_limits, ada, limits, 11, now, &wait_s), RATE_LIMIT_NEVER);
    assert_int_equal(take(&rate_limits, ada, limits, 10, now, &wait_s), RATE_LIMIT_FITS);
    /* no recipient is left */
    assert_int_equal(rate_limit_look(&rate_limits, ada, limits, now, &wait_s), RATE_LIMIT_REACHED);
    assert_int_equal(wait_s, 61 * 60); /* until the part that is four minutes old counts no more */
    assert_int_equal(take(&rate_limits, bob, limits, 4, now, &wait_s), RATE_LIMIT_FITS);
    assert_int_equal(take(&rate_limits, bob, limits, 4, now + 10 * MINUTE, &wait_s), RATE_LIMIT_FITS);
    assert_int_equal(take(&rate_limits, bob, limits, 4, now + 10 * MINUTE, &wait_s), RATE_LIMIT_REACHED);
    assert_int_equal(take(&rate_limits, bob, limits, 2, now + 10 * MINUTE, &wait_s), RATE_LIMIT_FITS);
    /* the fourth */
    assert_int_equal(take(&rate_limits, bob, limits, 1, now + 20 * MINUTE, &wait_s), RATE_LIMIT_REACHED);
    assert_int_equal(take(&rate_limits, bob, limits, 1, now + 60 * MINUTE, &wait_s), RATE_LIMIT_REACHED);
    assert_int_equal(wait_s, 60);
    assert_int_equal(take(&rate_limits, bob, limits, 1, now + 61 * MINUTE, &wait_s), RATE_LIMIT_FITS);
    assert_int_equal(take(&rate_limits, bob, limits, 1, now + 61 * MINUTE, &wait_s), RATE_LIMIT_REACHED);
    assert_int_equal(rate_limit_look(&rate_limits, ada, limits, now + 61 * MINUTE, &wait_s), RATE_LIMIT_FITS);
    assert_int_equal(take(&rate_limits, ada, limits, 10, now + 1000 * MINUTE, &wait_s), RATE_LIMIT_FITS);
    free(kept);
}

static void what_was_not_sent_is_given_back(void **state)
{
    struct rate_limits rate_limits, successor;
    struct rate_limits_kept *kept = memory_new(sizeof *kept);
    struct rate_limit_max limits = {.messages = 1};
    struct rate_limit_taken taken, none;
    uint64_t now = 1000 * (uint64_t)RATE_LIMIT_PART_MS;
    uint32_t wait_s;
    rate_limit_start(&rate_limits, kept, 7);
    assert_int_equal(rate_limit_take(&rate_limits, ada, limits, 5, now, &taken, &wait_s), RATE_LIMIT_FITS);
    assert_int_equal(rate_limit_take(&rate_limits, ada, limits, 5, now, &none, &wait_s), RATE_LIMIT_REACHED);
    rate_limit_give_back(&rate_limits, &none); /* nothing was */
    rate_limit_start(&successor, kept, 8);     /* a restart forgets nothing */
    assert_int_equal(rate_limit_look(&successor, ada, limits, now, &wait_s), RATE_LIMIT_REACHED);
    rate_limit_give_back(&successor, &taken);
    assert_int_equal(rate_limit_take(&successor, ada, limits, 5, now, &taken, &wait_s), RATE_LIMIT_FITS);
    /* Given back much later, it does not reduce what was sent since. */
    assert_int_equal(rate_limit_take(&successor, ada, limits, 5, now + 65 * MINUTE, &none, &wait_s),
                     RATE_LIMIT_FITS);
    rate_limit_give_back(&successor, &taken);
    assert_int_equal(rate_limit_look(&successor, ada, limits, now + 65 * MINUTE, &wait_s),
                     RATE_LIMIT_REACHED);
    /* no limit */
    assert_int_equal(take(&successor, ada, (struct rate_limit_max){0}, 1000000, now, &wait_s),
                     RATE_LIMIT_FITS);
    free(kept);
}

/* Accounts with colliding slots do not evict each other, nor does a full table. */
static void who_has_sent_all_is_not_forgotten_for_others(void **state)
{
    struct rate_limits rate_limits;
    struct rate_limits_kept *kept = memory_new(sizeof *kept);
    struct rate_limit_max limits = {.messages = 5};
    uint64_t now = 1000 * (uint64_t)RATE_LIMIT_PART_MS;
    uint32_t wait_s;
    char name[32];
    rate_limit_start(&rate_limits, kept, 7);
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&rate_limits, ada, limits, 1, now, &wait_s), RATE_LIMIT_FITS);
    for (int i = 0; i < 3 * RATE_LIMIT_SLOTS; i++) {
        snprintf(name, sizeof name, "u%d@example.org", i);
        assert_int_equal(take(&rate_limits, bytes_of_text(name), limits, 1, now, &wait_s), RATE_LIMIT_FITS);
    }
    assert_int_equal(take(&rate_limits, ada, limits, 1, now, &wait_s), RATE_LIMIT_REACHED);
    /* an operator hears of it once an hour */
    assert_true(rate_limit_log_is_due(&rate_limits, ada, now, NULL));
    assert_false(rate_limit_log_is_due(&rate_limits, ada, now + 59 * MINUTE, NULL));
    assert_true(rate_limit_log_is_due(&rate_limits, ada, now + 60 * MINUTE, NULL));
    free(kept);
}

/* ---- remembered ---- */

static void a_right_password_is_remembered_for_a_while(void **state)
{
    struct login_cache login_cache;
    const struct bytes password = BYTES("secret"), hash = BYTES("$y$one"), other = BYTES("$y$two");
    login_cache_start(&login_cache);
    assert_false(login_cache_has(&login_cache, ada, password, hash, NOW));
    login_cache_add(&login_cache, ada, password, hash, NOW);
    assert_true(login_cache_has(&login_cache, ada, password, hash, NOW + LOGIN_CACHE_MS - 1));
    assert_false(login_cache_has(&login_cache, ada, password, hash, NOW + LOGIN_CACHE_MS));
    assert_false(login_cache_has(&login_cache, ada, BYTES("Secret"), hash, NOW));
    assert_false(login_cache_has(&login_cache, bob, password, hash, NOW));
    assert_false(login_cache_has(&login_cache, ada, password, other, NOW)); /* the password was changed */
    login_cache_free(&login_cache);
}

static void fields_cannot_be_shifted_into_each_other(void **state)
{
    struct login_cache login_cache;
    login_cache_start(&login_cache);
    login_cache_add(&login_cache, BYTES("ab"), BYTES("c"), BYTES("h"), NOW);
    assert_false(login_cache_has(&login_cache, BYTES("a"), BYTES("bc"), BYTES("h"), NOW));
    assert_false(login_cache_has(&login_cache, BYTES("ab"), BYTES("ch"), BYTES(""), NOW));
    login_cache_free(&login_cache);
}

/* ---- answers ---- */

static void recipient_cache_hold_until_the_accounts_change(void **state)
{
    struct recipient_cache recipient_cache;
    struct buffer room = {0};
    struct recipient target = {.address = ada, .original = BYTES("ada+shop@example.org"), .local = true};
    struct cached_recipient answer = {.verdict = RECIPIENT_KNOWN, .targets = &target, .target_count = 1};
    recipient_cache_start(&recipient_cache, 7);
    recipient_cache_check(&recipient_cache, 1);
    recipient_cache_keep(
        &recipient_cache,
        recipient_cache_key(&room, RECIPIENT_CACHE_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org")),
        &answer);
    const struct cached_recipient *found = recipient_cache_find(
        &recipient_cache,
        recipient_cache_key(&room, RECIPIENT_CACHE_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org")));
    assert_non_null(found);
    assert_true(bytes_equal(found->targets[0].address, ada) && found->targets[0].local);
    assert_null(recipient_cache_find(&recipient_cache,
                                     recipient_cache_key(&room, RECIPIENT_CACHE_RECIPIENT_OF_USER,
                                                         bytes_none(), BYTES("ada+shop@example.org"))));
    recipient_cache_check(&recipient_cache, 1);
    assert_non_null(recipient_cache_find(
        &recipient_cache,
        recipient_cache_key(&room, RECIPIENT_CACHE_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org"))));
    recipient_cache_check(&recipient_cache, 2);
    assert_null(recipient_cache_find(
        &recipient_cache,
        recipient_cache_key(&room, RECIPIENT_CACHE_RECIPIENT, bytes_none(), BYTES("ada+shop@example.org"))));
    buffer_free(&room);
    recipient_cache_free(&recipient_cache);
}

static void recipient_cache_are_bounded(void **state)
{
    struct recipient_cache recipient_cache;
    struct buffer room = {0};
    char address[32];
    recipient_cache_start(&recipient_cache, 7);
    for (int i = 0; i < RECIPIENT_CACHE_MAX + 10; i++) {
        snprintf(address, sizeof address, "u%d@example.org", i);
        recipient_cache_keep(&recipient_cache,
                             recipient_cache_key(&room, RECIPIENT_CACHE_SENDER, ada, bytes_of_text(address)),
                             &(struct cached_recipient){.verdict = SENDER_ALLOWED});
        assert_true(recipient_cache.known.count <= RECIPIENT_CACHE_MAX);
    }
    buffer_free(&room);
    recipient_cache_free(&recipient_cache);
}

/* ---- running checks ---- */

static void only_an_equal_password_of_the_same_user_is_waited_for(void **state)
{
    struct running_checks running = {0};
    struct bytes password = BYTES("secret"), longer = BYTES("secrets"), other = BYTES("Secret");
    assert_int_equal(running_checks_equal(&running, bytes_none(), bytes_none()), 0);
    uint64_t first = running_checks_add(&running, ada, password);
    assert_int_equal(running_checks_equal(&running, ada, password), first);
    assert_int_equal(running_checks_equal(&running, bob, password), 0);
    assert_int_equal(running_checks_equal(&running, ada, longer), 0);
    assert_int_equal(running_checks_equal(&running, ada, other), 0);
    assert_int_equal(running_checks_equal(&running, ada, bytes_none()), 0);
    uint64_t second = running_checks_add(&running, bob, bytes_none());
    assert_int_equal(running_checks_equal(&running, bob, bytes_none()), second);
    running_checks_remove(&running, first);
    assert_int_equal(running_checks_equal(&running, ada, password), 0);
    assert_false(running_checks_has(&running, first));
    assert_true(running_checks_has(&running, second));
    assert_false(running_checks_has(&running, 0));
    assert_int_not_equal(running_checks_add(&running, ada, password), first); /* a number is never used again
                                                                               */
}

static void as_many_checks_run_as_there_are_threads(void **state)
{
    struct running_checks running = {0};
    uint64_t numbers[RUNNING_CHECKS_MAX];
    for (size_t i = 0; i < RUNNING_CHECKS_MAX; i++)
        numbers[i] = running_checks_add(&running, ada, bytes_of("0123456789", i + 1));
    for (size_t i = 0; i < RUNNING_CHECKS_MAX; i++)
        assert_int_equal(running_checks_equal(&running, ada, bytes_of("0123456789", i + 1)), numbers[i]);
    running_checks_remove(&running, numbers[3]);
    assert_int_not_equal(running_checks_add(&running, bob, ada), 0); /* one past it is a fault: assert */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_no_hour_more_is_sent_than_is_allowed),
        cmocka_unit_test(what_was_not_sent_is_given_back),
        cmocka_unit_test(who_has_sent_all_is_not_forgotten_for_others),
        cmocka_unit_test(a_right_password_is_remembered_for_a_while),
        cmocka_unit_test(fields_cannot_be_shifted_into_each_other),
        cmocka_unit_test(recipient_cache_hold_until_the_accounts_change),
        cmocka_unit_test(recipient_cache_are_bounded),
        cmocka_unit_test(only_an_equal_password_of_the_same_user_is_waited_for),
        cmocka_unit_test(as_many_checks_run_as_there_are_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
