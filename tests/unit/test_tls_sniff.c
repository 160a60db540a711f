/* SPDX-License-Identifier: Apache-2.0 */
/* How long addresses are waited for where STARTTLS is usual, in simulated days. */
#include "core/server/tls_sniff.h"
#include "unit.h"

enum { DAY = 20000, NEAR = 50 /* µs */ };

/* A history as the table stores it. */
static struct tls_sniff stored(struct tls_sniff history, uint32_t day)
{
    return tls_sniff_unpack(tls_sniff_pack(&history), day);
}

static void a_stranger_has_the_time_of_a_slow_program(void **state)
{
    struct tls_sniff history = {0};
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), TLS_SNIFF_WAIT_MS);
    assert_int_equal(tls_sniff_wait_ms(&history, 2 * TLS_SNIFF_WAIT_MS * 1000, DAY), TLS_SNIFF_WAIT_MS);
    assert_int_equal(tls_sniff_wait_ms(&history, 2 * TLS_SNIFF_WAIT_MS * 1000 + 2000, DAY),
                     2 * TLS_SNIFF_WAIT_MS); /* packets vary by more */
    assert_int_equal(tls_sniff_wait_ms(&history, UINT32_MAX, DAY), TLS_SNIFF_WAIT_MAX_MS);
}

static void an_address_that_signed_in_is_greeted_at_once(void **state)
{
    struct tls_sniff history = {0};
    assert_true(tls_sniff_waited(&history, DAY));
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), TLS_SNIFF_WAIT_MS / 2);
    assert_true(tls_sniff_signed_in(&history, DAY));
    assert_int_equal(tls_sniff_wait_ms(&history, UINT32_MAX, DAY), 0);
    assert_false(tls_sniff_signed_in(&history, DAY)); /* nothing to store, mostly */
    uint32_t last = DAY + TLS_SNIFF_FORGET_SIGNED_IN_DAYS;
    history = stored(history, last);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, last), 0);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, last + 1), TLS_SNIFF_WAIT_MS);
}

static void orderly_sessions_shorten_the_wait(void **state)
{
    struct tls_sniff history = {0};
    uint32_t before_ms = tls_sniff_wait_ms(&history, NEAR, DAY);
    for (int i = 0; i < TLS_SNIFF_ORDERLY_MAX; i++) {
        assert_true(tls_sniff_waited(&history, DAY));
        history = stored(history, DAY);
        uint32_t wait_ms = tls_sniff_wait_ms(&history, NEAR, DAY);
        assert_true(wait_ms < before_ms);
        assert_true((wait_ms == 0) == (i + 1 == TLS_SNIFF_ORDERLY_MAX));
        before_ms = wait_ms;
    }
    assert_false(tls_sniff_waited(&history, DAY));
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY + TLS_SNIFF_FORGET_DAYS), 0);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY + TLS_SNIFF_FORGET_DAYS + 1), TLS_SNIFF_WAIT_MS);
    assert_true(tls_sniff_waited(&history, DAY + TLS_SNIFF_FORGET_DAYS)); /* it goes on */
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY + TLS_SNIFF_FORGET_DAYS + 1), 0);
}

/* An office: one program in the wrong mode among others that sign in. */
static void a_client_hello_brings_the_wait_back(void **state)
{
    struct tls_sniff history = {0};
    tls_sniff_signed_in(&history, DAY);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), 0);
    assert_true(tls_sniff_hello(&history, 40, DAY)); /* that one is lost */
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), TLS_SNIFF_WAIT_MS);
    for (int i = 0; i < TLS_SNIFF_ORDERLY_MAX; i++)
        tls_sniff_waited(&history, DAY);
    history = stored(history, DAY);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), TLS_SNIFF_WAIT_MS); /* at least twice 41 */
    assert_false(tls_sniff_hello(&history, 20, DAY));                            /* as known: in time */
    assert_true(tls_sniff_hello(&history, 70, DAY));
    assert_int_equal(history.orderly, 0);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), 2 * TLS_SNIFF_WAIT_MS);
    history = stored(history, DAY + TLS_SNIFF_FORGET_DAYS);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY + TLS_SNIFF_FORGET_DAYS), 2 * TLS_SNIFF_WAIT_MS);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY + TLS_SNIFF_FORGET_DAYS + 1), 0);
}

static void a_quick_client_hello_costs_others_little(void **state)
{
    struct tls_sniff history = {0};
    tls_sniff_hello(&history, 1, DAY);
    for (int i = 0; i < TLS_SNIFF_ORDERLY_MAX; i++)
        tls_sniff_waited(&history, DAY);
    assert_int_equal(tls_sniff_wait_ms(&history, NEAR, DAY), 6);
    assert_int_equal(tls_sniff_wait_ms(&history, 40 * 1000, DAY), 25); /* from far away */
}

static void every_wait_covers_the_client_hello_that_made_it(void **state)
{
    for (uint64_t after_ms = 0; after_ms < 2000; after_ms++) {
        struct tls_sniff history = {0};
        tls_sniff_hello(&history, after_ms, DAY);
        for (int i = 0; i < TLS_SNIFF_ORDERLY_MAX; i++)
            tls_sniff_waited(&history, DAY);
        history = stored(history, DAY);
        uint32_t wait_ms = tls_sniff_wait_ms(&history, NEAR, DAY);
        assert_true(wait_ms >= TLS_SNIFF_MARGIN * after_ms || wait_ms == TLS_SNIFF_WAIT_MAX_MS);
        assert_in_range(wait_ms, 1, TLS_SNIFF_WAIT_MAX_MS);
    }
    struct tls_sniff never = {0};
    tls_sniff_hello(&never, UINT64_MAX, UINT32_MAX);
    assert_int_equal(tls_sniff_wait_ms(&never, UINT32_MAX, UINT32_MAX), TLS_SNIFF_WAIT_MAX_MS);
}

/* In a full row no client without a password replaces one with it, whenever that signed in. */
static void who_signed_in_is_replaced_last(void **state)
{
    struct tls_sniff member = {0}, other = {0}, none = {0};
    tls_sniff_signed_in(&member, DAY);
    uint32_t last = DAY + TLS_SNIFF_FORGET_SIGNED_IN_DAYS;
    tls_sniff_hello(&other, 400, last);
    for (int i = 0; i < TLS_SNIFF_ORDERLY_MAX; i++)
        tls_sniff_waited(&other, last);
    assert_true(tls_sniff_weight(tls_sniff_pack(&member), last) >
                tls_sniff_weight(tls_sniff_pack(&other), last));
    assert_int_equal(tls_sniff_weight(tls_sniff_pack(&member), last + 1), 0);
    assert_int_equal(tls_sniff_weight(tls_sniff_pack(&none), last), 0);
    struct tls_sniff later = {0};
    tls_sniff_signed_in(&later, DAY + 1);
    assert_true(tls_sniff_weight(tls_sniff_pack(&later), last) >
                tls_sniff_weight(tls_sniff_pack(&member), last));
}

/* The shared memory is never trusted: each word gives a sound history. */
static void any_word_is_read(void **state)
{
    for (uint64_t word = 0; word <= UINT32_MAX; word += 65521) {
        struct tls_sniff history = tls_sniff_unpack((uint32_t)word, DAY);
        assert_true(tls_sniff_wait_ms(&history, NEAR, DAY) <= TLS_SNIFF_WAIT_MAX_MS);
        tls_sniff_hello(&history, word, DAY);
        tls_sniff_waited(&history, DAY);
        tls_sniff_signed_in(&history, DAY);
        struct tls_sniff again = stored(history, DAY);
        assert_int_equal(tls_sniff_pack(&again), tls_sniff_pack(&history));
        assert_int_equal(again.wait_ms, history.wait_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_has_the_time_of_a_slow_program),
        cmocka_unit_test(an_address_that_signed_in_is_greeted_at_once),
        cmocka_unit_test(orderly_sessions_shorten_the_wait),
        cmocka_unit_test(a_client_hello_brings_the_wait_back),
        cmocka_unit_test(a_quick_client_hello_costs_others_little),
        cmocka_unit_test(every_wait_covers_the_client_hello_that_made_it),
        cmocka_unit_test(who_signed_in_is_replaced_last),
        cmocka_unit_test(any_word_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
