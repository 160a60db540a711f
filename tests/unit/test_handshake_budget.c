/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU budget of a network's TLS handshakes: at each limit and one past it, in simulated time. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/handshake_budget.h"

static struct handshake_budget budget;
static uint64_t now_us;

static int setup(void **state)
{
    memset(&budget, 0, sizeof budget);
    handshake_budget_start(&budget);
    now_us = 1000000;
    return 0;
}

static struct handshake_network network(const char *address)
{
    struct sockaddr_storage from = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&from;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&from;
    struct handshake_network result;
    from.ss_family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
    assert_int_equal(inet_pton(from.ss_family, address,
                               from.ss_family == AF_INET ? (void *)&four->sin_addr : (void *)&six->sin6_addr),
                     1);
    handshake_network_of(&from, &result);
    return result;
}

static void charge(const char *address, int64_t cpu_us)
{
    struct handshake_network of = network(address);
    handshake_budget_charge(&budget, &of, now_us, cpu_us);
}

static uint64_t wait_ms(const char *address, bool begun)
{
    struct handshake_network of = network(address);
    return handshake_budget_wait_ms(&budget, &of, now_us, begun);
}

static void assert_text(const char *address, const char *expected)
{
    char room[HANDSHAKE_NETWORK_TEXT];
    struct handshake_network of = network(address);
    assert_true(bytes_is(handshake_network_text(&of, room), expected));
}

static void networks_are_addresses_and_64s(void **state)
{
    assert_text("192.0.2.1", "192.0.2.1");
    assert_text("::ffff:192.0.2.1", "192.0.2.1");
    assert_text("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    assert_text("127.0.0.1", "local");
    assert_text("127.9.9.9", "local");
    assert_text("::1", "local");
    assert_text("::ffff:127.0.0.1", "local");
}

static void a_burst_and_no_more(void **state)
{
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000 - 1);
    assert_int_equal(wait_ms("192.0.2.1", false), 0);
    charge("192.0.2.1", 1);
    assert_true(wait_ms("192.0.2.1", false) > 0);
    assert_int_equal(wait_ms("192.0.2.1", true), 0); /* what has begun may go on */
    assert_int_equal(wait_ms("192.0.2.2", false), 0);
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000);
    assert_true(wait_ms("192.0.2.1", true) > 0); /* for a burst more */
}

static void the_wait_is_as_long_as_it_says(void **state)
{
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000 + 5000);
    uint64_t wait = wait_ms("192.0.2.1", false);
    assert_in_range(wait, 100, 101); /* 5 ms, at 50 ms a second */
    now_us += (wait - 1) * 1000;
    assert_true(wait_ms("192.0.2.1", false) > 0);
    now_us += 1000;
    assert_int_equal(wait_ms("192.0.2.1", false), 0);
}

/* In the long run an address has its share of a core: 50 ms a second. */
static void the_share_is_what_it_says(void **state)
{
    uint64_t spent_us = 0;
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000);
    for (int second = 0; second < 100; second++) {
        for (int i = 0; i < 1000; i++) {
            now_us += 1000;
            if (wait_ms("192.0.2.1", false) > 0)
                continue;
            charge("192.0.2.1", 700);
            spent_us += 700;
        }
    }
    assert_in_range(spent_us, 100 * 1000 * HANDSHAKE_SHARE_PERMILLE * 98 / 100,
                    100 * 1000 * HANDSHAKE_SHARE_PERMILLE + 1000);
}

/* Two hundred mail programs behind one address: all at once, then
 * each every five minutes, with an RSA key of 4096 bits. */
static void mail_programs_behind_one_address_do_not_meet_it(void **state)
{
    enum { PROGRAMS = 200, STEP_US = 6500 };
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < PROGRAMS; i++) {
            assert_int_equal(wait_ms("192.0.2.1", false), 0);
            charge("192.0.2.1", STEP_US);
        }
        charge("192.0.2.1", -(int64_t)PROGRAMS * STEP_US * HANDSHAKE_RETURN_PERCENT / 100); /* they sign in */
        now_us += UINT64_C(5) * 60 * 1000000;
    }
}

static void a_debt_has_an_end(void **state)
{
    for (int i = 0; i < 100; i++)
        charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000);
    uint64_t wait = wait_ms("192.0.2.1", false);
    /* 40 s: others of that address wait, too */
    assert_true(wait <= HANDSHAKE_BURST_MS * 1000 / HANDSHAKE_SHARE_PERMILLE + 1);
    now_us += 2 * UINT64_C(1000) * HANDSHAKE_BURST_MS * 1000 / HANDSHAKE_SHARE_PERMILLE;
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000 - 1);
    assert_int_equal(wait_ms("192.0.2.1", false), 0); /* it is forgotten */
}

static void nothing_is_saved_up(void **state)
{
    charge("192.0.2.1", -10 * HANDSHAKE_BURST_MS * 1000); /* it had cost nothing */
    charge("192.0.2.1", HANDSHAKE_BURST_MS * 1000);
    assert_true(wait_ms("192.0.2.1", false) > 0);
}

static void a_48_has_so_much_for_all_of_it(void **state)
{
    char address[64];
    for (int i = 0; i < HANDSHAKE_WIDE_TIMES; i++) {
        snprintf(address, sizeof address, "2001:db8:7:%x::1", i);
        assert_int_equal(wait_ms(address, false), 0);
        charge(address, HANDSHAKE_BURST_MS * 1000 - (i == 0));
    }
    assert_int_equal(wait_ms("2001:db8:7:ffff::1", false), 0);
    charge("2001:db8:7:ffff::1", HANDSHAKE_WIDE_TIMES);
    assert_true(wait_ms("2001:db8:7:fffe::1", false) > 0);
    assert_int_equal(wait_ms("2001:db8:8::1", false), 0);
    assert_int_equal(wait_ms("192.0.2.1", false), 0);
}

static void all_of_a_64_is_one(void **state)
{
    charge("2001:db8:7:1::1", HANDSHAKE_BURST_MS * 1000);
    assert_true(wait_ms("2001:db8:7:1:ffff::9", false) > 0);
    assert_int_equal(wait_ms("2001:db8:7:2::1", false), 0);
}

static void this_machine_has_no_limit(void **state)
{
    charge("127.0.0.1", 100 * HANDSHAKE_BURST_MS * 1000);
    charge("::1", 100 * HANDSHAKE_BURST_MS * 1000);
    assert_int_equal(wait_ms("127.0.0.1", false), 0);
    assert_int_equal(wait_ms("::1", true), 0);
}

/* A thousand addresses over their limit do not affect others. */
static void strangers_do_not_pay(void **state)
{
    char address[64];
    int hurt = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "198.51.%d.%d", i / 250, i % 250);
        charge(address, 2 * HANDSHAKE_BURST_MS * 1000);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "203.0.%d.%d", i / 250, i % 250);
        hurt += wait_ms(address, false) > 0;
    }
    assert_true(hurt <= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(networks_are_addresses_and_64s, setup),
        cmocka_unit_test_setup(a_burst_and_no_more, setup),
        cmocka_unit_test_setup(the_wait_is_as_long_as_it_says, setup),
        cmocka_unit_test_setup(the_share_is_what_it_says, setup),
        cmocka_unit_test_setup(mail_programs_behind_one_address_do_not_meet_it, setup),
        cmocka_unit_test_setup(a_debt_has_an_end, setup),
        cmocka_unit_test_setup(nothing_is_saved_up, setup),
        cmocka_unit_test_setup(a_48_has_so_much_for_all_of_it, setup),
        cmocka_unit_test_setup(all_of_a_64_is_one, setup),
        cmocka_unit_test_setup(this_machine_has_no_limit, setup),
        cmocka_unit_test_setup(strangers_do_not_pay, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
